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
    frame.inits = c.ninits
    c.unreachable = False
    return VALID if push_many(c, start) else REFUSED


cdef inline bint pop_frame(Check* c) noexcept nogil:
    """Leave the innermost block; its end types are checked and popped."""
    cdef Control* frame = &c.frames[c.depth - 1]
    cdef uint32_t here = c.sp - frame.height
    if here > frame.end.count or (here < frame.end.count and not c.unreachable):
        return False
    if not match(c, c.stack + frame.height, frame.end.at + frame.end.count - here, here):
        return False
    c.sp = frame.height
    while c.ninits > frame.inits:
        c.ninits -= 1
        c.set_[c.inits[c.ninits]] = False
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


cdef inline bint matching(Check* c, Types left, Types right) noexcept nogil:
    """Whether result types match (spec 3.3.6)."""
    return left.count == right.count and match(c, c.pool + left.at, right.at, left.count)


cdef uint32_t arity(Check* c, Types types) noexcept nogil:
    """Number of values: a vector is two entries."""
    cdef uint32_t i, halves = 0
    for i in range(types.count):
        halves += c.pool[types.at + i] == T_V128
    return types.count - halves // 2


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
        if others.count != types.count and arity(c, others) != arity(c, types):
            return False
        here = on_top(c, others)
        if here < 0 or not reach(c, <uint64_t>(c.sp - here) + others.count):
            return False
    c.p = behind
    if not pop_many(c, types):
        return False
    dead(c)
    return True


# Exceptions

cdef inline bint is_handler(uint8_t kind) noexcept nogil:
    return kind == K_CATCH or kind == K_CATCH_ALL


cdef inline bint leave(Check* c) noexcept nogil:
    """Leave a block; under the operands of an older handler lies the exception it has caught."""
    cdef uint8_t kind = c.frames[c.depth - 1].kind
    if not pop_frame(c):
        return False
    if is_handler(kind):
        c.sp -= 1
    return True


cdef bint tag_type(Check* c, Types* types) noexcept nogil:
    """Read a tag: the types of what it carries."""
    cdef uint32_t index
    if not u32(c, &index) or index >= c.ntags or c.types[c.tags[index]].kind != D_FUNC:
        return False
    types[0] = c.types[c.tags[index]].params
    return True


cdef int try_table(Check* c) noexcept nogil:
    """``[t1*] -> [t2*]`` of the block type; each catch clause must fit its label."""
    cdef Types start, end, given, wanted
    cdef uint32_t count, index, i
    cdef uint8_t kind
    if not blocktype(c, &start, &end) or not pop_many(c, start):
        return REFUSED
    if not u32(c, &count) or count > c.end - c.p:
        return REFUSED
    for i in range(count):
        if c.p >= c.end or c.p[0] > 3:
            return REFUSED
        kind = c.p[0]
        c.p += 1
        given.at = given.count = 0
        if kind < 2 and not tag_type(c, &given):
            return REFUSED
        if not u32(c, &index) or not label(c, index, &wanted):
            return REFUSED
        if kind & 1:
            # The last value is the exception.
            if not wanted.count or not subtype(
                c, reference(False, HT_EXN), c.pool[wanted.at + wanted.count - 1]
            ):
                return REFUSED
            wanted.count -= 1
        if not matching(c, given, wanted):
            return REFUSED
    return push_frame(c, K_TRY_TABLE, start, end)


cdef int older_handler(Check* c, uint8_t kind) noexcept nogil:
    """``catch`` or ``catch_all``: what is before must end with ``t2*``."""
    cdef Types start, end
    cdef uint8_t before = c.frames[c.depth - 1].kind
    start.at = start.count = 0
    if before != K_TRY and before != K_CATCH:
        return REFUSED
    if kind == K_CATCH and not tag_type(c, &start):
        return REFUSED
    end = c.frames[c.depth - 1].end
    if not leave(c) or not push(c, reference(True, HT_EXN)):
        return REFUSED
    return push_frame(c, kind, start, end)
