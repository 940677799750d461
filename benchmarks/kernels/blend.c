/* Vectors of bytes and 16-bit lanes: n pixels of one picture drawn over another, each of four bytes
 * the last of which says how opaque it is; four at a time, from places that are not aligned. The
 * target's bytes, mixed by place. */
#include <stdint.h>
#include <wasm_simd128.h>

#define PIXELS 2048u
static uint8_t source[2 * PIXELS * 4], target[PIXELS * 4];

/* (s a + t (255 - a)) / 255, rounded, in each of eight lanes. */
static inline v128_t mix(v128_t s, v128_t t, v128_t a) {
    v128_t rest = wasm_i16x8_sub(wasm_i16x8_splat(255), a);
    v128_t sum = wasm_i16x8_add(wasm_i16x8_mul(s, a), wasm_i16x8_mul(t, rest));
    sum = wasm_i16x8_add(sum, wasm_i16x8_splat(128));
    return wasm_u16x8_shr(wasm_i16x8_add(sum, wasm_u16x8_shr(sum, 8)), 8);
}

int32_t run(int32_t n) {
    uint32_t state = 7, pixels = (uint32_t)n & ~3u, sum = 0;
    for (uint32_t i = 0; i < sizeof source; i++) {
        state = state * 1664525u + 1013904223u;
        source[i] = (uint8_t)(state >> 24);
    }
    for (uint32_t i = 0; i < sizeof target; i++)
        target[i] = (uint8_t)i;
    for (uint32_t done = 0, round = 0; done < pixels; round++) {
        const uint8_t *from = source + round * 17 % PIXELS * 4;
        uint32_t count = pixels - done < PIXELS ? pixels - done : PIXELS;
        for (uint32_t i = 0; i < count * 4; i += 16) {
            v128_t s = wasm_v128_load(from + i), t = wasm_v128_load(target + i);
            v128_t a =
                wasm_i8x16_shuffle(s, s, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15);
            v128_t low = mix(wasm_u16x8_extend_low_u8x16(s), wasm_u16x8_extend_low_u8x16(t),
                             wasm_u16x8_extend_low_u8x16(a));
            v128_t high = mix(wasm_u16x8_extend_high_u8x16(s), wasm_u16x8_extend_high_u8x16(t),
                              wasm_u16x8_extend_high_u8x16(a));
            wasm_v128_store(target + i, wasm_u8x16_narrow_i16x8(low, high));
        }
        done += count;
    }
    for (uint32_t i = 0; i < sizeof target; i++)
        sum = sum * 31 + target[i];
    return (int32_t)sum;
}
