# The instructions behind the prefix 0xFB: structures, arrays, i31, casts.

cdef void made(Low* l, int32_t number, RType* t, int32_t operands, int32_t size) noexcept nogil:
    """A cell that makes an object of the topmost operands."""
    cdef int32_t pos
    settle_top(l, operands)
    pos = emit(l, number, size)
    l.code[pos + 2] = slot_of(l, l.height - operands)
    (<cell_type*>(l.code + pos + 4))[0] = t
    may_trap(l, pos)
    note_cell(l, pos)
    pop_to(l, l.height - operands)
    result(l, pos, 3, 0, -1)

cdef void got(Low* l, int32_t pos, int32_t dst, int32_t kind) noexcept nogil:
    """The cell at `pos` reads a field or an element."""
    may_trap(l, pos)
    if kind == SLOT_WIDE:
        vector_result(l, pos, dst)
    else:
        result(l, pos, dst, 0 if kind == SLOT_FLOAT else 1, -1)

cdef void lower_struct(Low* l, uint32_t sub) noexcept nogil:
    cdef RType* t = l.m.types[leb_u(&l.p)]
    cdef uint32_t place
    cdef int32_t kind
    cdef int32_t number
    cdef int32_t value
    cdef int32_t source
    cdef int32_t pos
    cdef Entry* e
    if sub == 0:
        made(l, H_STRUCT_NEW, t, <int32_t>t.slots, 6)
        return
    if sub == 1:
        made(l, H_STRUCT_NEW_DEFAULT, t, 0, 6)
        return
    place = t.places[leb_u(&l.p)]
    kind = t.map[place]
    if sub == 5:
        if kind == SLOT_WIDE:
            value = vector_operand(l)
        else:
            e = pop(l)
            value = entry_slot(l, e, l.height)
        e = pop(l)
        source = entry_slot(l, e, l.height)
        number = H_STRUCT_SET
        if kind == SLOT_WIDE:
            number = H_STRUCT_SET_V
        elif kind == SLOT_8:
            number = H_STRUCT_SET_8
        elif kind == SLOT_16:
            number = H_STRUCT_SET_16
        pos = emit(l, number, 6)
        l.code[pos + 2] = source
        l.code[pos + 3] = value
        l.code[pos + 4] = <int32_t>place
        may_trap(l, pos)
        return
    e = pop(l)
    source = entry_slot(l, e, l.height)
    number = H_STRUCT_GET
    if kind == SLOT_WIDE:
        number = H_STRUCT_GET_V
    elif sub == 3:
        number = H_STRUCT_GET_8S if kind == SLOT_8 else H_STRUCT_GET_16S
    pos = emit(l, number, 6)
    l.code[pos + 2] = source
    l.code[pos + 4] = <int32_t>place
    got(l, pos, 3, kind)

cdef void lower_array_new(Low* l, uint32_t sub) noexcept nogil:
    cdef RType* t = l.m.types[leb_u(&l.p)]
    cdef int32_t width = 2 if t.size == 16 else 1
    cdef int32_t count
    if sub == 6:
        made(l, H_ARRAY_NEW, t, width + 1, 6)
    elif sub == 7:
        made(l, H_ARRAY_NEW_DEFAULT, t, 1, 6)
    else:
        count = <int32_t>leb_u(&l.p)
        if sub == 8:
            made(l, H_ARRAY_NEW_FIXED, t, count * width, 8)
        else:
            made(l, H_ARRAY_NEW_DATA if sub == 9 else H_ARRAY_NEW_ELEM, t, 2, 8)
        if l.last >= 0:
            l.code[l.last + 6] = count

cdef void lower_array_access(Low* l, uint32_t sub) noexcept nogil:
    """`array.get` and its like, `array.set`."""
    cdef RType* t = l.m.types[leb_u(&l.p)]
    cdef int32_t kind = t.map[0]
    cdef int32_t value = 0
    cdef int32_t at
    cdef int32_t source
    cdef int32_t number
    cdef int32_t pos
    cdef Entry* e
    if sub == 0x0E:
        if kind == SLOT_WIDE:
            value = vector_operand(l)
        else:
            e = pop(l)
            value = entry_slot(l, e, l.height)
    e = pop(l)
    at = entry_slot(l, e, l.height)
    e = pop(l)
    source = entry_slot(l, e, l.height)
    if sub == 0x0E:
        number = (
            H_ARRAY_SET_8 if t.size == 1 else H_ARRAY_SET_16 if t.size == 2
            else H_ARRAY_SET_32 if t.size == 4 else H_ARRAY_SET_64 if t.size == 8
            else H_ARRAY_SET_V
        )
    elif sub == 0x0C:
        number = H_ARRAY_GET_8S if t.size == 1 else H_ARRAY_GET_16S
    else:
        number = (
            H_ARRAY_GET_8U if t.size == 1 else H_ARRAY_GET_16U if t.size == 2
            else H_ARRAY_GET_32 if t.size == 4 else H_ARRAY_GET_64 if t.size == 8
            else H_ARRAY_GET_V
        )
    pos = emit(l, number, 6)
    l.code[pos + 2] = source
    l.code[pos + 3] = at
    l.code[pos + 4] = value
    if sub == 0x0E:
        may_trap(l, pos)
    else:
        got(l, pos, 4, kind)

cdef void lower_aggregate(Low* l) noexcept nogil:
    cdef uint32_t sub = <uint32_t>leb_u(&l.p)
    cdef RType* t
    cdef int32_t pos
    cdef int32_t source
    cdef int32_t number
    cdef Entry* e
    if sub <= 5:
        lower_struct(l, sub)
    elif sub <= 0x0A:
        lower_array_new(l, sub)
    elif sub <= 0x0E:
        lower_array_access(l, sub)
    elif sub == 0x0F:
        e = pop(l)
        source = entry_slot(l, e, l.height)
        pos = emit(l, H_ARRAY_LEN, 4)
        l.code[pos + 2] = source
        may_trap(l, pos)
        result(l, pos, 3, 1, -1)
    elif sub == 0x10:
        t = l.m.types[leb_u(&l.p)]
        simple(l, H_ARRAY_FILL, 4, 5 if t.size == 16 else 4, 0)
    elif sub == 0x11:
        leb_u(&l.p)
        leb_u(&l.p)
        simple(l, H_ARRAY_COPY, 4, 5, 0)
    elif sub == 0x12 or sub == 0x13:
        leb_u(&l.p)
        pos = simple(l, H_ARRAY_INIT_DATA if sub == 0x12 else H_ARRAY_INIT_ELEM, 4, 4, 0)
        l.code[pos + 3] = <int32_t>leb_u(&l.p)
    elif sub == 0x14 or sub == 0x15:
        lower_test(l, sub == 0x15)
    elif sub == 0x16 or sub == 0x17:
        lower_cast(l, sub == 0x17)
    elif sub == 0x18 or sub == 0x19:
        lower_br_on_cast(l, sub == 0x19)
    elif sub == 0x1A or sub == 0x1B:
        # The two hierarchies have one form in slots.
        pass
    elif sub <= 0x1E:
        e = pop(l)
        source = entry_slot(l, e, l.height)
        number = H_I31_NEW if sub == 0x1C else H_I31_GET_S if sub == 0x1D else H_I31_GET_U
        pos = emit(l, number, 4)
        l.code[pos + 2] = source
        if sub != 0x1C:
            may_trap(l, pos)
        result(l, pos, 3, 0 if sub == 0x1C else 1, -1)
    else:
        l.failed = True
