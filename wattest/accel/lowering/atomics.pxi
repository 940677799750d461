# The instructions behind the prefix 0xFE: atomic accesses.

cdef void lower_atomic(Low* l) noexcept nogil:
    cdef uint64_t sub = leb_u(&l.p)
    cdef AtomicInfo* a
    cdef uint32_t memory
    cdef uint64_t offset
    cdef int32_t at[3]
    cdef int32_t i
    cdef int32_t pos
    cdef Entry* e
    if sub == ATOMIC_FENCE:
        l.p += 1
        return
    if sub >= ATOMIC_CODES or ATOMICS[sub].family == 0:
        l.failed = True
        return
    a = &ATOMICS[sub]
    read_memarg(l, &memory, &offset)
    memset(at, 0, sizeof(at))
    i = a.operands + 1
    while i:
        i -= 1
        e = pop(l)
        at[i] = entry_slot(l, e, l.height)
    pos = emit(l, a.family, 10)
    for i in range(3):
        l.code[pos + 2 + i] = at[i]
    l.code[pos + 6] = <int32_t>memory
    l.code[pos + 7] = l.m.shared[memory]
    (<cell_u64*>(l.code + pos + 8))[0] = offset
    may_trap(l, pos)
    if a.results:
        result(l, pos, 5, 0, -1)

cdef void skip_atomic(Low* l) noexcept nogil:
    if leb_u(&l.p) == ATOMIC_FENCE:
        l.p += 1
    else:
        skip_memarg(l)
