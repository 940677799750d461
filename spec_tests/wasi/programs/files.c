/* path_open with its flags, fd_read, fd_write, fd_seek, fd_tell, fd_pread, fd_pwrite,
 * fd_filestat_set_size, append, holes. */
#include "probe.h"

static __wasi_fd_t out;

static void write_text(__wasi_fd_t fd, const char *text) {
    __wasi_ciovec_t vector = {(const uint8_t *)text, strlen(text)};
    __wasi_size_t written = 0;
    int error = __wasi_fd_write(fd, &vector, 1, &written);
    if (error)
        show_refused("write", error);
    else
        show_number("written", written);
}

static void read_some(__wasi_fd_t fd, size_t length) {
    uint8_t buffer[64];
    __wasi_iovec_t vector = {buffer, length};
    __wasi_size_t got = 0;
    int error = __wasi_fd_read(fd, &vector, 1, &got);
    if (error) {
        show_refused("read", error);
        return;
    }
    for (__wasi_size_t i = 0; i < got; i++)
        if (buffer[i] == 0)
            buffer[i] = '.';
    show_text("read", buffer, got);
}

static void seek(__wasi_fd_t fd, __wasi_filedelta_t offset, __wasi_whence_t whence) {
    __wasi_filesize_t at = 0, told = 0;
    int error = __wasi_fd_seek(fd, offset, whence, &at);
    if (error) {
        show("seek", error);
        return;
    }
    need("tell", __wasi_fd_tell(fd, &told));
    show_number(at == told ? "at" : "tell differs", (int64_t)at);
}

static void show_size(__wasi_fd_t fd) {
    __wasi_filestat_t stat;
    need("filestat", __wasi_fd_filestat_get(fd, &stat));
    show_number("size", (int64_t)stat.size);
}

int main(void) {
    __wasi_fd_t fd, other;
    out = preopen("/outputs");
    const __wasi_rights_t both = READ_RIGHTS | WRITE_RIGHTS;

    show("open what is not there", open_at(out, "a", 0, READ_RIGHTS, 0, &fd));
    need("create", open_at(out, "a", __WASI_OFLAGS_CREAT, both, 0, &fd));
    write_text(fd, "hello, world");
    seek(fd, 0, __WASI_WHENCE_SET);
    read_some(fd, 5);
    seek(fd, 2, __WASI_WHENCE_CUR);
    read_some(fd, 64);
    read_some(fd, 64);
    seek(fd, -3, __WASI_WHENCE_END);
    read_some(fd, 64);
    seek(fd, -1, __WASI_WHENCE_SET);
    seek(fd, -100, __WASI_WHENCE_CUR);
    seek(fd, 0, __WASI_WHENCE_CUR);
    show("create exclusively", open_at(out, "a", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, both, 0,
                                       &other));

    put("-- past the end\n");
    seek(fd, 4, __WASI_WHENCE_END);
    read_some(fd, 8);
    show_size(fd);
    write_text(fd, "far");
    show_size(fd);
    seek(fd, 10, __WASI_WHENCE_SET);
    read_some(fd, 64);

    put("-- size\n");
    show("shrink", __wasi_fd_filestat_set_size(fd, 5));
    show_size(fd);
    seek(fd, 0, __WASI_WHENCE_CUR);
    read_some(fd, 8);
    show("grow", __wasi_fd_filestat_set_size(fd, 8));
    seek(fd, 0, __WASI_WHENCE_SET);
    read_some(fd, 64);

    put("-- at a place\n");
    uint8_t buffer[16];
    __wasi_size_t count = 0;
    __wasi_iovec_t in = {buffer, 3};
    show("pread", __wasi_fd_pread(fd, &in, 1, 1, &count));
    show_text("bytes", buffer, count);
    show("pread past the end", __wasi_fd_pread(fd, &in, 1, 100, &count));
    show_number("count", count);
    __wasi_ciovec_t from = {(const uint8_t *)"XY", 2};
    show("pwrite", __wasi_fd_pwrite(fd, &from, 1, 1, &count));
    show("pwrite past the end", __wasi_fd_pwrite(fd, &from, 1, 10, &count));
    seek(fd, 0, __WASI_WHENCE_CUR);
    seek(fd, 0, __WASI_WHENCE_SET);
    read_some(fd, 64);

    put("-- two descriptors\n");
    need("again", open_at(out, "a", 0, READ_RIGHTS, 0, &other));
    seek(fd, 0, __WASI_WHENCE_SET);
    write_text(fd, "shared");
    read_some(other, 6);
    seek(fd, 0, __WASI_WHENCE_CUR);
    write_text(other, "not for writing");
    need("close", __wasi_fd_close(other));
    show("close again", __wasi_fd_close(other));
    need("write only", open_at(out, "a", 0, WRITE_RIGHTS, 0, &other));
    read_some(other, 1);
    need("close", __wasi_fd_close(other));
    need("close", __wasi_fd_close(fd));

    put("-- append\n");
    need("append", open_at(out, "a", 0, both, __WASI_FDFLAGS_APPEND, &fd));
    seek(fd, 0, __WASI_WHENCE_SET);
    write_text(fd, "+end");
    seek(fd, 0, __WASI_WHENCE_SET);
    read_some(fd, 64);
    need("close", __wasi_fd_close(fd));

    put("-- truncate\n");
    need("truncate", open_at(out, "a", __WASI_OFLAGS_TRUNC, both, 0, &fd));
    show_size(fd);
    write_text(fd, "new");
    need("close", __wasi_fd_close(fd));
    show_file(out, "a");

    put("-- inputs\n");
    __wasi_fd_t inputs = preopen("/inputs");
    show_file(inputs, "greeting.txt");
    show_file(inputs, "empty");
    show_file(inputs, "sub/deep.txt");
    show("missing", open_at(inputs, "missing", 0, READ_RIGHTS, 0, &fd));
    show("file as directory", open_at(inputs, "greeting.txt/x", 0, READ_RIGHTS, 0, &fd));
    show("must be a directory", open_at(inputs, "greeting.txt", __WASI_OFLAGS_DIRECTORY,
                                        READ_RIGHTS, 0, &fd));
    show_refused("create among inputs", open_at(inputs, "new", __WASI_OFLAGS_CREAT, both, 0, &fd));
    show_refused("truncate an input", open_at(inputs, "greeting.txt", __WASI_OFLAGS_TRUNC, both, 0,
                                              &fd));
    show_file(inputs, "greeting.txt");
    return 0;
}
