/* poll_oneoff: sleeping for a while and until an instant, several timers, files, and errors. */
#include "probe.h"

static __wasi_subscription_t timer(uint64_t userdata, uint64_t timeout, int absolute) {
    __wasi_subscription_t in;
    memset(&in, 0, sizeof in);
    in.userdata = userdata;
    in.u.tag = __WASI_EVENTTYPE_CLOCK;
    in.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    in.u.u.clock.timeout = timeout;
    in.u.u.clock.flags = absolute ? __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME : 0;
    return in;
}

static __wasi_subscription_t descriptor(uint64_t userdata, __wasi_eventtype_t type,
                                        __wasi_fd_t fd) {
    __wasi_subscription_t in;
    memset(&in, 0, sizeof in);
    in.userdata = userdata;
    in.u.tag = type;
    in.u.u.fd_read.file_descriptor = fd;
    return in;
}

static uint64_t now(void) {
    __wasi_timestamp_t time;
    need("clock", __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time));
    return time;
}

static void show_events(int error, const __wasi_event_t *events, __wasi_size_t count) {
    if (error) {
        show("poll", error);
        return;
    }
    show_number("events", count);
    /* In the order of the userdata: a runtime may report in any. */
    for (uint64_t userdata = 0; userdata < 100; userdata++)
        for (__wasi_size_t i = 0; i < count; i++) {
            if (events[i].userdata != userdata)
                continue;
            put("  ");
            put_unsigned(userdata);
            put(events[i].type == __WASI_EVENTTYPE_CLOCK     ? " clock "
                : events[i].type == __WASI_EVENTTYPE_FD_READ ? " read "
                                                             : " write ");
            put(errno_name(events[i].error));
            put("\n");
        }
}

int main(void) {
    __wasi_subscription_t in[3];
    __wasi_event_t out[3];
    __wasi_size_t count = 0;
    const uint64_t millisecond = 1000000;

    put("-- relative\n");
    uint64_t start = now();
    in[0] = timer(7, 20 * millisecond, 0);
    show_events(__wasi_poll_oneoff(in, out, 1, &count), out, count);
    show_truth("slept long enough", now() - start >= 20 * millisecond);

    put("-- absolute\n");
    start = now();
    in[0] = timer(8, start + 15 * millisecond, 1);
    show_events(__wasi_poll_oneoff(in, out, 1, &count), out, count);
    show_truth("slept long enough", now() - start >= 15 * millisecond);
    in[0] = timer(9, 1, 1);
    show_events(__wasi_poll_oneoff(in, out, 1, &count), out, count);

    put("-- the shorter of two\n");
    start = now();
    in[0] = timer(1, 3600000 * millisecond, 0);
    in[1] = timer(2, 10 * millisecond, 0);
    show_events(__wasi_poll_oneoff(in, out, 2, &count), out, count);
    uint64_t took = now() - start;
    show_truth("neither too short nor an hour", took >= 10 * millisecond &&
                                                    took < 1000000 * millisecond);

    put("-- files are ready\n");
    __wasi_fd_t outputs = preopen("/outputs"), file;
    make_file(outputs, "f", "content");
    need("open", open_at(outputs, "f", 0, READ_RIGHTS | WRITE_RIGHTS, 0, &file));
    in[0] = descriptor(3, __WASI_EVENTTYPE_FD_READ, file);
    in[1] = descriptor(4, __WASI_EVENTTYPE_FD_WRITE, file);
    /* One event is enough for a runtime to report, both are as right. */
    int error = __wasi_poll_oneoff(in, out, 2, &count);
    show("reading and writing", error);
    int right = count == 1 || count == 2;
    for (__wasi_size_t i = 0; i < count; i++)
        right &= out[i].error == 0 &&
                 ((out[i].userdata == 3 && out[i].type == __WASI_EVENTTYPE_FD_READ) ||
                  (out[i].userdata == 4 && out[i].type == __WASI_EVENTTYPE_FD_WRITE));
    show_truth("one of them, or both", right);
    in[1] = timer(5, 3600000 * millisecond, 0);
    show_events(__wasi_poll_oneoff(in, out, 2, &count), out, count);
    in[0] = descriptor(6, __WASI_EVENTTYPE_FD_WRITE, 1);
    show_events(__wasi_poll_oneoff(in, out, 1, &count), out, count);

    put("-- errors\n");
    show("nothing to wait for", __wasi_poll_oneoff(in, out, 0, &count));
    return 0;
}
