/* Writes to standard output for ever; with the argument "stderr" to standard error. */
#include "hostile.h"

int main(int argc, char **argv) {
    begin("output_flood");
    __wasi_fd_t to = argc > 1 && strcmp(argv[1], "stderr") == 0 ? 2 : 1;
    static uint8_t block[65536];
    memset(block, 'x', sizeof block);
    for (size_t i = 63; i < sizeof block; i += 64)
        block[i] = '\n';
    for (;;) {
        __wasi_ciovec_t vector = {block, sizeof block};
        __wasi_size_t written;
        int error = __wasi_fd_write(to, &vector, 1, &written);
        if (error) {
            show("write", error);
            return 4;
        }
    }
}
