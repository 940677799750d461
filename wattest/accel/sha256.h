/* SHA-256 (FIPS 180-4) of a page, with the processor's own instructions where it has them.
   `hashlib` does the same, but takes a microsecond to be asked; where the processor has no such
   instructions nothing here is used, as its code is faster than C's would be. */
#ifndef WATTEST_SHA256_H
#define WATTEST_SHA256_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>
#include <immintrin.h>

static const uint32_t SHA256_K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* SHA, SSSE3 and SSE4.1: all that the function below is compiled for. */
static int sha256_native(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 9)) || !(c & (1u << 19))) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return b >> 29 & 1;
}

/* The state is kept as the instructions want it: words a b e f in one register, c d g h in the
   other. Four rounds take four words of the schedule; the next four come from the last sixteen. */
__attribute__((target("sha,ssse3,sse4.1")))
static void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i abef, cdgh, w[4], sum, next;
    int i;
    next = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);       /* c d a b */
    sum = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);  /* e f g h */
    abef = _mm_alignr_epi8(next, sum, 8);
    cdgh = _mm_blend_epi16(sum, next, 0xf0);
    while (blocks--) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
#if defined(__clang__)
#pragma unroll
#else
#pragma GCC unroll 16
#endif
        for (i = 0; i < 16; i++) {
            if (i < 4) {
                w[i] = _mm_loadu_si128((const __m128i *)(data + 16 * i));
                w[i] = _mm_shuffle_epi8(w[i], order);
            } else {
                next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
            }
            sum = _mm_add_epi32(w[i & 3], _mm_loadu_si128((const __m128i *)(SHA256_K + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            sum = _mm_shuffle_epi32(sum, 0x0e);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, sum);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
        data += 64;
    }
    next = _mm_shuffle_epi32(abef, 0x1b);  /* f e b a, from the low word: a is the highest */
    sum = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(next, sum, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(sum, next, 8));
}
#else
static int sha256_native(void) { return 0; }
static void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    (void)state; (void)data; (void)blocks;
}
#endif

/* The digest of `size` bytes; only where `sha256_native` says so. */
static void sha256_digest(const uint8_t *data, size_t size, uint8_t digest[32])
{
    uint32_t state[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };
    uint8_t last[128] = {0};
    size_t rest = size & 63, blocks = rest < 56 ? 1 : 2;
    uint64_t bits = (uint64_t)size * 8;
    int i;
    sha256_blocks(state, data, size / 64);
    memcpy(last, data + (size - rest), rest);
    last[rest] = 0x80;
    for (i = 0; i < 8; i++) last[64 * blocks - 1 - i] = (uint8_t)(bits >> 8 * i);
    sha256_blocks(state, last, blocks);
    for (i = 0; i < 32; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i & 3)));
}
#endif
