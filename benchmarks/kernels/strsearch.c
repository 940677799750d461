/* Text: Boyer-Moore-Horspool searches for sixteen patterns in n generated letters (at most 2^20);
 * the places found, summed with weights. */
#include <stdint.h>

#define LIMIT (1 << 20)
static uint8_t text[LIMIT];
static int32_t shift[256];

int32_t run(int32_t n) {
    if (n > LIMIT)
        n = LIMIT;
    uint32_t seed = 99, sum = 0;
    for (int32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        /* Few letters, unevenly spread, so that patterns do occur. */
        uint32_t draw = seed >> 24;
        text[i] = (uint8_t)(draw < 100 ? 'a' : draw < 170 ? 'b' : draw < 220 ? 'c' : 'd');
    }
    for (int32_t round = 0; round < 16; round++) {
        /* A piece of the text itself is one pattern in two, a made-up word the other. */
        uint8_t pattern[16];
        int32_t length = 4 + round % 5;
        for (int32_t i = 0; i < length; i++)
            pattern[i] = round & 1 ? (uint8_t)('a' + (round * 3 + i * i) % 4)
                                   : text[(uint32_t)(round * 7919 + i) % (uint32_t)(n ? n : 1)];
        for (int32_t i = 0; i < 256; i++)
            shift[i] = length;
        for (int32_t i = 0; i + 1 < length; i++)
            shift[pattern[i]] = length - 1 - i;
        for (int32_t at = 0; at + length <= n;) {
            int32_t i = length - 1;
            while (i >= 0 && text[at + i] == pattern[i])
                i--;
            if (i < 0)
                sum = sum * 3 + (uint32_t)at + 1;
            at += shift[text[at + length - 1]];
        }
    }
    return (int32_t)sum;
}
