/* The WASI calls that programs make most, one after the other: what a call costs. */

#include <stdint.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

typedef struct { void *data; uint32_t size; } vector;

WASI(clock_time_get) int32_t clock_time_get(int32_t id, int64_t precision, int64_t *time);
WASI(fd_read) int32_t fd_read(int32_t fd, const vector *vectors, int32_t count, int32_t *moved);
WASI(fd_write) int32_t fd_write(int32_t fd, const vector *vectors, int32_t count, int32_t *moved);

static char text[65536];

/* Returns the number of calls that succeeded. */
int32_t run(int32_t n) { return n; }

EXPORT(clock) int32_t clock(int32_t n)
{
    int32_t done = 0;
    int64_t time;
    while (n-- > 0)
        done += clock_time_get(1, 1, &time) == 0;
    return done;
}

/* Pieces of `size` bytes, from standard input and to standard output. */
EXPORT(read) int32_t read(int32_t n, uint32_t size)
{
    vector part = {text, size};
    int32_t done = 0, moved;
    while (n-- > 0)
        done += fd_read(0, &part, 1, &moved) == 0;
    return done;
}

EXPORT(write) int32_t write(int32_t n, uint32_t size)
{
    vector part = {text, size};
    int32_t done = 0, moved;
    while (n-- > 0)
        done += fd_write(1, &part, 1, &moved) == 0;
    return done;
}
