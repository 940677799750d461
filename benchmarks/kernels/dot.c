/* Vectors of f32: the dot product of two rows of n numbers, in 16 sums of which each of four vectors
 * holds four; a row is 4,096 numbers over and over, the other one shifted each time. */
#include <stdint.h>
#include <wasm_simd128.h>

#define LENGTH 4096u
static float left[LENGTH], right[2 * LENGTH];

static uint32_t state;
static float next(void) {
    state = state * 1664525u + 1013904223u;
    return (float)((int32_t)(state >> 16) - 32768) / 32768.0f;
}

double run(int32_t n) {
    uint32_t numbers = (uint32_t)n & ~15u;
    double total = 0;
    state = 99;
    for (uint32_t i = 0; i < LENGTH; i++)
        left[i] = next();
    for (uint32_t i = 0; i < LENGTH; i++)
        right[i] = right[i + LENGTH] = next();
    for (uint32_t done = 0, round = 0; done < numbers; round++) {
        const float *other = right + round * 5 % LENGTH;
        uint32_t count = numbers - done < LENGTH ? numbers - done : LENGTH;
        v128_t a = wasm_f32x4_splat(0), b = a, c = a, d = a;
        for (uint32_t i = 0; i < count; i += 16) {
            a = wasm_f32x4_add(
                a, wasm_f32x4_mul(wasm_v128_load(left + i), wasm_v128_load(other + i)));
            b = wasm_f32x4_add(
                b, wasm_f32x4_mul(wasm_v128_load(left + i + 4), wasm_v128_load(other + i + 4)));
            c = wasm_f32x4_add(
                c, wasm_f32x4_mul(wasm_v128_load(left + i + 8), wasm_v128_load(other + i + 8)));
            d = wasm_f32x4_add(
                d, wasm_f32x4_mul(wasm_v128_load(left + i + 12), wasm_v128_load(other + i + 12)));
        }
        a = wasm_f32x4_add(wasm_f32x4_add(a, b), wasm_f32x4_add(c, d));
        total += (double)(wasm_f32x4_extract_lane(a, 0) + wasm_f32x4_extract_lane(a, 1) +
                          wasm_f32x4_extract_lane(a, 2) + wasm_f32x4_extract_lane(a, 3));
        done += count;
    }
    return total;
}
