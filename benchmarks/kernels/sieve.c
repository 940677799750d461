/* Bytes and tight loops: the sieve of Eratosthenes below n (at most 2^21); the number of primes,
 * mixed with their sum. */
#include <stdint.h>

#define LIMIT (1u << 21)
static uint8_t composite[LIMIT];

int32_t run(int32_t n) {
    uint32_t end = (uint32_t)n < LIMIT ? (uint32_t)n : LIMIT, count = 0, sum = 0;
    for (uint32_t i = 0; i < end; i++)
        composite[i] = 0;
    for (uint32_t i = 2; i < end; i++) {
        if (composite[i])
            continue;
        count++;
        sum += i;
        for (uint32_t j = i + i; j < end; j += i)
            composite[j] = 1;
    }
    return (int32_t)(count ^ (sum << 8));
}
