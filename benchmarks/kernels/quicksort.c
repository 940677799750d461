/* Compares, swaps and recursion: quicksort of n pseudo-random 32-bit numbers (at most 2^20); a sum
 * weighted by place, negative when the result is not in order. */
#include <stdint.h>

#define LIMIT (1 << 20)
static int32_t numbers[LIMIT];

static void sort(int32_t low, int32_t high) {
    while (low < high) {
        int32_t pivot = numbers[low + (high - low) / 2], i = low, j = high;
        while (i <= j) {
            while (numbers[i] < pivot)
                i++;
            while (numbers[j] > pivot)
                j--;
            if (i <= j) {
                int32_t kept = numbers[i];
                numbers[i++] = numbers[j];
                numbers[j--] = kept;
            }
        }
        /* The smaller part by recursion, so that the depth stays logarithmic. */
        if (j - low < high - i) {
            sort(low, j);
            low = i;
        } else {
            sort(i, high);
            high = j;
        }
    }
}

int32_t run(int32_t n) {
    if (n > LIMIT)
        n = LIMIT;
    uint32_t seed = 12345;
    for (int32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[i] = (int32_t)(seed ^ seed >> 15);
    }
    sort(0, n - 1);
    uint32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        if (i && numbers[i - 1] > numbers[i])
            return -1;
        sum = sum * 31 + (uint32_t)numbers[i];
    }
    return (int32_t)(sum & 0x7fffffff);
}
