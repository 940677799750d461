/* call_indirect: n calls through a table of eight functions, the next one chosen by the last
 * result. */
#include <stdint.h>

typedef uint32_t step(uint32_t, uint32_t);

static uint32_t add(uint32_t a, uint32_t b) { return a + b; }
static uint32_t subtract(uint32_t a, uint32_t b) { return b - a; }
static uint32_t multiply(uint32_t a, uint32_t b) { return a * (b | 1); }
static uint32_t both(uint32_t a, uint32_t b) { return a ^ b; }
static uint32_t turn(uint32_t a, uint32_t b) { return (a << 5 | a >> 27) + b; }
static uint32_t fold(uint32_t a, uint32_t b) { return (a ^ a >> 16) * 0x45d9f3bu + b; }
static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a - b : b - a; }
static uint32_t count(uint32_t a, uint32_t b) {
    return a * 69069u + (uint32_t)__builtin_popcount(b);
}

static step *const volatile steps[8] = {add,  subtract, multiply, both,
                                        turn, fold,     larger,   count};

int32_t run(int32_t n) {
    uint32_t value = 1;
    for (uint32_t i = 0; i < (uint32_t)n; i++)
        value = steps[(value >> 3 ^ i) & 7](value, i);
    return (int32_t)value;
}
