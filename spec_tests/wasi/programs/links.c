/* path_rename, path_link, path_symlink, path_readlink, path_unlink_file. */
#include "probe.h"

static __wasi_fd_t out;

static void show_link(const char *path) {
    uint8_t buffer[64];
    __wasi_size_t used = 0;
    int error = __wasi_path_readlink(out, path, buffer, sizeof buffer, &used);
    if (error)
        show("readlink", error);
    else
        show_text("readlink", buffer, used);
}

static int link_to(const char *from, const char *to) {
    return __wasi_path_link(out, 0, from, out, to);
}

static void show_links(const char *path) {
    __wasi_filestat_t stat;
    int error = __wasi_path_filestat_get(out, 0, path, &stat);
    if (error)
        show("links", error);
    else
        show_number("links", (int64_t)stat.nlink);
}

int main(void) {
    __wasi_fd_t fd;
    out = preopen("/outputs");
    __wasi_fd_t inputs = preopen("/inputs");

    put("-- rename\n");
    make_file(out, "a", "first");
    make_file(out, "b", "second");
    show("rename", __wasi_path_rename(out, "a", out, "c"));
    show_file(out, "a");
    show_file(out, "c");
    show("rename over", __wasi_path_rename(out, "c", out, "b"));
    show_file(out, "b");
    show("rename nothing", __wasi_path_rename(out, "none", out, "x"));
    show("rename to itself", __wasi_path_rename(out, "b", out, "b"));
    need("mkdir", __wasi_path_create_directory(out, "d"));
    need("mkdir", __wasi_path_create_directory(out, "e"));
    make_file(out, "d/inner", "inside");
    show("directory over a file", __wasi_path_rename(out, "d", out, "b"));
    show("file over a directory", __wasi_path_rename(out, "b", out, "d"));
    show("directory over an empty one", __wasi_path_rename(out, "d", out, "e"));
    show_file(out, "e/inner");
    need("mkdir", __wasi_path_create_directory(out, "d"));
    show("directory over a full one", __wasi_path_rename(out, "d", out, "e"));
    show("directory into itself", __wasi_path_rename(out, "e", out, "e/below"));
    show_refused("out of the inputs", __wasi_path_rename(inputs, "greeting.txt", out, "taken"));
    show_file(inputs, "greeting.txt");

    put("-- rename of an open file\n");
    need("open", open_at(out, "b", 0, READ_RIGHTS, 0, &fd));
    need("rename", __wasi_path_rename(out, "b", out, "moved"));
    uint8_t buffer[16];
    __wasi_iovec_t vector = {buffer, sizeof buffer};
    __wasi_size_t got = 0;
    show("read", __wasi_fd_read(fd, &vector, 1, &got));
    show_text("bytes", buffer, got);

    put("-- unlink of an open file\n");
    show("unlink", __wasi_path_unlink_file(out, "moved"));
    show_file(out, "moved");
    __wasi_filesize_t at;
    need("seek", __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    show("read", __wasi_fd_read(fd, &vector, 1, &got));
    show_text("bytes", buffer, got);
    need("close", __wasi_fd_close(fd));
    show("unlink nothing", __wasi_path_unlink_file(out, "moved"));

    put("-- hard links\n");
    make_file(out, "one", "linked");
    show("link", link_to("one", "two"));
    show_links("one");
    show("link over", link_to("one", "two"));
    show("link from nothing", link_to("none", "three"));
    show_refused("link a directory", link_to("e", "three"));
    need("unlink", __wasi_path_unlink_file(out, "one"));
    show_file(out, "two");
    show_links("two");
    show("unlink", __wasi_path_unlink_file(out, "two"));

    put("-- symbolic links\n");
    make_file(out, "target", "pointed at");
    show("symlink", __wasi_path_symlink("target", out, "link"));
    show_link("link");
    show_file(out, "link");
    __wasi_filestat_t stat;
    need("stat", __wasi_path_filestat_get(out, 0, "link", &stat));
    show_truth("not followed: a link", stat.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    show_number("its size", (int64_t)stat.size);
    need("stat", __wasi_path_filestat_get(out, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", &stat));
    show_truth("followed: a file", stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    show("symlink over", __wasi_path_symlink("x", out, "link"));
    show("open without following", __wasi_path_open(out, 0, "link", 0, READ_RIGHTS, 0, 0, &fd));
    show_link("target");
    show_link("none");
    uint8_t small[3] = {0};
    __wasi_size_t used = 0;
    int error = __wasi_path_readlink(out, "link", small, sizeof small, &used);
    /* Cut off as POSIX does, or refused with range: both are in use. */
    show_truth("a short buffer is cut or refused",
               error == __WASI_ERRNO_RANGE ||
                   (error == 0 && used == 3 && memcmp(small, "tar", 3) == 0));
    show("dangling", __wasi_path_symlink("nowhere", out, "dangling"));
    show_file(out, "dangling");
    show("loop", __wasi_path_symlink("loop", out, "loop"));
    show_file(out, "loop");
    show("through a directory", __wasi_path_symlink("../target", out, "e/up"));
    show_file(out, "e/up");
    show("link to a directory", __wasi_path_symlink("e", out, "f"));
    show_file(out, "f/inner");
    show_refused("out of the tree", __wasi_path_symlink("../../etc/passwd", out, "escape") ||
                                        open_at(out, "escape", 0, READ_RIGHTS, 0, &fd));
    show_refused("absolute", __wasi_path_symlink("/etc/passwd", out, "absolute") ||
                                 open_at(out, "absolute", 0, READ_RIGHTS, 0, &fd));
    show("unlink a link", __wasi_path_unlink_file(out, "link"));
    show_file(out, "target");
    show("rename a link", __wasi_path_rename(out, "f", out, "g"));
    show_link("g");

    put("-- links among the inputs\n");
    show_file(inputs, "to-greeting");
    show_file(inputs, "sub/to-greeting");
    show_refused("leads out", open_at(inputs, "leads-out", 0, READ_RIGHTS, 0, &fd));
    show("loops", open_at(inputs, "loop-a", 0, READ_RIGHTS, 0, &fd));
    return 0;
}
