/* One trap, named by the first argument, three calls deep, after a line on standard output. */
#include "probe.h"

static volatile int zero, lowest = INT32_MIN, minus = -1;
static volatile double huge = 1e300;
typedef int wrong(double, double);
typedef int right(int);

__attribute__((noinline)) static int twice(int value) { return value * 2; }
static right *volatile function = twice;

/* Division keeps the compiler from making a loop of it; no local needs the stack in memory. */
__attribute__((noinline)) static int recurse(int depth) {
    return depth < 0 ? zero : recurse(depth + 1) / (depth | 1);
}

__attribute__((noinline)) static int inner(const char *kind) {
    if (strcmp(kind, "unreachable") == 0)
        __builtin_trap();
    if (strcmp(kind, "memory") == 0)
        return *(volatile int *)0xfffffff0u;
    if (strcmp(kind, "divide") == 0)
        return 7 / zero;
    if (strcmp(kind, "overflow") == 0)
        return lowest / minus;
    if (strcmp(kind, "convert") == 0) {
        int result;
        /* C leaves this undefined; the instruction traps. */
        __asm__ volatile("local.get %1\n i32.trunc_f64_s\n local.set %0" : "=r"(result)
                         : "r"(huge));
        return result;
    }
    if (strcmp(kind, "type") == 0)
        return ((wrong *)(uintptr_t)function)(1, 2);
    if (strcmp(kind, "element") == 0)
        return ((right *volatile)(uintptr_t)60000)(1);
    if (strcmp(kind, "stack") == 0)
        return recurse(zero);
    return 0;
}

__attribute__((noinline)) static int outer(const char *kind) { return inner(kind) + 1; }

int main(int argc, char **argv) {
    put("before the trap\n");
    int result = outer(argc > 1 ? argv[1] : "");
    show_number("no trap", result);
    return 1;
}
