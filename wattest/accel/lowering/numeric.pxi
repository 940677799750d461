# Numeric instructions, and their fusion with the cell before.

cdef bint traps(int32_t op) noexcept nogil:
    return (
        0x6D <= op <= 0x70 or 0x7F <= op <= 0x82 or 0xA8 <= op <= 0xAB or 0xAE <= op <= 0xB1
    )

cdef void lower_unary(Low* l, int32_t op) noexcept nogil:
    cdef OpInfo* o = &OPS[op]
    cdef OpInfo* before
    cdef Entry* e = pop(l)
    cdef int32_t mode = 0
    cdef int32_t source
    cdef int32_t pos
    if op == 0xAD:
        # An i32 has zeros above it: as an i64 it is the same word.
        if e.kind == IN_LOCAL:
            push_local(l, e.local)
        elif e.kind == IN_CONST:
            push_const(l, e.value)
        else:
            l.last_op = -1
            push_slot(l)
        return
    if op == 0x45 and in_register(l, e, l.height, 1) and l.last_op >= 0:
        before = &OPS[l.last_op]
        if before.inverse >= 0:
            # Not of a comparison: the opposite one.
            l.last_id += OPS[before.inverse].family - before.family
            l.code[l.last] = l.last_id
            l.last_op = before.inverse
            push_slot(l)
            return
    if in_register(l, e, l.height, o.operand):
        to_register(l)
        mode = 1
        source = 0
    else:
        source = entry_slot(l, e, l.height)
    pos = emit(l, o.family + 2 * mode, 4)
    l.code[pos + 2] = source
    if traps(op):
        may_trap(l, pos)
    result(l, pos, 3, o.result, op)

cdef inline int32_t combo(int32_t a, int32_t b) noexcept nogil:
    # ss si is rs sr ri ir; 0 slot, 1 immediate, 2 register
    if a == 0:
        return 0 if b == 0 else 1 if b == 1 else 4
    if a == 1:
        return 2 if b == 0 else 6
    return 3 if b == 0 else 5

cdef int32_t fused(Low* l, int32_t op, int32_t mode) noexcept nogil:
    """The cell that does what the cell before does and then `op` with the result, or -1.

    `mode`: 0 for rs, 1 for sr, 2 for ri."""
    cdef int32_t first = l.last_op
    cdef int32_t which
    if first < 0 or PLACE_FIRST[first] < 0 or PLACE_SECOND[op] < 0:
        return -1
    which = (l.last_id - OPS[first].family) >> 1
    if OPS[first].shape == 3:
        if which != 0:
            return -1
    elif which > 1:
        return -1
    elif which == 1 and OPS[first].wide:
        if <int64_t>(<cell_i64*>(l.code + l.last + 6))[0] != l.code[l.last + 3]:
            return -1
    return PAIRS[(PLACE_FIRST[first] * PLACES + PLACE_SECOND[op]) * 6 + which * 3 + mode]

cdef int32_t emit_fused(Low* l, int32_t number, int32_t other) noexcept nogil:
    """Put a fused cell in the place of the cell before."""
    cdef int32_t a = l.code[l.last + 2]
    cdef int32_t b = l.code[l.last + 3]
    cdef int32_t before = l.before
    cdef int32_t before_id = l.before_id
    cdef int32_t before_op = l.before_op
    cdef int32_t pos
    if OPS[l.last_op].shape == 3:
        b = l.code[l.last + 4]
    l.length = <size_t>l.last
    pos = emit(l, number, 6)
    l.before = before
    l.before_id = before_id
    l.before_op = before_op
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    l.code[pos + 4] = other
    return pos

cdef void lower_binary(Low* l, int32_t op) noexcept nogil:
    cdef OpInfo* o = &OPS[op]
    cdef Entry* second = pop(l)
    cdef int32_t height_b = l.height
    cdef Entry* first = pop(l)
    cdef int32_t height_a = l.height
    cdef Entry* swap
    cdef int32_t a = 0
    cdef int32_t b = 0
    cdef int32_t pos
    cdef int32_t at_a = 0
    cdef int32_t at_b = 0
    cdef int32_t height
    cdef int32_t number
    cdef uint64_t wide = 0
    if o.commutative and first.kind == IN_CONST and second.kind != IN_CONST:
        swap = first
        first = second
        second = swap
        height = height_a
        height_a = height_b
        height_b = height
    if first.kind == IN_CONST and second.kind == IN_CONST:
        at_a = entry_slot(l, first, height_a)
    elif in_register(l, first, height_a, o.operand):
        if second.kind == IN_CONST and (
            not o.wide or <int64_t><int32_t><uint32_t>second.value == <int64_t>second.value
        ):
            number = fused(l, op, 2)
            at_b = <int32_t><uint32_t>second.value
        elif second.kind == IN_CONST:
            number = -1
        else:
            number = fused(l, op, 0)
            if number >= 0:
                at_b = entry_slot(l, second, height_b)
        if number >= 0:
            pos = emit_fused(l, number, at_b)
            result(l, pos, 5, o.result, -1)
            return
        a = 2
        to_register(l)
    elif first.kind == IN_CONST:
        a = 1
        wide = first.value
        at_a = <int32_t><uint32_t>first.value
    else:
        at_a = entry_slot(l, first, height_a)
    if a != 2 and in_register(l, second, height_b, o.operand):
        if a == 0:
            number = fused(l, op, 0 if o.commutative else 1)
            if number >= 0:
                pos = emit_fused(l, number, at_a)
                result(l, pos, 5, o.result, -1)
                return
        b = 2
        to_register(l)
    elif second.kind == IN_CONST:
        b = 1
        wide = second.value
        at_b = <int32_t><uint32_t>second.value
    else:
        at_b = entry_slot(l, second, height_b)
    if (a == 1 or b == 1) and o.wide:
        pos = emit(l, o.family + 2 * combo(a, b), 8)
        (<cell_u64*>(l.code + pos + 6))[0] = wide
    else:
        pos = emit(l, o.family + 2 * combo(a, b), 6)
    l.code[pos + 2] = at_a
    l.code[pos + 3] = at_b
    if traps(op):
        may_trap(l, pos)
    result(l, pos, 4, o.result, op)
