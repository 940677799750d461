/* Scattered loads and stores: n rounds of insert, look up and delete in an open-addressing table
 * with linear probing and backward-shift deletion. */
#include <stdint.h>

#define PLACES (1u << 16)
/* Key 0 marks a free place. */
static uint32_t keys[PLACES], values[PLACES];

static uint32_t home(uint32_t key) { return key * 0x9e3779b1u >> 16 & (PLACES - 1); }

static uint32_t find(uint32_t key) {
    uint32_t place = home(key);
    while (keys[place] && keys[place] != key)
        place = (place + 1) & (PLACES - 1);
    return place;
}

static void remove(uint32_t place) {
    uint32_t next = place;
    for (;;) {
        next = (next + 1) & (PLACES - 1);
        if (!keys[next])
            break;
        /* Move the entry back unless its home lies after the hole. */
        if (((next - home(keys[next])) & (PLACES - 1)) >= ((next - place) & (PLACES - 1))) {
            keys[place] = keys[next];
            values[place] = values[next];
            place = next;
        }
    }
    keys[place] = 0;
}

int32_t run(int32_t n) {
    for (uint32_t i = 0; i < PLACES; i++)
        keys[i] = 0;
    uint32_t seed = 2463534242u, found = 0, sum = 0, held = 0;
    for (int32_t i = 0; i < n; i++) {
        seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
        uint32_t key = seed % 40009 + 1, place = find(key);
        if (keys[place]) {
            found++;
            sum += values[place];
            if (seed >> 30 == 0) {
                remove(place);
                held--;
            } else
                values[place] += (uint32_t)i;
        } else if (held < PLACES / 2) {
            keys[place] = key;
            values[place] = (uint32_t)i;
            held++;
        }
    }
    return (int32_t)(sum * 31 + found * 7 + held);
}
