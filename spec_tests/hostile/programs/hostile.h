/* What every hostile program does first: a line on standard output and a file among the outputs,
 * which must both be kept whatever happens next. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "../../wasi/programs/probe.h"

static inline __wasi_fd_t begin(const char *name) {
    put("started ");
    put(name);
    put("\n");
    __wasi_fd_t out = preopen("/outputs");
    make_file(out, "partial.txt", "kept\n");
    return out;
}

#endif
