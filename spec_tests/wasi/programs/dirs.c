/* path_create_directory, path_remove_directory, fd_readdir with small buffers and cookies, and the
 * errors of directories. */
#include "probe.h"

#define MAX_ENTRIES 128
static char entries[MAX_ENTRIES][64];
static int types[MAX_ENTRIES];
static int count;

static const char *type_name(int type) {
    switch (type) {
    case __WASI_FILETYPE_DIRECTORY: return "directory";
    case __WASI_FILETYPE_REGULAR_FILE: return "file";
    case __WASI_FILETYPE_SYMBOLIC_LINK: return "link";
    default: return "other";
    }
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* Reads a whole directory through a buffer of this size. */
static void list(__wasi_fd_t fd, size_t room) {
    uint8_t *buffer = malloc(room);
    __wasi_dircookie_t cookie = __WASI_DIRCOOKIE_START;
    count = 0;
    for (;;) {
        __wasi_size_t used = 0;
        need("readdir", __wasi_fd_readdir(fd, buffer, room, cookie, &used));
        size_t at = 0;
        __wasi_dircookie_t before = cookie;
        while (at + sizeof(__wasi_dirent_t) <= used) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + at, sizeof entry);
            at += sizeof entry;
            if (at + entry.d_namlen > used)
                break; /* cut off: comes again from the cookie before */
            if (count == MAX_ENTRIES || entry.d_namlen > 62)
                need("too much", __WASI_ERRNO_2BIG);
            /* The type is kept behind the name's end so that both are sorted together. */
            memset(entries[count], 0, 64);
            memcpy(entries[count], buffer + at, entry.d_namlen);
            entries[count][63] = (char)entry.d_type;
            count++;
            at += entry.d_namlen;
            cookie = entry.d_next;
        }
        if (used < room)
            break;
        if (cookie == before)
            need("a buffer too small for any entry", __WASI_ERRNO_RANGE);
    }
    free(buffer);
    qsort(entries, (size_t)count, 64, by_name);
    for (int i = 0; i < count; i++)
        types[i] = entries[i][63];
}

static void show_list(void) {
    for (int i = 0; i < count; i++) {
        put("  ");
        put(entries[i]);
        put(" ");
        put(type_name(types[i]));
        put("\n");
    }
}

int main(void) {
    __wasi_fd_t out = preopen("/outputs"), inputs = preopen("/inputs"), directory, fd;

    put("-- inputs\n");
    list(inputs, 4096);
    show_list();
    int whole = count;
    list(inputs, 64);
    show_truth("a small buffer gives as many", count == whole);

    put("-- make\n");
    show("make", __wasi_path_create_directory(out, "d"));
    show("make again", __wasi_path_create_directory(out, "d"));
    show("make below nothing", __wasi_path_create_directory(out, "x/y"));
    show("make deeper", __wasi_path_create_directory(out, "d/e"));
    show("make deeper yet", __wasi_path_create_directory(out, "d/e/f"));
    make_file(out, "d/file", "text");
    show("make below a file", __wasi_path_create_directory(out, "d/file/x"));
    show("make over a file", __wasi_path_create_directory(out, "d/file"));
    show_refused("make among inputs", __wasi_path_create_directory(inputs, "new"));

    put("-- errors\n");
    show("remove a full one", __wasi_path_remove_directory(out, "d"));
    show("remove a file as directory", __wasi_path_remove_directory(out, "d/file"));
    show_refused("unlink a directory", __wasi_path_unlink_file(out, "d/e"));
    show("remove nothing", __wasi_path_remove_directory(out, "none"));
    show("open for writing", open_at(out, "d", 0, WRITE_RIGHTS, 0, &fd));
    need("open", open_at(out, "d", __WASI_OFLAGS_DIRECTORY,
                         ALL_RIGHTS & ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE, 0, &directory));
    uint8_t bytes[8];
    __wasi_iovec_t vector = {bytes, sizeof bytes};
    __wasi_size_t got;
    show_refused("read as a file", __wasi_fd_read(directory, &vector, 1, &got));
    need("open file", open_at(out, "d/file", 0, READ_RIGHTS, 0, &fd));
    show_refused("list a file", __wasi_fd_readdir(fd, bytes, sizeof bytes, 0, &got));
    need("close", __wasi_fd_close(fd));

    put("-- list\n");
    list(directory, 4096);
    show_list();

    put("-- many\n");
    char name[16] = "d/e/n00";
    for (int i = 0; i < 40; i++) {
        name[5] = (char)('0' + i / 10);
        name[6] = (char)('0' + i % 10);
        make_file(out, name, name);
    }
    __wasi_fd_t many;
    need("open", open_at(out, "d/e", __WASI_OFLAGS_DIRECTORY,
                         ALL_RIGHTS & ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE, 0, &many));
    for (size_t room = 48; room <= 768; room *= 2) {
        list(many, room);
        int inside = 0;
        for (int i = 0; i < count; i++)
            inside += entries[i][0] == 'n' && strlen(entries[i]) == 3;
        put_unsigned(room);
        put(" bytes");
        show_number(", entries of mine", inside);
        for (int i = 1; i < count; i++)
            if (strcmp(entries[i - 1], entries[i]) == 0)
                put("twice!\n");
    }
    need("close", __wasi_fd_close(many));

    put("-- remove\n");
    for (int i = 0; i < 40; i++) {
        name[5] = (char)('0' + i / 10);
        name[6] = (char)('0' + i % 10);
        need("unlink", __wasi_path_unlink_file(out, name));
    }
    show("remove f", __wasi_path_remove_directory(out, "d/e/f"));
    show("remove e", __wasi_path_remove_directory(directory, "e"));
    show("unlink file", __wasi_path_unlink_file(directory, "file"));
    show("remove d", __wasi_path_remove_directory(out, "d"));
    list(out, 4096);
    show_list();
    return 0;
}
