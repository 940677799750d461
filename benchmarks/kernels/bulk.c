/* Bulk memory: a text buffer of up to 16 KiB in which n insertions and deletions at scattered
 * places each move the rest of the text (memory.copy) and fill what they insert (memory.fill); now
 * and then the buffer is copied aside and the copy compared. */
#include <stdint.h>

#define CAPACITY 16384u
static uint8_t text[CAPACITY], saved[CAPACITY];

static uint32_t length;

static void insert(uint32_t at, uint32_t count, uint8_t byte) {
    __builtin_memmove(text + at + count, text + at, length - at);
    __builtin_memset(text + at, byte, count);
    length += count;
}

static void erase(uint32_t at, uint32_t count) {
    __builtin_memmove(text + at, text + at + count, length - at - count);
    length -= count;
}

int32_t run(int32_t n) {
    uint32_t seed = 1, sum = 0;
    length = 0;
    __builtin_memset(text, 0, CAPACITY);
    __builtin_memset(saved, 0, CAPACITY);
    for (int32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t count = 1 + (seed >> 10) % 64;
        /* Most editing is near the end of what is there: short moves beside long ones. */
        uint32_t back = (seed >> 16) % (seed >> 29 ? 256u : CAPACITY);
        uint32_t at = back < length ? length - back : 0;
        if (seed >> 28 < 9 && length + count <= CAPACITY)
            insert(at, count, (uint8_t)(seed >> 20));
        else if (at + count <= length)
            erase(at, count);
        sum = sum * 31 + text[at % CAPACITY] + length;
        if (i % 64 == 63) {
            __builtin_memcpy(saved, text, length);
            sum ^= saved[seed % CAPACITY] + saved[length / 2];
        }
    }
    return (int32_t)sum;
}
