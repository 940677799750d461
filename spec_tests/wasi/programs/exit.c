/* proc_exit with the status that the first argument names; nothing after it runs. Without an
 * argument main returns 0. With "abort" the C library aborts. */
#include "probe.h"

static void at_exit(void) { put("at exit\n"); }

int main(int argc, char **argv) {
    put("before\n");
    if (argc < 2)
        return 0;
    if (strcmp(argv[1], "abort") == 0)
        abort();
    atexit(at_exit);
    if (argc > 2)
        __wasi_proc_exit((__wasi_exitcode_t)atoi(argv[1]));
    exit(atoi(argv[1]));
}
