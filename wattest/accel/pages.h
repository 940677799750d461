/* Hashing the pages of a memory for commitments (docs/commitments.md). */

#ifndef WATTEST_PAGES_H
#define WATTEST_PAGES_H

#include <stddef.h>
#include <stdint.h>
#ifndef _WIN32
#include <dlfcn.h>
#endif

/* OpenSSL's SHA-256, found in the library that Python has loaded already: what hashlib calls, but
   without taking Python's lock back after each page. */

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
