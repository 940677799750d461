/* Pointers outside memory. The functions of wasi/api.h take pointers; these declarations take the
 * bare numbers. Where the error could rightly be another (a count or a length above any limit) only
 * the refusal is shown. No call changes a file; the guest goes on. */
#include "probe.h"

#define RAW(name) \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int32_t raw_##name

RAW(args_get)(uint32_t, uint32_t);
RAW(args_sizes_get)(uint32_t, uint32_t);
RAW(environ_get)(uint32_t, uint32_t);
RAW(environ_sizes_get)(uint32_t, uint32_t);
RAW(clock_res_get)(int32_t, uint32_t);
RAW(clock_time_get)(int32_t, int64_t, uint32_t);
RAW(fd_fdstat_get)(int32_t, uint32_t);
RAW(fd_filestat_get)(int32_t, uint32_t);
RAW(fd_pread)(int32_t, uint32_t, uint32_t, int64_t, uint32_t);
RAW(fd_prestat_get)(int32_t, uint32_t);
RAW(fd_prestat_dir_name)(int32_t, uint32_t, uint32_t);
RAW(fd_pwrite)(int32_t, uint32_t, uint32_t, int64_t, uint32_t);
RAW(fd_read)(int32_t, uint32_t, uint32_t, uint32_t);
RAW(fd_readdir)(int32_t, uint32_t, uint32_t, int64_t, uint32_t);
RAW(fd_seek)(int32_t, int64_t, int32_t, uint32_t);
RAW(fd_tell)(int32_t, uint32_t);
RAW(fd_write)(int32_t, uint32_t, uint32_t, uint32_t);
RAW(path_create_directory)(int32_t, uint32_t, uint32_t);
RAW(path_filestat_get)(int32_t, int32_t, uint32_t, uint32_t, uint32_t);
RAW(path_open)(int32_t, int32_t, uint32_t, uint32_t, int32_t, int64_t, int64_t, int32_t, uint32_t);
RAW(path_readlink)(int32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
RAW(path_rename)(int32_t, uint32_t, uint32_t, int32_t, uint32_t, uint32_t);
RAW(path_symlink)(uint32_t, uint32_t, int32_t, uint32_t, uint32_t);
RAW(path_unlink_file)(int32_t, uint32_t, uint32_t);
RAW(poll_oneoff)(uint32_t, uint32_t, uint32_t, uint32_t);
RAW(random_get)(uint32_t, uint32_t);

static uint32_t address(const void *pointer) { return (uint32_t)(uintptr_t)pointer; }

int main(void) {
    const uint32_t end = (uint32_t)__builtin_wasm_memory_size(0) << 16, far = 0xfffffff0u;
    uint32_t count;
    uint8_t buffer[64];
    __wasi_fd_t out = preopen("/outputs"), file;
    make_file(out, "f", "some text");
    need("open", open_at(out, "f", 0, READ_RIGHTS | WRITE_RIGHTS, 0, &file));
    need("symlink", __wasi_path_symlink("f", out, "link"));

    put("-- results\n");
    show("args_sizes_get", raw_args_sizes_get(far, far));
    show("args_get", raw_args_get(far, address(buffer)));
    show("args_get, buffer", raw_args_get(address(buffer), far));
    show("environ_sizes_get", raw_environ_sizes_get(end, end));
    show("environ_get", raw_environ_get(far, far));
    show("clock_res_get", raw_clock_res_get(0, end - 7));
    show("clock_time_get", raw_clock_time_get(0, 1, end - 7));
    show("clock_time_get, last place", raw_clock_time_get(0, 1, end - 8));
    show("fd_fdstat_get", raw_fd_fdstat_get((int)file, far));
    show("fd_filestat_get", raw_fd_filestat_get((int)file, far));
    show("fd_prestat_get", raw_fd_prestat_get((int)out, far));
    show("fd_prestat_dir_name", raw_fd_prestat_dir_name((int)out, far, 8));
    show("fd_seek", raw_fd_seek((int)file, 3, __WASI_WHENCE_SET, far));
    show("fd_tell", raw_fd_tell((int)file, far));
    show("random_get", raw_random_get(end - 4, 8));
    show("random_get, huge", raw_random_get(0, 0xffffffffu));
    show("path_filestat_get", raw_path_filestat_get((int)out, 0, address("f"), 1, far));
    show("path_readlink", raw_path_readlink((int)out, address("link"), 4, far, 10, address(&count)));
    show("fd_readdir", raw_fd_readdir((int)out, far, 64, 0, address(&count)));
    show("fd_readdir, huge", raw_fd_readdir((int)out, 16, 0xffffffffu, 0, address(&count)));

    put("-- vectors\n");
    struct {
        uint32_t bytes, length;
    } vector = {far, 64};
    show("fd_read, array", raw_fd_read((int)file, far, 1, address(&count)));
    show("fd_read, bytes", raw_fd_read((int)file, address(&vector), 1, address(&count)));
    show_refused("fd_read, many", raw_fd_read((int)file, address(&vector), 0x20000000, address(&count)));
    show_refused("fd_read, most", raw_fd_read((int)file, address(&vector), 0xffffffff, address(&count)));
    show("fd_pread", raw_fd_pread((int)file, address(&vector), 1, 0, address(&count)));
    show("fd_write, array", raw_fd_write((int)file, far, 1, address(&count)));
    show("fd_write, bytes", raw_fd_write((int)file, address(&vector), 1, address(&count)));
    show("fd_pwrite", raw_fd_pwrite((int)file, address(&vector), 1, 0, address(&count)));
    vector.bytes = 0;
    vector.length = 0xffffffff;
    show("fd_write, long", raw_fd_write((int)file, address(&vector), 1, address(&count)));

    put("-- paths\n");
    show("path_open, path", raw_path_open((int)out, 0, far, 8, 0, 2, 0, 0, address(&count)));
    show_refused("path_open, huge", raw_path_open((int)out, 0, 16, 0xffffffffu, 0, 2, 0, 0, address(&count)));
    show("path_create_directory", raw_path_create_directory((int)out, far, 8));
    show("path_rename", raw_path_rename((int)out, address("f"), 1, (int)out, far, 4));
    show("path_symlink", raw_path_symlink(far, 4, (int)out, address("s"), 1));
    show("path_unlink_file", raw_path_unlink_file((int)out, far, 4));
    show("poll_oneoff", raw_poll_oneoff(far, address(buffer), 1, address(&count)));
    show_refused("poll_oneoff, many", raw_poll_oneoff(16, 16, 0xffffffffu, address(&count)));

    put("-- bytes that are no path\n");
    show("no UTF-8", raw_path_unlink_file((int)out, address("\xff\xfe"), 2));
    show("a NUL inside", raw_path_unlink_file((int)out, address("f\0g"), 3));

    put("-- nothing changed\n");
    show_file(out, "f");
    show_file(out, "link");
    return 0;
}
