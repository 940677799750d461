# Exceptions

cdef Try* region(
    Low* l, int32_t start, int32_t end, int32_t first, int32_t count, uint32_t opened
) noexcept nogil:
    """What lies between two places of the code is covered by these clauses, of the block that
    the instruction at a byte offset opened; NULL for want of memory."""
    cdef Try* t
    if l.ntries >= l.tries_room:
        if not more(<void**>&l.tries, &l.tries_room, l.ntries + 1, sizeof(Try)):
            l.failed = True
            return NULL
    t = &l.tries[l.ntries]
    t.start = start
    t.end = end
    t.first = first
    t.count = count
    t.opened = opened
    t.target = 0
    l.ntries += 1
    return t

cdef inline void past_here(Low* l, int32_t pos) noexcept nogil:
    """What the cell at `pos` calls runs in the place of this frame."""
    region(l, pos, <int32_t>l.length, 0, PAST_HERE, 0)

cdef void lower_throw(Low* l) noexcept nogil:
    cdef uint32_t tag = <uint32_t>leb_u(&l.p)
    cdef int32_t count = <int32_t>l.inst.tags[tag].slots
    cdef int32_t pos
    settle_top(l, count)
    pos = emit(l, H_THROW, 4)
    l.code[pos + 2] = slot_of(l, l.height - count)
    l.code[pos + 3] = <int32_t>tag
    may_trap(l, pos)
    close_sites(l)

cdef void lower_throw_ref(Low* l) noexcept nogil:
    cdef int32_t source = peek_slot(l)
    cdef int32_t pos = emit(l, H_THROW_REF, 4)
    l.code[pos + 2] = source
    may_trap(l, pos)
    close_sites(l)

cdef Clause* new_clause(Low* l) noexcept nogil:
    """One more clause, followed by the next; NULL for want of memory."""
    if l.nclauses >= l.clauses_room:
        if not more(<void**>&l.clauses, &l.clauses_room, l.nclauses + 1, sizeof(Clause)):
            l.failed = True
            return NULL
    l.clauses[l.nclauses].next = <int32_t>l.nclauses + 1
    l.nclauses += 1
    return &l.clauses[l.nclauses - 1]

cdef void lower_try_table(Low* l) noexcept nogil:
    """A block; before it stand the ways to the labels of its clauses, which are jumped over."""
    cdef BlockType t = read_blocktype(l)
    cdef uint32_t count = <uint32_t>leb_u(&l.p)
    cdef uint32_t i
    cdef uint32_t tag
    cdef uint32_t depth
    cdef uint8_t kind
    cdef int32_t around = -1
    cdef int32_t pos
    cdef int32_t first = <int32_t>l.nclauses
    cdef Label* b
    cdef Clause* clause
    settle_top(l, t.params)
    flush_locals(l)
    if count:
        around = emit(l, H_BR, 4) + 2
        l.code[around + 1] = 0
        edge_to(l, around, here(l))
    for i in range(count):
        kind = l.p[0]
        l.p += 1
        tag = 0
        if kind < 2:
            tag = <uint32_t>leb_u(&l.p)
        depth = <uint32_t>leb_u(&l.p)
        clause = new_clause(l)
        if clause == NULL:
            return
        b = label(l, depth)
        pos = emit(l, H_BR, 4)
        connect(l, b, pos + 2, True)
        clause.kind = kind
        clause.tag = l.inst.tags[tag] if kind < 2 else NULL
        clause.pos = pos
        clause.slot = slot_of(l, b.height)
    if count:
        l.code[around] = <int32_t>l.length - around
    barrier(l)
    b = push_label(l, KIND_BLOCK, &t)
    b.first = first
    b.clauses = <int32_t>count
    b.target = <int32_t>l.length


# The older instructions: a try whose handlers are parts of it, as the arms of an if are

cdef void lower_try(Low* l) noexcept nogil:
    cdef BlockType t = read_blocktype(l)
    cdef Label* b
    settle_top(l, t.params)
    flush_locals(l)
    barrier(l)
    b = push_label(l, KIND_TRY, &t)
    b.target = <int32_t>l.length

cdef void lower_catch(Low* l, bint all_, bint reachable) noexcept nogil:
    """End of the body or of a handler, and the beginning of a handler.

    The exception lies under what it carries, where `rethrow` finds it."""
    cdef Label* b = label(l, 0)
    cdef RType* tag = NULL
    cdef Clause* clause
    cdef int32_t pos
    cdef int32_t count = 0
    cdef int32_t i
    if not all_:
        tag = l.inst.tags[leb_u(&l.p)]
        count = <int32_t>tag.slots
    if reachable:
        jump_to_end(l, b)
    if b.kind == KIND_TRY:
        b.ended = <int32_t>l.length
        b.kind = KIND_HANDLER
    pop_to(l, b.height)
    clause = new_clause(l)
    if clause == NULL:
        return
    # The way in, which charges.
    pos = emit(l, H_BR, 4)
    l.code[pos + 2] = 2
    clause.kind = CLAUSE_UNDER
    clause.tag = tag
    clause.pos = pos
    clause.slot = slot_of(l, b.height)
    i = <int32_t>l.nclauses - 1
    if b.clauses:
        l.clauses[b.final].next = i
    else:
        b.first = i
    b.final = i
    b.clauses += 1
    edge_to(l, pos + 2, here(l))
    note_edge(l, pos + 2, b.height, 1 + count, slot_of(l, b.height), <int32_t>l.length)
    open_site(l, pos + 3)
    push_slot(l)
    for i in range(count):
        push_slot(l)
        # The map has a vector at the first of its two slots.
        if i and tag.map[i - 1] == SLOT_WIDE and not l.failed:
            l.stack[l.height - 1].wide = True
    barrier(l)

cdef bint lower_delegate(Low* l, bint reachable) noexcept nogil:
    """End of a try without handlers; returns as `lower_end`."""
    cdef uint32_t depth = <uint32_t>leb_u(&l.p)
    cdef Label* b = label(l, 0)
    cdef Try* t = region(l, b.target, <int32_t>l.length, 0, DELEGATES, b.opened)
    if t != NULL:
        # The label is seen from around the block.
        t.target = label(l, depth + 1).opened
    return lower_end(l, reachable)

cdef void lower_rethrow(Low* l) noexcept nogil:
    cdef Label* b = label(l, <uint32_t>leb_u(&l.p))
    cdef int32_t pos = emit(l, H_THROW_REF, 4)
    l.code[pos + 2] = slot_of(l, b.height)
    may_trap(l, pos)
    close_sites(l)
