/* clock_res_get, clock_time_get, sched_yield. */
#include "probe.h"

int main(void) {
    __wasi_timestamp_t resolution, first, then, last;
    show("realtime resolution", __wasi_clock_res_get(__WASI_CLOCKID_REALTIME, &resolution));
    show_truth("not zero", resolution > 0);
    show("monotonic resolution", __wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &resolution));
    show_truth("not zero", resolution > 0);

    show("realtime", __wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &first));
    show_truth("not before 2000-01-01", first >= UINT64_C(946684800000000000));
    show("monotonic", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &first));
    last = first;
    int ordered = 1, rounds = 0;
    /* Time passes while a program works, whatever the clock is made of. */
    do {
        need("monotonic", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &then));
        ordered &= then >= last;
        last = then;
    } while (then == first && ++rounds < 1000000);
    show_truth("never goes back", ordered);
    show_truth("moves", then > first);
    show("yield", __wasi_sched_yield());
    return 0;
}
