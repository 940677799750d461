/* Directories below directories, each made through a descriptor of the one above, 20,000 deep or as
 * the first argument says; then paths and names of 64 KiB. */
#include "hostile.h"

int main(int argc, char **argv) {
    __wasi_fd_t out = begin("deep_directories"), at = out, next;
    const __wasi_rights_t rights = ALL_RIGHTS & ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE;
    int wanted = argc > 1 ? atoi(argv[1]) : 20000, depth = 0, error = 0;
    while (depth < wanted) {
        error = __wasi_path_create_directory(at, "d");
        if (error == 0)
            error = open_at(at, "d", __WASI_OFLAGS_DIRECTORY, rights, 0, &next);
        if (error)
            break;
        if (at != out)
            need("close", __wasi_fd_close(at));
        at = next;
        depth++;
    }
    show_number("depth", depth);
    if (error)
        show("then", error);

    static char path[65536];
    for (size_t i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "d/", 2);
    show_refused("a long way down", open_at(out, path, __WASI_OFLAGS_DIRECTORY, rights, 0, &next));
    for (size_t i = 0; i + 3 < sizeof path; i += 3)
        memcpy(path + i, "../", 3);
    show_refused("a long way up", open_at(at, path, __WASI_OFLAGS_DIRECTORY, rights, 0, &next));
    memset(path, 'd', sizeof path - 1);
    show_refused("a long name", __wasi_path_create_directory(out, path));
    show_refused("a long link", __wasi_path_symlink(path, out, "link"));
    return 3;
}
