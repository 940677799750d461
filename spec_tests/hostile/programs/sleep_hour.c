/* Waits for an hour: with "sleep" for a timer, with "poll" for a timer or standard input, with
 * "many" for a thousand timers of an hour, with "until" for an instant in the far future. */
#include "hostile.h"

#define MANY 1000

static __wasi_subscription_t in[MANY];
static __wasi_event_t out[MANY];

int main(int argc, char **argv) {
    begin("sleep_hour");
    const char *how = argc > 1 ? argv[1] : "sleep";
    size_t count = strcmp(how, "many") == 0 ? MANY : strcmp(how, "poll") == 0 ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        in[i].userdata = i;
        in[i].u.tag = __WASI_EVENTTYPE_CLOCK;
        in[i].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
        in[i].u.u.clock.timeout = UINT64_C(3600000000000) + i;
    }
    if (strcmp(how, "until") == 0) {
        in[0].u.u.clock.timeout = UINT64_MAX;
        in[0].u.u.clock.flags = __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
    }
    if (strcmp(how, "poll") == 0) {
        in[1].u.tag = __WASI_EVENTTYPE_FD_READ;
        in[1].u.u.fd_read.file_descriptor = 0;
    }
    __wasi_timestamp_t before, after;
    need("clock", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &before));
    __wasi_size_t events = 0;
    show("poll", __wasi_poll_oneoff(in, out, count, &events));
    need("clock", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &after));
    show_truth("an hour passed", after - before >= UINT64_C(3600000000000));
    return 0;
}
