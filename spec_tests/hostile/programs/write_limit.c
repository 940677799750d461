/* Writes to files until it is stopped: blocks to one file ("blocks"), a byte each to ever more
 * files ("files"), or sizes and places that no disk holds ("sparse"). */
#include "hostile.h"

static uint8_t block[65536];

static int write_to(__wasi_fd_t fd, size_t length) {
    __wasi_ciovec_t vector = {block, length};
    __wasi_size_t written;
    return __wasi_fd_write(fd, &vector, 1, &written);
}

int main(int argc, char **argv) {
    __wasi_fd_t out = begin("write_limit"), fd;
    const char *how = argc > 1 ? argv[1] : "blocks";
    memset(block, 'w', sizeof block);
    if (strcmp(how, "files") == 0) {
        char name[] = "f00000000";
        for (uint32_t i = 0;; i++) {
            for (uint32_t at = 8, rest = i; at > 0; at--, rest /= 10)
                name[at] = (char)('0' + rest % 10);
            int error = open_at(out, name, __WASI_OFLAGS_CREAT, WRITE_RIGHTS, 0, &fd);
            if (error == 0)
                error = write_to(fd, 1);
            if (error == 0)
                error = __wasi_fd_close(fd);
            if (error) {
                show_number("files", i);
                show("then", error);
                return 4;
            }
        }
    }
    need("create", open_at(out, "big", __WASI_OFLAGS_CREAT, WRITE_RIGHTS, 0, &fd));
    if (strcmp(how, "sparse") == 0) {
        __wasi_filesize_t at;
        show_refused("size 2^62", __wasi_fd_filestat_set_size(fd, UINT64_C(1) << 62));
        show_refused("size 2^64 - 1", __wasi_fd_filestat_set_size(fd, UINT64_MAX));
        show_refused("allocate 2^62", __wasi_fd_allocate(fd, 0, UINT64_C(1) << 62));
        /* Seeking so far is no error by itself; writing there is. */
        if (__wasi_fd_seek(fd, INT64_C(1) << 62, __WASI_WHENCE_SET, &at) == 0)
            show_refused("write at 2^62", write_to(fd, 1));
        else
            put("write at 2^62: refused\n");
        return 3;
    }
    for (;;) {
        int error = write_to(fd, sizeof block);
        if (error) {
            show("write", error);
            return 4;
        }
    }
}
