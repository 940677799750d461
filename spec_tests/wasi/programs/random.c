/* random_get: the whole buffer is filled, nothing beyond it, and no two answers are alike. */
#include "probe.h"

int main(void) {
    static uint8_t bytes[4096 + 16], again[4096];
    memset(bytes, 0xaa, sizeof bytes);
    show("random", __wasi_random_get(bytes, 4096));
    int kept = 1;
    for (int i = 4096; i < 4112; i++)
        kept &= bytes[i] == 0xaa;
    show_truth("nothing beyond the buffer", kept);
    int seen[256] = {0}, different = 0;
    for (int i = 0; i < 4096; i++)
        different += !seen[bytes[i]]++;
    /* 4096 fair draws miss more than 16 of 256 values less than once in 10^60. */
    show_truth("most byte values occur", different >= 240);
    show("again", __wasi_random_get(again, sizeof again));
    show_truth("another answer", memcmp(bytes, again, sizeof again) != 0);
    memset(again, 0x55, 8);
    show("nothing", __wasi_random_get(again, 0));
    show_truth("untouched", again[0] == 0x55);
    return 0;
}
