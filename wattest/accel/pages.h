/* Copying and hashing the pages of a memory, for commitments (docs/commitments.md). */

#ifndef WATTEST_PAGES_H
#define WATTEST_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#ifndef _WIN32
#include <dlfcn.h>
#endif

/* Copies what another thread is to read: past the caches where that is possible, so that they
   keep what the guest works with. `copied` follows the last one. */

static inline void copy_past(uint8_t *to, const uint8_t *from, size_t size)
{
#ifdef __SSE2__
    if (((uintptr_t)to & 15) == 0 && size % 64 == 0) {
        size_t at;
        for (at = 0; at < size; at += 64) {
            __m128i a = _mm_loadu_si128((const __m128i *)(from + at));
            __m128i b = _mm_loadu_si128((const __m128i *)(from + at + 16));
            __m128i c = _mm_loadu_si128((const __m128i *)(from + at + 32));
            __m128i d = _mm_loadu_si128((const __m128i *)(from + at + 48));
            _mm_stream_si128((__m128i *)(to + at), a);
            _mm_stream_si128((__m128i *)(to + at + 16), b);
            _mm_stream_si128((__m128i *)(to + at + 32), c);
            _mm_stream_si128((__m128i *)(to + at + 48), d);
        }
        return;
    }
#endif
    memcpy(to, from, size);
}

static inline void copied(void)
{
#ifdef __SSE2__
    _mm_sfence();
#endif
}

/* OpenSSL's SHA-256, the one that hashlib calls, without the lock that hashlib takes for each
   page: found in the library that Python has loaded already. */

typedef struct Crypto {
    void *(*make)(void);
    void (*end)(void *);
    const void *(*sha256)(void);
    int (*begin)(void *, const void *, void *);
    int (*update)(void *, const void *, size_t);
    int (*final)(void *, unsigned char *, unsigned int *);
} Crypto;

static Crypto crypto;

/* Whether it was found in the library of that name. */
static int crypto_open(const char *path)
{
#ifndef _WIN32
    Crypto found;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return 0;
    *(void **)&found.make = dlsym(library, "EVP_MD_CTX_new");
    *(void **)&found.end = dlsym(library, "EVP_MD_CTX_free");
    *(void **)&found.sha256 = dlsym(library, "EVP_sha256");
    *(void **)&found.begin = dlsym(library, "EVP_DigestInit_ex");
    *(void **)&found.update = dlsym(library, "EVP_DigestUpdate");
    *(void **)&found.final = dlsym(library, "EVP_DigestFinal_ex");
    if (found.make && found.end && found.sha256 && found.begin && found.update && found.final) {
        crypto = found;
        return 1;
    }
#endif
    return 0;
}

/* The digest of `size` bytes; `context` is of `crypto.make`. Whether it worked. */
static inline int crypto_hash(void *context, const uint8_t *data, size_t size, uint8_t *digest)
{
    unsigned int length = 0;
    return crypto.begin(context, crypto.sha256(), NULL) == 1
        && crypto.update(context, data, size) == 1
        && crypto.final(context, digest, &length) == 1 && length == 32;
}

#endif
