# `local.set`, `select`, globals.

cdef void lower_local_get(Low* l, uint32_t local) noexcept nogil:
    cdef int32_t place = 2 * <int32_t>local if l.places == NULL else l.places[local]
    push_local(l, <uint32_t>(place >> 1))
    if place & 1:
        push_local(l, <uint32_t>(place >> 1) + 1)
        if not l.failed:
            l.stack[l.height - 1].wide = True

cdef void lower_local_set(Low* l, uint32_t local, bint tee) noexcept nogil:
    cdef Entry* e
    cdef Entry saved
    if l.places != NULL:
        local = <uint32_t>l.places[local]
        if local & 1:
            set_vector_local(l, local >> 1, tee)
            return
        local >>= 1
    e = pop(l)
    saved = e[0]
    if saved.kind == IN_LOCAL and saved.local == local:
        pass
    else:
        if l.chains[local] >= 0:
            settle_local(l, local)
        if saved.kind == IN_CONST:
            load_const(l, <int32_t>local, saved.value)
            l.last_slot = -1
        elif saved.kind == IN_LOCAL:
            copy_slot(l, <int32_t>saved.local, <int32_t>local)
        elif l.last >= 0 and l.last_dst >= 0 and l.last_slot == slot_of(l, l.height):
            l.code[l.last_dst] = <int32_t>local
            l.last_slot = -1
        else:
            copy_slot(l, slot_of(l, l.height), <int32_t>local)
    if tee:
        push_local(l, local)

cdef int32_t fused_select(Low* l) noexcept nogil:
    """The cell that compares as the cell before and selects, or -1."""
    cdef int32_t op = l.last_op
    cdef int32_t which
    if op < 0 or OPS[op].shape != 2:
        return -1
    which = (l.last_id - OPS[op].family) >> 1
    if which > 1:
        return -1
    if which == 1 and OPS[op].wide:
        if <int64_t>(<cell_i64*>(l.code + l.last + 6))[0] != l.code[l.last + 3]:
            return -1
    return SELECTS[2 * op + which]

cdef void lower_fused_select(Low* l, int32_t number, int32_t x, int32_t y) noexcept nogil:
    cdef int32_t a = l.code[l.last + 2]
    cdef int32_t b = l.code[l.last + 3]
    cdef int32_t pos
    l.length = <size_t>l.last
    pos = emit(l, number, 8)
    l.before = -1
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    l.code[pos + 4] = x
    l.code[pos + 5] = y
    result(l, pos, 6, 0, -1)

cdef void lower_select(Low* l) noexcept nogil:
    cdef Entry* e = pop(l)
    cdef Entry third = e[0]
    cdef Entry second
    cdef Entry first
    cdef int32_t a
    cdef int32_t b
    cdef int32_t k
    cdef int32_t pos
    if l.height and l.stack[l.height - 1].wide:
        select_vectors(l, &third)
        return
    e = pop(l)
    second = e[0]
    e = pop(l)
    first = e[0]
    a = entry_slot(l, &first, l.height)
    b = entry_slot(l, &second, l.height + 1)
    if in_register(l, &third, l.height + 2, 1):
        k = fused_select(l)
        if k >= 0:
            lower_fused_select(l, k, a, b)
            return
        to_register(l)
        pos = emit(l, H_SELECT_R, 6)
    else:
        k = entry_slot(l, &third, l.height + 2)
        pos = emit(l, H_SELECT, 6)
        l.code[pos + 4] = k
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    result(l, pos, 5, 0, -1)

cdef void lower_global_get(Low* l, uint32_t index) noexcept nogil:
    cdef int32_t kind = l.m.global_class[index]
    cdef int32_t pos = emit(l, H_GLOBAL_GET_V if kind == 8 else H_GLOBAL_GET, 6)
    (<cell_slot*>(l.code + pos + 2))[0] = l.inst.globals[index]
    if kind == 8:
        vector_result(l, pos, 4)
        return
    result(l, pos, 4, 1 if kind == 1 else 0, -1)

cdef void lower_global_set(Low* l, uint32_t index) noexcept nogil:
    cdef int32_t kind = l.m.global_class[index]
    cdef Entry* e
    cdef int32_t pos
    cdef int32_t source = 0
    if kind == 8:
        source = vector_operand(l)
        pos = emit(l, H_GLOBAL_SET_V, 6)
        (<cell_slot*>(l.code + pos + 2))[0] = l.inst.globals[index]
        l.code[pos + 4] = source
        return
    e = pop(l)
    if in_register(l, e, l.height, kind):
        to_register(l)
        pos = emit(l, H_GLOBAL_SET + kind, 6)
    else:
        source = entry_slot(l, e, l.height)
        pos = emit(l, H_GLOBAL_SET, 6)
    (<cell_slot*>(l.code + pos + 2))[0] = l.inst.globals[index]
    l.code[pos + 4] = source
