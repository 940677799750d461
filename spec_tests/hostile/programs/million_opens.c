/* Opens a file a million times (or as often as the first argument says) and closes none. Then
 * closes all it got and opens one more: the shim must still serve. */
#include "hostile.h"

int main(int argc, char **argv) {
    __wasi_fd_t out = begin("million_opens"), fd, first = 0, last = 0;
    long attempts = argc > 1 ? atol(argv[1]) : 1000000, opened = 0;
    int refused = 0;
    for (long i = 0; i < attempts; i++) {
        int error = open_at(out, "partial.txt", 0, READ_RIGHTS, 0, &fd);
        if (error == 0) {
            if (opened++ == 0)
                first = fd;
            last = fd > last ? fd : last;
        } else if (!refused) {
            refused = 1;
            show_number("opened", opened);
            show("then", error);
        }
    }
    show_number("opened of all attempts", opened);
    if (opened)
        for (fd = first; fd <= last; fd++)
            if (__wasi_fd_close(fd) != 0)
                put("");
    show("one more", open_at(out, "partial.txt", 0, READ_RIGHTS, 0, &fd));
    return 3;
}
