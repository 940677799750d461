/* fd_renumber: a descriptor moves, the one it replaces is closed. */
#include "probe.h"

static void show_read(const char *what, __wasi_fd_t fd) {
    uint8_t buffer[3];
    __wasi_iovec_t vector = {buffer, sizeof buffer};
    __wasi_size_t got = 0;
    int error = __wasi_fd_read(fd, &vector, 1, &got);
    if (error)
        show(what, error);
    else
        show_text(what, buffer, got);
}

int main(void) {
    __wasi_fd_t out = preopen("/outputs"), a, b;
    make_file(out, "a", "aaaAAA");
    make_file(out, "b", "bbbBBB");
    need("open", open_at(out, "a", 0, READ_RIGHTS, 0, &a));
    need("open", open_at(out, "b", 0, READ_RIGHTS, 0, &b));
    show_read("a", a);
    show_read("b", b);
    show("renumber", __wasi_fd_renumber(a, b));
    /* The place in the file moves along. */
    show_read("where b was", b);
    show_read("where a was", a);
    show("from nothing", __wasi_fd_renumber(a, b));
    show("onto nothing", __wasi_fd_renumber(b, 4000));
    show_read("still there", b);
    show("close", __wasi_fd_close(b));
    return 0;
}
