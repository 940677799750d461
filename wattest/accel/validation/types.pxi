# Types as numbers: letters, subtyping (spec 3.3).

cdef uint32_t ABOVE[HT_DEFINED]
"""Bit sets: the abstract heap types that lie above each of them."""

cdef uint32_t TOPS[HT_DEFINED]
cdef uint8_t LETTERS[HT_DEFINED]


cdef inline bint is_ref(uint32_t type_) noexcept nogil:
    return type_ & IS_REF


cdef inline bint defaultable(uint32_t type_) noexcept nogil:
    """Whether a type has a default value (spec 3.2.6)."""
    return (type_ & (IS_REF | NULLABLE)) != IS_REF


cdef inline uint32_t reference(bint nullable, uint32_t heap) noexcept nogil:
    return IS_REF | (NULLABLE if nullable else 0) | heap


cdef inline uint32_t kind_of(Check* c, uint32_t heap) noexcept nogil:
    """The abstract heap type right above a defined type."""
    cdef uint8_t kind = c.types[heap - HT_DEFINED].kind
    return HT_FUNC if kind == D_FUNC else HT_STRUCT if kind == D_STRUCT else HT_ARRAY


cdef inline uint32_t top(Check* c, uint32_t heap) noexcept nogil:
    """The top of the hierarchy of a heap type."""
    return TOPS[kind_of(c, heap) if heap >= HT_DEFINED else heap]


cdef inline uint8_t letter(Check* c, uint32_t type_) noexcept nogil:
    """The letter that `wattest.accel.core` has for a type."""
    cdef uint32_t heap
    if is_ref(type_):
        heap = type_ & HEAP
        return LETTERS[kind_of(c, heap) if heap >= HT_DEFINED else heap]
    if type_ == T_I32:
        return c'i'
    if type_ == T_I64:
        return c'l'
    if type_ == T_F32:
        return c'f'
    if type_ == T_F64:
        return c'd'
    return c'v' if type_ == T_V128 else c'?'


cdef bint below(Check* c, uint32_t sub, uint32_t sup) noexcept nogil:
    """Whether a heap type matches another (spec 3.3.3)."""
    cdef Defined* lower
    cdef Defined* upper
    cdef uint32_t kind
    if sub == sup or sub == HT_BOT:
        return True
    if sub >= HT_DEFINED:
        if sup >= HT_DEFINED:
            lower = &c.types[sub - HT_DEFINED]
            upper = &c.types[sup - HT_DEFINED]
            return lower.depth > upper.depth and (
                c.supers[lower.supers + upper.depth] == sup - HT_DEFINED
            )
        kind = kind_of(c, sub)
        return kind == sup or ABOVE[kind] >> sup & 1
    if sup >= HT_DEFINED:
        # The bottoms lie below every defined type of their hierarchy.
        return sub == (HT_NOFUNC if kind_of(c, sup) == HT_FUNC else HT_NONE)
    return ABOVE[sub] >> sup & 1


cdef bint subtype(Check* c, uint32_t sub, uint32_t sup) noexcept nogil:
    """Whether a type matches another (spec 3.3.4, 3.3.5), neither of them unknown."""
    if sub == sup:
        return True
    if not is_ref(sub) or not is_ref(sup) or (sub & NULLABLE and not sup & NULLABLE):
        return False
    return below(c, sub & HEAP, sup & HEAP)


_ABSTRACT = {
    ANY: HT_ANY, EQ: HT_EQ, I31: HT_I31, STRUCT: HT_STRUCT, ARRAY: HT_ARRAY, NONE: HT_NONE,
    FUNC: HT_FUNC, NOFUNC: HT_NOFUNC, EXTERN: HT_EXTERN, NOEXTERN: HT_NOEXTERN,
    EXN: HT_EXN, NOEXN: HT_NOEXN,
}


def _fill_types():
    cdef uint32_t i, k
    LETTERS[HT_BOT] = c'a'
    for heap, i in _ABSTRACT.items():
        highest = top_heaptype(heap)
        TOPS[i] = _ABSTRACT[highest]
        LETTERS[i] = {FUNC: b"r", EXTERN: b"e", ANY: b"a", EXN: b"x"}[highest][0]
        for other, k in _ABSTRACT.items():
            if other is not heap and match_heaptype(heap, other):
                ABOVE[i] |= 1 << k


_fill_types()
