# The control stack.

cdef bint more_frames(Check* c) noexcept nogil:
    # A body has less than 2**23 bytes, so neither number can overflow.
    cdef uint32_t room = c.room * 2
    cdef Control* frames = <Control*>realloc(c.frames, <size_t>room * sizeof(Control))
    if frames == NULL:
        return False
    c.frames = frames
    c.room = room
    return True


cdef inline int push_frame(Check* c, uint8_t kind, Types start, Types end) noexcept nogil:
    cdef Control* frame
    if c.depth == c.room and not more_frames(c):
        return NO_MEMORY
    if c.depth:
        c.frames[c.depth - 1].unreachable = c.unreachable
    frame = &c.frames[c.depth]
    c.depth += 1
    frame.kind = kind
    frame.start = start
    frame.end = end
    frame.height = c.height = c.sp
    frame.checked = 0
    c.unreachable = False
    return VALID if push_many(c, start) else REFUSED


cdef inline bint pop_frame(Check* c) noexcept nogil:
    """Leave the innermost block; its end types are checked and popped."""
    cdef Control* frame = &c.frames[c.depth - 1]
    cdef uint32_t here = c.sp - frame.height
    if here > frame.end.count or (here < frame.end.count and not c.unreachable):
        return False
    if not match(
        c.stack + frame.height, c.pool + frame.end.at + frame.end.count - here, here
    ):
        return False
    c.sp = frame.height
    c.depth -= 1
    if c.depth:
        frame = &c.frames[c.depth - 1]
        c.height = frame.height
        c.unreachable = frame.unreachable
    else:
        c.height = 0
        c.unreachable = False
    return True


cdef inline bint label(Check* c, uint32_t index, Types* types) noexcept nogil:
    cdef Control* frame
    if index >= c.depth:
        return False
    frame = &c.frames[c.depth - 1 - index]
    types[0] = frame.start if frame.kind == K_LOOP else frame.end
    return True


cdef inline void dead(Check* c) noexcept nogil:
    c.sp = c.height
    c.unreachable = True


cdef inline bint same(Check* c, Types left, Types right) noexcept nogil:
    if left.count != right.count:
        return False
    return memcmp(c.pool + left.at, c.pool + right.at, left.count) == 0


cdef bint br_table(Check* c) noexcept nogil:
    cdef const uint8_t* labels = c.p
    cdef uint32_t count, index, i
    cdef int64_t here
    cdef Types types, others
    cdef Control* frame
    if not u32(c, &count) or count > c.end - labels:
        return False
    labels = c.p
    for i in range(count):
        if not u32(c, &index):
            return False
    if not u32(c, &index) or not pop(c, T_I32) or not label(c, index, &types):
        return False
    cdef const uint8_t* behind = c.p
    c.p = labels
    c.serial += 1
    for i in range(count):
        u32(c, &index)
        if not label(c, index, &others):
            return False
        frame = &c.frames[c.depth - 1 - index]
        if frame.checked == c.serial:
            continue
        frame.checked = c.serial
        if others.count != types.count:
            return False
        here = on_top(c, others)
        if here < 0 or not reach(c, <uint64_t>(c.sp - here) + others.count):
            return False
    c.p = behind
    if not pop_many(c, types):
        return False
    dead(c)
    return True
