/* The boundary: exports that do next to nothing, and loops that do nothing but call the host. */
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define HOST(name) __attribute__((import_module("host"), import_name(#name)))

HOST(nothing) void host_nothing(void);
HOST(next) int32_t host_next(int32_t value);
HOST(mix) double host_mix(double a, int64_t b);

EXPORT(nothing) void nothing(void) {}
EXPORT(add) int32_t add(int32_t a, int32_t b) { return a + b; }
EXPORT(mix) double mix(double a, int64_t b, int32_t c, double d) {
    return a * d + (double)(b + c);
}

EXPORT(call_nothing) void call_nothing(int32_t n) {
    while (n-- > 0)
        host_nothing();
}

EXPORT(call_next) int32_t call_next(int32_t n) {
    int32_t value = 0;
    while (n-- > 0)
        value = host_next(value);
    return value;
}

EXPORT(call_mix) double call_mix(int32_t n) {
    double value = 0;
    for (int32_t i = 0; i < n; i++)
        value = host_mix(value, i);
    return value;
}

/* Calls inside the guest, to set the others beside: the same loop without a border. */
__attribute__((noinline)) static int32_t inside(int32_t value) {
    __asm__ volatile("" ::: "memory");
    return value + 1;
}

int32_t run(int32_t n) {
    int32_t value = 0;
    while (n-- > 0)
        value = inside(value);
    return value;
}
