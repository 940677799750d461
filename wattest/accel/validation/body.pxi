# A body from its first byte to its last.

cdef inline bint immediate(Check* c, Op* op, uint8_t kind) noexcept nogil:
    """Read an immediate that stands for itself, and look it up."""
    cdef uint32_t index
    cdef uint64_t offset
    cdef int64_t number
    if kind == M_I32:
        return signed(c, 32, &number)
    if kind == M_MEMARG:
        if not u32(c, &index) or index >= 0x80 or (index & 0x3F) > op.natural:
            return False
        if (index & 0x3F) < op.least:
            return False
        if not index & 0x40:
            index = 0
        elif not u32(c, &index):
            return False
        if index >= c.nmems:
            return False
        c.address = c.mems[index]
        return u64_(c, &offset) and (offset <= 0xFFFFFFFFu or c.address == T_I64)
    if kind == M_I64:
        return signed(c, 64, &number)
    if kind == M_F32:
        return skip(c, 4)
    if kind == M_F64:
        return skip(c, 8)
    if kind == M_ZERO:
        return skip(c, 1) and c.p[-1] == 0
    if kind == M_V128:
        return skip(c, 16)
    if kind == M_LANE:
        return skip(c, 1) and c.p[-1] < op.lanes
    if kind == M_LANES:
        if not skip(c, 16):
            return False
        for index in range(1, 17):
            if c.p[-<int64_t>index] >= 32:
                return False
        return True
    if not u32(c, &index):
        return False
    if kind == M_MEMORY:
        if index >= c.nmems:
            return False
        c.address = c.mems[index]
        return True
    if kind == M_DATA:
        return c.data_count and index < c.ndatas
    if kind == M_ELEM:
        return index < c.nelems
    return False


cdef bint note_types(Check* c) noexcept nogil:
    """Note what is on the stack before the instruction at ``c.p``."""
    cdef size_t need = c.nseen + c.sp + sizeof(uint32_t)
    cdef uint8_t* seen = c.seen
    if need > c.seen_room:
        seen = <uint8_t*>realloc(seen, need * 2)
        if seen == NULL:
            return False
        c.seen = seen
        c.seen_room = need * 2
    memcpy(seen + c.nseen, &c.sp, sizeof(uint32_t))
    memcpy(seen + c.nseen + sizeof(uint32_t), c.stack, c.sp)
    c.nseen = need
    c.watch += 1
    return True


cdef inline bint copy(Check* c, uint8_t target, uint8_t source) noexcept nogil:
    """Pop ``[at1 at2 min(at1, at2)]``."""
    cdef uint8_t count = T_I64 if target == T_I64 and source == T_I64 else T_I32
    return pop(c, count) and pop(c, source) and pop(c, target)


cdef int body(Check* c) noexcept nogil:
    """The instructions of a body from ``c.p`` to ``c.end``, the frame of the body pushed."""
    cdef Op* op
    cdef uint8_t kind, first, second
    cdef uint32_t index, other, k
    cdef int status
    cdef Types start, end
    cdef Signature* signature
    while c.p < c.end:
        if c.watch != NULL and <uint32_t>(c.p - c.binary) == c.watch[0]:
            if not note_types(c):
                return NO_MEMORY
        op = &PLAIN[c.p[0]]
        c.p += 1
        if op.kind == K_PREFIX:
            kind = c.p[-1]
            if not u32(c, &index):
                return REFUSED
            if kind == VECTOR_PREFIX:
                if index >= VECTOR_OPCODES:
                    return REFUSED
                op = &VECTORS[index]
            elif kind == ATOMIC_PREFIX:
                if not c.atomic or index >= ATOMIC_OPCODES:
                    return REFUSED
                op = &ATOMICS[index]
            elif index >= SUB_OPCODES:
                return REFUSED
            else:
                op = &PREFIXED[index]
        kind = op.kind
        if kind == K_FIXED:
            if op.imm[0] and not immediate(c, op, op.imm[0]):
                return REFUSED
            if op.imm[1] and not immediate(c, op, op.imm[1]):
                return REFUSED
            k = op.count
            while k:
                k -= 1
                first = op.operands[k]
                if not pop(c, c.address if first == T_ADDRESS else first):
                    return REFUSED
            if op.result == T_ADDRESS:
                if not push(c, c.address):
                    return REFUSED
            elif op.result and not push_value(c, op.result):
                return REFUSED
        elif kind == K_LOCAL_GET:
            if not u32(c, &index) or index >= c.nlocals or not push_value(c, c.locals[index]):
                return REFUSED
        elif kind == K_LOCAL_SET:
            if not u32(c, &index) or index >= c.nlocals or not pop_value(c, c.locals[index]):
                return REFUSED
        elif kind == K_LOCAL_TEE:
            if not u32(c, &index) or index >= c.nlocals or not pop_value(c, c.locals[index]):
                return REFUSED
            if not push_value(c, c.locals[index]):
                return REFUSED
        elif kind == K_BLOCK or kind == K_LOOP or kind == K_IF:
            if not blocktype(c, &start, &end):
                return REFUSED
            if kind == K_IF and not pop(c, T_I32):
                return REFUSED
            if not pop_many(c, start):
                return REFUSED
            status = push_frame(c, kind, start, end)
            if status != VALID:
                return status
        elif kind == K_ELSE:
            if c.frames[c.depth - 1].kind != K_IF:
                return REFUSED
            start = c.frames[c.depth - 1].start
            end = c.frames[c.depth - 1].end
            if not pop_frame(c):
                return REFUSED
            status = push_frame(c, K_ELSE, start, end)
            if status != VALID:
                return status
        elif kind == K_END:
            start = c.frames[c.depth - 1].start
            end = c.frames[c.depth - 1].end
            if c.frames[c.depth - 1].kind == K_IF and not same(c, start, end):
                return REFUSED       # a missing else-branch hands its operands on
            if not pop_frame(c) or not push_many(c, end):
                return REFUSED
            if c.depth == 0:
                return VALID if c.p == c.end else REFUSED
        elif kind == K_BR:
            if not u32(c, &index) or not label(c, index, &end) or not pop_many(c, end):
                return REFUSED
            dead(c)
        elif kind == K_BR_IF:
            if not u32(c, &index) or not pop(c, T_I32) or not label(c, index, &end):
                return REFUSED
            if not pop_many(c, end) or not push_many(c, end):
                return REFUSED
        elif kind == K_BR_TABLE:
            if not br_table(c):
                return REFUSED
        elif kind == K_RETURN:
            if not pop_many(c, c.results):
                return REFUSED
            dead(c)
        elif kind == K_UNREACHABLE:
            dead(c)
        elif kind == K_CALL or kind == K_RETURN_CALL:
            if not u32(c, &index) or index >= c.nfuncs:
                return REFUSED
            signature = &c.signatures[c.funcs[index]]
            if not signature.known or not pop_many(c, signature.params):
                return REFUSED
            if kind == K_CALL:
                if not push_many(c, signature.results):
                    return REFUSED
            else:
                if not same(c, signature.results, c.results):
                    return REFUSED
                dead(c)
        elif kind == K_CALL_INDIRECT or kind == K_RETURN_CALL_INDIRECT:
            if not u32(c, &index) or not u32(c, &other):
                return REFUSED
            if index >= c.ntypes or other >= c.ntables or c.tables[other] != T_FUNC:
                return REFUSED
            signature = &c.signatures[index]
            if not signature.known or not pop(c, c.indices[other]):
                return REFUSED
            if not pop_many(c, signature.params):
                return REFUSED
            if kind == K_CALL_INDIRECT:
                if not push_many(c, signature.results):
                    return REFUSED
            else:
                if not same(c, signature.results, c.results):
                    return REFUSED
                dead(c)
        elif kind == K_DROP:
            if pop_whole(c) == NOTHING:
                return REFUSED
        elif kind == K_SELECT:
            if not pop(c, T_I32):
                return REFUSED
            second = pop_whole(c)
            first = pop_whole(c)
            if first == NOTHING or second == NOTHING:
                return REFUSED
            if first == T_FUNC or first == T_EXTERN or second == T_FUNC or second == T_EXTERN:
                return REFUSED
            if first == T_UNKNOWN:
                first = second
            elif second != first and second != T_UNKNOWN:
                return REFUSED
            if not push_value(c, first):
                return REFUSED
        elif kind == K_SELECT_T:
            if not u32(c, &index) or index != 1:
                return REFUSED
            first = valtype(c)
            if first == NOTHING or not pop(c, T_I32):
                return REFUSED
            if not pop_value(c, first) or not pop_value(c, first) or not push_value(c, first):
                return REFUSED
        elif kind == K_GLOBAL_GET:
            if not u32(c, &index) or index >= c.nglobals or c.globals[index].type == NOTHING:
                return REFUSED
            if not push_value(c, c.globals[index].type):
                return REFUSED
        elif kind == K_GLOBAL_SET:
            if not u32(c, &index) or index >= c.nglobals or not c.globals[index].mutable:
                return REFUSED
            if c.globals[index].type == NOTHING or not pop_value(c, c.globals[index].type):
                return REFUSED
        elif kind >= K_TABLE_GET and kind <= K_TABLE_FILL:
            if not u32(c, &index) or index >= c.ntables:
                return REFUSED
            first = c.tables[index]
            if first == NOTHING:
                return REFUSED
            second = c.indices[index]
            if kind == K_TABLE_GET:
                if not pop(c, second) or not push(c, first):
                    return REFUSED
            elif kind == K_TABLE_SET:
                if not pop(c, first) or not pop(c, second):
                    return REFUSED
            elif kind == K_TABLE_SIZE:
                if not push(c, second):
                    return REFUSED
            elif kind == K_TABLE_GROW:
                if not pop(c, second) or not pop(c, first) or not push(c, second):
                    return REFUSED
            elif not pop(c, second) or not pop(c, first) or not pop(c, second):
                return REFUSED
        elif kind == K_TABLE_COPY or kind == K_TABLE_INIT:
            # The element segment comes first for table.init, the target for table.copy.
            if not u32(c, &index) or not u32(c, &other) or other >= c.ntables:
                return REFUSED
            if c.tables[other] == NOTHING:
                return REFUSED
            if kind == K_TABLE_INIT:
                if index >= c.nelems or c.elems[index] != c.tables[other]:
                    return REFUSED
                if not pop(c, T_I32) or not pop(c, T_I32) or not pop(c, c.indices[other]):
                    return REFUSED
            elif index >= c.ntables or c.tables[index] != c.tables[other]:
                return REFUSED
            elif not copy(c, c.indices[index], c.indices[other]):
                return REFUSED
        elif kind == K_MEMORY_COPY:
            if not u32(c, &index) or not u32(c, &other):
                return REFUSED
            if index >= c.nmems or other >= c.nmems or not copy(c, c.mems[index], c.mems[other]):
                return REFUSED
        elif kind == K_REF_NULL:
            if c.p >= c.end:
                return REFUSED
            if c.p[0] == 0x70:
                first = T_FUNC
            elif c.p[0] == 0x6F:
                first = T_EXTERN
            else:
                return REFUSED
            c.p += 1
            if not push(c, first):
                return REFUSED
        elif kind == K_REF_IS_NULL:
            first = pop_any(c)
            if first != T_FUNC and first != T_EXTERN and first != T_UNKNOWN:
                return REFUSED
            if not push(c, T_I32):
                return REFUSED
        elif kind == K_WIDE:
            if not c.wide:
                return REFUSED
            for k in range(op.count):
                if not pop(c, T_I64):
                    return REFUSED
            if not push(c, T_I64) or not push(c, T_I64):
                return REFUSED
        elif kind == K_REF_FUNC:
            if not u32(c, &index) or index >= c.nfuncs or not c.refs[index]:
                return REFUSED
            if not push(c, T_FUNC):
                return REFUSED
        else:
            return REFUSED
    return REFUSED


cdef int function(Check* c, Body* entry, const Run* runs) noexcept nogil:
    """Spec 3.5.6: a function against its type."""
    cdef Signature* signature = &c.signatures[entry.signature]
    cdef Types none
    cdef uint32_t i
    cdef int status
    none.at = none.count = 0
    c.p = c.binary + entry.start
    c.end = c.binary + entry.end
    c.results = signature.results
    c.nlocals = 0
    c.slots = signature.params.count
    i = 0
    while i < signature.params.count:
        c.locals[c.nlocals] = c.pool[signature.params.at + i]
        i += 2 if c.locals[c.nlocals] == T_V128 else 1
        c.nlocals += 1
    for i in range(entry.nruns):
        # The sum was checked when the runs were read.
        memset(c.locals + c.nlocals, runs[entry.runs + i].type, runs[entry.runs + i].count)
        c.nlocals += runs[entry.runs + i].count
        c.slots += runs[entry.runs + i].count
        if runs[entry.runs + i].type == T_V128:
            c.slots += runs[entry.runs + i].count
    c.sp = c.height = c.peak = c.depth = c.serial = 0
    c.unreachable = False
    status = push_frame(c, K_RETURN, none, signature.results)
    return body(c) if status == VALID else status
