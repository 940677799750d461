/* The machine's data in C, and the few operations that Cython cannot say. */
#ifndef WATTEST_NATIVE_H
#define WATTEST_NATIVE_H
#include <stdint.h>
#include <string.h>
#include <math.h>

#include "heap.h"

#if defined(_MSC_VER)
#include <intrin.h>
#define WATTEST_NOINLINE __declspec(noinline)
#define WATTEST_INLINE static __forceinline
#else
#if defined(__clang__)
#define WATTEST_NOINLINE __attribute__((noinline, unused))
#else
/* Kept as it is: a smaller signature would put the arguments into other registers. */
#define WATTEST_NOINLINE __attribute__((noipa, unused))
#endif
#define WATTEST_INLINE static inline __attribute__((always_inline, unused))
#endif

/* `dirty` has a byte for each 4 KiB, set when something is written there; NULL: not tracked. */
typedef struct MemRec { uint8_t *base; uint64_t length; uint8_t *dirty; } MemRec;
typedef struct TableRec { uint64_t *elems; uint64_t size; } TableRec;
typedef struct ElemRec { uint64_t *elems; uint64_t size; } ElemRec;
typedef struct DataRec { const uint8_t *data; uint64_t size; } DataRec;
struct Inst;

/* A function. A frame is: parameters, locals, three words of link, operands. The link stands
   at `link` slots from the frame's beginning: return address, distance to the caller's frame,
   and what is left of the call depth (frames in the high half, slots in the low half, each
   with a guard bit on top). */
typedef struct Func {
    int32_t *code;      /* where calls go: the body, or a stub */
    uint64_t pack;      /* what a frame takes of the call depth */
    int64_t cost;       /* fuel charged at entry */
    uint32_t params, locals, link, results;
    struct Inst *inst;  /* NULL for a host function */
    RType *type;        /* the record of its defined type */
    void *obj;          /* the Python function instance, borrowed, or NULL */
    uint32_t index, slots, kind, type_index, start, end;
    int32_t *stub;
    void *lowered;
    void *sig;          /* its Signature, borrowed */
} Func;

typedef struct Inst {
    MemRec **mems;
    TableRec **tables;
    uint64_t **globals;
    Func **funcs;
    ElemRec *elems;
    DataRec *datas;
    RType **tags;
    void *state;        /* of its store */
    void *owner;
    uint32_t tracked;   /* whether its code notes what it writes (MemRec.dirty) */
} Inst;

typedef struct Ctx {
    uint64_t memlen;    /* of memory 0 of `inst` */
    uint8_t *dirty;     /* of the same memory (MemRec.dirty) */
    Inst *inst;
    int32_t *pc;
    uint64_t *fp;
    int64_t fuel;
    int32_t *edge;
    int64_t owed;
    int32_t status, trap;
    uint64_t detail;
    Func *func;
    int32_t *cross;     /* the cell that returns into another instance */
    uint64_t r;
    double d;
    float s;
    Heap *heap;
} Ctx;

typedef int (*handler_t)(int32_t *, uint64_t *, uint8_t *, Ctx *, int64_t, uint64_t, double,
                         float);

/* What stands in code cells, which begin at multiples of four bytes only. */
#if defined(__GNUC__) || defined(__clang__)
#define WATTEST_CELL __attribute__((aligned(4)))
#else
#define WATTEST_CELL
#endif
typedef uint64_t cell_u64 WATTEST_CELL;
typedef int64_t cell_i64 WATTEST_CELL;
typedef double cell_f64 WATTEST_CELL;
typedef uint64_t *cell_slot WATTEST_CELL;
typedef Func *cell_func WATTEST_CELL;
typedef TableRec *cell_table WATTEST_CELL;
typedef RType *cell_type WATTEST_CELL;
typedef handler_t cell_handler WATTEST_CELL;

enum { FUNC_WASM, FUNC_HOST };
enum {
    STATUS_DONE, STATUS_TRAP, STATUS_FUEL, STATUS_RETRY, STATUS_HOST, STATUS_LOWER,
    STATUS_GROW_MEMORY, STATUS_GROW_TABLE, STATUS_FOREIGN, STATUS_NEXT,
    STATUS_ROOM, STATUS_THROW, STATUS_THROW_REF
};
enum {
    TRAP_UNREACHABLE, TRAP_DIVIDE, TRAP_OVERFLOW, TRAP_CONVERSION, TRAP_MEMORY, TRAP_TABLE,
    TRAP_UNDEFINED, TRAP_UNINITIALIZED, TRAP_TYPE, TRAP_STACK, TRAP_ARRAY, TRAP_NULL,
    TRAP_NULL_FUNC, TRAP_NULL_STRUCT, TRAP_NULL_ARRAY, TRAP_NULL_I31, TRAP_NULL_EXN, TRAP_CAST,
    TRAP_UNALIGNED, TRAP_NOT_SHARED, TRAP_ENDLESS
};
#define GUARDS UINT64_C(0x8000000080000000)

#if defined(__GNUC__) || defined(__clang__)
#undef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#elif !defined(unlikely)
#define unlikely(x) (x)
#endif

/* Whether a reference is of a type: `asked` is IS_..., plus 256 if null will do. */
static inline int is_a(uint64_t word, int32_t asked, const RType *type)
{
    if (word == 0) return asked >> 8;
    switch (asked & 0xff) {
    case IS_TOP: return 1;
    case IS_EQ: return (word & 1) || !(word & 2);
    case IS_I31: return word & 1;
    case IS_STRUCT: return !(word & 3) && ((Object *)(uintptr_t)word)->type->kind == KIND_STRUCT;
    case IS_ARRAY: return !(word & 3) && ((Object *)(uintptr_t)word)->type->kind == KIND_ARRAY;
    case IS_TYPE: return !(word & 3) && is_sub(((Object *)(uintptr_t)word)->type, type);
    case IS_FUNC_TYPE: return is_sub(((Func *)(uintptr_t)word)->type, type);
    default: return 0;
    }
}

/* What `wattest --version` says of the build. */
#if defined(__clang__)
#define WATTEST_COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define WATTEST_COMPILER "gcc " __VERSION__
#elif defined(_MSC_VER)
#define WATTEST_COMPILER "msvc"
#else
#define WATTEST_COMPILER "another compiler"
#endif
#ifdef WATTEST_LOOP
#define WATTEST_DISPATCH "loop"
#else
#define WATTEST_DISPATCH "tail jumps"
#endif

#ifdef WATTEST_CELLS
enum { SEQUENCES = 0 };
#else
enum { SEQUENCES = 1 };   /* whether there may be one handler for several cells */
#endif

#ifdef WATTEST_LOOP
/* Where the compiler gives no tail jumps: every handler returns to the loop. */
WATTEST_INLINE int NEXT(int32_t *pc, uint64_t *fp, uint8_t *mem, Ctx *c, int64_t fuel,
                        uint64_t r, double d, float s)
{
    (void)mem;
    c->pc = pc; c->fp = fp; c->fuel = fuel; c->r = r; c->d = d; c->s = s;
    c->detail = (uint64_t)(uintptr_t)mem;
    return STATUS_NEXT;
}
#elif defined(WATTEST_CELLS)
#include "cells.h"
#define NEXT(pc, fp, mem, c, fuel, r, d, s) \
    (CELLS_NOTE(pc), (*(cell_handler *)(pc))((pc), (fp), (mem), (c), (fuel), (r), (d), (s)))
#else
#define NEXT(pc, fp, mem, c, fuel, r, d, s) \
    ((*(cell_handler *)(pc))((pc), (fp), (mem), (c), (fuel), (r), (d), (s)))
#endif

/* Ways out of the handlers, to the driver. Their first arguments are the handlers' own, in the
   same registers. */
static WATTEST_NOINLINE int leave(int32_t *pc, uint64_t *fp, uint8_t *mem, Ctx *c, int64_t fuel,
                                  int64_t status)
{
    (void)mem;
    c->pc = pc; c->fp = fp; c->fuel = fuel; c->status = (int32_t)status;
    return 0;
}
static WATTEST_NOINLINE int trap(int32_t *pc, uint64_t *fp, uint8_t *mem, Ctx *c, int64_t fuel,
                                 int64_t kind)
{
    c->trap = (int32_t)kind;
    return leave(pc, fp, mem, c, fuel, STATUS_TRAP);
}
/* Stopped before a segment: `edge` is where its cost stands in the code. */
static WATTEST_NOINLINE int stop(int32_t *pc, uint64_t *fp, uint8_t *mem, Ctx *c, int64_t fuel,
                                 int32_t *edge)
{
    c->edge = edge; c->owed = edge[1];
    return leave(pc, fp, mem, c, fuel + edge[1], STATUS_FUEL);
}
static WATTEST_NOINLINE int stop_entry(int32_t *pc, uint64_t *fp, uint8_t *mem, Ctx *c,
                                       int64_t fuel, int64_t cost)
{
    c->edge = NULL; c->owed = cost;
    return leave(pc, fp, mem, c, fuel + cost, STATUS_FUEL);
}
static inline int run_handlers(Ctx *c, uint8_t *mem)
{
    int32_t *pc = c->pc;
#ifdef WATTEST_LOOP
    int status;
    c->detail = (uint64_t)(uintptr_t)mem;
    do {
        mem = (uint8_t *)(uintptr_t)c->detail;
        status = (*(cell_handler *)c->pc)(c->pc, c->fp, mem, c, c->fuel, c->r, c->d, c->s);
    } while (status == STATUS_NEXT);
    return status;
#else
    return (*(cell_handler *)pc)(pc, c->fp, mem, c, c->fuel, c->r, c->d, c->s);
#endif
}

/* Guest memory is little-endian. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define WATTEST_LE16(x) __builtin_bswap16(x)
#define WATTEST_LE32(x) __builtin_bswap32(x)
#define WATTEST_LE64(x) __builtin_bswap64(x)
#else
#define WATTEST_LE16(x) (x)
#define WATTEST_LE32(x) (x)
#define WATTEST_LE64(x) (x)
#endif
WATTEST_INLINE uint16_t ld16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return WATTEST_LE16(v); }
WATTEST_INLINE uint32_t ld32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return WATTEST_LE32(v); }
WATTEST_INLINE uint64_t ld64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return WATTEST_LE64(v); }
WATTEST_INLINE void st16(uint8_t *p, uint16_t v) { v = WATTEST_LE16(v); memcpy(p, &v, 2); }
WATTEST_INLINE void st32(uint8_t *p, uint32_t v) { v = WATTEST_LE32(v); memcpy(p, &v, 4); }
WATTEST_INLINE void st64(uint8_t *p, uint64_t v) { v = WATTEST_LE64(v); memcpy(p, &v, 8); }

/* Note that `n` bytes, at least one and at most 4096, are written from `start` on, within the
   memory that `dirty` is of: how every store says what it writes. */
WATTEST_INLINE void note_store(uint8_t *dirty, uint64_t start, uint64_t n)
{
    dirty[start >> 12] = 1;
    /* What is aligned is within a page; where the width is known, that is one test. */
    if ((n & (n - 1)) == 0 && !unlikely(start & (n - 1))) return;
    if (unlikely((start & 4095) > 4096 - n)) dirty[(start >> 12) + 1] = 1;
}
/* The same of any number of bytes, at least one, where that is wanted. */
WATTEST_INLINE void mark_written(MemRec *m, uint64_t start, uint64_t n)
{
    if (m->dirty) memset(m->dirty + (start >> 12), 1, (size_t)(((start + n - 1) >> 12) - (start >> 12) + 1));
}

WATTEST_INLINE float u2f(uint32_t v) { float f; memcpy(&f, &v, 4); return f; }
WATTEST_INLINE uint32_t f2u(float f) { uint32_t v; memcpy(&v, &f, 4); return v; }
WATTEST_INLINE double u2d(uint64_t v) { double f; memcpy(&f, &v, 8); return f; }
WATTEST_INLINE uint64_t d2u(double f) { uint64_t v; memcpy(&v, &f, 8); return v; }

/* Every NaN that arithmetic produces is the positive canonical one. */
WATTEST_INLINE double nand(double x) { return unlikely(x != x) ? u2d(UINT64_C(0x7ff8000000000000)) : x; }
WATTEST_INLINE float nanf_(float x) { return unlikely(x != x) ? u2f(0x7fc00000u) : x; }

#if defined(_MSC_VER) && !defined(__clang__)
WATTEST_INLINE uint32_t clz32(uint32_t x) { unsigned long i; return _BitScanReverse(&i, x) ? 31 - i : 32; }
WATTEST_INLINE uint32_t ctz32(uint32_t x) { unsigned long i; return _BitScanForward(&i, x) ? i : 32; }
WATTEST_INLINE uint64_t clz64(uint64_t x) { unsigned long i; return _BitScanReverse64(&i, x) ? 63 - i : 64; }
WATTEST_INLINE uint64_t ctz64(uint64_t x) { unsigned long i; return _BitScanForward64(&i, x) ? i : 64; }
#else
WATTEST_INLINE uint32_t clz32(uint32_t x) { return x ? (uint32_t)__builtin_clz(x) : 32; }
WATTEST_INLINE uint32_t ctz32(uint32_t x) { return x ? (uint32_t)__builtin_ctz(x) : 32; }
WATTEST_INLINE uint64_t clz64(uint64_t x) { return x ? (uint64_t)__builtin_clzll(x) : 64; }
WATTEST_INLINE uint64_t ctz64(uint64_t x) { return x ? (uint64_t)__builtin_ctzll(x) : 64; }
#endif
WATTEST_INLINE uint64_t popcnt64(uint64_t x)
{
    x -= (x >> 1) & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (x * UINT64_C(0x0101010101010101)) >> 56;
}
WATTEST_INLINE uint32_t popcnt32(uint32_t x) { return (uint32_t)popcnt64(x); }
WATTEST_INLINE uint32_t rotl32(uint32_t x, uint32_t n) { n &= 31; return (x << n) | (x >> ((32 - n) & 31)); }
WATTEST_INLINE uint32_t rotr32(uint32_t x, uint32_t n) { n &= 31; return (x >> n) | (x << ((32 - n) & 31)); }
WATTEST_INLINE uint64_t rotl64(uint64_t x, uint64_t n) { n &= 63; return (x << n) | (x >> ((64 - n) & 63)); }
WATTEST_INLINE uint64_t rotr64(uint64_t x, uint64_t n) { n &= 63; return (x >> n) | (x << ((64 - n) & 63)); }

/* The high half of a product. */
WATTEST_INLINE uint64_t mul_high_u(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    return (uint64_t)((unsigned __int128)a * b >> 64);
#else
    uint64_t low = (a & 0xffffffffu) * (b & 0xffffffffu);
    uint64_t left = (a >> 32) * (b & 0xffffffffu) + (low >> 32);
    uint64_t right = (a & 0xffffffffu) * (b >> 32) + (left & 0xffffffffu);
    return (a >> 32) * (b >> 32) + (left >> 32) + (right >> 32);
#endif
}
WATTEST_INLINE uint64_t mul_high_s(uint64_t a, uint64_t b)
{
    return mul_high_u(a, b) - (a >> 63 ? b : 0) - (b >> 63 ? a : 0);
}

/* Minimum and maximum: NaN wins, and -0 is less than +0. */
WATTEST_INLINE double fmind(double a, double b)
{
    if (a < b) return a;
    if (b < a) return b;
    if (a == b) return u2d(d2u(a) | d2u(b));
    return u2d(UINT64_C(0x7ff8000000000000));
}
WATTEST_INLINE double fmaxd(double a, double b)
{
    if (a > b) return a;
    if (b > a) return b;
    if (a == b) return u2d(d2u(a) & d2u(b));
    return u2d(UINT64_C(0x7ff8000000000000));
}
WATTEST_INLINE float fminf_(float a, float b)
{
    if (a < b) return a;
    if (b < a) return b;
    if (a == b) return u2f(f2u(a) | f2u(b));
    return u2f(0x7fc00000u);
}
WATTEST_INLINE float fmaxf_(float a, float b)
{
    if (a > b) return a;
    if (b > a) return b;
    if (a == b) return u2f(f2u(a) & f2u(b));
    return u2f(0x7fc00000u);
}
/* Rounding without library calls. From 2^52 (2^23) on every number is whole already; below, a
   conversion to an integer and back drops the fraction, and adding and taking away that number
   rounds to nearest, ties to even. The sign of a zero is the operand's. */
WATTEST_INLINE double truncd(double x)
{
    return fabs(x) < 4503599627370496.0 ? copysign((double)(int64_t)x, x) : nand(x);
}
WATTEST_INLINE double floord(double x)
{
    double t;
    if (!(fabs(x) < 4503599627370496.0)) return nand(x);
    t = (double)(int64_t)x;
    return copysign(t > x ? t - 1.0 : t, x);
}
WATTEST_INLINE double ceild(double x)
{
    double t;
    if (!(fabs(x) < 4503599627370496.0)) return nand(x);
    t = (double)(int64_t)x;
    return copysign(t < x ? t + 1.0 : t, x);
}
WATTEST_INLINE double nearestd(double x)
{
    double a = fabs(x);
    if (!(a < 4503599627370496.0)) return nand(x);
    return copysign((a + 4503599627370496.0) - 4503599627370496.0, x);
}
WATTEST_INLINE float truncf_(float x)
{
    return fabsf(x) < 8388608.0f ? copysignf((float)(int32_t)x, x) : nanf_(x);
}
WATTEST_INLINE float floorf_(float x)
{
    float t;
    if (!(fabsf(x) < 8388608.0f)) return nanf_(x);
    t = (float)(int32_t)x;
    return copysignf(t > x ? t - 1.0f : t, x);
}
WATTEST_INLINE float ceilf_(float x)
{
    float t;
    if (!(fabsf(x) < 8388608.0f)) return nanf_(x);
    t = (float)(int32_t)x;
    return copysignf(t < x ? t + 1.0f : t, x);
}
WATTEST_INLINE float nearestf(float x)
{
    float a = fabsf(x);
    if (!(a < 8388608.0f)) return nanf_(x);
    return copysignf((a + 8388608.0f) - 8388608.0f, x);
}
#endif
