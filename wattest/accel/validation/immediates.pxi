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


cdef uint8_t valtype(Check* c) noexcept nogil:
    """A value type (spec 5.3.5), or NOTHING."""
    cdef uint8_t byte
    if c.p >= c.end:
        return NOTHING
    byte = c.p[0]
    c.p += 1
    if byte == 0x63:             # (ref null ...), the long form
        if c.p >= c.end:
            return NOTHING
        byte = c.p[0]
        c.p += 1
        if byte != 0x70 and byte != 0x6F:
            return NOTHING
    if byte == 0x7F:
        return T_I32
    if byte == 0x7E:
        return T_I64
    if byte == 0x7D:
        return T_F32
    if byte == 0x7C:
        return T_F64
    if byte == 0x70:
        return T_FUNC
    if byte == 0x6F:
        return T_EXTERN
    if byte == 0x7B and VECTORS[0].kind:
        return T_V128
    return NOTHING


cdef bint blocktype(Check* c, Types* start, Types* end) noexcept nogil:
    """A block type (spec 3.2.8, 5.4.2)."""
    cdef uint8_t byte, found
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
        # The pool begins with each type, in the order of the codes.
        end.at = found
        end.count = 2 if found == T_V128 else 1
        return found != NOTHING
    if not signed(c, 33, &index) or index < 0 or index >= c.ntypes:
        return False
    start[0] = c.signatures[index].params
    end[0] = c.signatures[index].results
    return c.signatures[index].known
