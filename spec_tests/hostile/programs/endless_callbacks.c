/* Calls the host for ever: a cheap function, which the argument names (time, yield, random, stat,
 * seek, readdir, prestat). */
#include "hostile.h"

int main(int argc, char **argv) {
    __wasi_fd_t out = begin("endless_callbacks"), file;
    const char *which = argc > 1 ? argv[1] : "time";
    need("open", open_at(out, "partial.txt", 0, READ_RIGHTS, 0, &file));
    __wasi_timestamp_t time;
    __wasi_filestat_t stat;
    __wasi_prestat_t prestat;
    __wasi_filesize_t at;
    __wasi_size_t used;
    static uint8_t bytes[1024];
    for (;;) {
        int error;
        switch (which[0]) {
        case 'y': error = __wasi_sched_yield(); break;
        case 'r':
            error = which[1] == 'a' ? __wasi_random_get(bytes, 32)
                                    : __wasi_fd_readdir(out, bytes, sizeof bytes, 0, &used);
            break;
        case 's':
            error = which[1] == 't' ? __wasi_fd_filestat_get(file, &stat)
                                    : __wasi_fd_seek(file, 1, __WASI_WHENCE_CUR, &at);
            break;
        case 'p': error = __wasi_fd_prestat_get(out, &prestat); break;
        default: error = __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time); break;
        }
        need(which, error);
    }
}
