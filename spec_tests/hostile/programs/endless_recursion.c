/* Calls itself for ever; no locals in memory, so that the call stack ends before the memory. */
#include "hostile.h"

static volatile int zero;

__attribute__((noinline)) static int deeper(int depth) {
    /* Division keeps the compiler from making a loop of it. */
    return depth < 0 ? zero : deeper(depth + 1) / (depth | 1);
}

int main(void) {
    begin("endless_recursion");
    return deeper(zero);
}
