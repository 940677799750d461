# Sites of fuel: every place that charges, and what the code behind it costs (docs/fuel.md).

cdef int32_t new_node(Low* l, int32_t pos) noexcept nogil:
    cdef Node* n
    if l.nnodes >= l.nodes_room:
        if not more32(<void**>&l.nodes, &l.nodes_room, l.nnodes + 1, sizeof(Node)):
            l.failed = True
            l.nnodes = 0
            if l.nodes_room == 0:
                return -1
    n = &l.nodes[l.nnodes]
    n.next = -1
    n.child = -1
    n.pos = pos
    n.open = l.count
    l.nnodes += 1
    return l.nnodes - 1

cdef void open_node(Low* l, int32_t node) noexcept nogil:
    if node < 0:
        return
    l.nodes[node].open = l.count
    l.nodes[node].next = l.sites
    l.sites = node

cdef inline void open_site(Low* l, int32_t pos) noexcept nogil:
    """From here on instructions are paid at `pos`: the place of a cost in the code."""
    open_node(l, new_node(l, pos))

cdef void loop_costs(Low* l, int64_t* known, int64_t cost) noexcept nogil:
    """A loop's first segment ends: what it costs is known, also where that was waited for."""
    cdef int32_t node = <int32_t>(-2 - known[0])
    while node >= 0:
        l.code[l.nodes[node].pos] = <int32_t>cost
        node = l.nodes[node].next
    known[0] = cost

cdef void close_list(Low* l, int32_t node, int64_t count) noexcept nogil:
    cdef Node* n
    cdef int64_t cost
    cdef int32_t pending = -1
    cdef int32_t following
    cdef int32_t child
    while True:
        while node >= 0:
            n = &l.nodes[node]
            following = n.next
            if n.child >= 0:
                # A group: its children went on for as long as it was open.
                n.ended += count - n.open
                n.next = pending
                pending = node
            else:
                cost = count - n.open
                if n.pos >= 0:
                    l.code[n.pos] = <int32_t>cost
                elif n.pos == SITE_ENTRY:
                    l.func.cost = cost
                else:
                    loop_costs(l, &l.loops[SITE_LOOPS - n.pos], cost)
            node = following
        if pending < 0:
            return
        n = &l.nodes[pending]
        pending = n.next
        count = n.ended
        node = n.child

cdef void close_sites(Low* l) noexcept nogil:
    """Control is transferred: what is open has been counted."""
    if not l.failed:
        close_list(l, l.sites, l.count)
    l.sites = -1
