/* Only with -DWATTEST_CELLS: writes down which cells are run, for `benchmarks/sequences.py`.

   WATTEST_CELLS_OUT names the file: pairs of words, a handler's address and a cell's. */
#ifndef WATTEST_CELLS_H
#define WATTEST_CELLS_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CELLS_ROOM (1u << 22)

static struct { uint64_t handler, place; } cells_buffer[CELLS_ROOM];
static uint64_t cells_seen, cells_kept;
static FILE *cells_file;

static void cells_flush(void)
{
    const char *path = getenv("WATTEST_CELLS_OUT");
    /* Every extension has a buffer; only the handlers' one is ever filled. */
    if (!cells_file && path && cells_kept)
        cells_file = fopen(path, "wb");
    if (cells_file)
        fwrite(cells_buffer, sizeof(cells_buffer[0]), cells_kept, cells_file);
    cells_kept = 0;
}

__attribute__((destructor)) static void cells_end(void)
{
    cells_flush();
    if (cells_file)
        fclose(cells_file);
}

static void __attribute__((noinline)) cells_keep(uint64_t handler, uint64_t place)
{
    cells_buffer[cells_kept].handler = handler;
    cells_buffer[cells_kept].place = place;
    if (++cells_kept == CELLS_ROOM)
        cells_flush();
}

/* The first 2^17 cells, then of every 2^20 the first 2^12. */
#define CELLS_NOTE(pc) \
    (cells_seen++ < 0x20000 || (cells_seen & 0xFFFFF) < 0x1000 \
         ? cells_keep(*(uint64_t *)(pc), (uint64_t)(pc)) \
         : (void)0)
#endif
