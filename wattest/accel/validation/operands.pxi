# The value stack.

cdef inline bint reach(Check* c, uint64_t height) noexcept nogil:
    if height > MAX_HEIGHT:
        return False
    if height > c.peak:
        c.peak = <uint32_t>height
    return True


cdef inline bint push(Check* c, uint8_t type_) noexcept nogil:
    c.stack[c.sp] = type_
    c.sp += 1
    return c.sp <= c.peak or reach(c, c.sp)


cdef inline bint push_value(Check* c, uint8_t type_) noexcept nogil:
    """Push a value of any type: a vector stands there twice."""
    return push(c, type_) and (type_ != T_V128 or push(c, type_))


cdef inline bint push_many(Check* c, Types types) noexcept nogil:
    cdef uint64_t height = <uint64_t>c.sp + types.count
    if height > c.peak and not reach(c, height):
        return False
    if types.count == 1:
        c.stack[c.sp] = c.pool[types.at]
    else:
        memcpy(c.stack + c.sp, c.pool + types.at, types.count)
    c.sp = <uint32_t>height
    return True


cdef inline uint8_t pop_any(Check* c) noexcept nogil:
    """The type of the operand popped, T_UNKNOWN in dead code, NOTHING where none is there."""
    if c.sp > c.height:
        c.sp -= 1
        return c.stack[c.sp]
    return T_UNKNOWN if c.unreachable else NOTHING


cdef inline bint pop(Check* c, uint8_t expected) noexcept nogil:
    cdef uint8_t found = pop_any(c)
    return found == expected or found == T_UNKNOWN


cdef inline bint pop_value(Check* c, uint8_t expected) noexcept nogil:
    return pop(c, expected) and (expected != T_V128 or pop(c, expected))


cdef inline uint8_t pop_whole(Check* c) noexcept nogil:
    """As `pop_any`, of a vector both entries."""
    cdef uint8_t found = pop_any(c)
    if found == T_V128:
        pop_any(c)
    return found


cdef bint match(const uint8_t* found, const uint8_t* expected, uint32_t count) noexcept nogil:
    cdef uint32_t i
    if memcmp(found, expected, count) == 0:
        return True
    for i in range(count):
        if found[i] != expected[i] and found[i] != T_UNKNOWN:
            return False
    return True


cdef inline int64_t on_top(Check* c, Types types) noexcept nogil:
    """How many of these types are on top, which can be fewer in dead code only; -1: others."""
    cdef uint32_t here = c.sp - c.height
    if here >= types.count:
        here = types.count
    elif not c.unreachable:
        return -1
    if not match(c.stack + c.sp - here, c.pool + types.at + types.count - here, here):
        return -1
    return here


cdef inline bint pop_many(Check* c, Types types) noexcept nogil:
    cdef int64_t here
    if types.count == 0:
        return True
    if types.count == 1:
        return pop(c, c.pool[types.at])
    here = on_top(c, types)
    if here < 0:
        return False
    c.sp -= <uint32_t>here
    return True
