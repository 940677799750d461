/* Symbolic links that never arrive: a link to itself, a ring, a directory below itself walked for
 * 30,000 steps, a chain of a thousand, and links that each stand for two of the next, so that
 * resolving the first takes 2^60 steps. */
#include "hostile.h"

static __wasi_fd_t out;

static void link_to(const char *target, const char *path) {
    need(path, __wasi_path_symlink(target, out, path));
}

static int try(const char *path) {
    __wasi_fd_t fd;
    int error = open_at(out, path, 0, READ_RIGHTS, 0, &fd);
    if (error == 0)
        need("close", __wasi_fd_close(fd));
    return error;
}

static void number(char *to, int value) {
    for (int i = 3; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
}

int main(void) {
    out = begin("link_loops");
    link_to("self", "self");
    show("itself", try("self"));
    link_to("ring-b", "ring-a");
    link_to("ring-c", "ring-b");
    link_to("./ring-a", "ring-c");
    show("a ring", try("ring-a"));
    show("below a ring", try("ring-b/x/y"));
    __wasi_filestat_t stat;
    show("stat of a ring", __wasi_path_filestat_get(out, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "ring-c",
                                                    &stat));
    show("stat of the link itself", __wasi_path_filestat_get(out, 0, "ring-c", &stat));
    show_refused("create through a ring", __wasi_path_create_directory(out, "ring-a/d"));

    need("mkdir", __wasi_path_create_directory(out, "room"));
    link_to("../room", "room/mirror");
    static char path[240001];
    memcpy(path, "room", 4);
    size_t length = 4;
    for (int i = 0; i < 30000; i++, length += 7)
        memcpy(path + length, "/mirror", 7);
    show_refused("mirrors in mirrors", try(path));
    memcpy(path, "room/mirror/mirror/mirror\0", 26);
    show("three mirrors", try(path));

    char from[] = "chain0000", to[] = "chain0000";
    for (int i = 0; i < 1000; i++) {
        number(from + 5, i);
        number(to + 5, i + 1);
        link_to(to, from);
    }
    make_file(out, "chain1000", "end");
    show("a chain of a thousand", try("chain0000"));
    show("a chain of ten", try("chain0990"));

    char first[] = "fold0000", both[] = "fold0000/../fold0000";
    for (int i = 0; i < 60; i++) {
        number(first + 4, i);
        number(both + 4, i + 1);
        number(both + 16, i + 1);
        link_to(both, first);
    }
    need("mkdir", __wasi_path_create_directory(out, "fold0060"));
    show("two to the sixtieth", try("fold0000"));
    return 3;
}
