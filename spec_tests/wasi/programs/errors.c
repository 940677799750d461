/* The error of every function that takes a descriptor, on one that is not open; errors of paths;
 * errors of streams that cannot seek. */
#include "probe.h"

int main(void) {
    const __wasi_fd_t bad = 1000;
    __wasi_fd_t fd, other, out = preopen("/outputs"), inputs = preopen("/inputs");
    uint8_t buffer[16] = {0};
    __wasi_iovec_t in = {buffer, sizeof buffer};
    __wasi_ciovec_t from = {buffer, 1};
    __wasi_size_t count;
    __wasi_filesize_t at;
    __wasi_filestat_t stat;
    __wasi_fdstat_t fdstat;
    __wasi_prestat_t prestat;

    put("-- no such descriptor\n");
    show("fd_advise", __wasi_fd_advise(bad, 0, 0, __WASI_ADVICE_NORMAL));
    show("fd_allocate", __wasi_fd_allocate(bad, 0, 1));
    show("fd_close", __wasi_fd_close(bad));
    show("fd_datasync", __wasi_fd_datasync(bad));
    show("fd_fdstat_get", __wasi_fd_fdstat_get(bad, &fdstat));
    show("fd_fdstat_set_flags", __wasi_fd_fdstat_set_flags(bad, 0));
    show("fd_fdstat_set_rights", __wasi_fd_fdstat_set_rights(bad, 0, 0));
    show("fd_filestat_get", __wasi_fd_filestat_get(bad, &stat));
    show("fd_filestat_set_size", __wasi_fd_filestat_set_size(bad, 0));
    show("fd_filestat_set_times", __wasi_fd_filestat_set_times(bad, 0, 0, 0));
    show("fd_pread", __wasi_fd_pread(bad, &in, 1, 0, &count));
    show("fd_prestat_get", __wasi_fd_prestat_get(bad, &prestat));
    show("fd_prestat_dir_name", __wasi_fd_prestat_dir_name(bad, buffer, sizeof buffer));
    show("fd_pwrite", __wasi_fd_pwrite(bad, &from, 1, 0, &count));
    show("fd_read", __wasi_fd_read(bad, &in, 1, &count));
    show("fd_readdir", __wasi_fd_readdir(bad, buffer, sizeof buffer, 0, &count));
    show("fd_renumber", __wasi_fd_renumber(bad, 0));
    show("fd_seek", __wasi_fd_seek(bad, 0, __WASI_WHENCE_SET, &at));
    show("fd_sync", __wasi_fd_sync(bad));
    show("fd_tell", __wasi_fd_tell(bad, &at));
    show("fd_write", __wasi_fd_write(bad, &from, 1, &count));
    show("path_create_directory", __wasi_path_create_directory(bad, "x"));
    show("path_filestat_get", __wasi_path_filestat_get(bad, 0, "x", &stat));
    show("path_filestat_set_times", __wasi_path_filestat_set_times(bad, 0, "x", 0, 0, 0));
    show("path_link", __wasi_path_link(bad, 0, "x", out, "y"));
    show("path_link, second", __wasi_path_link(out, 0, "x", bad, "y"));
    show("path_open", open_at(bad, "x", 0, READ_RIGHTS, 0, &fd));
    show("path_readlink", __wasi_path_readlink(bad, "x", buffer, sizeof buffer, &count));
    show("path_remove_directory", __wasi_path_remove_directory(bad, "x"));
    show("path_rename", __wasi_path_rename(bad, "x", out, "y"));
    show("path_rename, second", __wasi_path_rename(out, "x", bad, "y"));
    show("path_symlink", __wasi_path_symlink("x", bad, "y"));
    show("path_unlink_file", __wasi_path_unlink_file(bad, "x"));

    put("-- a file as directory descriptor\n");
    make_file(out, "f", "text");
    need("open", open_at(out, "f", 0, READ_RIGHTS | WRITE_RIGHTS, 0, &fd));
    show("path_open", open_at(fd, "x", 0, READ_RIGHTS, 0, &other));
    show_refused("path_create_directory", __wasi_path_create_directory(fd, "x"));
    show_refused("path_filestat_get", __wasi_path_filestat_get(fd, 0, "x", &stat));
    show_refused("path_unlink_file", __wasi_path_unlink_file(fd, "x"));

    put("-- hints and syncs on a file\n");
    show("fd_advise", __wasi_fd_advise(fd, 0, 4, __WASI_ADVICE_SEQUENTIAL));
    show("fd_sync", __wasi_fd_sync(fd));
    show("fd_datasync", __wasi_fd_datasync(fd));

    put("-- paths\n");
    char longer[300];
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    show("a name too long", open_at(out, longer, __WASI_OFLAGS_CREAT, WRITE_RIGHTS, 0, &fd));
    show("empty", open_at(out, "", 0, READ_RIGHTS, 0, &fd));
    show_refused("absolute", open_at(inputs, "/greeting.txt", 0, READ_RIGHTS, 0, &fd));
    show_refused("above", open_at(inputs, "..", 0, READ_RIGHTS, 0, &fd));
    show_refused("above and back", open_at(inputs, "../inputs/greeting.txt", 0, READ_RIGHTS, 0,
                                           &fd));
    show_refused("above from below", open_at(inputs, "sub/../../x", 0, READ_RIGHTS, 0, &fd));
    show_refused("a directory above", __wasi_path_create_directory(out, "../x"));
    show_refused("a link above", __wasi_path_unlink_file(out, "../x"));
    show_file(inputs, "sub/../greeting.txt");
    show_file(inputs, "./sub/./deep.txt");
    show_file(inputs, "sub//deep.txt");
    show("through a file", open_at(inputs, "greeting.txt/../empty", 0, READ_RIGHTS, 0, &fd));
    show("through nothing", open_at(inputs, "none/../empty", 0, READ_RIGHTS, 0, &fd));

    put("-- streams\n");
    show_refused("seek stdout", __wasi_fd_seek(1, 0, __WASI_WHENCE_SET, &at));
    show_refused("read stdout", __wasi_fd_read(1, &in, 1, &count));
    show_refused("write stdin", __wasi_fd_write(0, &from, 1, &count));

    put("-- sockets\n");
    __wasi_roflags_t flags;
    show_refused("sock_recv", __wasi_sock_recv(bad, &in, 1, 0, &count, &flags));
    show_refused("sock_send", __wasi_sock_send(bad, &from, 1, 0, &count));
    show_refused("sock_shutdown", __wasi_sock_shutdown(bad, __WASI_SDFLAGS_RD));
    show_refused("sock_accept", __wasi_sock_accept(bad, 0, &fd));
    return 0;
}
