/* Scatter and gather: fd_read, fd_write, fd_pread and fd_pwrite with several, empty and no
 * vectors. */
#include "probe.h"

int main(void) {
    __wasi_fd_t out = preopen("/outputs"), fd;
    __wasi_size_t count = 99;
    need("create", open_at(out, "v", __WASI_OFLAGS_CREAT, READ_RIGHTS | WRITE_RIGHTS, 0, &fd));

    __wasi_ciovec_t from[4] = {{(const uint8_t *)"one", 3},
                               {(const uint8_t *)"", 0},
                               {(const uint8_t *)"two", 3},
                               {(const uint8_t *)"three", 5}};
    __wasi_size_t total = 0;
    /* A runtime may take only the first vector that is not empty. */
    for (int i = 0; i < 4;) {
        need("write", __wasi_fd_write(fd, from + i, (size_t)(4 - i), &count));
        total += count;
        while (i < 4 && count >= from[i].buf_len)
            count -= from[i++].buf_len;
        if (i < 4) {
            from[i].buf += count;
            from[i].buf_len -= count;
        }
    }
    show_number("written", total);
    show("write nothing", __wasi_fd_write(fd, from, 0, &count));
    show_number("count", count);
    show_file(out, "v");

    __wasi_filesize_t at;
    need("seek", __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    uint8_t bytes[16] = {0};
    __wasi_iovec_t empty = {bytes, 0};
    show("read into an empty vector", __wasi_fd_read(fd, &empty, 1, &count));
    show_number("count", count);
    total = 0;
    for (;;) {
        __wasi_iovec_t into[3] = {{bytes + total, 2}, {bytes + total + 2, 0},
                                  {bytes + total + 2, 3}};
        need("read", __wasi_fd_read(fd, into, 3, &count));
        if (count == 0)
            break;
        total += count;
        if (total > 11)
            break;
    }
    show_text("gathered", bytes, total);

    /* pwrite and pread leave the place alone. */
    __wasi_ciovec_t over = {(const uint8_t *)"TWO", 3};
    need("pwrite", __wasi_fd_pwrite(fd, &over, 1, 3, &count));
    show_number("count", count);
    __wasi_iovec_t into = {bytes, 16};
    need("pread", __wasi_fd_pread(fd, &into, 1, 2, &count));
    show_text("pread", bytes, count);
    need("tell", __wasi_fd_tell(fd, &at));
    show_number("at", (int64_t)at);
    return 0;
}
