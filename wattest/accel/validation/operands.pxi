# The value stack.

cdef inline bint reach(Check* c, uint64_t height) noexcept nogil:
    if height > MAX_HEIGHT:
        return False
    if height > c.peak:
        c.peak = <uint32_t>height
    return True


cdef inline bint push(Check* c, uint32_t type_) noexcept nogil:
    c.stack[c.sp] = type_
    c.sp += 1
    return c.sp <= c.peak or reach(c, c.sp)


cdef inline bint push_value(Check* c, uint32_t type_) noexcept nogil:
    """Push a value of any type: a vector stands there twice."""
    return push(c, type_) and (type_ != T_V128 or push(c, type_))


cdef inline bint push_many(Check* c, Types types) noexcept nogil:
    cdef uint64_t height = <uint64_t>c.sp + types.count
    if height > c.peak and not reach(c, height):
        return False
    if types.count == 1:
        c.stack[c.sp] = c.pool[types.at]
    elif types.count:
        memcpy(c.stack + c.sp, c.pool + types.at, types.count * sizeof(uint32_t))
    c.sp = <uint32_t>height
    return True


cdef inline uint32_t pop_any(Check* c) noexcept nogil:
    """The type of the operand popped, T_UNKNOWN in dead code, NOTHING where none is there."""
    if c.sp > c.height:
        c.sp -= 1
        return c.stack[c.sp]
    return T_UNKNOWN if c.unreachable else NOTHING


cdef inline bint pop(Check* c, uint32_t expected) noexcept nogil:
    cdef uint32_t found = pop_any(c)
    return found == expected or found == T_UNKNOWN or (
        found & expected & IS_REF and subtype(c, found, expected)
    )


cdef inline bint pop_value(Check* c, uint32_t expected) noexcept nogil:
    return pop(c, expected) and (expected != T_V128 or pop(c, expected))


cdef inline uint32_t pop_whole(Check* c) noexcept nogil:
    """As `pop_any`, of a vector both entries."""
    cdef uint32_t found = pop_any(c)
    if found == T_V128:
        pop_any(c)
    return found


cdef inline uint32_t pop_reference(Check* c) noexcept nogil:
    """The reference type popped, of an unknown one ``(ref bot)``, NOTHING where none is there."""
    cdef uint32_t found = pop_any(c)
    if found == T_UNKNOWN:
        return reference(False, HT_BOT)
    return found if is_ref(found) else NOTHING


cdef bint match_each(
    Check* c, const uint32_t* found, const uint32_t* expected, uint32_t count
) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        if (
            found[i] != expected[i] and found[i] != T_UNKNOWN
            and not subtype(c, found[i], expected[i])
        ):
            return False
    return True


cdef bint match(Check* c, const uint32_t* found, uint32_t at, uint32_t count) noexcept nogil:
    """Whether types match those in the pool from a place on."""
    cdef size_t size = count * sizeof(uint32_t)
    if count == 0 or memcmp(found, c.pool + at, size) == 0:
        return True
    if count < MANY or count > MAX_COMPARED:
        return match_each(c, found, c.pool + at, count)
    # A call of many parameters can stand in a small module very often.
    if c.compared_at == at and c.ncompared == count and memcmp(c.compared, found, size) == 0:
        return True
    if not match_each(c, found, c.pool + at, count):
        return False
    c.compared_at = at
    c.ncompared = count
    memcpy(c.compared, found, size)
    return True


cdef inline int64_t on_top(Check* c, Types types) noexcept nogil:
    """How many of these types are on top, which can be fewer in dead code only; -1: others."""
    cdef uint32_t here = c.sp - c.height
    if here >= types.count:
        here = types.count
    elif not c.unreachable:
        return -1
    if not match(c, c.stack + c.sp - here, types.at + types.count - here, here):
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


cdef inline Types without_last(Types types) noexcept nogil:
    cdef Types found = types
    found.count -= 1
    return found


cdef inline bint again(Check* c, Types types) noexcept nogil:
    """Operands of these types stay, as a branch that is not taken leaves them."""
    return pop_many(c, types) and push_many(c, types)


cdef bint pop_repeated(Check* c, uint32_t type_, uint32_t count) noexcept nogil:
    """Pop as many entries of one type."""
    cdef uint32_t here = c.sp - c.height
    cdef uint32_t i, found
    if here >= count:
        here = count
    elif not c.unreachable:
        return False
    for i in range(c.sp - here, c.sp):
        found = c.stack[i]
        if found != type_ and found != T_UNKNOWN and not subtype(c, found, type_):
            return False
    c.sp -= here
    return True
