/* Vectors of f32 with masks: the Mandelbrot set on n x n points (n a multiple of four), at most 64
 * rounds each, four points of a row at a time until the last of them has left; the sum of the
 * rounds, mixed by place. */
#include <stdint.h>
#include <wasm_simd128.h>

int32_t run(int32_t n) {
    uint32_t sum = 0;
    float size = (float)n;
    v128_t four = wasm_f32x4_splat(4), steps = wasm_f32x4_make(0, 1, 2, 3);
    for (int32_t row = 0; row < n; row++) {
        v128_t cy = wasm_f32x4_splat(2.5f * (float)row / size - 1.25f);
        for (int32_t column = 0; column + 4 <= n; column += 4) {
            v128_t places = wasm_f32x4_add(wasm_f32x4_splat((float)column), steps);
            v128_t cx = wasm_f32x4_sub(wasm_f32x4_div(wasm_f32x4_mul(places, wasm_f32x4_splat(3)),
                                                      wasm_f32x4_splat(size)),
                                       wasm_f32x4_splat(2.25f));
            v128_t x = wasm_f32x4_splat(0), y = x, xx = x, yy = x, rounds = x;
            for (int32_t round = 0; round < 64; round++) {
                v128_t inside = wasm_f32x4_le(wasm_f32x4_add(xx, yy), four);
                if (!wasm_v128_any_true(inside))
                    break;
                rounds = wasm_i32x4_sub(rounds, inside);
                v128_t xy = wasm_f32x4_mul(x, y);
                y = wasm_f32x4_add(wasm_f32x4_add(xy, xy), cy);
                x = wasm_f32x4_add(wasm_f32x4_sub(xx, yy), cx);
                xx = wasm_f32x4_mul(x, x);
                yy = wasm_f32x4_mul(y, y);
            }
            sum = sum * 31 + (uint32_t)wasm_i32x4_extract_lane(rounds, 0);
            sum = sum * 31 + (uint32_t)wasm_i32x4_extract_lane(rounds, 1);
            sum = sum * 31 + (uint32_t)wasm_i32x4_extract_lane(rounds, 2);
            sum = sum * 31 + (uint32_t)wasm_i32x4_extract_lane(rounds, 3);
        }
    }
    return (int32_t)sum;
}
