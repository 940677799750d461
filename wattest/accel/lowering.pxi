# Lowering: a validated function body to threaded code, in one pass over its bytes.
#
# The operand stack is followed at lowering time. An operand is in the slot of its height, or it
# is a local or a constant that nobody has read yet. An instruction's result goes to the slot of
# its height; `local.set` changes the destination of the instruction before it, and an
# instruction whose operand was made by the cell just before takes it from the register.
# Fuel (docs/fuel.md): every place that charges is a site whose cost is filled in when the
# straight code behind it ends.

cdef enum:
    IN_SLOT = 0
    IN_LOCAL = 1
    IN_CONST = 2

    KIND_BLOCK = 0
    KIND_LOOP = 1
    KIND_IF = 2
    KIND_ELSE = 3
    KIND_FUNC = 4

    SITE_ENTRY = -2
    SITE_LOOPS = -3

    ENTER_LINK = 3

cdef struct OpInfo:
    int32_t shape, family, operand, result, commutative, wide, yes, no, other, inverse, width

cdef struct Entry:
    int32_t kind
    uint32_t local
    uint64_t value
    int32_t chain

cdef struct Label:
    int32_t kind
    int32_t params, results
    int32_t height
    int32_t fixups
    int32_t other
    int32_t jump
    int32_t aside
    int32_t loop
    int32_t target
    uint32_t offset

cdef struct Node:
    int32_t next
    int32_t child
    int32_t pos
    int64_t open
    int64_t ended

cdef struct Place:
    int32_t pos
    uint32_t offset

cdef struct Lowered:
    int32_t* code
    size_t length
    Place* traps
    size_t ntraps
    Place* edges
    size_t nedges

cdef struct Module_:
    const uint8_t* binary
    uint64_t size
    uint32_t ntypes
    uint32_t* type_params
    uint32_t* type_results
    void** types
    uint32_t* func_types
    uint8_t* global_class
    uint32_t nfuncs

cdef OpInfo OPS[512]

# Fused cells: by first opcode's and second opcode's place among those that can be fused.
cdef enum:
    PLACES = 64
cdef int8_t PLACE_FIRST[512]
cdef int8_t PLACE_SECOND[512]
cdef int16_t PAIRS[PLACES * PLACES * 6]
cdef int16_t SELECTS[512 * 2]
cdef int16_t BRANCHES[4096 * 8]

def _fill_pairs():
    cdef int i
    for i in range(512):
        PLACE_FIRST[i] = PLACE_SECOND[i] = -1
    for i in range(PLACES * PLACES * 6):
        PAIRS[i] = -1
    for i in range(1024):
        SELECTS[i] = -1
    for i in range(4096 * 8):
        BRANCHES[i] = -1
    firsts = sorted({row[0] for row in PAIRTABLE})
    seconds = sorted({row[2] for row in PAIRTABLE})
    assert max(len(firsts), len(seconds)) <= PLACES
    for first, combo_, second, mode, number in PAIRTABLE:
        PLACE_FIRST[<int>first] = <int8_t>firsts.index(first)
        PLACE_SECOND[<int>second] = <int8_t>seconds.index(second)
        i = (firsts.index(first) * PLACES + seconds.index(second)) * 6 + combo_ * 3 + mode
        PAIRS[i] = number
    for key, kind, immediate, number in FUSEDTABLE:
        if kind == 0:
            SELECTS[<int>(2 * key + immediate)] = number
        else:
            BRANCHES[<int>(8 * key + 2 * (kind - 1) + immediate)] = number

def _fill_ops():
    cdef int i
    for i in range(512):
        OPS[i].shape = 0
    for row in OPTABLE:
        i = row[0]
        OPS[i].shape, OPS[i].family, OPS[i].operand, OPS[i].result = row[1], row[2], row[3], row[4]
        OPS[i].commutative, OPS[i].wide, OPS[i].yes, OPS[i].no = row[5], row[6], row[7], row[8]
        OPS[i].other, OPS[i].inverse, OPS[i].width = row[9], row[10], row[11]

_fill_ops()
_fill_pairs()


cdef inline uint64_t leb_u(const uint8_t** p) noexcept nogil:
    cdef uint64_t result = 0
    cdef int shift = 0
    cdef uint8_t byte
    while True:
        byte = p[0][0]
        p[0] += 1
        if shift < 64:
            result |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return result
        shift += 7

cdef inline int64_t leb_s(const uint8_t** p) noexcept nogil:
    cdef uint64_t result = 0
    cdef int shift = 0
    cdef uint8_t byte
    while True:
        byte = p[0][0]
        p[0] += 1
        if shift < 64:
            result |= <uint64_t>(byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if byte & 0x40 and shift < 64:
                result |= <uint64_t>-1 << shift
            return <int64_t>result


cdef struct Low:
    # What is lowered, and into what
    Module_* m
    Inst* inst
    Func* func
    const uint8_t* p
    const uint8_t* start
    uint32_t at
    int32_t* code
    size_t length, room
    Place* traps
    size_t ntraps, traps_room
    Place* edges
    size_t nedges, edges_room
    bint failed
    # Frame
    int32_t link
    int32_t first
    # Operands
    Entry* stack
    int32_t height, mark, capacity
    int32_t* chains
    # The cell before
    int32_t last, last_id, last_dst, last_slot, last_class, last_op
    # The cell before that one, where nothing can come in between
    int32_t before, before_id, before_op
    # Control
    Label* labels
    int32_t nlabels, labels_room
    # Fuel
    Node* nodes
    int32_t nnodes, nodes_room
    int32_t sites
    int64_t count
    int64_t* loops
    int32_t nloops, loops_room


cdef bint more(void** array, size_t* room, size_t need, size_t size) noexcept nogil:
    """Make room for `need` items."""
    cdef size_t wanted = room[0] * 2 if room[0] else 64
    cdef void* found
    if wanted < need:
        wanted = need
    found = realloc(array[0], wanted * size)
    if found == NULL:
        return False
    array[0] = found
    room[0] = wanted
    return True

cdef bint more32(void** array, int32_t* room, size_t need, size_t size) noexcept nogil:
    cdef size_t wide = <size_t>room[0]
    if not more(array, &wide, need, size):
        return False
    room[0] = <int32_t>wide
    return True


cdef int32_t emit(Low* l, int32_t number, int32_t size) noexcept nogil:
    """Append a cell; returns its position."""
    cdef int32_t pos
    if l.length + size + 16 > l.room:
        if l.length > 0x30000000 or not more(
            <void**>&l.code, &l.room, l.length + size + 16, sizeof(int32_t)
        ):
            l.failed = True
            l.length = 0
            if l.room < <size_t>size + 16:
                return 0
    pos = <int32_t>l.length
    l.length += size
    (<handler_t*>(l.code + pos))[0] = HANDLERS[number]
    l.before = l.last
    l.before_id = l.last_id
    l.before_op = l.last_op
    l.last = pos
    l.last_id = number
    l.last_dst = -1
    l.last_slot = -1
    l.last_class = 0
    l.last_op = -1
    return pos

cdef void barrier(Low* l) noexcept nogil:
    """Control may come here from elsewhere: the cell before is not known."""
    l.last = -1
    l.before = -1
    l.last_slot = -1
    l.last_class = 0
    l.last_op = -1

cdef void place(Place** array, size_t* count, size_t* room, int32_t pos, uint32_t offset, Low* l) noexcept nogil:
    if count[0] >= room[0]:
        if not more(<void**>array, room, count[0] + 1, sizeof(Place)):
            l.failed = True
            return
    array[0][count[0]].pos = pos
    array[0][count[0]].offset = offset
    count[0] += 1

cdef inline void may_trap(Low* l, int32_t pos) noexcept nogil:
    place(&l.traps, &l.ntraps, &l.traps_room, pos, l.at, l)

cdef inline void edge_to(Low* l, int32_t pos, uint32_t offset) noexcept nogil:
    place(&l.edges, &l.nedges, &l.edges_room, pos, offset, l)

cdef inline uint32_t here(Low* l) noexcept nogil:
    """Byte offset of the next instruction."""
    return <uint32_t>(l.p - l.m.binary)


# Fuel

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
                    l.loops[SITE_LOOPS - n.pos] = cost
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


# Operands

cdef inline int32_t slot_of(Low* l, int32_t height) noexcept nogil:
    return l.first + height

cdef void push_slot(Low* l) noexcept nogil:
    cdef Entry* e
    if l.height >= l.capacity:
        l.failed = True
        return
    e = &l.stack[l.height]
    e.kind = IN_SLOT
    l.height += 1

cdef void push_const(Low* l, uint64_t value) noexcept nogil:
    if l.height >= l.capacity:
        l.failed = True
        return
    l.stack[l.height].kind = IN_CONST
    l.stack[l.height].value = value
    l.height += 1

cdef void push_local(Low* l, uint32_t local) noexcept nogil:
    cdef Entry* e
    if l.height >= l.capacity:
        l.failed = True
        return
    e = &l.stack[l.height]
    e.kind = IN_LOCAL
    e.local = local
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
        (<uint64_t*>(l.code + pos + 4))[0] = value
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
        (<handler_t*>(l.code + pos))[0] = HANDLERS[H_COPY2]
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
    (<handler_t*>(l.code + l.last))[0] = HANDLERS[l.last_id + 1]


# Instructions

cdef void result(Low* l, int32_t pos, int32_t dst, int32_t kind, int32_t op) noexcept nogil:
    """The cell at `pos` writes the slot of the height; push it."""
    l.code[pos + dst] = slot_of(l, l.height)
    l.last_dst = pos + dst
    l.last_slot = slot_of(l, l.height)
    l.last_class = kind
    l.last_op = op
    push_slot(l)

cdef bint traps(int32_t op) noexcept nogil:
    return (
        0x6D <= op <= 0x70 or 0x7F <= op <= 0x82 or 0xA8 <= op <= 0xAB or 0xAE <= op <= 0xB1
    )

cdef void lower_unary(Low* l, int32_t op) noexcept nogil:
    cdef OpInfo* o = &OPS[op]
    cdef OpInfo* before
    cdef Entry* e = pop(l)
    cdef int32_t mode = 0
    cdef int32_t source
    cdef int32_t pos
    if op == 0x45 and in_register(l, e, l.height, 1) and l.last_op >= 0:
        before = &OPS[l.last_op]
        if before.inverse >= 0:
            # Not of a comparison: the opposite one.
            l.last_id += OPS[before.inverse].family - before.family
            (<handler_t*>(l.code + l.last))[0] = HANDLERS[l.last_id]
            l.last_op = before.inverse
            push_slot(l)
            return
    if in_register(l, e, l.height, o.operand):
        to_register(l)
        mode = 1
        source = 0
    else:
        source = entry_slot(l, e, l.height)
    pos = emit(l, o.family + 2 * mode, 4)
    l.code[pos + 2] = source
    if traps(op):
        may_trap(l, pos)
    result(l, pos, 3, o.result, op)

cdef inline int32_t combo(int32_t a, int32_t b) noexcept nogil:
    # ss si is rs sr ri ir; 0 slot, 1 immediate, 2 register
    if a == 0:
        return 0 if b == 0 else 1 if b == 1 else 4
    if a == 1:
        return 2 if b == 0 else 6
    return 3 if b == 0 else 5

cdef int32_t fused(Low* l, int32_t op, int32_t mode) noexcept nogil:
    """The cell that does what the cell before does and then `op` with the result, or -1.

    `mode`: 0 for rs, 1 for sr, 2 for ri."""
    cdef int32_t first = l.last_op
    cdef int32_t which
    if first < 0 or PLACE_FIRST[first] < 0 or PLACE_SECOND[op] < 0:
        return -1
    which = (l.last_id - OPS[first].family) >> 1
    if OPS[first].shape == 3:
        if which != 0:
            return -1
    elif which > 1:
        return -1
    elif which == 1 and OPS[first].wide:
        if <int64_t>(<int64_t*>(l.code + l.last + 6))[0] != l.code[l.last + 3]:
            return -1
    return PAIRS[(PLACE_FIRST[first] * PLACES + PLACE_SECOND[op]) * 6 + which * 3 + mode]

cdef int32_t emit_fused(Low* l, int32_t number, int32_t other) noexcept nogil:
    """Put a fused cell in the place of the cell before."""
    cdef int32_t a = l.code[l.last + 2]
    cdef int32_t b = l.code[l.last + 3]
    cdef int32_t before = l.before
    cdef int32_t before_id = l.before_id
    cdef int32_t before_op = l.before_op
    cdef int32_t pos
    if OPS[l.last_op].shape == 3:
        b = l.code[l.last + 4]
    l.length = <size_t>l.last
    pos = emit(l, number, 6)
    l.before = before
    l.before_id = before_id
    l.before_op = before_op
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    l.code[pos + 4] = other
    return pos

cdef void lower_binary(Low* l, int32_t op) noexcept nogil:
    cdef OpInfo* o = &OPS[op]
    cdef Entry* second = pop(l)
    cdef int32_t height_b = l.height
    cdef Entry* first = pop(l)
    cdef int32_t height_a = l.height
    cdef Entry* swap
    cdef int32_t a = 0
    cdef int32_t b = 0
    cdef int32_t pos
    cdef int32_t at_a = 0
    cdef int32_t at_b = 0
    cdef int32_t height
    cdef int32_t number
    cdef uint64_t wide = 0
    if o.commutative and first.kind == IN_CONST and second.kind != IN_CONST:
        swap = first
        first = second
        second = swap
        height = height_a
        height_a = height_b
        height_b = height
    if first.kind == IN_CONST and second.kind == IN_CONST:
        at_a = entry_slot(l, first, height_a)
    elif in_register(l, first, height_a, o.operand):
        if second.kind == IN_CONST and (
            not o.wide or <int64_t><int32_t><uint32_t>second.value == <int64_t>second.value
        ):
            number = fused(l, op, 2)
            at_b = <int32_t><uint32_t>second.value
        elif second.kind == IN_CONST:
            number = -1
        else:
            number = fused(l, op, 0)
            if number >= 0:
                at_b = entry_slot(l, second, height_b)
        if number >= 0:
            pos = emit_fused(l, number, at_b)
            result(l, pos, 5, o.result, -1)
            return
        a = 2
        to_register(l)
    elif first.kind == IN_CONST:
        a = 1
        wide = first.value
        at_a = <int32_t><uint32_t>first.value
    else:
        at_a = entry_slot(l, first, height_a)
    if a != 2 and in_register(l, second, height_b, o.operand):
        if a == 0:
            number = fused(l, op, 0 if o.commutative else 1)
            if number >= 0:
                pos = emit_fused(l, number, at_a)
                result(l, pos, 5, o.result, -1)
                return
        b = 2
        to_register(l)
    elif second.kind == IN_CONST:
        b = 1
        wide = second.value
        at_b = <int32_t><uint32_t>second.value
    else:
        at_b = entry_slot(l, second, height_b)
    if (a == 1 or b == 1) and o.wide:
        pos = emit(l, o.family + 2 * combo(a, b), 8)
        (<uint64_t*>(l.code + pos + 6))[0] = wide
    else:
        pos = emit(l, o.family + 2 * combo(a, b), 6)
    l.code[pos + 2] = at_a
    l.code[pos + 3] = at_b
    if traps(op):
        may_trap(l, pos)
    result(l, pos, 4, o.result, op)

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
    if memory:
        source = entry_slot(l, e, l.height)
        pos = emit(l, o.other, 6)
        l.code[pos + 2] = source
        l.code[pos + 4] = <int32_t><uint32_t>offset
        l.code[pos + 5] = <int32_t>memory
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
    if memory:
        at_a = entry_slot(l, address, l.height)
        at_b = entry_slot(l, value, l.height + 1)
        pos = emit(l, o.other, 6)
        l.code[pos + 2] = at_a
        l.code[pos + 3] = at_b
        l.code[pos + 4] = <int32_t><uint32_t>offset
        l.code[pos + 5] = <int32_t>memory
        may_trap(l, pos)
        return
    if in_register(l, address, l.height, 1):
        if value.kind != IN_CONST:
            which = fused(l, op, 0)
            if which >= 0:
                at_b = entry_slot(l, value, l.height + 1)
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
    pos = emit(l, o.family + which, 8 if b == 1 and o.wide else 6)
    if b == 1 and o.wide:
        (<uint64_t*>(l.code + pos + 6))[0] = wide
    l.code[pos + 2] = at_a
    l.code[pos + 3] = at_b
    l.code[pos + 4] = <int32_t><uint32_t>offset
    may_trap(l, pos)


# Control

cdef Label* label(Low* l, uint32_t depth) noexcept nogil:
    return &l.labels[l.nlabels - 1 - <int32_t>depth]

cdef inline int32_t arity(Label* b) noexcept nogil:
    return b.params if b.kind == KIND_LOOP else b.results

cdef void connect(Low* l, Label* b, int32_t edge, bint charged) noexcept nogil:
    """The edge at that position of the code leads to the label."""
    cdef int32_t node
    if b.kind == KIND_LOOP:
        l.code[edge] = b.target - edge
        l.code[edge + 1] = <int32_t>l.loops[b.loop] if charged else 0
        edge_to(l, edge, b.offset)
        return
    # Forward: the node's `pos` is the place of the cost; `ended` says whether it is one.
    node = new_node(l, edge + 1)
    if node < 0:
        return
    l.nodes[node].ended = charged
    l.nodes[node].next = b.fixups
    l.code[edge + 1] = 0
    b.fixups = node

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
        edge_to(l, edge, here(l))
        if l.nodes[node].ended:
            open_node(l, node)
        node = following
    b.fixups = -1

cdef Label* push_label(Low* l, int32_t kind, int32_t params, int32_t results) noexcept nogil:
    cdef Label* b
    if l.nlabels >= l.labels_room:
        if not more32(<void**>&l.labels, &l.labels_room, l.nlabels + 1, sizeof(Label)):
            l.failed = True
            l.nlabels -= 1
    b = &l.labels[l.nlabels]
    l.nlabels += 1
    b.kind = kind
    b.params = params
    b.results = results
    b.height = l.height - params
    b.fixups = -1
    b.other = -1
    b.jump = -1
    b.aside = -1
    b.loop = -1
    b.target = 0
    b.offset = 0
    return b

cdef void read_blocktype(Low* l, int32_t* params, int32_t* results) noexcept nogil:
    cdef int64_t code
    if l.p[0] == 0x40:
        l.p += 1
        params[0] = 0
        results[0] = 0
        return
    if (l.p[0] & 0xC0) == 0x40:
        # A value type; (ref null? ht) has a heap type behind it.
        if l.p[0] == 0x63 or l.p[0] == 0x64:
            l.p += 1
            leb_s(&l.p)
        else:
            l.p += 1
        params[0] = 0
        results[0] = 1
        return
    code = leb_s(&l.p)
    params[0] = <int32_t>l.m.type_params[code]
    results[0] = <int32_t>l.m.type_results[code]

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
        wide = (<uint64_t*>(l.code + pos + 6))[0] if big else 0
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
                (<uint64_t*>(l.code + pos + 8))[0] = wide
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
    move_values(l, b)
    pos = emit(l, H_BR, 4)
    connect(l, b, pos + 2, True)
    l.code[edge] = <int32_t>l.length - edge
    edge_to(l, edge, here(l))
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
            if b.kind == KIND_LOOP:
                l.code[edge + 1] = <int32_t>l.loops[b.loop]
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


cdef bint skip_dead(Low* l) noexcept nogil:
    """Pass over what cannot be reached, up to the `else` or `end` of the current block.

    Returns whether it is an `else`; it has been read."""
    cdef int32_t depth = 0
    cdef uint8_t op
    cdef uint64_t n
    cdef uint64_t i
    while True:
        l.at = here(l)
        op = l.p[0]
        l.p += 1
        if op == 0x0B:
            if depth == 0:
                return False
            depth -= 1
        elif op == 0x05:
            if depth == 0:
                return True
        elif op == 0x02 or op == 0x03 or op == 0x04:
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
        if leb_u(&l.p) & 0x40:
            leb_u(&l.p)
        leb_u(&l.p)
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
        or op == 0x3F or op == 0x40 or op == 0xD2
    ):
        leb_u(&l.p)
    elif op == 0xFC:
        sub = leb_u(&l.p)
        if sub >= 8:
            leb_u(&l.p)
            if sub == 8 or sub == 10 or sub == 12 or sub == 14:
                leb_u(&l.p)


cdef void lower_if(Low* l) noexcept nogil:
    cdef int32_t params
    cdef int32_t results
    cdef Entry* e
    cdef Entry saved
    cdef int32_t edge
    cdef Label* b
    cdef bint fused
    read_blocktype(l, &params, &results)
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
    b = push_label(l, KIND_IF, params, results)
    b.other = edge
    barrier(l)

cdef void lower_else(Low* l, bint reachable) noexcept nogil:
    """End of a then-branch."""
    cdef Label* b = label(l, 0)
    cdef int32_t pos
    cdef int32_t group
    cdef int32_t i
    if reachable:
        settle_top(l, b.results)
        pos = emit(l, H_BR, 4)
        b.jump = pos + 2
        l.code[pos + 3] = 0
        edge_to(l, pos + 2, 0)
        if l.sites >= 0:
            group = new_node(l, 0)
            if group >= 0:
                l.nodes[group].child = l.sites
                l.nodes[group].ended = l.count
            b.aside = group
            l.sites = -1
    pop_to(l, b.height)
    b.kind = KIND_ELSE
    l.code[b.other] = <int32_t>l.length - b.other
    edge_to(l, b.other, here(l))
    open_site(l, b.other + 1)
    b.other = -1
    for i in range(b.params):
        push_slot(l)
    barrier(l)

cdef bint lower_end(Low* l, bint reachable) noexcept nogil:
    """End of a block; returns whether what follows can be reached."""
    cdef Label* b = label(l, 0)
    cdef int32_t i
    cdef bint joined = (
        b.fixups >= 0 or b.jump >= 0 or b.other >= 0
    )
    cdef bint after = reachable or joined
    if joined:
        if reachable:
            settle_top(l, b.results)
        if b.jump >= 0:
            l.code[b.jump] = <int32_t>l.length - b.jump
        if b.other >= 0:
            l.code[b.other] = <int32_t>l.length - b.other
            edge_to(l, b.other, here(l))
            open_site(l, b.other + 1)
        arrive(l, b)
        if b.aside >= 0:
            open_node(l, b.aside)
        pop_to(l, b.height)
        for i in range(b.results):
            push_slot(l)
        barrier(l)
    elif not reachable:
        pop_to(l, b.height)
        for i in range(b.results):
            push_slot(l)
    l.nlabels -= 1
    return after

cdef void lower_call(Low* l, Func* func, uint32_t params, uint32_t results) noexcept nogil:
    cdef int32_t pos
    cdef uint32_t i
    settle_top(l, <int32_t>params)
    if func.inst != NULL and func.inst != l.inst:
        pos = emit(l, H_CALL_CROSS, 6)
    else:
        pos = emit(l, H_CALL, 6)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - <int32_t>params)
    (<Func**>(l.code + pos + 4))[0] = func
    may_trap(l, pos)
    pop_to(l, l.height - <int32_t>params)
    for i in range(results):
        push_slot(l)

cdef void lower_indirect(Low* l, bint tail) noexcept nogil:
    cdef uint32_t type_index = <uint32_t>leb_u(&l.p)
    cdef uint32_t table = <uint32_t>leb_u(&l.p)
    cdef int32_t params = <int32_t>l.m.type_params[type_index]
    cdef uint32_t results = l.m.type_results[type_index]
    cdef Entry* e = pop(l)
    cdef Entry saved = e[0]
    cdef int32_t height = l.height
    cdef int32_t source = 0
    cdef int32_t pos
    cdef uint32_t i
    if saved.kind == IN_CONST:
        entry_slot(l, &saved, height)
        saved.kind = IN_SLOT
    settle_top(l, params)
    if in_register(l, &saved, height, 1):
        to_register(l)
        pos = emit(l, H_RETURN_CALL_INDIRECT_R if tail else H_CALL_INDIRECT_R, 10)
    else:
        source = entry_slot(l, &saved, height)
        pos = emit(l, H_RETURN_CALL_INDIRECT_S if tail else H_CALL_INDIRECT_S, 10)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - params)
    (<TableRec**>(l.code + pos + 4))[0] = l.inst.tables[table]
    (<void**>(l.code + pos + 6))[0] = l.m.types[type_index]
    l.code[pos + 8] = source
    l.code[pos + 9] = <int32_t>l.func.slots
    may_trap(l, pos)
    pop_to(l, l.height - params)
    for i in range(results):
        push_slot(l)
    if tail:
        emit_return(l)

cdef void lower_return_call(Low* l) noexcept nogil:
    cdef uint32_t index = <uint32_t>leb_u(&l.p)
    cdef Func* func = l.inst.funcs[index]
    cdef int32_t params = <int32_t>func.params
    cdef int32_t pos
    if func.inst != l.inst:
        # A host function, or another instance's: called, and its results returned.
        lower_call(l, func, func.params, func.results)
        emit_return(l)
        return
    settle_top(l, params)
    pos = emit(l, H_RETURN_CALL, 8)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - params)
    (<Func**>(l.code + pos + 4))[0] = func
    l.code[pos + 6] = <int32_t>l.func.slots
    may_trap(l, pos)

cdef void lower_local_set(Low* l, uint32_t local, bint tee) noexcept nogil:
    cdef Entry* e
    cdef Entry saved
    e = pop(l)
    saved = e[0]
    if saved.kind == IN_LOCAL and saved.local == local:
        pass
    else:
        if l.chains[local] >= 0:
            settle_local(l, local)
        if saved.kind == IN_CONST:
            load_const(l, <int32_t>local, saved.value)
            l.last_slot = -1
        elif saved.kind == IN_LOCAL:
            copy_slot(l, <int32_t>saved.local, <int32_t>local)
        elif l.last >= 0 and l.last_dst >= 0 and l.last_slot == slot_of(l, l.height):
            l.code[l.last_dst] = <int32_t>local
            l.last_slot = -1
        else:
            copy_slot(l, slot_of(l, l.height), <int32_t>local)
    if tee:
        push_local(l, local)

cdef int32_t fused_select(Low* l) noexcept nogil:
    """The cell that compares as the cell before and selects, or -1."""
    cdef int32_t op = l.last_op
    cdef int32_t which
    if op < 0 or OPS[op].shape != 2:
        return -1
    which = (l.last_id - OPS[op].family) >> 1
    if which > 1:
        return -1
    if which == 1 and OPS[op].wide:
        if <int64_t>(<int64_t*>(l.code + l.last + 6))[0] != l.code[l.last + 3]:
            return -1
    return SELECTS[2 * op + which]

cdef void lower_fused_select(Low* l, int32_t number, int32_t x, int32_t y) noexcept nogil:
    cdef int32_t a = l.code[l.last + 2]
    cdef int32_t b = l.code[l.last + 3]
    cdef int32_t pos
    l.length = <size_t>l.last
    pos = emit(l, number, 8)
    l.before = -1
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    l.code[pos + 4] = x
    l.code[pos + 5] = y
    result(l, pos, 6, 0, -1)

cdef void lower_select(Low* l) noexcept nogil:
    cdef Entry* e = pop(l)
    cdef Entry third = e[0]
    cdef Entry second
    cdef Entry first
    cdef int32_t a
    cdef int32_t b
    cdef int32_t k
    cdef int32_t pos
    e = pop(l)
    second = e[0]
    e = pop(l)
    first = e[0]
    a = entry_slot(l, &first, l.height)
    b = entry_slot(l, &second, l.height + 1)
    if in_register(l, &third, l.height + 2, 1):
        k = fused_select(l)
        if k >= 0:
            lower_fused_select(l, k, a, b)
            return
        to_register(l)
        pos = emit(l, H_SELECT_R, 6)
    else:
        k = entry_slot(l, &third, l.height + 2)
        pos = emit(l, H_SELECT, 6)
        l.code[pos + 4] = k
    l.code[pos + 2] = a
    l.code[pos + 3] = b
    result(l, pos, 5, 0, -1)

cdef void lower_global_get(Low* l, uint32_t index) noexcept nogil:
    cdef int32_t kind = l.m.global_class[index]
    cdef int32_t pos = emit(l, H_GLOBAL_GET, 6)
    (<uint64_t**>(l.code + pos + 2))[0] = l.inst.globals[index]
    result(l, pos, 4, 1 if kind == 1 else 0, -1)

cdef void lower_global_set(Low* l, uint32_t index) noexcept nogil:
    cdef int32_t kind = l.m.global_class[index]
    cdef Entry* e = pop(l)
    cdef int32_t pos
    cdef int32_t source = 0
    if in_register(l, e, l.height, kind):
        to_register(l)
        pos = emit(l, H_GLOBAL_SET + kind, 6)
    else:
        source = entry_slot(l, e, l.height)
        pos = emit(l, H_GLOBAL_SET, 6)
    (<uint64_t**>(l.code + pos + 2))[0] = l.inst.globals[index]
    l.code[pos + 4] = source

cdef int32_t simple(Low* l, int32_t number, int32_t size, int32_t operands, int32_t pushes) noexcept nogil:
    """A cell whose operands stand in their own slots; returns its position.

    Its second word is the slot of the first operand, which is that of the result too."""
    cdef int32_t pos
    settle_top(l, operands)
    pos = emit(l, number, size)
    l.code[pos + 2] = slot_of(l, l.height - operands)
    may_trap(l, pos)
    pop_to(l, l.height - operands)
    if pushes:
        push_slot(l)
    return pos

cdef void lower_prefixed(Low* l) noexcept nogil:
    cdef uint32_t sub = <uint32_t>leb_u(&l.p)
    cdef int32_t pos
    cdef uint32_t x
    cdef uint32_t y = 0
    if sub < 8:
        lower_unary(l, 0x100 + <int32_t>sub)
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
        (<TableRec**>(l.code + pos + 2))[0] = l.inst.tables[x]
        result(l, pos, 4, 0, -1)
        return
    else:
        pos = simple(l, H_TABLE_FILL, 4, 3, 0)
    l.code[pos + 3] = <int32_t>x
    if sub == 8 or sub == 10 or sub == 12 or sub == 14:
        l.code[pos + 4] = <int32_t>y

cdef void lower_body(Low* l) noexcept nogil:
    cdef uint8_t op
    cdef int32_t params
    cdef int32_t results
    cdef int32_t pos
    cdef int32_t i
    cdef uint32_t x
    cdef uint64_t n
    cdef Label* b
    cdef bint reachable = True
    cdef Entry* e
    cdef Entry saved
    push_label(l, KIND_FUNC, 0, <int32_t>l.func.results)
    open_site(l, SITE_ENTRY)
    while not l.failed:
        if not reachable:
            if skip_dead(l):
                lower_else(l, False)
                reachable = True
                continue
            op = 0x0B
        else:
            l.at = here(l)
            op = l.p[0]
            l.p += 1
        if op == 0x0B:
            reachable = lower_end(l, reachable)
            if l.nlabels == 0:
                close_sites(l)
                if reachable:
                    emit_return(l)
                return
            continue
        if op == 0x05:
            lower_else(l, True)
            continue
        l.count += 1
        if op == 0x20:
            push_local(l, <uint32_t>leb_u(&l.p))
        elif op == 0x41:
            push_const(l, <uint32_t>leb_s(&l.p))
        elif op == 0x21:
            lower_local_set(l, <uint32_t>leb_u(&l.p), False)
        elif op == 0x22:
            lower_local_set(l, <uint32_t>leb_u(&l.p), True)
        elif OPS[op].shape:
            if OPS[op].shape == 2:
                lower_binary(l, op)
            elif OPS[op].shape == 1:
                lower_unary(l, op)
            elif OPS[op].shape == 3:
                lower_load(l, op)
            else:
                lower_store(l, op)
        elif op == 0x42:
            push_const(l, <uint64_t>leb_s(&l.p))
        elif op == 0x43:
            push_const(l, ld32(l.p))
            l.p += 4
        elif op == 0x44:
            push_const(l, ld64(l.p))
            l.p += 8
        elif op == 0x0D:
            lower_br_if(l, <uint32_t>leb_u(&l.p))
        elif op == 0x0C:
            lower_br(l, <uint32_t>leb_u(&l.p))
            reachable = False
        elif op == 0x02:
            read_blocktype(l, &params, &results)
            flush_locals(l)
            push_label(l, KIND_BLOCK, params, results)
        elif op == 0x03:
            read_blocktype(l, &params, &results)
            settle_top(l, params)
            flush_locals(l)
            b = push_label(l, KIND_LOOP, params, results)
            if l.nloops >= l.loops_room:
                if not more32(<void**>&l.loops, &l.loops_room, l.nloops + 1, sizeof(int64_t)):
                    l.failed = True
                    return
            b.loop = l.nloops
            l.nloops += 1
            b.target = <int32_t>l.length
            b.offset = here(l)
            open_site(l, SITE_LOOPS - b.loop)
            barrier(l)
        elif op == 0x04:
            lower_if(l)
        elif op == 0x10:
            x = <uint32_t>leb_u(&l.p)
            lower_call(l, l.inst.funcs[x], l.inst.funcs[x].params, l.inst.funcs[x].results)
        elif op == 0x11:
            lower_indirect(l, False)
        elif op == 0x0F:
            close_sites(l)
            emit_return(l)
            reachable = False
        elif op == 0x1A:
            pop(l)
        elif op == 0x1B:
            lower_select(l)
        elif op == 0x1C:
            skip_immediates(l, op)
            lower_select(l)
        elif op == 0x23:
            lower_global_get(l, <uint32_t>leb_u(&l.p))
        elif op == 0x24:
            lower_global_set(l, <uint32_t>leb_u(&l.p))
        elif op == 0x0E:
            lower_br_table(l)
            reachable = False
        elif op == 0x00:
            close_sites(l)
            pos = emit(l, H_UNREACHABLE, 2)
            may_trap(l, pos)
            reachable = False
        elif op == 0x01:
            pass
        elif op == 0x12:
            close_sites(l)
            lower_return_call(l)
            reachable = False
        elif op == 0x13:
            close_sites(l)
            lower_indirect(l, True)
            reachable = False
        elif op == 0x25 or op == 0x26:
            x = <uint32_t>leb_u(&l.p)
            if op == 0x25:
                pos = simple(l, H_TABLE_GET, 6, 1, 1)
            else:
                pos = simple(l, H_TABLE_SET, 6, 2, 0)
            i = l.code[pos + 2]
            (<TableRec**>(l.code + pos + 2))[0] = l.inst.tables[x]
            l.code[pos + 4] = i
            l.code[pos + 5] = i if op == 0x25 else i + 1
        elif op == 0x3F:
            x = <uint32_t>leb_u(&l.p)
            pos = emit(l, H_MEMORY_SIZE, 4)
            l.code[pos + 3] = <int32_t>x
            result(l, pos, 2, 0, -1)
        elif op == 0x40:
            x = <uint32_t>leb_u(&l.p)
            pos = simple(l, H_MEMORY_GROW, 4, 1, 1)
            l.code[pos + 3] = <int32_t>x
        elif op == 0xD0:
            leb_s(&l.p)
            push_const(l, 0)
        elif op == 0xD1:
            # A null reference is a zero word.
            lower_unary(l, 0x50)
        elif op == 0xD2:
            push_const(l, <uint64_t>l.inst.funcs[leb_u(&l.p)])
        elif op == 0xFC:
            lower_prefixed(l)
        else:
            l.failed = True


cdef void free_lowered(Lowered* x) noexcept nogil:
    if x != NULL:
        free(x.code)
        free(x.traps)
        free(x.edges)
        free(x)

cdef int lower_function(Module_* m, Func* func, uint32_t max_height) noexcept nogil:
    """Lower a function; returns 0, or -1 for want of memory, or -2 for a fault."""
    cdef Low l
    cdef Lowered* out
    cdef size_t i
    cdef int status = 0
    memset(&l, 0, sizeof(Low))
    l.m = m
    l.inst = func.inst
    l.func = func
    l.p = m.binary + func.start
    l.start = l.p
    l.link = <int32_t>func.link
    l.first = <int32_t>func.link + ENTER_LINK
    l.capacity = <int32_t>max_height + 8
    l.sites = -1
    barrier(&l)
    l.stack = <Entry*>malloc((<size_t>l.capacity + 4) * sizeof(Entry))
    l.chains = <int32_t*>malloc((<size_t>func.locals + 1) * sizeof(int32_t))
    l.room = <size_t>(func.end - func.start) * 3 + 64
    l.code = <int32_t*>malloc(l.room * sizeof(int32_t))
    out = <Lowered*>malloc(sizeof(Lowered))
    if l.stack == NULL or l.chains == NULL or l.code == NULL or out == NULL:
        free(l.code)
        free(out)
        status = -1
    else:
        for i in range(<size_t>func.locals + 1):
            l.chains[i] = -1
        lower_body(&l)
        if l.failed:
            free(l.code)
            free(l.traps)
            free(l.edges)
            free(out)
            status = -2
        else:
            out.code = <int32_t*>realloc(l.code, l.length * sizeof(int32_t))
            if out.code == NULL:
                out.code = l.code
            out.length = l.length
            out.traps = l.traps
            out.ntraps = l.ntraps
            out.edges = l.edges
            out.nedges = l.nedges
            func.lowered = out
            func.code = out.code
    free(l.stack)
    free(l.chains)
    free(l.labels)
    free(l.nodes)
    free(l.loops)
    return status
