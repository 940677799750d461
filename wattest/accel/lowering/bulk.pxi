# The instructions behind the prefix 0xFC: saturating conversions, bulk memory, tables, wide
# arithmetic.

cdef int32_t simple(Low* l, int32_t number, int32_t size, int32_t operands, int32_t pushes) noexcept nogil:
    """A cell whose operands stand in their own slots; returns its position.

    Its second word is the slot of the first operand, which is that of the result too."""
    cdef int32_t pos
    settle_top(l, operands)
    pos = emit(l, number, size)
    l.code[pos + 2] = slot_of(l, l.height - operands)
    may_trap(l, pos)
    note_cell(l, pos)
    pop_to(l, l.height - operands)
    if pushes:
        push_slot(l)
    return pos

cdef void lower_wide(Low* l, WideInfo* w) noexcept nogil:
    cdef int32_t at[4]
    cdef int32_t pos
    cdef int32_t i = w.operands
    cdef Entry* e
    while i:
        i -= 1
        e = pop(l)
        at[i] = entry_slot(l, e, l.height)
    pos = emit(l, w.family, 4 + w.operands)
    for i in range(w.operands):
        l.code[pos + 2 + i] = at[i]
    i = 2 + w.operands
    l.code[pos + i] = slot_of(l, l.height)
    push_slot(l)
    # `local.set` can change where the upper one goes.
    result(l, pos, i + 1, 0, -1)

cdef void lower_prefixed(Low* l) noexcept nogil:
    cdef uint32_t sub = <uint32_t>leb_u(&l.p)
    cdef int32_t pos
    cdef uint32_t x
    cdef uint32_t y = 0
    if sub < 8:
        lower_unary(l, 0x100 + <int32_t>sub)
        return
    if sub < WIDE_CODES and WIDE_OPS[sub].operands:
        lower_wide(l, &WIDE_OPS[sub])
        return
    x = <uint32_t>leb_u(&l.p)
    if sub == 8 or sub == 10 or sub == 12 or sub == 14:
        y = <uint32_t>leb_u(&l.p)
    if sub == 8:
        pos = simple(l, H_MEMORY_INIT, 6, 3, 0)
    elif sub == 9:
        pos = emit(l, H_DATA_DROP, 4)
        l.code[pos + 2] = <int32_t>x
        return
    elif sub == 10:
        pos = simple(l, H_MEMORY_COPY, 6, 3, 0)
    elif sub == 11:
        pos = simple(l, H_MEMORY_FILL, 4, 3, 0)
    elif sub == 12:
        pos = simple(l, H_TABLE_INIT, 6, 3, 0)
    elif sub == 13:
        pos = emit(l, H_ELEM_DROP, 4)
        l.code[pos + 2] = <int32_t>x
        return
    elif sub == 14:
        pos = simple(l, H_TABLE_COPY, 6, 3, 0)
    elif sub == 15:
        pos = simple(l, H_TABLE_GROW, 4, 2, 1)
    elif sub == 16:
        pos = emit(l, H_TABLE_SIZE, 6)
        (<cell_table*>(l.code + pos + 2))[0] = l.inst.tables[x]
        result(l, pos, 4, 0, -1)
        return
    else:
        pos = simple(l, H_TABLE_FILL, 4, 3, 0)
    l.code[pos + 3] = <int32_t>x
    if sub == 8 or sub == 10 or sub == 12 or sub == 14:
        l.code[pos + 4] = <int32_t>y
