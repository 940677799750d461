/* Structures, arrays and exceptions: a heap of a store's own, whose objects never move.

   An object is a header of two words and what it holds: a structure or an exception one slot a
   field (a vector two), an array its elements close together. Small objects of one size share
   a block of 64 KiB at a multiple of that, each larger one has blocks of its own; so a word is
   known to be an object's address or not by the block that it points into. A reference of the
   hierarchies any and extern is such an address, or an i31 above a one bit, or the address of a
   Python object plus two. */
#ifndef WATTEST_HEAP_H
#define WATTEST_HEAP_H
#include <stdlib.h>
#include <stdint.h>
#include <string.h>

enum { KIND_FUNC_TYPE, KIND_STRUCT, KIND_ARRAY, KIND_EXN };
enum { SLOT_PLAIN, SLOT_REF, SLOT_8, SLOT_16, SLOT_WIDE, SLOT_FLOAT };

/* A defined type, or a tag. Records are compared by their addresses. */
typedef struct RType {
    struct RType **display;  /* its supertypes from the top on, then itself */
    uint32_t depth;          /* how many supertypes there are */
    uint32_t kind;
    uint32_t slots;          /* of a structure or an exception */
    uint32_t fields;
    uint32_t size;           /* bytes of an array's element */
    uint32_t refs;           /* whether anything in it may be a reference to an object */
    uint32_t packed;         /* whether a slot must be masked when it is written */
    uint8_t *map;            /* SLOT_... of each slot */
    uint32_t *places;        /* first slot of each field */
    void *origin;            /* the DefType, or the TagInst; borrowed */
} RType;

typedef struct Object {
    RType *type;             /* NULL: a free cell */
    uint32_t length;         /* elements of an array */
    uint32_t mark;
    uint64_t slots[1];       /* of a free cell the first is the next free one */
} Object;

#define BLOCK_SIZE 65536u
#define BLOCK_HEAD 64u
#define HEADER 16u
#define SMALL 512u
#define CLASSES (SMALL / 16 + 1)

typedef struct Block {
    struct Block *next;
    uint64_t cell;           /* bytes of a cell; of a large object all its bytes */
    uint64_t cells;
    uint64_t bytes;
} Block;

typedef struct Heap {
    Object *free[CLASSES];
    Object *spare;           /* room for a large object, asked for beforehand */
    uint64_t spare_size;
    uint64_t used, limit;    /* in fields */
    uint64_t bytes, trigger; /* live bytes as last counted plus what was taken since */
    uint64_t want_size, want_fields;
    Block *blocks;
    Block **table;           /* hash table of blocks by address */
    uint64_t mask, count;
    Object **stack;          /* what is marked but not looked into */
    uint64_t height, room;
    int failed;
    /* While Python objects are looked for: their addresses, sorted, and which were found. */
    const uint64_t *externs;
    uint8_t *seen;
    uint64_t nexterns;
} Heap;

#define OBJECT_FIELDS 16

static inline int is_sub(const RType *sub, const RType *sup)
{
    return sub == sup || (sub->depth > sup->depth && sub->display[sup->depth] == sup);
}

static inline uint64_t object_size(const RType *type, uint64_t length)
{
    return HEADER + (type->kind == KIND_ARRAY ? length * type->size : 8 * (uint64_t)type->slots);
}

/* The number of a small object's size: sixteenths, with room for the link of a free cell. */
static inline uint64_t class_of(uint64_t size)
{
    uint64_t found = (size + 15) / 16;
    return found < 2 ? 2 : found;
}

/* An object of `size` bytes, header included, that counts as so many fields; or NULL, when the
   driver must find room first: `want_size` and `want_fields` say how much. */
static inline Object *heap_take(Heap *h, uint64_t size, uint64_t fields)
{
    Object *o;
    if (h->used + fields + OBJECT_FIELDS > h->limit) goto slow;
    if (size <= SMALL) {
        uint64_t class_ = class_of(size);
        o = h->free[class_];
        if (o == NULL) goto slow;
        h->free[class_] = (Object *)(uintptr_t)o->slots[0];
        h->bytes += class_ * 16;
    } else {
        o = h->spare;
        if (o == NULL || h->spare_size < size) goto slow;
        h->spare = NULL;
        h->bytes += h->spare_size;
    }
    h->used += fields + OBJECT_FIELDS;
    return o;
slow:
    h->want_size = size;
    h->want_fields = fields;
    return NULL;
}
/* Whether `heap_take` would find room. */
static inline int heap_has(Heap *h, uint64_t size, uint64_t fields)
{
    if (h->used + fields + OBJECT_FIELDS <= h->limit
        && (size <= SMALL ? h->free[class_of(size)] != NULL
                          : h->spare != NULL && h->spare_size >= size)) return 1;
    h->want_size = size;
    h->want_fields = fields;
    return 0;
}

static inline uint64_t hash_block(const void *p) { return ((uint64_t)(uintptr_t)p >> 16) * UINT64_C(0x9E3779B97F4A7C15) >> 20; }

static Block *find_block(const Heap *h, uint64_t address)
{
    Block *wanted = (Block *)(uintptr_t)(address & ~(uint64_t)(BLOCK_SIZE - 1));
    uint64_t i;
    if (h->table == NULL || wanted == NULL) return NULL;
    for (i = hash_block(wanted) & h->mask; h->table[i] != NULL; i = (i + 1) & h->mask)
        if (h->table[i] == wanted) return wanted;
    return NULL;
}

/* The object that a word is the address of, or NULL. */
static Object *find_object(const Heap *h, uint64_t word)
{
    Block *b;
    uint64_t at;
    Object *o;
    if (word & 15) return NULL;
    b = find_block(h, word);
    if (b == NULL) return NULL;
    at = word - (uint64_t)(uintptr_t)b;
    if (at < BLOCK_HEAD || (at - BLOCK_HEAD) % b->cell || (at - BLOCK_HEAD) / b->cell >= b->cells)
        return NULL;
    o = (Object *)(uintptr_t)word;
    return o->type == NULL ? NULL : o;
}

static int insert_block(Heap *h, Block *b)
{
    uint64_t i, size;
    if (h->table == NULL || h->count * 2 > h->mask) {
        Block **old = h->table, **table;
        uint64_t before = old == NULL ? 0 : h->mask + 1;
        size = before ? before * 2 : 256;
        table = (Block **)calloc(size, sizeof(Block *));
        if (table == NULL) return -1;
        h->table = table;
        h->mask = size - 1;
        for (i = 0; i < before; i++)
            if (old[i] != NULL) {
                uint64_t k = hash_block(old[i]) & h->mask;
                while (table[k] != NULL) k = (k + 1) & h->mask;
                table[k] = old[i];
            }
        free(old);
    }
    for (i = hash_block(b) & h->mask; h->table[i] != NULL; i = (i + 1) & h->mask) {}
    h->table[i] = b;
    h->count++;
    return 0;
}

static void rehash_blocks(Heap *h)
{
    Block *b;
    uint64_t i;
    memset(h->table, 0, (h->mask + 1) * sizeof(Block *));
    h->count = 0;
    for (b = h->blocks; b != NULL; b = b->next) {
        for (i = hash_block(b) & h->mask; h->table[i] != NULL; i = (i + 1) & h->mask) {}
        h->table[i] = b;
        h->count++;
    }
}

static Block *new_block(Heap *h, uint64_t bytes)
{
    void *found = NULL;
    Block *b;
#if defined(_WIN32)
    found = _aligned_malloc(bytes, BLOCK_SIZE);
#else
    if (posix_memalign(&found, BLOCK_SIZE, bytes)) found = NULL;
#endif
    if (found == NULL) return NULL;
    b = (Block *)found;
    b->bytes = bytes;
    if (insert_block(h, b)) {
#if defined(_WIN32)
        _aligned_free(found);
#else
        free(found);
#endif
        return NULL;
    }
    b->next = h->blocks;
    h->blocks = b;
    return b;
}
static void free_block(Block *b)
{
#if defined(_WIN32)
    _aligned_free(b);
#else
    free(b);
#endif
}

/* Make room for an object of that size; -1: there is no memory. */
static int heap_room(Heap *h, uint64_t size)
{
    Block *b;
    uint64_t i, cell;
    if (size > SMALL) {
        uint64_t bytes;
        if (h->spare != NULL && h->spare_size >= size) return 0;
        if (size > UINT64_C(1) << 40) return -1;
        bytes = (size + BLOCK_HEAD + 15) & ~UINT64_C(15);
        b = new_block(h, bytes);
        if (b == NULL) return -1;
        b->cell = bytes - BLOCK_HEAD;
        b->cells = 1;
        h->spare = (Object *)((char *)b + BLOCK_HEAD);
        h->spare->type = NULL;
        h->spare->mark = 0;
        h->spare_size = b->cell;
        return 0;
    }
    cell = class_of(size) * 16;
    if (h->free[cell / 16] != NULL) return 0;
    b = new_block(h, BLOCK_SIZE);
    if (b == NULL) return -1;
    b->cell = cell;
    b->cells = (BLOCK_SIZE - BLOCK_HEAD) / cell;
    for (i = b->cells; i-- > 0;) {
        Object *o = (Object *)((char *)b + BLOCK_HEAD + i * cell);
        o->type = NULL;
        o->mark = 0;
        o->slots[0] = (uint64_t)(uintptr_t)h->free[cell / 16];
        h->free[cell / 16] = o;
    }
    return 0;
}

/* Note that a word may refer to a Python object. */
static void mark_extern(Heap *h, uint64_t word)
{
    uint64_t low = 0, high = h->nexterns, address = word - 2;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (h->externs[middle] < address) low = middle + 1;
        else high = middle;
    }
    if (low < h->nexterns && h->externs[low] == address) h->seen[low] = 1;
}
/* Mark what a word refers to, if it does; only what has been validated is looked into. */
static void mark_word(Heap *h, uint64_t word)
{
    Object *o;
    if ((word & 3) == 2 && h->nexterns) mark_extern(h, word);
    if (word == 0 || word & 15 || h->failed) return;
    o = find_object(h, word);
    if (o == NULL || o->mark) return;
    o->mark = 1;
    if (!o->type->refs) return;
    if (h->height == h->room) {
        uint64_t room = h->room ? h->room * 2 : 1024;
        Object **stack = (Object **)realloc(h->stack, room * sizeof(Object *));
        if (stack == NULL) { h->failed = 1; return; }
        h->stack = stack;
        h->room = room;
    }
    h->stack[h->height++] = o;
}
/* The same for a word that is known to be null, a tagged value or an object's address. */
static inline void mark_ref(Heap *h, uint64_t word)
{
    Object *o = (Object *)(uintptr_t)word;
    if ((word & 3) == 2 && h->nexterns) mark_extern(h, word);
    if (word == 0 || word & 3 || o->mark) return;
    o->mark = 1;
    if (!o->type->refs) return;
    if (h->height == h->room) { o->mark = 0; mark_word(h, word); return; }
    h->stack[h->height++] = o;
}
static void mark_all(Heap *h)
{
    while (h->height && !h->failed) {
        Object *o = h->stack[--h->height];
        uint64_t i;
        if (o->type->kind == KIND_ARRAY) {
            for (i = 0; i < o->length; i++) mark_ref(h, o->slots[i]);
        } else {
            for (i = 0; i < o->type->slots; i++)
                if (o->type->map[i] == SLOT_REF) mark_ref(h, o->slots[i]);
        }
    }
}
static inline uint64_t fields_of(const Object *o)
{
    if (o->type->kind == KIND_EXN) return 0;
    return (o->type->kind == KIND_ARRAY ? o->length : o->type->fields) + OBJECT_FIELDS;
}
/* Give back what is not marked. `sweep` is zero when marking failed: then nothing is. */
static void heap_sweep(Heap *h, int sweep)
{
    Block **link = &h->blocks, *b;
    uint64_t i, live = 0;
    int gone = 0;
    h->height = 0;
    if (sweep) memset(h->free, 0, sizeof(h->free));
    while ((b = *link) != NULL) {
        uint64_t left = 0;
        int small = b->bytes == BLOCK_SIZE && b->cell <= SMALL;
        Object *head = small && sweep ? h->free[b->cell / 16] : NULL;
        for (i = b->cells; i-- > 0;) {
            Object *o = (Object *)((char *)b + BLOCK_HEAD + i * b->cell);
            if (o->type != NULL) {
                if (!sweep || o->mark) {
                    o->mark = 0;
                    left++;
                    continue;
                }
                h->used -= fields_of(o);
                o->type = NULL;
            } else if (o == h->spare) {
                left++;
                continue;
            }
            if (small && sweep) {
                o->slots[0] = (uint64_t)(uintptr_t)head;
                head = o;
            }
        }
        live += left * b->cell;
        if (left == 0 && sweep) {
            *link = b->next;
            free_block(b);
            gone = 1;
            continue;
        }
        if (small && sweep) h->free[b->cell / 16] = head;
        link = &b->next;
    }
    if (gone) rehash_blocks(h);
    h->bytes = live;
    h->trigger = live * 2 < (UINT64_C(16) << 20) ? (UINT64_C(16) << 20) : live * 2;
}
static void heap_clear(Heap *h)
{
    Block *b = h->blocks, *next;
    for (; b != NULL; b = next) { next = b->next; free_block(b); }
    free(h->table);
    free(h->stack);
    memset(h, 0, sizeof(*h));
}

/* What a word of the hierarchies any and func is, as `ref.test` asks. */
enum { IS_TOP, IS_EQ, IS_I31, IS_STRUCT, IS_ARRAY, IS_NONE, IS_TYPE, IS_FUNC_TYPE };

/* Elements of an array: `value` is a slot, or two. */
static inline void put_element(Object *o, uint64_t i, const uint64_t *value)
{
    char *data = (char *)o->slots;
    switch (o->type->size) {
    case 1: data[i] = (char)*value; break;
    case 2: { uint16_t v = (uint16_t)*value; memcpy(data + 2 * i, &v, 2); break; }
    case 4: { uint32_t v = (uint32_t)*value; memcpy(data + 4 * i, &v, 4); break; }
    case 8: memcpy(data + 8 * i, value, 8); break;
    default: memcpy(data + 16 * i, value, 16);
    }
}
static void fill_elements(Object *o, uint64_t start, uint64_t count, const uint64_t *value)
{
    uint64_t i;
    if (o->type->size == 1) memset((char *)o->slots + start, (int)(*value & 0xff), count);
    else for (i = start; i < start + count; i++) put_element(o, i, value);
}
static void put_slots(Object *o, const uint64_t *values)
{
    uint64_t i;
    memcpy(o->slots, values, 8 * (size_t)o->type->slots);
    if (o->type->packed)
        for (i = 0; i < o->type->slots; i++) {
            if (o->type->map[i] == SLOT_8) o->slots[i] &= 0xff;
            else if (o->type->map[i] == SLOT_16) o->slots[i] &= 0xffff;
        }
}
#endif
