# A function from its first byte to its last.

cdef void lower_body(Low* l) noexcept nogil:
    cdef uint8_t op
    cdef BlockType t
    cdef int32_t pos
    cdef int32_t i
    cdef uint32_t x
    cdef uint64_t n
    cdef Label* b
    cdef bint reachable = True
    cdef Entry* e
    cdef Entry saved
    memset(&t, 0, sizeof(t))
    t.results = <int32_t>l.func.results
    push_label(l, KIND_FUNC, &t)
    open_site(l, SITE_ENTRY)
    while not l.failed:
        if not reachable:
            op = skip_dead(l)
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
            lower_else(l, reachable)
            reachable = True
            continue
        if op == 0x07 or op == 0x19:
            lower_catch(l, op == 0x19, reachable)
            reachable = True
            continue
        if op == 0x18:
            reachable = lower_delegate(l, reachable)
            continue
        l.count += 1
        if op == 0x20:
            lower_local_get(l, <uint32_t>leb_u(&l.p))
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
            t = read_blocktype(l)
            flush_locals(l)
            push_label(l, KIND_BLOCK, &t)
        elif op == 0x03:
            t = read_blocktype(l)
            settle_top(l, t.params)
            flush_locals(l)
            b = push_label(l, KIND_LOOP, &t)
            if l.nloops >= l.loops_room:
                if not more32(<void**>&l.loops, &l.loops_room, l.nloops + 1, sizeof(int64_t)):
                    l.failed = True
                    return
            b.loop = l.nloops
            l.loops[b.loop] = -1
            l.nloops += 1
            b.target = <int32_t>l.length
            b.offset = here(l)
            open_site(l, SITE_LOOPS - b.loop)
            barrier(l)
        elif op == 0x04:
            lower_if(l)
        elif op == 0x10:
            x = <uint32_t>leb_u(&l.p)
            lower_call(l, l.inst.funcs[x], l.m.func_types[x])
        elif op == 0x11:
            lower_indirect(l, False)
        elif op == 0x0F:
            close_sites(l)
            emit_return(l)
            reachable = False
        elif op == 0x1A:
            e = pop(l)
            if e.wide:
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
            (<cell_table*>(l.code + pos + 2))[0] = l.inst.tables[x]
            l.code[pos + 4] = i
            l.code[pos + 5] = i if op == 0x25 else i + 1
        elif op == 0x3F:
            x = <uint32_t>leb_u(&l.p)
            pos = emit(l, H_MEMORY_SIZE, 6)
            l.code[pos + 3] = <int32_t>x
            l.code[pos + 4] = l.m.page_bits[x]
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
        elif op == 0xFD:
            lower_vector(l)
        elif op == 0xFE:
            lower_atomic(l)
        elif op == 0xFB:
            lower_aggregate(l)
        elif op == 0x1F:
            lower_try_table(l)
        elif op == 0x06:
            lower_try(l)
        elif op == 0x09:
            lower_rethrow(l)
            reachable = False
        elif op == 0x08:
            lower_throw(l)
            reachable = False
        elif op == 0x0A:
            lower_throw_ref(l)
            reachable = False
        elif op == 0x14:
            lower_call_ref(l, False)
        elif op == 0x15:
            close_sites(l)
            lower_call_ref(l, True)
            reachable = False
        elif op == 0xD3:
            lower_binary(l, 0x51)
        elif op == 0xD4:
            lower_non_null(l)
        elif op == 0xD5:
            lower_br_on_null(l, <uint32_t>leb_u(&l.p))
        elif op == 0xD6:
            lower_br_on_non_null(l, <uint32_t>leb_u(&l.p))
        else:
            l.failed = True


cdef void free_lowered(Lowered* x) noexcept nogil:
    if x != NULL:
        free(x.code)
        free(x.traps)
        free(x.edges)
        free(x.tries)
        free(x.clauses)
        free(x)

cdef int lower_into(
    Low* l, Module_* m, Func* func, uint32_t max_height, const int32_t* places
) noexcept nogil:
    """Lower a function; returns 0, or -1 for want of memory, or -2 for a fault.

    Code, traps, edges, tries and clauses are the caller's to free, whatever comes out."""
    cdef size_t i
    cdef int status = 0
    l.m = m
    l.inst = func.inst
    l.func = func
    l.places = places
    l.p = m.binary + func.start
    l.start = l.p
    l.link = <int32_t>func.link
    l.first = <int32_t>func.link + ENTER_LINK
    l.capacity = <int32_t>max_height + 8
    l.sites = -1
    barrier(l)
    l.stack = <Entry*>malloc((<size_t>l.capacity + 4) * sizeof(Entry))
    l.chains = <int32_t*>malloc((<size_t>func.locals + 1) * sizeof(int32_t))
    l.room = <size_t>(func.end - func.start) * 3 + 64
    l.code = <int32_t*>malloc(l.room * sizeof(int32_t))
    if l.stack == NULL or l.chains == NULL or l.code == NULL:
        status = -1
    else:
        for i in range(<size_t>func.locals + 1):
            l.chains[i] = -1
        lower_body(l)
        if l.failed:
            status = -2
    free(l.stack)
    free(l.chains)
    free(l.labels)
    free(l.nodes)
    free(l.loops)
    return status

cdef int lower_function(
    Module_* m, Func* func, uint32_t max_height, const int32_t* places
) noexcept nogil:
    """Lower a function and put its code in place; returns as `lower_into`."""
    cdef Low l
    cdef Lowered* out = <Lowered*>malloc(sizeof(Lowered))
    cdef int status
    memset(&l, 0, sizeof(Low))
    status = -1 if out == NULL else lower_into(&l, m, func, max_height, places)
    if status == 0:
        status = put_handlers(&l)
    if status:
        free(l.code)
        free(l.traps)
        free(l.edges)
        free(l.tries)
        free(l.clauses)
        free(out)
        return status
    out.code = <int32_t*>realloc(l.code, l.length * sizeof(int32_t))
    if out.code == NULL:
        out.code = l.code
    out.length = l.length
    out.traps = l.traps
    out.ntraps = l.ntraps
    out.edges = l.edges
    out.nedges = l.nedges
    out.tries = l.tries
    out.ntries = l.ntries
    out.clauses = l.clauses
    func.lowered = out
    func.code = out.code
    return 0

cdef Notes* take_notes(
    Module_* m, Func* func, uint32_t max_height, const int32_t* places
) noexcept nogil:
    """The notes on a lowered function, or NULL: no memory, or it came out otherwise than before."""
    cdef Low l
    cdef Lowered* low = <Lowered*>func.lowered
    cdef Notes* n = <Notes*>calloc(1, sizeof(Notes))
    cdef bint good
    if n == NULL:
        return NULL
    memset(&l, 0, sizeof(Low))
    l.notes = n
    good = (
        lower_into(&l, m, func, max_height, places) == 0
        and l.length == low.length and l.ntraps == low.ntraps and l.nedges == low.nedges
        # Of no places there is no list: NULL is nothing to compare in C.
        and (l.ntraps == 0 or memcmp(l.traps, low.traps, l.ntraps * sizeof(Place)) == 0)
        and (l.nedges == 0 or memcmp(l.edges, low.edges, l.nedges * sizeof(Place)) == 0)
    )
    free(l.code)
    free(l.traps)
    free(l.edges)
    free(l.tries)
    free(l.clauses)
    if not good:
        free_notes(n)
        return NULL
    return n
