/* wasi_unstable where it differs from its successor: the order of whence in fd_seek, filestat with
 * a 32-bit link count (56 bytes), the subscription with an identifier of its own (56 bytes). */
#include <stdint.h>

#define OLD(name) __attribute__((import_module("wasi_unstable"), import_name(#name)))

struct vector {
    const void *bytes;
    uint32_t length;
};
struct filestat {
    uint64_t device, inode;
    uint8_t type;
    uint32_t links;
    uint64_t size, accessed, modified, changed;
};
struct subscription {
    uint64_t userdata;
    uint8_t type;
    uint64_t identifier;
    uint32_t clock;
    uint64_t timeout, precision;
    uint16_t flags;
};
struct event {
    uint64_t userdata;
    uint16_t error;
    uint8_t type;
    uint64_t bytes;
    uint16_t flags;
};
_Static_assert(sizeof(struct filestat) == 56, "snapshot 0 filestat");
_Static_assert(sizeof(struct subscription) == 56, "snapshot 0 subscription");
_Static_assert(sizeof(struct event) == 32, "event");

OLD(clock_time_get) int32_t clock_time_get(int32_t id, int64_t precision, uint64_t *time);
OLD(fd_filestat_get) int32_t fd_filestat_get(int32_t fd, struct filestat *stat);
OLD(fd_seek) int32_t fd_seek(int32_t fd, int64_t offset, int32_t whence, uint64_t *at);
OLD(fd_write) int32_t fd_write(int32_t fd, const struct vector *from, uint32_t count,
                               uint32_t *put);
OLD(path_filestat_get) int32_t path_filestat_get(int32_t fd, int32_t lookup, const char *path,
                                                 uint32_t length, struct filestat *stat);
OLD(path_open) int32_t path_open(int32_t fd, int32_t lookup, const char *path, uint32_t length,
                                 int32_t flags, int64_t rights, int64_t inheriting, int32_t mode,
                                 int32_t *opened);
OLD(poll_oneoff) int32_t poll_oneoff(const struct subscription *in, struct event *out,
                                     uint32_t count, uint32_t *events);
OLD(proc_exit) _Noreturn void proc_exit(int32_t status);

static void show(const char *what, uint64_t value) {
    char text[96];
    uint32_t length = 0;
    while (*what)
        text[length++] = *what++;
    text[length++] = ' ';
    char digits[20];
    int at = 20;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    while (at < 20)
        text[length++] = digits[at++];
    text[length++] = '\n';
    struct vector vector = {text, length};
    uint32_t count;
    if (fd_write(1, &vector, 1, &count) != 0)
        proc_exit(70);
}

__attribute__((export_name("_start"))) void _start(void) {
    int32_t file;
    /* Descriptor 3 is /inputs. Rights: read, seek, tell, filestat_get. */
    if (path_open(3, 1, "greeting.txt", 12, 0, 0x200026, 0, 0, &file))
        proc_exit(71);
    uint64_t at = 99;
    show("set to 5:", (uint64_t)(uint32_t)fd_seek(file, 5, 2, &at));
    show("at", at);
    show("2 on:", (uint64_t)(uint32_t)fd_seek(file, 2, 0, &at));
    show("at", at);
    show("1 before the end:", (uint64_t)(uint32_t)fd_seek(file, -1, 1, &at));
    show("at", at);

    /* A guard behind the struct: snapshot 1 would write 64 bytes. */
    struct {
        struct filestat stat;
        uint64_t guard;
    } memory = {.guard = 0x1122334455667788};
    show("filestat:", (uint64_t)(uint32_t)fd_filestat_get(file, &memory.stat));
    show("type", memory.stat.type);
    show("links", memory.stat.links);
    show("size", memory.stat.size);
    show("guard kept", memory.guard == 0x1122334455667788);
    show("by path:", (uint64_t)(uint32_t)path_filestat_get(3, 0, "sub", 3, &memory.stat));
    show("type", memory.stat.type);
    show("guard kept", memory.guard == 0x1122334455667788);

    uint64_t before = 0, after = 0;
    static struct subscription sleep[2] = {
        {.userdata = 41, .identifier = 1, .clock = 1, .timeout = UINT64_C(3600000000000)},
        {.userdata = 42, .identifier = 2, .clock = 1, .timeout = 5000000}};
    struct event events[2];
    uint32_t count = 0;
    int32_t broken = clock_time_get(1, 1, &before);
    show("poll:", (uint64_t)(uint32_t)poll_oneoff(sleep, events, 2, &count));
    broken |= clock_time_get(1, 1, &after);
    show("events", count);
    show("userdata", events[0].userdata);
    show("error", events[0].error);
    show("type", events[0].type);
    show("slept", !broken && after - before >= 5000000 && after - before < 1000000000000);
    proc_exit(0);
}
