/* Double arithmetic and strided loads: the product of two n x n matrices (n at most 256), as a
 * sum over the product weighted by place. */
#include <stdint.h>

#define LIMIT 256
static double a[LIMIT * LIMIT], b[LIMIT * LIMIT], c[LIMIT * LIMIT];

double run(int32_t n) {
    if (n > LIMIT)
        n = LIMIT;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++) {
            a[i * n + j] = (double)(i - j) / (double)n;
            b[i * n + j] = (double)(i * 3 + j) / (double)(n + 1);
        }
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++) {
            double sum = 0;
            for (int32_t k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
    double total = 0;
    for (int32_t i = 0; i < n * n; i++)
        total += c[i] * (double)(i % 7 + 1);
    return total;
}
