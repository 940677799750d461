# Vectors: two slots each, of which both are operands to what is said of one elsewhere.

cdef int32_t vector_operand(Low* l) noexcept nogil:
    """Pop a vector; the first of the two slots that hold it."""
    cdef Entry* e = pop(l)
    cdef Entry high = e[0]
    cdef Entry low
    cdef int32_t pos
    e = pop(l)
    low = e[0]
    if low.kind == IN_SLOT and high.kind == IN_SLOT:
        return slot_of(l, l.height)
    if low.kind == IN_LOCAL and high.kind == IN_LOCAL and high.local == low.local + 1:
        return <int32_t>low.local
    if low.kind == IN_CONST and high.kind == IN_CONST:
        pos = emit(l, H_CONST_V, 8)
        l.code[pos + 2] = slot_of(l, l.height)
        (<cell_u64*>(l.code + pos + 4))[0] = low.value
        (<cell_u64*>(l.code + pos + 6))[0] = high.value
        return slot_of(l, l.height)
    # One half has been read from its local already, as another one changed.
    if low.kind == IN_LOCAL:
        copy_slot(l, <int32_t>low.local, slot_of(l, l.height))
    elif low.kind == IN_CONST:
        load_const(l, slot_of(l, l.height), low.value)
    if high.kind == IN_LOCAL:
        copy_slot(l, <int32_t>high.local, slot_of(l, l.height + 1))
    elif high.kind == IN_CONST:
        load_const(l, slot_of(l, l.height + 1), high.value)
    return slot_of(l, l.height)

cdef void vector_result(Low* l, int32_t pos, int32_t dst) noexcept nogil:
    """The cell at `pos` writes the two slots from the height on; push them."""
    result(l, pos, dst, 0, -1)
    push_slot(l)
    if not l.failed:
        l.stack[l.height - 1].wide = True

cdef void set_vector_local(Low* l, uint32_t local, bint tee) noexcept nogil:
    """`local.set` or `local.tee` of a local in two slots."""
    cdef int32_t source
    cdef int32_t pos
    if l.height < 2:
        l.failed = True
        return
    # The value's own operands do not stand for the local: what is read later is settled first.
    if l.chains[local] >= l.height - 2 or l.chains[local + 1] >= l.height - 2:
        settle_top(l, 2)
    if l.chains[local] >= 0:
        settle_local(l, local)
    if l.chains[local + 1] >= 0:
        settle_local(l, local + 1)
    if (
        l.stack[l.height - 2].kind == IN_SLOT and l.last >= 0 and l.last_dst >= 0
        and l.last_slot == slot_of(l, l.height - 2)
    ):
        pop(l)
        pop(l)
        l.code[l.last_dst] = <int32_t>local
        l.last_slot = -1
    elif l.stack[l.height - 1].kind == IN_CONST and l.stack[l.height - 2].kind == IN_CONST:
        pos = emit(l, H_CONST_V, 8)
        l.code[pos + 2] = <int32_t>local
        (<cell_u64*>(l.code + pos + 4))[0] = l.stack[l.height - 2].value
        (<cell_u64*>(l.code + pos + 6))[0] = l.stack[l.height - 1].value
        pop(l)
        pop(l)
    else:
        source = vector_operand(l)
        copy_slot(l, source, <int32_t>local)
        copy_slot(l, source + 1, <int32_t>local + 1)
    if tee:
        push_local(l, local)
        push_local(l, local + 1)
        if not l.failed:
            l.stack[l.height - 1].wide = True

cdef void select_vectors(Low* l, Entry* condition) noexcept nogil:
    """`select` between vectors; the condition has been popped."""
    cdef int32_t a
    cdef int32_t b
    cdef int32_t k = entry_slot(l, condition, l.height)
    cdef int32_t pos
    b = vector_operand(l)
    a = vector_operand(l)
    pos = emit(l, H_SELECT_V, 6)
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    l.code[pos + 4] = k
    vector_result(l, pos, 5)

cdef void lower_vector_memory(Low* l, VectorInfo* v) noexcept nogil:
    """A load, or a store."""
    cdef uint32_t memory
    cdef uint64_t offset
    cdef int32_t lane = 0
    cdef int32_t source = 0
    cdef int32_t at = 0
    cdef int32_t number
    cdef int32_t pos
    cdef Entry* e
    cdef bint away
    read_memarg(l, &memory, &offset)
    if v.lanes:
        lane = l.p[0]
        l.p += 1
    away = memory or l.m.mem64[memory]
    if v.operands > 1:
        source = vector_operand(l)
    e = pop(l)
    if away:
        at = entry_slot(l, e, l.height)
        if not v.result:
            mark(l, at, memory, v.width, offset)
        pos = emit(l, v.far, 10)
        l.code[pos + 5] = <int32_t>memory
        (<cell_u64*>(l.code + pos + 8))[0] = offset
    else:
        number = v.family + (2 if l.inst.tracked and not v.result else 0)
        if in_register(l, e, l.height, 1):
            to_register(l)
            pos = emit(l, number + 1, 8)
        else:
            at = entry_slot(l, e, l.height)
            pos = emit(l, number, 8)
        l.code[pos + 5] = <int32_t><uint32_t>offset
    l.code[pos + 2] = at
    l.code[pos + 3] = source
    l.code[pos + 6] = lane
    may_trap(l, pos)
    if v.result:
        vector_result(l, pos, 4)

cdef void lower_vector(Low* l) noexcept nogil:
    cdef uint64_t sub = leb_u(&l.p)
    cdef VectorInfo* v
    cdef int32_t at[3]
    cdef int32_t i
    cdef int32_t pos
    cdef int32_t size
    cdef Entry* e
    if sub == 0x0C:
        push_const(l, ld64(l.p))
        push_const(l, ld64(l.p + 8))
        l.p += 16
        if not l.failed:
            l.stack[l.height - 1].wide = True
        return
    if sub >= 0x120 or VECTORS[sub].operands == 0:
        l.failed = True
        return
    v = &VECTORS[sub]
    if v.width:
        lower_vector_memory(l, v)
        return
    i = v.operands
    while i:
        i -= 1
        if v.mask >> i & 1:
            at[i] = vector_operand(l)
        else:
            e = pop(l)
            at[i] = entry_slot(l, e, l.height)
    size = 3 + v.operands + (1 if v.lanes == 1 else 4 if v.lanes == 2 else 0)
    pos = emit(l, v.family, size + (size & 1))
    for i in range(v.operands):
        l.code[pos + 2 + i] = at[i]
    if v.lanes == 1:
        l.code[pos + 3 + v.operands] = l.p[0]
        l.p += 1
    elif v.lanes == 2:
        memcpy(l.code + pos + 3 + v.operands, l.p, 16)
        l.p += 16
    if v.result == 8:
        vector_result(l, pos, 2 + v.operands)
    else:
        result(l, pos, 2 + v.operands, v.result, -1)
