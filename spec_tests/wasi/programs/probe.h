/* Small output for the probes: no printf, so that each program stays a few kilobytes, and only
 * text that every conforming runtime prints alike. */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

/* One line is collected and written whole: a write a line. */
static char probe_line[4096];
static size_t probe_used;

static inline void flush(void) {
    size_t done = 0;
    while (done < probe_used) {
        ssize_t count = write(1, probe_line + done, probe_used - done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    probe_used = 0;
}

static inline void put_bytes(const void *bytes, size_t length) {
    const char *from = bytes;
    for (size_t i = 0; i < length; i++) {
        probe_line[probe_used++] = from[i];
        if (from[i] == '\n' || probe_used == sizeof probe_line)
            flush();
    }
}

static inline void put(const char *text) { put_bytes(text, strlen(text)); }

static inline void put_unsigned(uint64_t value) {
    char digits[20];
    int at = 20;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    put_bytes(digits + at, (size_t)(20 - at));
}

static inline void put_signed(int64_t value) {
    if (value < 0)
        put("-");
    put_unsigned(value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* The names of the witx, in its order. */
static inline const char *errno_name(int number) {
    static const char *const names[] = {
        "success", "2big", "acces", "addrinuse", "addrnotavail", "afnosupport", "again", "already",
        "badf", "badmsg", "busy", "canceled", "child", "connaborted", "connrefused", "connreset",
        "deadlk", "destaddrreq", "dom", "dquot", "exist", "fault", "fbig", "hostunreach", "idrm",
        "ilseq", "inprogress", "intr", "inval", "io", "isconn", "isdir", "loop", "mfile", "mlink",
        "msgsize", "multihop", "nametoolong", "netdown", "netreset", "netunreach", "nfile",
        "nobufs", "nodev", "noent", "noexec", "nolck", "nolink", "nomem", "nomsg", "noprotoopt",
        "nospc", "nosys", "notconn", "notdir", "notempty", "notrecoverable", "notsock", "notsup",
        "notty", "nxio", "overflow", "ownerdead", "perm", "pipe", "proto", "protonosupport",
        "prototype", "range", "rofs", "spipe", "srch", "stale", "timedout", "txtbsy", "xdev",
        "notcapable"};
    return number >= 0 && number < (int)(sizeof names / sizeof *names) ? names[number] : "unknown";
}

/* "what: errno" */
static inline void show(const char *what, int number) {
    put(what);
    put(": ");
    put(errno_name(number));
    put("\n");
}

/* "what: number" */
static inline void show_number(const char *what, int64_t value) {
    put(what);
    put(": ");
    put_signed(value);
    put("\n");
}

static inline void show_text(const char *what, const void *bytes, size_t length) {
    put(what);
    put(": [");
    put_bytes(bytes, length);
    put("]\n");
}

/* "what: yes" or "what: no" */
static inline void show_truth(const char *what, int truth) {
    put(what);
    put(truth ? ": yes\n" : ": no\n");
}

/* Which errno a sandbox refuses with is its own affair (perm, notcapable, rofs...): "refused" for
 * any error, "allowed" for none. */
static inline void show_refused(const char *what, int number) {
    put(what);
    put(number ? ": refused\n" : ": allowed\n");
}

/* A step that later ones rest on: says what failed and ends with status 70. */
static inline void need(const char *what, int number) {
    if (number == 0)
        return;
    show(what, number);
    exit(70);
}

/* The preopened descriptor of exactly this guest path. */
static inline __wasi_fd_t preopen(const char *path) {
    for (__wasi_fd_t fd = 3;; fd++) {
        __wasi_prestat_t stat;
        char name[256];
        if (__wasi_fd_prestat_get(fd, &stat) != 0) {
            put("no preopen ");
            need(path, __WASI_ERRNO_NOENT);
        }
        size_t length = stat.u.dir.pr_name_len;
        if (length == strlen(path) && length < sizeof name &&
            __wasi_fd_prestat_dir_name(fd, (uint8_t *)name, length) == 0 &&
            memcmp(name, path, length) == 0)
            return fd;
    }
}

#define ALL_RIGHTS UINT64_C(0x1fffffff)
#define READ_RIGHTS \
    (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL | \
     __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_ADVISE | \
     __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS | __WASI_RIGHTS_POLL_FD_READWRITE)
#define WRITE_RIGHTS \
    (__WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL | \
     __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE | \
     __WASI_RIGHTS_FD_FILESTAT_SET_TIMES | __WASI_RIGHTS_FD_ALLOCATE | \
     __WASI_RIGHTS_FD_DATASYNC | __WASI_RIGHTS_FD_SYNC | __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS | \
     __WASI_RIGHTS_POLL_FD_READWRITE)

static inline int open_at(__wasi_fd_t directory, const char *path, __wasi_oflags_t flags,
                          __wasi_rights_t rights, __wasi_fdflags_t mode, __wasi_fd_t *fd) {
    return __wasi_path_open(directory, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, flags, rights,
                            rights, mode, fd);
}

/* A new file with this text in it. */
static inline void make_file(__wasi_fd_t directory, const char *path, const char *text) {
    __wasi_fd_t fd;
    __wasi_size_t written;
    need(path, open_at(directory, path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, WRITE_RIGHTS, 0,
                       &fd));
    __wasi_ciovec_t vector = {(const uint8_t *)text, strlen(text)};
    need(path, __wasi_fd_write(fd, &vector, 1, &written));
    if (written != vector.buf_len)
        need(path, __WASI_ERRNO_IO);
    need(path, __wasi_fd_close(fd));
}

/* "path: [content]" or "path: errno" */
static inline void show_file(__wasi_fd_t directory, const char *path) {
    __wasi_fd_t fd;
    uint8_t buffer[256];
    int error = open_at(directory, path, 0, READ_RIGHTS, 0, &fd);
    if (error) {
        show(path, error);
        return;
    }
    __wasi_iovec_t vector = {buffer, sizeof buffer};
    __wasi_size_t got = 0;
    error = __wasi_fd_read(fd, &vector, 1, &got);
    if (error)
        show(path, error);
    else
        show_text(path, buffer, got);
    need(path, __wasi_fd_close(fd));
}

#endif
