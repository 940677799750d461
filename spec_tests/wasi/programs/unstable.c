/* The older module name, wasi_unstable: functions whose layouts did not change afterwards. No C
 * library: everything the program imports comes from the old module. */
#include <stdint.h>

#define OLD(name) __attribute__((import_module("wasi_unstable"), import_name(#name)))

struct vector {
    void *bytes;
    uint32_t length;
};

OLD(args_sizes_get) int32_t args_sizes_get(uint32_t *count, uint32_t *size);
OLD(args_get) int32_t args_get(char **arguments, char *buffer);
OLD(clock_time_get) int32_t clock_time_get(int32_t id, int64_t precision, uint64_t *time);
OLD(fd_close) int32_t fd_close(int32_t fd);
OLD(fd_prestat_get) int32_t fd_prestat_get(int32_t fd, uint32_t *prestat);
OLD(fd_prestat_dir_name) int32_t fd_prestat_dir_name(int32_t fd, char *name, uint32_t length);
OLD(fd_read) int32_t fd_read(int32_t fd, const struct vector *into, uint32_t count, uint32_t *got);
OLD(fd_write) int32_t fd_write(int32_t fd, const struct vector *from, uint32_t count,
                               uint32_t *put);
OLD(path_open) int32_t path_open(int32_t fd, int32_t lookup, const char *path, uint32_t length,
                                 int32_t flags, int64_t rights, int64_t inheriting, int32_t mode,
                                 int32_t *opened);
OLD(proc_exit) _Noreturn void proc_exit(int32_t status);

static uint32_t length_of(const char *text) {
    uint32_t length = 0;
    while (text[length])
        length++;
    return length;
}

static void say(const char *text, uint32_t length) {
    struct vector vector = {(void *)(uintptr_t)text, length};
    uint32_t count;
    if (fd_write(1, &vector, 1, &count) != 0)
        proc_exit(70);
}

static void line(const char *what, const char *text, uint32_t length) {
    say(what, length_of(what));
    say(" [", 2);
    say(text, length);
    say("]\n", 2);
}

__attribute__((export_name("_start"))) void _start(void) {
    uint32_t count, size;
    static char *arguments[8];
    static char text[256];
    if (args_sizes_get(&count, &size) || count > 8 || size > 256 || args_get(arguments, text))
        proc_exit(71);
    for (uint32_t i = 1; i < count; i++)
        line("argument", arguments[i], length_of(arguments[i]));

    uint64_t first = 0, then = 0;
    int32_t broken = clock_time_get(1, 1, &first) | clock_time_get(1, 1, &then);
    const char *order = broken || then < first ? "backwards" : "forwards";
    line("time runs", order, length_of(order));

    uint32_t prestat[2];
    static char name[64];
    int32_t fd = 3;
    for (;; fd++) {
        if (fd_prestat_get(fd, prestat) || prestat[1] > 64 ||
            fd_prestat_dir_name(fd, name, prestat[1]))
            proc_exit(72);
        line("preopen", name, prestat[1]);
        if (prestat[1] == 7 && name[1] == 'i')
            break;
    }
    int32_t file;
    int32_t missing = path_open(fd, 1, "none", 4, 0, 2, 0, 0, &file);
    line("missing is noent", missing == 44 ? "yes" : "no", missing == 44 ? 3 : 2);
    if (path_open(fd, 1, "greeting.txt", 12, 0, 2, 0, 0, &file))
        proc_exit(73);
    struct vector into = {text, sizeof text};
    uint32_t got;
    if (fd_read(file, &into, 1, &got) || fd_close(file))
        proc_exit(74);
    line("read", text, got);
    line("closed again is badf", fd_close(file) == 8 ? "yes" : "no", fd_close(file) == 8 ? 3 : 2);
    proc_exit(5);
}
