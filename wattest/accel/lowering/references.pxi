# Typed references: tests, casts, branches on them, calls through them.

cdef int32_t asked(Low* l, RType** type_, bint nullable) noexcept nogil:
    """Read a heap type: what `is_a` has to ask."""
    cdef int64_t code = leb_s(&l.p)
    cdef int32_t found
    type_[0] = NULL
    if code >= 0:
        type_[0] = l.m.types[code]
        found = IS_FUNC_TYPE if type_[0].kind == KIND_FUNC_TYPE else IS_TYPE
    elif code == -0x13:
        found = IS_EQ
    elif code == -0x14:
        found = IS_I31
    elif code == -0x15:
        found = IS_STRUCT
    elif code == -0x16:
        found = IS_ARRAY
    elif -0x0F <= code <= -0x0C:
        # none, noextern, nofunc, noexn
        found = IS_NONE
    else:
        found = IS_TOP
    return found + (256 if nullable else 0)

cdef int32_t peek_slot(Low* l) noexcept nogil:
    """The slot of the topmost operand, which stays where it is."""
    cdef Entry* e
    if l.height <= 0:
        l.failed = True
        return 0
    e = &l.stack[l.height - 1]
    if e.kind == IN_CONST:
        settle(l, l.height - 1)
    return entry_slot(l, e, l.height - 1)

cdef void lower_test(Low* l, bint nullable) noexcept nogil:
    cdef RType* t
    cdef int32_t what = asked(l, &t, nullable)
    cdef Entry* e = pop(l)
    cdef int32_t source = entry_slot(l, e, l.height)
    cdef int32_t pos = emit(l, H_IS_A, 8)
    l.code[pos + 2] = source
    l.code[pos + 4] = what
    (<cell_type*>(l.code + pos + 6))[0] = t
    result(l, pos, 3, 1, -1)

cdef void lower_cast(Low* l, bint nullable) noexcept nogil:
    cdef RType* t
    cdef int32_t what = asked(l, &t, nullable)
    cdef int32_t source = peek_slot(l)
    cdef int32_t pos = emit(l, H_CAST, 6)
    l.code[pos + 2] = source
    l.code[pos + 3] = what
    (<cell_type*>(l.code + pos + 4))[0] = t
    may_trap(l, pos)

cdef void lower_non_null(Low* l) noexcept nogil:
    cdef int32_t source = peek_slot(l)
    cdef int32_t pos = emit(l, H_NON_NULL, 4)
    l.code[pos + 2] = source
    may_trap(l, pos)

cdef int32_t branch_cell(Low* l, int32_t family, int32_t source, int32_t left) noexcept nogil:
    """A cell that branches on a slot, or, where that is negative, on the register; the position
    of its edge. The cost of going on instead, with `left` operands, is opened, as `branch_on`
    does."""
    cdef int32_t pos
    if source >= 0:
        pos = emit(l, family, 8)
        l.code[pos + 2] = source
    else:
        pos = emit(l, family + 1, 8)
    close_sites(l)
    open_site(l, pos + 6)
    edge_to(l, pos + 5, here(l))
    note_edge(l, pos + 5, left, 0, 0, <int32_t>l.length)
    return pos + 4

cdef void branch_to(
    Low* l, uint32_t depth, int32_t yes, int32_t no, int32_t source, int32_t left
) noexcept nogil:
    """Branch to a label, whose values are on top and settled, or go on with `left` operands."""
    cdef Label* b = label(l, depth)
    cdef int32_t count = arity(b)
    cdef int32_t edge
    cdef int32_t pos
    if count == 0 or l.height - count == b.height:
        edge = branch_cell(l, yes, source, left)
        connect(l, b, edge, True)
        return
    # As `lower_br_if`: around the moves.
    edge = branch_cell(l, no, source, left)
    skip_site(l, edge + 2)
    move_values(l, b)
    pos = emit(l, H_BR, 4)
    connect(l, b, pos + 2, True)
    l.code[edge] = <int32_t>l.length - edge
    edge_to(l, edge, here(l))
    note_edge(l, edge, left, 0, 0, <int32_t>l.length)
    open_site(l, edge + 1)
    barrier(l)

cdef void lower_br_on_null(Low* l, uint32_t depth) noexcept nogil:
    """The reference is dropped where the branch is taken."""
    cdef int32_t source = peek_slot(l)
    cdef Entry* e = pop(l)
    cdef Entry saved = e[0]
    settle_top(l, arity(label(l, depth)))
    branch_to(l, depth, H_BR_I64_EQZ, H_BR_I64_NEZ, source, l.height + 1)
    if saved.kind == IN_LOCAL:
        push_local(l, saved.local)
    else:
        push_slot(l)

cdef void lower_br_on_non_null(Low* l, uint32_t depth) noexcept nogil:
    """The reference is dropped where the branch is not taken."""
    settle_top(l, arity(label(l, depth)))
    branch_to(
        l, depth, H_BR_I64_NEZ, H_BR_I64_EQZ, slot_of(l, l.height - 1), l.height - 1
    )
    pop(l)

cdef void lower_br_on_cast(Low* l, bint fail) noexcept nogil:
    cdef uint8_t flags = l.p[0]
    cdef RType* t
    cdef uint32_t depth
    cdef int32_t pos
    cdef int32_t what
    l.p += 1
    depth = <uint32_t>leb_u(&l.p)
    leb_s(&l.p)
    what = asked(l, &t, flags & 2)
    settle_top(l, arity(label(l, depth)))
    pos = emit(l, H_IS_A_R, 8)
    l.code[pos + 2] = slot_of(l, l.height - 1)
    l.code[pos + 4] = what
    (<cell_type*>(l.code + pos + 6))[0] = t
    if fail:
        branch_to(l, depth, H_BR_I32_EQZ, H_BR_I32_NEZ, -1, l.height)
    else:
        branch_to(l, depth, H_BR_I32_NEZ, H_BR_I32_EQZ, -1, l.height)

cdef void lower_call_ref(Low* l, bint tail) noexcept nogil:
    cdef uint32_t type_index = <uint32_t>leb_u(&l.p)
    cdef int32_t params = <int32_t>l.m.type_params[type_index]
    cdef Entry* e = pop(l)
    cdef Entry saved = e[0]
    cdef int32_t height = l.height
    cdef int32_t source
    cdef int32_t pos
    source = entry_slot(l, &saved, height)
    settle_top(l, params)
    pos = emit(l, H_RETURN_CALL_REF if tail else H_CALL_REF, 10)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - params)
    l.code[pos + 8] = source
    l.code[pos + 9] = <int32_t>l.func.slots
    may_trap(l, pos)
    note_call(l, pos, l.height - params)
    if tail:
        past_here(l, pos)
    pop_to(l, l.height - params)
    push_slots(l, <int32_t>l.m.type_results[type_index], l.m.wide_results[type_index])
    if tail:
        emit_return(l)
