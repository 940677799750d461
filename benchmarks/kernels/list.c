/* Pointer chasing: n nodes (at most 2^16) in scattered order, merge sort by relinking, a reversal
 * and a walk. */
#include <stdint.h>

#define LIMIT (1 << 16)

struct node {
    struct node *next;
    uint32_t key;
};
static struct node nodes[LIMIT];

static struct node *merge(struct node *a, struct node *b) {
    struct node head, *last = &head;
    while (a && b) {
        struct node **less = a->key <= b->key ? &a : &b;
        last->next = *less;
        last = *less;
        *less = last->next;
    }
    last->next = a ? a : b;
    return head.next;
}

int32_t run(int32_t n) {
    if (n > LIMIT)
        n = LIMIT;
    /* 40503 is odd, so the places are a permutation of all nodes. */
    struct node *list = 0;
    for (int32_t i = 0; i < n; i++) {
        struct node *node = &nodes[(uint32_t)i * 40503u & (LIMIT - 1)];
        node->key = (uint32_t)i * 2654435761u >> 7;
        node->next = list;
        list = node;
    }
    /* Bottom-up merge sort: runs[i] is a sorted run of 2^i nodes, or none. */
    struct node *runs[18];
    for (int i = 0; i < 18; i++)
        runs[i] = 0;
    while (list) {
        struct node *run = list;
        list = list->next;
        run->next = 0;
        int i = 0;
        for (; runs[i]; i++) {
            run = merge(runs[i], run);
            runs[i] = 0;
        }
        runs[i] = run;
    }
    for (int i = 0; i < 18; i++)
        list = runs[i] ? merge(runs[i], list) : list;
    struct node *reversed = 0;
    while (list) {
        struct node *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    uint32_t sum = 0;
    for (struct node *at = reversed; at; at = at->next) {
        if (at->next && at->next->key > at->key)
            return -1;
        sum = sum * 33 + at->key;
    }
    return (int32_t)(sum & 0x7fffffff);
}
