# Loads and stores.

cdef void read_memarg(Low* l, uint32_t* memory, uint64_t* offset) noexcept nogil:
    cdef uint64_t flags = leb_u(&l.p)
    memory[0] = 0
    if flags & 0x40:
        memory[0] = <uint32_t>leb_u(&l.p)
    offset[0] = leb_u(&l.p)

cdef void lower_load(Low* l, int32_t op) noexcept nogil:
    cdef OpInfo* o = &OPS[op]
    cdef uint32_t memory
    cdef uint64_t offset
    cdef Entry* e
    cdef int32_t pos
    cdef int32_t source = 0
    cdef int32_t mode = 0
    cdef int32_t number
    read_memarg(l, &memory, &offset)
    e = pop(l)
    if memory or l.m.mem64[memory]:
        source = entry_slot(l, e, l.height)
        pos = emit(l, o.other, 8)
        l.code[pos + 2] = source
        l.code[pos + 4] = <int32_t>memory
        (<cell_u64*>(l.code + pos + 6))[0] = offset
        may_trap(l, pos)
        result(l, pos, 3, 0, op)
        return
    if in_register(l, e, l.height, 1):
        number = fused(l, op, 0)
        if number >= 0:
            pos = emit_fused(l, number, <int32_t><uint32_t>offset)
            may_trap(l, pos)
            result(l, pos, 5, o.result, -1)
            return
        to_register(l)
        mode = 1
    elif e.kind == IN_CONST:
        mode = 2
        source = <int32_t><uint32_t>e.value
    else:
        source = entry_slot(l, e, l.height)
    pos = emit(l, o.family + 2 * mode, 6)
    l.code[pos + 2] = source
    l.code[pos + 4] = <int32_t><uint32_t>offset
    may_trap(l, pos)
    result(l, pos, 3, o.result, op)

cdef void mark(Low* l, int32_t at, uint32_t memory, int32_t width, uint64_t offset) noexcept nogil:
    """Before a store that does not do so itself: note what it is going to write, if that is wanted.

    `at` is the slot of the address. In code that notes what it writes, every store must be one that
    calls `note_store` itself or come behind such a cell."""
    cdef int32_t pos
    if not l.inst.tracked:
        return
    pos = emit(l, H_MARK, 8)
    l.code[pos + 2] = at
    l.code[pos + 3] = <int32_t>memory
    l.code[pos + 4] = width + (256 if l.m.mem64[memory] else 0)
    (<cell_u64*>(l.code + pos + 6))[0] = offset

cdef void lower_store(Low* l, int32_t op) noexcept nogil:
    cdef OpInfo* o = &OPS[op]
    cdef uint32_t memory
    cdef uint64_t offset
    cdef Entry* value
    cdef Entry* address
    cdef int32_t pos
    cdef int32_t at_a = 0
    cdef int32_t at_b = 0
    cdef int32_t a = 0
    cdef int32_t b = 0
    cdef int32_t which
    cdef uint64_t wide = 0
    read_memarg(l, &memory, &offset)
    value = pop(l)
    address = pop(l)
    if memory or l.m.mem64[memory]:
        at_a = entry_slot(l, address, l.height)
        at_b = entry_slot(l, value, l.height + 1)
        mark(l, at_a, memory, o.width, offset)
        pos = emit(l, o.other, 8)
        l.code[pos + 2] = at_a
        l.code[pos + 3] = at_b
        l.code[pos + 4] = <int32_t>memory
        (<cell_u64*>(l.code + pos + 6))[0] = offset
        may_trap(l, pos)
        return
    if in_register(l, address, l.height, 1):
        if value.kind != IN_CONST:
            which = fused(l, op, 0)
            if which >= 0:
                at_b = entry_slot(l, value, l.height + 1)
                which += 1 if l.inst.tracked else 0
                pos = emit_fused(l, which, <int32_t><uint32_t>offset)
                l.code[pos + 5] = at_b
                may_trap(l, pos)
                return
        a = 2
        to_register(l)
    elif address.kind == IN_CONST:
        a = 1
        at_a = <int32_t><uint32_t>address.value
    else:
        at_a = entry_slot(l, address, l.height)
    if a != 2 and in_register(l, value, l.height + 1, o.operand):
        b = 2
        to_register(l)
    elif value.kind == IN_CONST:
        b = 1
        wide = value.value
        at_b = <int32_t><uint32_t>wide
    else:
        at_b = entry_slot(l, value, l.height + 1)
    # ss si sr rs ri is ii ir
    if a == 0:
        which = 0 if b == 0 else 1 if b == 1 else 2
    elif a == 2:
        which = 3 if b == 0 else 4
    else:
        which = 5 if b == 0 else 6 if b == 1 else 7
    if l.inst.tracked:
        which += TRACKED
    pos = emit(l, o.family + which, 8 if b == 1 and o.wide else 6)
    if b == 1 and o.wide:
        (<cell_u64*>(l.code + pos + 6))[0] = wide
    l.code[pos + 2] = at_a
    l.code[pos + 3] = at_b
    l.code[pos + 4] = <int32_t><uint32_t>offset
    may_trap(l, pos)
