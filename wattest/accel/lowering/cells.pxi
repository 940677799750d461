# Reading the body's bytes, and appending cells.

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
    # Where its handler will stand (see lowering/sequences.pxi).
    l.code[pos] = number
    l.code[pos + 1] = size
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
