/* Reads whatever arguments and environment it is given: the test gives it very many and very long
 * ones. Prints how many and how long. */
#include "hostile.h"

int main(int argc, char **argv) {
    begin("argument_bomb");
    size_t longest = 0, total = 0;
    for (int i = 1; i < argc; i++) {
        size_t length = strlen(argv[i]);
        total += length;
        longest = length > longest ? length : longest;
    }
    show_number("arguments", argc - 1);
    show_number("bytes of arguments", (int64_t)total);
    show_number("longest", (int64_t)longest);
    __wasi_size_t count, size;
    need("environment", __wasi_environ_sizes_get(&count, &size));
    show_number("variables", (int64_t)count);
    show_number("bytes of environment", (int64_t)size);
    return 0;
}
