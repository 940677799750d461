# The operand stack as it is known while lowering: slots, locals, constants.

cdef inline int32_t slot_of(Low* l, int32_t height) noexcept nogil:
    return l.first + height

cdef void push_slot(Low* l) noexcept nogil:
    cdef Entry* e
    if l.height >= l.capacity:
        l.failed = True
        return
    e = &l.stack[l.height]
    e.kind = IN_SLOT
    e.wide = False
    l.height += 1

cdef void push_slots(Low* l, int32_t count, const uint8_t* wide) noexcept nogil:
    """Push slots; `wide` tells which are second halves of vectors, NULL that none is."""
    cdef int32_t i
    for i in range(count):
        push_slot(l)
        if wide != NULL and wide[i] and not l.failed:
            l.stack[l.height - 1].wide = True

cdef void push_const(Low* l, uint64_t value) noexcept nogil:
    if l.height >= l.capacity:
        l.failed = True
        return
    l.stack[l.height].kind = IN_CONST
    l.stack[l.height].value = value
    l.stack[l.height].wide = False
    l.height += 1

cdef void push_local(Low* l, uint32_t local) noexcept nogil:
    cdef Entry* e
    if l.height >= l.capacity:
        l.failed = True
        return
    e = &l.stack[l.height]
    e.kind = IN_LOCAL
    e.local = local
    e.wide = False
    e.chain = l.chains[local]
    l.chains[local] = l.height
    l.height += 1

cdef inline Entry* pop(Low* l) noexcept nogil:
    """The operand; it stays readable until the next push."""
    cdef Entry* e
    if l.height <= 0:
        l.failed = True
        return &l.stack[0]
    l.height -= 1
    if l.mark > l.height:
        l.mark = l.height
    e = &l.stack[l.height]
    if e.kind == IN_LOCAL:
        l.chains[e.local] = e.chain
    return e

cdef void pop_to(Low* l, int32_t height) noexcept nogil:
    while l.height > height:
        pop(l)

cdef void load_const(Low* l, int32_t slot, uint64_t value) noexcept nogil:
    cdef int32_t pos
    if value >> 32 == 0:
        pos = emit(l, H_CONST32, 4)
        l.code[pos + 2] = <int32_t><uint32_t>value
        l.code[pos + 3] = slot
        l.last_dst = pos + 3
    else:
        pos = emit(l, H_CONST64, 6)
        l.code[pos + 2] = slot
        (<cell_u64*>(l.code + pos + 4))[0] = value
        l.last_dst = pos + 2
    l.last_slot = slot

cdef void copy_slot(Low* l, int32_t source, int32_t target) noexcept nogil:
    cdef int32_t pos
    if source == target:
        return
    if l.last >= 0 and l.last_id == H_COPY:
        # Two moves in one.
        pos = l.last
        l.length += 2
        if l.length + 16 > l.room:
            l.length -= 2
            pos = emit(l, H_COPY, 4)
            l.code[pos + 2] = source
            l.code[pos + 3] = target
            return
        l.code[pos] = H_COPY2
        l.code[pos + 1] = 6
        l.code[pos + 4] = source
        l.code[pos + 5] = target
        l.last_id = H_COPY2
        l.last_slot = -1
        l.last_dst = -1
        return
    pos = emit(l, H_COPY, 4)
    l.code[pos + 2] = source
    l.code[pos + 3] = target

cdef int32_t entry_slot(Low* l, Entry* e, int32_t height) noexcept nogil:
    """A slot that holds this operand, which has been popped from `height`."""
    if e.kind == IN_LOCAL:
        return <int32_t>e.local
    if e.kind == IN_CONST:
        load_const(l, slot_of(l, height), e.value)
    return slot_of(l, height)

cdef void settle(Low* l, int32_t height) noexcept nogil:
    """Bring the operand at that height into its slot; it is not the chain's middle."""
    cdef Entry* e = &l.stack[height]
    if e.kind == IN_LOCAL:
        copy_slot(l, <int32_t>e.local, slot_of(l, height))
        if l.chains[e.local] == height:
            l.chains[e.local] = e.chain
        else:
            unchain(l, e.local, height)
    elif e.kind == IN_CONST:
        load_const(l, slot_of(l, height), e.value)
    e.kind = IN_SLOT

cdef void unchain(Low* l, uint32_t local, int32_t height) noexcept nogil:
    """Take an operand out of the middle of its local's chain: settle the whole chain."""
    cdef int32_t at = l.chains[local]
    cdef Entry* e
    while at >= 0:
        e = &l.stack[at]
        if at != height:
            copy_slot(l, <int32_t>local, slot_of(l, at))
        e.kind = IN_SLOT
        at = e.chain
    l.chains[local] = -1

cdef void settle_local(Low* l, uint32_t local) noexcept nogil:
    """The local is about to change: read it for every operand that stands for it."""
    cdef int32_t at = l.chains[local]
    while at >= 0:
        copy_slot(l, <int32_t>local, slot_of(l, at))
        l.stack[at].kind = IN_SLOT
        at = l.stack[at].chain
    l.chains[local] = -1

cdef void settle_top(Low* l, int32_t count) noexcept nogil:
    cdef int32_t i
    for i in range(l.height - count, l.height):
        if i < 0:
            l.failed = True
            return
        settle(l, i)

cdef void flush_locals(Low* l) noexcept nogil:
    """A block begins, in which locals may change on one way only."""
    cdef int32_t i
    for i in range(l.mark, l.height):
        if l.stack[i].kind == IN_LOCAL:
            settle(l, i)
    l.mark = l.height

cdef inline bint in_register(Low* l, Entry* e, int32_t height, int32_t kind) noexcept nogil:
    """Whether the operand is what the cell before made, of a class that has a register."""
    return (
        e.kind == IN_SLOT and l.last >= 0 and l.last_class == kind
        and l.last_slot == slot_of(l, height)
    )

cdef inline void to_register(Low* l) noexcept nogil:
    """Have the cell before leave its result in the register."""
    l.code[l.last] = l.last_id + 1


# Instructions

cdef void result(Low* l, int32_t pos, int32_t dst, int32_t kind, int32_t op) noexcept nogil:
    """The cell at `pos` writes the slot of the height; push it."""
    l.code[pos + dst] = slot_of(l, l.height)
    l.last_dst = pos + dst
    l.last_slot = slot_of(l, l.height)
    l.last_class = kind
    l.last_op = op
    push_slot(l)
