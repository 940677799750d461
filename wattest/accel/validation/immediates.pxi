# Integers of the binary format (spec 5.2.2); False where they are malformed or cut off.
# Types and block types.

cdef inline bint u32(Check* c, uint32_t* out) noexcept nogil:
    cdef uint32_t value = 0
    cdef int shift = 0
    cdef uint8_t byte
    while c.p < c.end:
        byte = c.p[0]
        c.p += 1
        if shift == 28 and byte > 0x0F:
            return False
        value |= <uint32_t>(byte & 0x7F) << shift
        if byte < 0x80:
            out[0] = value
            return True
        shift += 7
    return False


cdef bint u64_(Check* c, uint64_t* out) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef uint8_t byte
    while c.p < c.end:
        byte = c.p[0]
        c.p += 1
        if shift == 63 and byte > 1:
            return False
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            out[0] = value
            return True
        shift += 7
    return False


cdef inline bint signed(Check* c, int bits, int64_t* out) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0, unused
    cdef uint8_t byte
    while c.p < c.end:
        byte = c.p[0]
        c.p += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        if bits - shift < 7:
            # The last byte: what is left over repeats the sign, and nothing follows.
            unused = (byte & 0x7F) >> (bits - shift - 1)
            if byte >= 0x80 or (unused and unused != 0x7F >> (bits - shift - 1)):
                return False
        shift += 7
        if byte < 0x80:
            if byte & 0x40 and shift < 64:
                value |= (<uint64_t>-1) << shift
            out[0] = <int64_t>value
            return True
    return False


cdef inline bint skip(Check* c, int count) noexcept nogil:
    if c.end - c.p < count:
        return False
    c.p += count
    return True


cdef uint32_t heaptype(Check* c) noexcept nogil:
    """A heap type (spec 5.3.3) as HT_..., or NO_HEAP."""
    cdef int64_t index
    cdef uint8_t byte
    if c.p >= c.end:
        return NO_HEAP
    byte = c.p[0]
    if 0x69 <= byte <= 0x74:
        c.p += 1
        return HEAPS[byte - 0x69]
    if not signed(c, 33, &index) or index < 0 or index >= c.ntypes:
        return NO_HEAP
    if not c.types[index].kind:
        return NO_HEAP
    return HT_DEFINED + c.types[index].first


cdef uint32_t valtype(Check* c) noexcept nogil:
    """A value type (spec 5.3.5), or NOTHING."""
    cdef uint8_t byte
    cdef uint32_t heap
    if c.p >= c.end:
        return NOTHING
    byte = c.p[0]
    c.p += 1
    if byte == 0x7F:
        return T_I32
    if byte == 0x7E:
        return T_I64
    if byte == 0x7D:
        return T_F32
    if byte == 0x7C:
        return T_F64
    if 0x69 <= byte <= 0x74:
        return reference(True, HEAPS[byte - 0x69])
    if byte == 0x63 or byte == 0x64:
        heap = heaptype(c)
        return NOTHING if heap == NO_HEAP else reference(byte == 0x63, heap)
    if byte == 0x7B and VECTORS[0].kind:
        return T_V128
    return NOTHING


cdef inline Types alone(Check* c, uint32_t type_) noexcept nogil:
    """The list in the pool of one type."""
    cdef Types found
    found.count = 2 if type_ == T_V128 else 1
    if is_ref(type_):
        found.at = NUMBERS + 2 * (type_ & HEAP) + (1 if type_ & NULLABLE else 0)
    else:
        found.at = type_
    return found


cdef bint blocktype(Check* c, Types* start, Types* end) noexcept nogil:
    """A block type (spec 3.2.8, 5.4.2)."""
    cdef uint8_t byte
    cdef uint32_t found
    cdef int64_t index
    start.at = start.count = end.at = end.count = 0
    if c.p >= c.end:
        return False
    byte = c.p[0]
    if byte == 0x40:
        c.p += 1
        return True
    if 0x40 < byte < 0x80:
        found = valtype(c)
        if found == NOTHING:
            return False
        end[0] = alone(c, found)
        return True
    if not signed(c, 33, &index) or index < 0 or index >= c.ntypes:
        return False
    start[0] = c.types[index].params
    end[0] = c.types[index].results
    return c.types[index].kind == D_FUNC
