/* fd_filestat_get, path_filestat_get, fd_filestat_set_times, path_filestat_set_times: types, sizes,
 * and times that were set. */
#include "probe.h"

#define SET (__WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM)

static __wasi_fd_t out;

static void show_stat(const char *what, const __wasi_filestat_t *stat) {
    put(what);
    switch (stat->filetype) {
    case __WASI_FILETYPE_DIRECTORY: put(": directory\n"); return;
    case __WASI_FILETYPE_REGULAR_FILE: put(": file of "); break;
    case __WASI_FILETYPE_SYMBOLIC_LINK: put(": link of "); break;
    default: put(": other of "); break;
    }
    put_unsigned(stat->size);
    put("\n");
}

static void show_times(const char *path) {
    __wasi_filestat_t stat;
    need(path, __wasi_path_filestat_get(out, 0, path, &stat));
    show_number("  accessed", (int64_t)stat.atim);
    show_number("  modified", (int64_t)stat.mtim);
}

int main(void) {
    __wasi_filestat_t stat, other;
    __wasi_fd_t fd, inputs = preopen("/inputs");
    out = preopen("/outputs");

    const char *paths[] = {".", "greeting.txt", "empty", "sub", "sub/deep.txt", "sub/", "sub/."};
    for (int i = 0; i < 7; i++) {
        need(paths[i], __wasi_path_filestat_get(inputs, 0, paths[i], &stat));
        show_stat(paths[i], &stat);
    }
    show("nothing there", __wasi_path_filestat_get(inputs, 0, "none", &stat));
    show("empty path", __wasi_path_filestat_get(inputs, 0, "", &stat));
    show("a file as directory", __wasi_path_filestat_get(inputs, 0, "empty/x", &stat));
    show("a file with a slash", __wasi_path_filestat_get(inputs, 0, "empty/", &stat));

    put("-- identity\n");
    need("open", open_at(inputs, "greeting.txt", 0, READ_RIGHTS, 0, &fd));
    need("stat", __wasi_fd_filestat_get(fd, &stat));
    need("stat", __wasi_path_filestat_get(inputs, 0, "greeting.txt", &other));
    show_truth("same by descriptor and by path", stat.ino == other.ino && stat.dev == other.dev);
    need("stat", __wasi_path_filestat_get(inputs, 0, "empty", &other));
    show_truth("another file, another number", stat.ino != other.ino);
    need("stat", __wasi_path_filestat_get(inputs, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "to-greeting",
                                          &other));
    show_truth("same through a link", stat.ino == other.ino);
    need("close", __wasi_fd_close(fd));

    put("-- times\n");
    make_file(out, "t", "tick");
    need("set", __wasi_path_filestat_set_times(out, 0, "t", 1000000000000000000u,
                                               1100000000123456789u, SET));
    show_times("t");
    need("open", open_at(out, "t", 0, WRITE_RIGHTS, 0, &fd));
    need("set", __wasi_fd_filestat_set_times(fd, 1u, 5000000000u, __WASI_FSTFLAGS_MTIM));
    show_times("t");
    need("set", __wasi_fd_filestat_set_times(fd, 7000000000u, 1u, __WASI_FSTFLAGS_ATIM));
    show_times("t");
    show("contradiction", __wasi_fd_filestat_set_times(
                              fd, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW));
    show("now", __wasi_fd_filestat_set_times(
                    fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW | __WASI_FSTFLAGS_ATIM_NOW));
    need("stat", __wasi_fd_filestat_get(fd, &stat));
    show_truth("now is later than 2000-01-01", stat.mtim >= UINT64_C(946684800000000000));
    need("close", __wasi_fd_close(fd));
    show("nothing there",
         __wasi_path_filestat_set_times(out, 0, "none", 0, 0, SET));
    show_refused("an input", __wasi_path_filestat_set_times(inputs, 0, "greeting.txt", 0, 0, SET));

    put("-- standard streams\n");
    show("stdout", __wasi_fd_filestat_get(1, &stat));
    show("no descriptor", __wasi_fd_filestat_get(77, &stat));
    return 0;
}
