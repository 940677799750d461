/* Vectors of bytes with lookups: is a text of 4,096 bytes UTF-8? Asked n times, each time with
 * another byte of it changed; how often it was and where, mixed. */
#include <stdint.h>
#include <wasm_simd128.h>

#define LENGTH 4096u
static uint8_t text[LENGTH];

/* Characters of all lengths; spaces where the next would not fit. */
static void write_text(void) {
    uint32_t state = 5, at = 0;
    while (at < LENGTH) {
        state = state * 1664525u + 1013904223u;
        uint32_t kind = state >> 28, c = state >> 7;
        if (at + 4 > LENGTH) {
            text[at++] = ' ';
        } else if (kind < 8) {
            text[at++] = (uint8_t)(0x20 + c % 0x5f);
        } else if (kind < 11) {
            c = 0x80 + c % 0x780;
            text[at++] = (uint8_t)(0xc0 | c >> 6);
            text[at++] = (uint8_t)(0x80 | (c & 0x3f));
        } else if (kind < 14) {
            c = 0x800 + c % 0xd000;
            text[at++] = (uint8_t)(0xe0 | c >> 12);
            text[at++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
            text[at++] = (uint8_t)(0x80 | (c & 0x3f));
        } else {
            c = 0x10000 + c % 0x100000;
            text[at++] = (uint8_t)(0xf0 | c >> 18);
            text[at++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
            text[at++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
            text[at++] = (uint8_t)(0x80 | (c & 0x3f));
        }
    }
}

/* A vector of which each byte is the one `count` before it. */
#define BEFORE(count)                                                                              \
    wasm_i8x16_shuffle(last, here, 16 - count, 17 - count, 18 - count, 19 - count, 20 - count,     \
                       21 - count, 22 - count, 23 - count, 24 - count, 25 - count, 26 - count,     \
                       27 - count, 28 - count, 29 - count, 30 - count, 31 - count)

static int valid(void) {
    const v128_t none = wasm_i8x16_splat(0);
    /* What may follow the leads E0 to EF and F0 to F4, where it is less than 80 to BF. */
    const v128_t least_e =
        wasm_u8x16_make(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const v128_t most_e = wasm_u8x16_make(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                          0xff, 0xff, 0xff, 0xff, 0x9f, 0xff, 0xff);
    const v128_t least_f =
        wasm_u8x16_make(0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const v128_t most_f = wasm_u8x16_make(0xff, 0xff, 0xff, 0xff, 0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                          0, 0);
    v128_t last = none, wrong = none;
    for (uint32_t at = 0; at <= LENGTH; at += 16) {
        v128_t here = at < LENGTH ? wasm_v128_load(text + at) : none;
        if (!wasm_i8x16_bitmask(wasm_v128_or(here, last))) {
            last = here;
            continue;
        }
        v128_t one = BEFORE(1), two = BEFORE(2), three = BEFORE(3);
        /* Bytes that go on a character stand where a lead says so, and nowhere else. */
        v128_t wanted = wasm_v128_or(wasm_u8x16_ge(one, wasm_i8x16_splat((int8_t)0xc0)),
                                     wasm_v128_or(wasm_u8x16_ge(two, wasm_i8x16_splat((int8_t)0xe0)),
                                                  wasm_u8x16_ge(three, wasm_i8x16_splat((int8_t)0xf0))));
        v128_t goes_on = wasm_i8x16_lt(here, wasm_i8x16_splat((int8_t)0xc0));
        wrong = wasm_v128_or(wrong, wasm_v128_xor(wanted, goes_on));
        /* C0 and C1 would be too long a form; F5 and above lead nowhere. */
        v128_t lead = wasm_v128_and(here, wasm_i8x16_splat((int8_t)0xfe));
        wrong = wasm_v128_or(wrong, wasm_i8x16_eq(lead, wasm_i8x16_splat((int8_t)0xc0)));
        wrong = wasm_v128_or(wrong, wasm_u8x16_gt(here, wasm_i8x16_splat((int8_t)0xf4)));
        /* The second byte's bounds: a lookup by the lead gives nought for another kind of lead. */
        v128_t e = wasm_i8x16_sub(one, wasm_i8x16_splat((int8_t)0xe0));
        v128_t f = wasm_i8x16_sub(one, wasm_i8x16_splat((int8_t)0xf0));
        v128_t least = wasm_v128_or(wasm_i8x16_swizzle(least_e, e), wasm_i8x16_swizzle(least_f, f));
        v128_t most = wasm_v128_or(wasm_i8x16_swizzle(most_e, e), wasm_i8x16_swizzle(most_f, f));
        most = wasm_v128_or(most, wasm_u8x16_lt(one, wasm_i8x16_splat((int8_t)0xe0)));
        wrong = wasm_v128_or(wrong, wasm_u8x16_lt(here, least));
        wrong = wasm_v128_or(wrong, wasm_u8x16_gt(here, most));
        last = here;
    }
    return !wasm_v128_any_true(wrong);
}

int32_t run(int32_t n) {
    uint32_t state = 1, sum = 0;
    write_text();
    for (int32_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        uint8_t *place = text + (state >> 8) % LENGTH, was = *place;
        /* Some change one letter for another, some bits that matter, some anything. */
        uint8_t byte = (uint8_t)(state >> 24);
        *place = i % 3 == 0 ? (uint8_t)(was ^ (byte & 7)) : i % 3 == 1 ? (uint8_t)(was ^ 1 << byte % 8) : byte;
        sum = sum * 31 + (uint32_t)(valid() ? 1 + (byte & 1) : 0);
        *place = was;
    }
    return (int32_t)sum;
}
