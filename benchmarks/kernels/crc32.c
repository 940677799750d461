/* Table lookups by byte: CRC-32 (IEEE 802.3, reflected) of the n bytes of a generator. */
#include <stdint.h>

static uint32_t table[256];

int32_t run(int32_t n) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
        table[i] = value;
    }
    uint32_t crc = 0xffffffffu, seed = 1;
    for (int32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        crc = table[(crc ^ seed >> 24) & 255] ^ crc >> 8;
    }
    return (int32_t)~crc;
}
