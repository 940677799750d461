# Branches, and their fusion with comparisons.

cdef int32_t fused_branch(Low* l, int32_t family, int32_t which, int32_t shape, int32_t a) noexcept nogil:
    """The branch that also does what the cell before the comparison does, or -1."""
    cdef int32_t kind
    cdef int32_t immediate = 0
    if family >= 4096:
        return -1
    if l.before_op == 0x6A:
        # An addition of an immediate to a slot, whose result the comparison looks at.
        if l.before_id != OPS[0x6A].family + 2 or l.code[l.before + 4] != a or which > 1:
            return -1
        if shape == 1 and which != 0:
            return -1
        kind = 0
        immediate = which
    else:
        kind = 1 if l.before_op == 0x28 else 2 if l.before_op == 0x2D else 3 if l.before_op == 0x2C else 0
        if kind == 0 or l.before_id != OPS[l.before_op].family + 0:
            return -1
        # The load left its result in the register: its handler has been changed already.
        if shape == 1:
            if which != 1:
                return -1
        elif which == 5:
            immediate = 1
        elif which != 3:
            return -1
    return BRANCHES[8 * family + 2 * kind + immediate]

cdef int32_t branch_on(Low* l, Entry* e, int32_t height, bint when) noexcept nogil:
    """A cell that branches if the condition is (not) zero; returns the position of its edge.

    The cost of going on instead stands two places behind the edge, which is opened."""
    cdef int32_t pos = -1
    cdef int32_t family
    cdef int32_t which
    cdef int32_t id_
    cdef int32_t source
    cdef int32_t a
    cdef int32_t b
    cdef uint64_t wide
    cdef OpInfo* o
    cdef bint big
    cdef int32_t number
    cdef int32_t extra
    cdef int32_t target
    if in_register(l, e, height, 1) and l.last_op >= 0 and OPS[l.last_op].yes >= 0:
        o = &OPS[l.last_op]
        family = o.yes if when else o.no
        which = (l.last_id - o.family) >> 1
        pos = l.last
        a = l.code[pos + 2]
        b = l.code[pos + 3]
        big = o.wide and o.shape == 2 and (which == 1 or which == 2 or which == 5 or which == 6)
        wide = (<cell_u64*>(l.code + pos + 6))[0] if big else 0
        number = -1
        if l.before >= 0 and not big:
            number = fused_branch(l, family, which, o.shape, a)
        if number >= 0:
            # An addition or a load that the comparison looks at goes into the branch.
            source = l.before
            a = l.code[source + 2]
            extra = l.code[source + 3] if l.before_op == 0x6A else l.code[source + 4]
            target = l.code[source + 4]
            l.length = <size_t>source
            pos = emit(l, number, 10 if l.before_op == 0x6A else 8)
            if pos + 8 == <int32_t>l.length:
                l.code[pos + 7] = extra
            else:
                l.code[pos + 7] = extra
                l.code[pos + 8] = target
            l.code[pos + 2] = a
            l.code[pos + 3] = b
        else:
            l.length = <size_t>pos
            pos = emit(l, family + which, 10 if big else 8)
            l.code[pos + 2] = a
            l.code[pos + 3] = b
            if big:
                (<cell_u64*>(l.code + pos + 8))[0] = wide
    else:
        family = H_BR_I32_NEZ if when else H_BR_I32_EQZ
        if in_register(l, e, height, 1):
            to_register(l)
            pos = emit(l, family + 1, 8)
        else:
            source = entry_slot(l, e, height)
            pos = emit(l, family, 8)
            l.code[pos + 2] = source
    close_sites(l)
    open_site(l, pos + 6)
    edge_to(l, pos + 5, here(l))
    note_edge(l, pos + 5, l.height, 0, 0, <int32_t>l.length)
    return pos + 4

cdef void emit_return(Low* l) noexcept nogil:
    """Return the topmost operands."""
    cdef int32_t count = <int32_t>l.func.results
    cdef Entry* e
    cdef int32_t pos
    cdef int32_t source
    if count == 1:
        e = pop(l)
        if e.kind == IN_SLOT and l.last >= 0 and l.last_class and l.last_slot == slot_of(l, l.height):
            to_register(l)
            pos = emit(l, H_RETURN1_I - 1 + l.last_class, 4)
        elif e.kind == IN_CONST and e.value >> 32 == 0:
            pos = emit(l, H_RETURN1_C, 4)
            l.code[pos + 3] = <int32_t><uint32_t>e.value
        else:
            source = entry_slot(l, e, l.height)
            pos = emit(l, H_RETURN1, 4)
            l.code[pos + 3] = source
        l.code[pos + 2] = l.link
        return
    if count:
        settle_top(l, count)
        pos = emit(l, H_MOVE_MANY, 6)
        l.code[pos + 2] = slot_of(l, l.height - count)
        l.code[pos + 3] = 0
        l.code[pos + 4] = count
    pos = emit(l, H_RETURN0, 4)
    l.code[pos + 2] = l.link

cdef void move_values(Low* l, Label* b) noexcept nogil:
    """Bring a branch's values to where the label expects them."""
    cdef int32_t count = arity(b)
    cdef int32_t source = l.height - count
    cdef int32_t pos
    cdef Entry* e
    if count == 0:
        return
    if source == b.height:
        settle_top(l, count)
        return
    if count == 1:
        e = &l.stack[source]
        if e.kind == IN_CONST:
            load_const(l, slot_of(l, b.height), e.value)
        elif e.kind == IN_LOCAL:
            copy_slot(l, <int32_t>e.local, slot_of(l, b.height))
        elif l.last >= 0 and l.last_dst >= 0 and l.last_slot == slot_of(l, source):
            l.code[l.last_dst] = slot_of(l, b.height)
            barrier(l)
        else:
            copy_slot(l, slot_of(l, source), slot_of(l, b.height))
        return
    settle_top(l, count)
    pos = emit(l, H_MOVE_MANY, 6)
    l.code[pos + 2] = slot_of(l, source)
    l.code[pos + 3] = slot_of(l, b.height)
    l.code[pos + 4] = count

cdef void lower_br(Low* l, uint32_t depth) noexcept nogil:
    cdef Label* b = label(l, depth)
    cdef int32_t pos
    if b.kind == KIND_FUNC:
        close_sites(l)
        emit_return(l)
        return
    move_values(l, b)
    close_sites(l)
    pos = emit(l, H_BR, 4)
    connect(l, b, pos + 2, True)

cdef void lower_br_if(Low* l, uint32_t depth) noexcept nogil:
    cdef Label* b = label(l, depth)
    cdef Entry* e = pop(l)
    cdef Entry saved
    cdef int32_t height = l.height
    cdef int32_t count = arity(b)
    cdef int32_t edge
    cdef int32_t skip
    cdef int32_t pos
    if count:
        if not (in_register(l, e, height, 1) and l.last_op >= 0 and OPS[l.last_op].yes >= 0):
            saved = e[0]
            if e.kind == IN_CONST:
                entry_slot(l, e, height)
                saved.kind = IN_SLOT
            settle_top(l, count)
            e = &l.stack[height]
            e[0] = saved
        elif not settled(l, count):
            # The values' moves would come between the comparison and the branch.
            saved = e[0]
            settle_top(l, count)
            e = &l.stack[height]
            e[0] = saved
    if count == 0 or height - count == b.height:
        edge = branch_on(l, e, height, True)
        connect(l, b, edge, True)
        return
    # The values must be moved, but only if the branch is taken: branch around.
    edge = branch_on(l, e, height, False)
    # Going on costs what the branch's target costs: it is charged at the jump below.
    skip_site(l, edge + 2)
    forget_note(l)
    move_values(l, b)
    pos = emit(l, H_BR, 4)
    connect(l, b, pos + 2, True)
    l.code[edge] = <int32_t>l.length - edge
    edge_to(l, edge, here(l))
    note_edge(l, edge, l.height, 0, 0, <int32_t>l.length)
    open_site(l, edge + 1)
    barrier(l)

cdef void skip_site(Low* l, int32_t pos) noexcept nogil:
    """The site just opened at `pos` charges nothing."""
    l.sites = l.nodes[l.sites].next
    l.code[pos] = 0

cdef bint settled(Low* l, int32_t count) noexcept nogil:
    cdef int32_t i
    for i in range(l.height - count, l.height):
        if i >= 0 and l.stack[i].kind != IN_SLOT:
            return False
    return True

cdef void lower_br_table(Low* l) noexcept nogil:
    cdef uint32_t count = <uint32_t>leb_u(&l.p)
    cdef Entry* e = pop(l)
    cdef Entry saved = e[0]
    cdef int32_t height = l.height
    cdef int32_t pos
    cdef int32_t source
    cdef uint32_t i
    cdef uint32_t depth
    cdef Label* b
    cdef int32_t edge
    cdef int32_t stub
    cdef int32_t values
    cdef const uint8_t* first = l.p
    cdef const uint8_t* q = l.p
    # How many values go along is the same for every label.
    depth = <uint32_t>leb_u(&q)
    values = arity(label(l, depth))
    if values:
        if saved.kind == IN_CONST:
            entry_slot(l, &saved, height)
            saved.kind = IN_SLOT
        settle_top(l, values)
        e = &l.stack[height]
        e[0] = saved
    if in_register(l, e, height, 1):
        to_register(l)
        pos = emit(l, H_BR_TABLE_R, 4)
    else:
        source = entry_slot(l, e, height)
        pos = emit(l, H_BR_TABLE_S, 4)
        l.code[pos + 2] = source
    l.code[pos + 3] = <int32_t>count
    close_sites(l)
    # The edges.
    while l.length + 2 * (<size_t>count + 1) + 16 > l.room:
        if not more(<void**>&l.code, &l.room, l.length + 2 * (<size_t>count + 1) + 16, sizeof(int32_t)):
            l.failed = True
            return
    edge = <int32_t>l.length
    l.length += 2 * (<size_t>count + 1)
    l.code[pos + 1] = <int32_t>l.length - pos
    for i in range(count + 1):
        depth = <uint32_t>leb_u(&l.p)
        b = label(l, depth)
        if values == 0 or height - values == b.height:
            connect(l, b, edge, True)
        else:
            # Through a stub that moves the values; one for each label.
            stub = find_stub(l, depth, first, i, edge)
            if stub < 0:
                stub = <int32_t>l.length
                pos = emit(l, H_MOVE_MANY, 6)
                l.code[pos + 2] = slot_of(l, height - values)
                l.code[pos + 3] = slot_of(l, b.height)
                l.code[pos + 4] = values
                pos = emit(l, H_BR, 4)
                connect(l, b, pos + 2, False)
            l.code[edge] = stub - edge
            # The values are still where the stub will find them.
            note_edge(l, edge, b.height, values, slot_of(l, height - values), stub)
            if b.kind == KIND_LOOP:
                charge_loop(l, b, edge + 1)
                edge_to(l, edge, b.offset)
            else:
                stub_edge(l, b, edge)
        edge += 2

cdef void stub_edge(Low* l, Label* b, int32_t edge) noexcept nogil:
    """An edge to a stub is charged with the label's cost but leads elsewhere."""
    cdef int32_t node = new_node(l, edge + 1)
    if node < 0:
        return
    l.code[edge + 1] = 0
    l.nodes[node].ended = 2
    l.nodes[node].next = b.fixups
    b.fixups = node

cdef int32_t find_stub(Low* l, uint32_t depth, const uint8_t* first, uint32_t count, int32_t edge) noexcept nogil:
    """The stub that an earlier entry of this table made for the label, or -1.

    A table of many entries with values is rare; of its entries the last 64 are looked at."""
    cdef uint32_t i = 0
    cdef uint32_t other
    cdef const uint8_t* q = first
    cdef int32_t at = edge - 2 * <int32_t>count
    for i in range(count):
        other = <uint32_t>leb_u(&q)
        if i + 64 < count:
            continue
        if other == depth:
            return l.code[at + 2 * <int32_t>i] + at + 2 * <int32_t>i
    return -1
