/* Conversions: integers of both widths to and from both float types, rounding, promotion and
 * demotion, and the bits of floats, n times. */
#include <stdint.h>

static uint64_t bits_of(double value) {
    union { double number; uint64_t bits; } both = {.number = value};
    return both.bits;
}

static uint32_t bits_of_single(float value) {
    union { float number; uint32_t bits; } both = {.number = value};
    return both.bits;
}

int64_t run(int32_t n) {
    uint64_t sum = 0;
    uint32_t seed = 1;
    for (int32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        double wide = (double)(int32_t)seed / 1024.0 + (double)(uint32_t)i;
        float narrow = (float)wide;
        sum += bits_of_single(narrow);
        sum ^= bits_of(__builtin_floor(wide) + __builtin_ceil((double)narrow));
        sum += bits_of(__builtin_rint(wide * 0.5)) + bits_of(__builtin_trunc(wide * 3.0));
        sum += (uint64_t)(int64_t)(wide * 4096.0);
        sum ^= (uint64_t)(int32_t)narrow;
        sum += bits_of((double)(int64_t)(sum >> 3));
        sum ^= bits_of_single((float)(uint64_t)sum);
        sum += bits_of(__builtin_fabs(wide) + __builtin_copysign(1.5, (double)narrow));
    }
    return (int64_t)sum;
}
