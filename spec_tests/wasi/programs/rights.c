/* Rights as the witx defines them: fd_fdstat_set_rights only takes away, descriptors opened below
 * a directory inherit, and a call without its right answers notcapable. */
#include "probe.h"

int main(void) {
    __wasi_fd_t out = preopen("/outputs"), inputs = preopen("/inputs"), fd, directory;
    __wasi_fdstat_t stat;
    uint8_t buffer[8];
    __wasi_iovec_t in = {buffer, sizeof buffer};
    __wasi_ciovec_t from = {(const uint8_t *)"x", 1};
    __wasi_size_t count;
    __wasi_filesize_t at;

    make_file(out, "f", "text");
    put("-- taken away\n");
    need("open", open_at(out, "f", 0, READ_RIGHTS | WRITE_RIGHTS, 0, &fd));
    need("get", __wasi_fd_fdstat_get(fd, &stat));
    show_truth("as asked", stat.fs_rights_base == (READ_RIGHTS | WRITE_RIGHTS));
    show("fewer", __wasi_fd_fdstat_set_rights(fd, READ_RIGHTS, 0));
    show("write", __wasi_fd_write(fd, &from, 1, &count));
    show("pwrite", __wasi_fd_pwrite(fd, &from, 1, 0, &count));
    show("set size", __wasi_fd_filestat_set_size(fd, 0));
    show("set times", __wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW));
    show("allocate", __wasi_fd_allocate(fd, 0, 1));
    show("sync", __wasi_fd_sync(fd));
    show("datasync", __wasi_fd_datasync(fd));
    show("read", __wasi_fd_read(fd, &in, 1, &count));
    show("more again", __wasi_fd_fdstat_set_rights(fd, READ_RIGHTS | WRITE_RIGHTS, 0));
    show("tell only", __wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_TELL, 0));
    show("read", __wasi_fd_read(fd, &in, 1, &count));
    show("tell", __wasi_fd_tell(fd, &at));
    show("seek by nothing", __wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &at));
    show("seek", __wasi_fd_seek(fd, 1, __WASI_WHENCE_CUR, &at));
    show("advise", __wasi_fd_advise(fd, 0, 0, __WASI_ADVICE_NORMAL));
    show("filestat", __wasi_fd_filestat_get(fd, (__wasi_filestat_t *)(void *)malloc(64)));
    show("set flags", __wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    need("close", __wasi_fd_close(fd));

    put("-- inherited\n");
    need("mkdir", __wasi_path_create_directory(out, "d"));
    const __wasi_rights_t some = __WASI_RIGHTS_PATH_OPEN | __WASI_RIGHTS_FD_READDIR;
    need("open", __wasi_path_open(out, 0, "d", __WASI_OFLAGS_DIRECTORY, some, READ_RIGHTS, 0,
                                  &directory));
    need("get", __wasi_fd_fdstat_get(directory, &stat));
    show_truth("inheriting as asked", stat.fs_rights_inheriting == READ_RIGHTS);
    make_file(out, "d/g", "below");
    show_file(directory, "g");
    show("open to write", open_at(directory, "g", 0, WRITE_RIGHTS, 0, &fd));
    show("create", open_at(directory, "h", __WASI_OFLAGS_CREAT, READ_RIGHTS, 0, &fd));
    show("truncate", open_at(directory, "g", __WASI_OFLAGS_TRUNC, READ_RIGHTS, 0, &fd));
    show("mkdir", __wasi_path_create_directory(directory, "e"));
    show("unlink", __wasi_path_unlink_file(directory, "g"));
    show("rmdir", __wasi_path_remove_directory(directory, "e"));
    show("rename", __wasi_path_rename(directory, "g", out, "x"));
    show("rename into", __wasi_path_rename(out, "f", directory, "x"));
    show("link", __wasi_path_link(directory, 0, "g", out, "x"));
    show("link into", __wasi_path_link(out, 0, "f", directory, "x"));
    show("symlink", __wasi_path_symlink("g", directory, "x"));
    show("readlink", __wasi_path_readlink(directory, "g", buffer, sizeof buffer, &count));
    show("filestat", __wasi_path_filestat_get(directory, 0, "g",
                                              (__wasi_filestat_t *)(void *)malloc(64)));
    show("set times", __wasi_path_filestat_set_times(directory, 0, "g", 0, 0,
                                                     __WASI_FSTFLAGS_MTIM_NOW));
    show("readdir", __wasi_fd_readdir(directory, buffer, sizeof buffer, 0, &count));

    put("-- inputs cannot be written\n");
    show("mkdir", __wasi_path_create_directory(inputs, "d"));
    show("unlink", __wasi_path_unlink_file(inputs, "greeting.txt"));
    show("open to write", open_at(inputs, "greeting.txt", 0, WRITE_RIGHTS, 0, &fd));
    show_file(out, "f");
    return 0;
}
