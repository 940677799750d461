/* Double arithmetic with an early exit: the Mandelbrot set on n x n points, at most 64 rounds
 * each; the sum of the rounds, mixed by place. */
#include <stdint.h>

int32_t run(int32_t n) {
    uint32_t sum = 0;
    for (int32_t row = 0; row < n; row++)
        for (int32_t column = 0; column < n; column++) {
            double cx = 3.0 * (double)column / (double)n - 2.25;
            double cy = 2.5 * (double)row / (double)n - 1.25;
            double x = 0, y = 0, xx = 0, yy = 0;
            uint32_t rounds = 0;
            while (rounds < 64 && xx + yy <= 4.0) {
                y = 2 * x * y + cy;
                x = xx - yy + cx;
                xx = x * x;
                yy = y * y;
                rounds++;
            }
            sum = sum * 31 + rounds;
        }
    return (int32_t)sum;
}
