# Labels: what is open, and how edges reach it.

cdef Label* label(Low* l, uint32_t depth) noexcept nogil:
    return &l.labels[l.nlabels - 1 - <int32_t>depth]

cdef inline int32_t arity(Label* b) noexcept nogil:
    return b.params if b.kind == KIND_LOOP else b.results

cdef void connect(Low* l, Label* b, int32_t edge, bint charged) noexcept nogil:
    """The edge at that position of the code leads to the label."""
    cdef int32_t node
    if b.kind == KIND_LOOP:
        l.code[edge] = b.target - edge
        l.code[edge + 1] = 0
        if charged:
            charge_loop(l, b, edge + 1)
        edge_to(l, edge, b.offset)
        note_edge(l, edge, b.height, b.params, slot_of(l, b.height), b.target)
        return
    # Forward: the node's `pos` is the place of the cost; `ended` says whether it is one.
    node = new_node(l, edge + 1)
    if node < 0:
        return
    l.nodes[node].ended = charged
    l.nodes[node].next = b.fixups
    l.code[edge + 1] = 0
    b.fixups = node

cdef void charge_loop(Low* l, Label* b, int32_t pos) noexcept nogil:
    """The cost at `pos` is that of the loop's first segment."""
    cdef int32_t node
    cdef int64_t* known = &l.loops[b.loop]
    if known[0] >= 0:
        l.code[pos] = <int32_t>known[0]
        return
    # It is still open: before a try_table's clauses, or in a handler of an older try.
    node = new_node(l, pos)
    if node >= 0:
        l.nodes[node].next = <int32_t>(-2 - known[0])
        known[0] = -2 - <int64_t>node

cdef void arrive(Low* l, Label* b) noexcept nogil:
    """The label is here: lead its edges to this place and open their costs."""
    cdef int32_t node = b.fixups
    cdef int32_t following
    cdef int32_t edge
    while node >= 0:
        following = l.nodes[node].next
        edge = l.nodes[node].pos - 1
        if l.nodes[node].ended != 2:
            l.code[edge] = <int32_t>l.length - edge
            note_edge(l, edge, b.height, b.results, slot_of(l, b.height), <int32_t>l.length)
        edge_to(l, edge, here(l))
        if l.nodes[node].ended:
            open_node(l, node)
        node = following
    b.fixups = -1

cdef Label* push_label(Low* l, int32_t kind, BlockType* t) noexcept nogil:
    cdef Label* b
    if l.nlabels >= l.labels_room:
        if not more32(<void**>&l.labels, &l.labels_room, l.nlabels + 1, sizeof(Label)):
            l.failed = True
            l.nlabels -= 1
    b = &l.labels[l.nlabels]
    l.nlabels += 1
    b.kind = kind
    b.params = t.params
    b.results = t.results
    b.wide_params = t.wide_params
    b.wide_results = t.wide_results
    b.height = l.height - t.params
    b.fixups = -1
    b.other = -1
    b.jump = -1
    b.aside = -1
    b.loop = -1
    b.target = 0
    b.ended = -1
    b.offset = 0
    b.opened = l.at
    b.first = b.final = b.clauses = 0
    return b

cdef uint8_t WIDE[2]
WIDE[0], WIDE[1] = 0, 1

cdef BlockType read_blocktype(Low* l) noexcept nogil:
    cdef BlockType t
    cdef int64_t code
    memset(&t, 0, sizeof(t))
    if l.p[0] == 0x40:
        l.p += 1
        return t
    if (l.p[0] & 0xC0) == 0x40:
        # A value type; (ref null? ht) has a heap type behind it.
        t.results = 1
        if l.p[0] == 0x63 or l.p[0] == 0x64:
            l.p += 1
            leb_s(&l.p)
        elif l.p[0] == 0x7B:
            l.p += 1
            t.results = 2
            t.wide_results = WIDE
        else:
            l.p += 1
        return t
    code = leb_s(&l.p)
    t.params = <int32_t>l.m.type_params[code]
    t.results = <int32_t>l.m.type_results[code]
    t.wide_params = l.m.wide_params[code]
    t.wide_results = l.m.wide_results[code]
    return t
