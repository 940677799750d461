/* args_get, args_sizes_get, environ_get, environ_sizes_get: the sizes agree with the data, order
 * is kept, empty and non-ASCII ones come through. argv[0] is left out, it is the runtime's. */
#include "probe.h"

int main(int argc, char **argv) {
    __wasi_size_t count, size;
    need("sizes", __wasi_args_sizes_get(&count, &size));
    show_truth("count is argc", (int)count == argc);
    size_t sum = 0;
    for (int i = 0; i < argc; i++)
        sum += strlen(argv[i]) + 1;
    show_truth("size is the sum", sum == size);
    show_truth("has a name", argc > 0 && argv[0][0] != 0);
    for (int i = 1; i < argc; i++)
        show_text("argument", argv[i], strlen(argv[i]));

    uint8_t **again = malloc(sizeof *again * (count + 1));
    uint8_t *buffer = malloc(size);
    need("args_get", __wasi_args_get(again, buffer));
    int packed = again[0] == buffer;
    for (__wasi_size_t i = 1; i < count; i++)
        packed &= again[i] == again[i - 1] + strlen((char *)again[i - 1]) + 1;
    show_truth("packed in order", packed);

    need("sizes", __wasi_environ_sizes_get(&count, &size));
    show_number("variables", (int64_t)count);
    show_number("bytes", (int64_t)size);
    uint8_t **variables = malloc(sizeof *variables * (count + 1));
    uint8_t *text = malloc(size + 1);
    need("environ_get", __wasi_environ_get(variables, text));
    for (__wasi_size_t i = 0; i < count; i++)
        show_text("variable", variables[i], strlen((char *)variables[i]));
    const char *names[] = {"FIRST", "EMPTY", "EQUALS", "MISSING"};
    for (int i = 0; i < 4; i++) {
        const char *value = getenv(names[i]);
        show_text(names[i], value ? value : "none", strlen(value ? value : "none"));
    }
    return 0;
}
