/* fd_fdstat_get, fd_fdstat_set_flags, fd_prestat_get, fd_prestat_dir_name. */
#include "probe.h"

static void show_fd(const char *what, __wasi_fd_t fd) {
    __wasi_fdstat_t stat;
    int error = __wasi_fd_fdstat_get(fd, &stat);
    put(what);
    if (error) {
        show("", error);
        return;
    }
    put(stat.fs_filetype == __WASI_FILETYPE_DIRECTORY      ? ": directory"
        : stat.fs_filetype == __WASI_FILETYPE_REGULAR_FILE ? ": file"
                                                           : ": other");
    if (stat.fs_flags & __WASI_FDFLAGS_APPEND)
        put(" append");
    if (stat.fs_flags & __WASI_FDFLAGS_NONBLOCK)
        put(" nonblock");
    if (stat.fs_rights_base & __WASI_RIGHTS_FD_READ)
        put(" read");
    if (stat.fs_rights_base & __WASI_RIGHTS_FD_WRITE)
        put(" write");
    put("\n");
}

int main(void) {
    __wasi_fd_t out = preopen("/outputs"), fd;
    __wasi_fdstat_t stat;

    put("-- preopens\n");
    for (fd = 3;; fd++) {
        __wasi_prestat_t prestat;
        uint8_t name[64];
        int error = __wasi_fd_prestat_get(fd, &prestat);
        if (error) {
            show("end", error);
            break;
        }
        need("name", __wasi_fd_prestat_dir_name(fd, name, prestat.u.dir.pr_name_len));
        show_text("preopen", name, prestat.u.dir.pr_name_len);
        show("short", __wasi_fd_prestat_dir_name(fd, name, 1));
    }
    show("stdin is no preopen", __wasi_fd_prestat_get(0, (__wasi_prestat_t *)&stat));

    put("-- kinds\n");
    need("stat", __wasi_fd_fdstat_get(out, &stat));
    show_truth("a directory", stat.fs_filetype == __WASI_FILETYPE_DIRECTORY);
    need("stat", __wasi_fd_fdstat_get(1, &stat));
    show_truth("stdout can be written", stat.fs_rights_base & __WASI_RIGHTS_FD_WRITE);
    need("stat", __wasi_fd_fdstat_get(0, &stat));
    show_truth("stdin can be read", stat.fs_rights_base & __WASI_RIGHTS_FD_READ);

    make_file(out, "f", "text");
    need("open", open_at(out, "f", 0, READ_RIGHTS, 0, &fd));
    show_fd("for reading", fd);
    need("close", __wasi_fd_close(fd));
    need("open", open_at(out, "f", 0, WRITE_RIGHTS, 0, &fd));
    show_fd("for writing", fd);
    need("close", __wasi_fd_close(fd));
    need("open", open_at(out, "f", 0, READ_RIGHTS | WRITE_RIGHTS, __WASI_FDFLAGS_APPEND, &fd));
    show_fd("for both, appending", fd);

    put("-- flags\n");
    show("set none", __wasi_fd_fdstat_set_flags(fd, 0));
    show_fd("after", fd);
    __wasi_filesize_t at;
    __wasi_size_t count;
    __wasi_ciovec_t vector = {(const uint8_t *)"T", 1};
    need("seek", __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    need("write", __wasi_fd_write(fd, &vector, 1, &count));
    show_file(out, "f");
    show("set append", __wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    show_fd("after", fd);
    need("write", __wasi_fd_write(fd, &vector, 1, &count));
    show_file(out, "f");
    need("close", __wasi_fd_close(fd));
    show_fd("closed", fd);
    show("set flags, closed", __wasi_fd_fdstat_set_flags(fd, 0));
    return 0;
}
