# Dead code, `if`, `else`, `end`.

cdef uint8_t skip_dead(Low* l) noexcept nogil:
    """Pass over what cannot be reached, up to what ends the current block or its part.

    Returns the opcode of that `else`, `catch`, `catch_all`, `end` or `delegate`; it has been read,
    its immediate has not."""
    cdef int32_t depth = 0
    cdef uint8_t op
    while True:
        l.at = here(l)
        op = l.p[0]
        l.p += 1
        if op == 0x0B or op == 0x18:
            if depth == 0:
                return op
            depth -= 1
            if op == 0x18:
                leb_u(&l.p)
        elif op == 0x05 or op == 0x07 or op == 0x19:
            if depth == 0:
                return op
            if op == 0x07:
                leb_u(&l.p)
        elif op == 0x1F:
            depth += 1
            skip_try_table(l)
        elif op == 0x02 or op == 0x03 or op == 0x04 or op == 0x06:
            depth += 1
            if l.p[0] == 0x63 or l.p[0] == 0x64:
                l.p += 1
            leb_s(&l.p)
        else:
            skip_immediates(l, op)

cdef void skip_immediates(Low* l, uint8_t op) noexcept nogil:
    cdef uint64_t n
    cdef uint64_t i
    cdef uint64_t sub
    if 0x28 <= op <= 0x3E:
        skip_memarg(l)
    elif op == 0x41 or op == 0x42 or op == 0xD0:
        leb_s(&l.p)
    elif op == 0x43:
        l.p += 4
    elif op == 0x44:
        l.p += 8
    elif op == 0x0E:
        n = leb_u(&l.p)
        for i in range(n + 1):
            leb_u(&l.p)
    elif op == 0x11 or op == 0x13:
        leb_u(&l.p)
        leb_u(&l.p)
    elif op == 0x1C:
        n = leb_u(&l.p)
        for i in range(n):
            if l.p[0] == 0x63 or l.p[0] == 0x64:
                l.p += 1
            leb_s(&l.p)
    elif (
        op == 0x0C or op == 0x0D or op == 0x10 or op == 0x12 or 0x20 <= op <= 0x26
        or op == 0x3F or op == 0x40 or op == 0xD2 or op == 0x08 or op == 0x14 or op == 0x15
        or op == 0xD5 or op == 0xD6 or op == 0x09
    ):
        leb_u(&l.p)
    elif op == 0xFC:
        sub = leb_u(&l.p)
        if sub >= 8 and not (sub < WIDE_CODES and WIDE_OPS[sub].operands):
            leb_u(&l.p)
            if sub == 8 or sub == 10 or sub == 12 or sub == 14:
                leb_u(&l.p)
    elif op == 0xFB:
        skip_aggregate(l)
    elif op == 0xFE:
        skip_atomic(l)
    elif op == 0xFD:
        sub = leb_u(&l.p)
        if sub == 0x0C or sub == 0x0D:
            l.p += 16
        elif sub < 0x120 and VECTORS[sub].width:
            skip_memarg(l)
            l.p += VECTORS[sub].lanes
        elif sub < 0x120:
            l.p += VECTORS[sub].lanes

cdef void skip_aggregate(Low* l) noexcept nogil:
    cdef uint64_t sub = leb_u(&l.p)
    if sub == 0x18 or sub == 0x19:
        l.p += 1
        leb_u(&l.p)
        leb_s(&l.p)
        leb_s(&l.p)
    elif 0x14 <= sub <= 0x17:
        leb_s(&l.p)
    elif sub <= 0x13 and sub != 0x0F:
        leb_u(&l.p)
        if 2 <= sub <= 5 or 8 <= sub <= 0x0A or 0x11 <= sub <= 0x13:
            leb_u(&l.p)

cdef void skip_try_table(Low* l) noexcept nogil:
    cdef uint64_t i
    cdef uint8_t kind
    cdef uint64_t count
    if l.p[0] == 0x63 or l.p[0] == 0x64:
        l.p += 1
    leb_s(&l.p)
    count = leb_u(&l.p)
    for i in range(count):
        kind = l.p[0]
        l.p += 1
        if kind < 2:
            leb_u(&l.p)
        leb_u(&l.p)

cdef void skip_memarg(Low* l) noexcept nogil:
    if leb_u(&l.p) & 0x40:
        leb_u(&l.p)
    leb_u(&l.p)


cdef void lower_if(Low* l) noexcept nogil:
    cdef BlockType t = read_blocktype(l)
    cdef int32_t params = t.params
    cdef Entry* e
    cdef Entry saved
    cdef int32_t edge
    cdef Label* b
    cdef bint fused
    e = pop(l)
    fused = in_register(l, e, l.height, 1)
    saved = e[0]
    if saved.kind == IN_CONST and (params or l.mark < l.height):
        entry_slot(l, &saved, l.height)
        saved.kind = IN_SLOT
    if saved.kind == IN_LOCAL and (params or l.mark < l.height):
        # Its slot stays as it is: no local changes before the branch.
        pass
    settle_top(l, params)
    flush_locals(l)
    e = &l.stack[l.height]
    e[0] = saved
    edge = branch_on(l, e, l.height, False)
    b = push_label(l, KIND_IF, &t)
    b.other = edge
    barrier(l)

cdef void jump_to_end(Low* l, Label* b) noexcept nogil:
    """From the end of a part of a block, past the others; what is open there goes on behind."""
    cdef int32_t pos
    cdef int32_t group
    settle_results(l, b)
    pos = emit(l, H_BR, 4)
    # Until its place is known a jump names the one before.
    l.code[pos + 2] = b.jump
    l.code[pos + 3] = 0
    b.jump = pos + 2
    edge_to(l, pos + 2, 0)
    if l.sites >= 0:
        group = new_node(l, 0)
        if group >= 0:
            l.nodes[group].child = l.sites
            l.nodes[group].ended = l.count
            l.nodes[group].next = b.aside
            b.aside = group
        l.sites = -1

cdef void settle_results(Low* l, Label* b) noexcept nogil:
    """Bring a block's results to where they belong."""
    cdef int32_t pos
    settle_top(l, b.results)
    if b.kind == KIND_HANDLER and b.results:
        # Under them lies the exception.
        pos = emit(l, H_MOVE_MANY, 6)
        l.code[pos + 2] = slot_of(l, b.height + 1)
        l.code[pos + 3] = slot_of(l, b.height)
        l.code[pos + 4] = b.results

cdef void lower_else(Low* l, bint reachable) noexcept nogil:
    """End of a then-branch."""
    cdef Label* b = label(l, 0)
    if reachable:
        jump_to_end(l, b)
    pop_to(l, b.height)
    b.kind = KIND_ELSE
    l.code[b.other] = <int32_t>l.length - b.other
    edge_to(l, b.other, here(l))
    note_edge(l, b.other, b.height, b.params, slot_of(l, b.height), <int32_t>l.length)
    open_site(l, b.other + 1)
    b.other = -1
    push_slots(l, b.params, b.wide_params)
    barrier(l)

cdef bint lower_end(Low* l, bint reachable) noexcept nogil:
    """End of a block; returns whether what follows can be reached."""
    cdef Label* b = label(l, 0)
    cdef int32_t jump
    cdef int32_t node
    cdef bint joined = (
        b.fixups >= 0 or b.jump >= 0 or b.other >= 0
    )
    cdef bint after = reachable or joined
    if b.clauses:
        region(
            l, b.target, b.ended if b.kind == KIND_HANDLER else <int32_t>l.length, b.first,
            b.clauses, b.opened,
        )
    if joined or b.kind == KIND_HANDLER:
        if reachable:
            settle_results(l, b)
        while b.jump >= 0:
            jump = b.jump
            b.jump = l.code[jump]
            l.code[jump] = <int32_t>l.length - jump
        if b.other >= 0:
            l.code[b.other] = <int32_t>l.length - b.other
            edge_to(l, b.other, here(l))
            note_edge(l, b.other, b.height, b.results, slot_of(l, b.height), <int32_t>l.length)
            open_site(l, b.other + 1)
        arrive(l, b)
        while b.aside >= 0:
            node = b.aside
            b.aside = l.nodes[node].next
            open_node(l, node)
        pop_to(l, b.height)
        push_slots(l, b.results, b.wide_results)
        barrier(l)
    elif not reachable:
        pop_to(l, b.height)
        push_slots(l, b.results, b.wide_results)
    l.nlabels -= 1
    return after
