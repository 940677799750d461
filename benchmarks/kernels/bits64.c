/* 64-bit integers: population counts, leading and trailing zeros, rotations, multiplication,
 * division and shifts over n steps of a xorshift generator. */
#include <stdint.h>

int64_t run(int32_t n) {
    uint64_t x = 0x123456789abcdef1u, sum = 0;
    for (int32_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += (uint64_t)__builtin_popcountll(x);
        sum ^= x << __builtin_clzll(x | 1);
        sum += x >> __builtin_ctzll(x);
        unsigned turn = (unsigned)x & 63;
        sum ^= x << turn | x >> (-turn & 63);
        sum += x % ((sum & 0xffff) + 3);
        sum ^= (uint64_t)((int64_t)x / ((int64_t)(sum >> 40) + 5));
        sum += (x & -x) * 0x9e3779b97f4a7c15u;
        /* The bits of x in reverse order, by halves. */
        uint64_t r = x;
        r = (r >> 1 & 0x5555555555555555u) | (r & 0x5555555555555555u) << 1;
        r = (r >> 2 & 0x3333333333333333u) | (r & 0x3333333333333333u) << 2;
        r = (r >> 4 & 0x0f0f0f0f0f0f0f0fu) | (r & 0x0f0f0f0f0f0f0f0fu) << 4;
        sum ^= r;
    }
    return (int64_t)sum;
}
