/* Deep recursion: n calls in all, in dives of up to 20,000 levels that do work on the way down and
 * on the way back, so that no call can become a jump. */
#include <stdint.h>

#define DEEPEST 20000

/* Two functions in turn, of unlike frames. */
static uint32_t down_odd(uint32_t level, uint32_t seed, uint64_t path);

__attribute__((noinline)) static uint32_t down_even(uint32_t level, uint32_t seed) {
    if (level == 0)
        return seed;
    uint32_t next = seed * 1664525u + 1013904223u;
    uint32_t below = down_odd(level - 1, next, (uint64_t)seed << 32 | level);
    return (below << 5 | below >> 27) ^ seed;
}

__attribute__((noinline)) static uint32_t down_odd(uint32_t level, uint32_t seed, uint64_t path) {
    if (level == 0)
        return seed ^ (uint32_t)path;
    uint32_t below = down_even(level - 1, seed ^ (uint32_t)(path >> 32));
    return below + (uint32_t)(path * level >> 16);
}

int32_t run(int32_t n) {
    uint32_t sum = 1;
    while (n > 0) {
        uint32_t depth = n < DEEPEST ? (uint32_t)n : DEEPEST;
        sum = sum * 31 + down_even(depth, sum);
        n -= DEEPEST;
    }
    return (int32_t)sum;
}
