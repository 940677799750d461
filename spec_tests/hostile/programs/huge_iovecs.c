/* Vectors that say far more than they hold: a hundred thousand that name the same bytes over and
 * over (to file and standard output), lengths whose sum passes 2^32, half a gigabyte at a time for
 * random_get and fd_readdir, then a flood of a gigabyte a call. Nothing here may make the host take memory in proportion. */
#include "hostile.h"

#define MANY 100000

static __wasi_ciovec_t from[MANY];
static __wasi_iovec_t into[MANY];
static uint8_t bytes[1 << 20];

int main(void) {
    __wasi_fd_t out = begin("huge_iovecs"), file;
    __wasi_size_t count = 0;
    need("create", open_at(out, "vectors", __WASI_OFLAGS_CREAT, READ_RIGHTS | WRITE_RIGHTS, 0,
                           &file));
    for (int i = 0; i < MANY; i++) {
        from[i] = (__wasi_ciovec_t){bytes, sizeof bytes};
        into[i] = (__wasi_iovec_t){bytes, sizeof bytes};
    }
    /* A runtime may write some of it, or refuse; what it says it wrote must be true. */
    __wasi_filestat_t stat;
    int error = __wasi_fd_write(file, from, MANY, &count);
    need("stat", __wasi_fd_filestat_get(file, &stat));
    show_truth("what was written is what was said", stat.size == (error ? 0 : count));
    __wasi_filesize_t at;
    need("seek", __wasi_fd_seek(file, 0, __WASI_WHENCE_SET, &at));
    error = __wasi_fd_read(file, into, MANY, &count);
    show_truth("no more was read than there is", error || count <= stat.size);
    error = __wasi_fd_pread(file, into, MANY, 0, &count);
    show_truth("nor by pread", error || count <= stat.size);
    show_truth("a count beyond memory is refused",
               __wasi_fd_write(file, from, 0x7fffffff, &count) != 0);
    static __wasi_ciovec_t wide[3] = {
        {bytes, 0x7fffffff}, {bytes, 0x7fffffff}, {bytes, 0x7fffffff}};
    show_truth("lengths beyond memory are refused", __wasi_fd_write(file, wide, 3, &count) != 0);
    show_truth("random beyond memory is refused", __wasi_random_get(bytes, 0x20000000) != 0);
    show_truth("a listing beyond memory is refused",
               __wasi_fd_readdir(out, bytes, 0x20000000, 0, &count) != 0);
    /* As many vectors as POSIX systems take: a gigabyte a call. */
    put("flooding\n");
    for (int round = 0; round < 100000; round++)
        if (__wasi_fd_write(1, from, 1024, &count) != 0)
            return 4;
    return 3;
}
