# Typed references: tests, casts, branches on them, calls through them (spec 3.4.2, 3.4.6).

cdef inline bint defined(Check* c, uint8_t kind, Defined** out, uint32_t* heap) noexcept nogil:
    """Read a type index of a kind of defined types: what it stands for, and as a heap type."""
    cdef uint32_t index
    if not u32(c, &index) or index >= c.ntypes or c.types[index].kind != kind:
        return False
    out[0] = &c.types[index]
    heap[0] = HT_DEFINED + c.types[index].first
    return True


cdef bint br_on_cast(Check* c, bint fail) noexcept nogil:
    """``[t* rt1] -> [t* rt]``: of ``rt2`` and what is left of ``rt1`` the label takes one."""
    cdef uint8_t flags
    cdef uint32_t index, heap, source, target, left
    cdef Types types
    if c.p >= c.end or c.p[0] > 3:
        return False
    flags = c.p[0]
    c.p += 1
    if not u32(c, &index) or not label(c, index, &types) or types.count == 0:
        return False
    heap = heaptype(c)
    if heap == NO_HEAP:
        return False
    source = reference(flags & 1, heap)
    heap = heaptype(c)
    if heap == NO_HEAP:
        return False
    target = reference(flags & 2, heap)
    left = source & ~<uint32_t>NULLABLE if flags & 2 else source
    if not subtype(c, target, source):
        return False
    if not subtype(c, left if fail else target, c.pool[types.at + types.count - 1]):
        return False
    if not pop(c, source) or not again(c, without_last(types)):
        return False
    return push(c, target if fail else left)


cdef bint convert(Check* c, uint32_t source, uint32_t target) noexcept nogil:
    """From one hierarchy to the other; null stays null (spec 3.4.9)."""
    cdef uint32_t found = pop_reference(c)
    if found == NOTHING or not below(c, found & HEAP, source):
        return False
    return push(c, reference(found & NULLABLE, target))


cdef bint on_references(Check* c, uint8_t kind) noexcept nogil:
    """An instruction from K_REFERENCES on."""
    cdef uint32_t index, heap, found
    cdef Types types
    cdef Defined* type_
    if kind == K_CALL_REF or kind == K_RETURN_CALL_REF:
        if not defined(c, D_FUNC, &type_, &heap):
            return False
        if not pop(c, reference(True, heap)) or not pop_many(c, type_.params):
            return False
        if kind == K_CALL_REF:
            return push_many(c, type_.results)
        if not matching(c, type_.results, c.results):
            return False
        dead(c)
        return True
    if kind == K_AS_NON_NULL:
        found = pop_reference(c)
        return found != NOTHING and push(c, found & ~<uint32_t>NULLABLE)
    if kind == K_BR_ON_NULL:
        found = pop_reference(c)
        if found == NOTHING or not u32(c, &index) or not label(c, index, &types):
            return False
        return again(c, types) and push(c, found & ~<uint32_t>NULLABLE)
    if kind == K_BR_ON_NON_NULL:
        if not u32(c, &index) or not label(c, index, &types) or types.count == 0:
            return False
        found = c.pool[types.at + types.count - 1]
        if not is_ref(found) or not pop(c, found | NULLABLE):
            return False
        return again(c, without_last(types))
    if kind == K_BR_ON_CAST or kind == K_BR_ON_CAST_FAIL:
        return br_on_cast(c, kind == K_BR_ON_CAST_FAIL)
    if kind == K_TEST or kind == K_CAST or kind == K_CAST_NULL:
        heap = heaptype(c)
        if heap == NO_HEAP or not pop(c, reference(True, top(c, heap))):
            return False
        return push(c, T_I32 if kind == K_TEST else reference(kind == K_CAST_NULL, heap))
    if kind == K_FROM_EXTERN:
        return convert(c, HT_EXTERN, HT_ANY)
    if kind == K_TO_EXTERN:
        return convert(c, HT_ANY, HT_EXTERN)
    return False
