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
    cdef uint32_t i
    if need > c.seen_room:
        seen = <uint8_t*>realloc(seen, need * 2)
        if seen == NULL:
            return False
        c.seen = seen
        c.seen_room = need * 2
    memcpy(seen + c.nseen, &c.sp, sizeof(uint32_t))
    for i in range(c.sp):
        seen[c.nseen + sizeof(uint32_t) + i] = letter(c, c.stack[i])
    c.nseen = need
    c.watch += 1
    return True


cdef inline bint copy(Check* c, uint32_t target, uint32_t source) noexcept nogil:
    """Pop ``[at1 at2 min(at1, at2)]``."""
    cdef uint32_t count = T_I64 if target == T_I64 and source == T_I64 else T_I32
    return pop(c, count) and pop(c, source) and pop(c, target)


cdef uint32_t local_type(Check* c, uint32_t index) noexcept nogil:
    """The type of a local whose type is not written out."""
    cdef uint32_t low = 0
    cdef uint32_t high = c.nruns
    cdef uint32_t middle
    while low < high:
        middle = (low + high) // 2
        if c.runs[middle].end <= index:
            low = middle + 1
        else:
            high = middle
    return c.runs[low].type


cdef inline bint local(Check* c, uint32_t* index, uint32_t* type_) noexcept nogil:
    """Read a local: which, and its type."""
    if not u32(c, index) or index[0] >= c.nlocals:
        return False
    type_[0] = c.locals[index[0]] if index[0] < EXPANDED else local_type(c, index[0])
    return True


cdef inline void local_set(Check* c, uint32_t index, uint32_t type_) noexcept nogil:
    """The local holds a value, up to the end of the block."""
    if not defaultable(type_) and index >= c.nparams and not c.set_[index]:
        c.set_[index] = True
        c.inits[c.ninits] = index
        c.ninits += 1


cdef int body(Check* c) noexcept nogil:
    """The instructions of a body from ``c.p`` to ``c.end``, the frame of the body pushed."""
    cdef Op* op
    cdef uint8_t kind
    cdef uint32_t index, other, k, first, second
    cdef int status
    cdef Types start, end
    cdef Defined* type_
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
            elif kind == AGGREGATE_PREFIX:
                if index >= AGGREGATE_OPCODES:
                    return REFUSED
                op = &AGGREGATES[index]
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
            if not local(c, &index, &first):
                return REFUSED
            if not defaultable(first) and index >= c.nparams and not c.set_[index]:
                return REFUSED
            if not push_value(c, first):
                return REFUSED
        elif kind == K_LOCAL_SET or kind == K_LOCAL_TEE:
            if not local(c, &index, &first) or not pop_value(c, first):
                return REFUSED
            local_set(c, index, first)
            if kind == K_LOCAL_TEE and not push_value(c, first):
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
            if c.frames[c.depth - 1].kind == K_IF and not matching(c, start, end):
                return REFUSED       # a missing else-branch hands its operands on
            if not leave(c) or not push_many(c, end):
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
            type_ = &c.types[c.funcs[index]]
            if type_.kind != D_FUNC or not pop_many(c, type_.params):
                return REFUSED
            if kind == K_CALL:
                if not push_many(c, type_.results):
                    return REFUSED
            else:
                if not matching(c, type_.results, c.results):
                    return REFUSED
                dead(c)
        elif kind == K_CALL_INDIRECT or kind == K_RETURN_CALL_INDIRECT:
            if not u32(c, &index) or not u32(c, &other):
                return REFUSED
            if index >= c.ntypes or other >= c.ntables:
                return REFUSED
            if not subtype(c, c.tables[other], reference(True, HT_FUNC)):
                return REFUSED
            type_ = &c.types[index]
            if type_.kind != D_FUNC or not pop(c, c.indices[other]):
                return REFUSED
            if not pop_many(c, type_.params):
                return REFUSED
            if kind == K_CALL_INDIRECT:
                if not push_many(c, type_.results):
                    return REFUSED
            else:
                if not matching(c, type_.results, c.results):
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
            if is_ref(first) or is_ref(second):
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
                if index >= c.nelems or not subtype(c, c.elems[index], c.tables[other]):
                    return REFUSED
                if not pop(c, T_I32) or not pop(c, T_I32) or not pop(c, c.indices[other]):
                    return REFUSED
            elif index >= c.ntables or not subtype(c, c.tables[other], c.tables[index]):
                return REFUSED
            elif not copy(c, c.indices[index], c.indices[other]):
                return REFUSED
        elif kind == K_MEMORY_COPY:
            if not u32(c, &index) or not u32(c, &other):
                return REFUSED
            if index >= c.nmems or other >= c.nmems or not copy(c, c.mems[index], c.mems[other]):
                return REFUSED
        elif kind == K_REF_NULL:
            first = heaptype(c)
            if first == NO_HEAP or not push(c, reference(True, first)):
                return REFUSED
        elif kind == K_REF_IS_NULL:
            if pop_reference(c) == NOTHING or not push(c, T_I32):
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
            if not push(c, reference(False, HT_DEFINED + c.types[c.funcs[index]].first)):
                return REFUSED
        elif kind == K_TRY_TABLE:
            status = try_table(c)
            if status != VALID:
                return status
        elif kind == K_THROW:
            if not tag_type(c, &start) or not pop_many(c, start):
                return REFUSED
            dead(c)
        elif kind == K_THROW_REF:
            if not pop(c, reference(True, HT_EXN)):
                return REFUSED
            dead(c)
        elif kind >= K_AGGREGATES:
            if not (on_array(c, kind) if kind >= K_ARRAY_NEW else on_structure(c, kind)):
                return REFUSED
        elif kind >= K_REFERENCES:
            if not on_references(c, kind):
                return REFUSED
        elif not c.legacy:
            return REFUSED
        elif kind == K_TRY:
            if not blocktype(c, &start, &end) or not pop_many(c, start):
                return REFUSED
            status = push_frame(c, kind, start, end)
            if status != VALID:
                return status
        elif kind == K_CATCH or kind == K_CATCH_ALL:
            status = older_handler(c, kind)
            if status != VALID:
                return status
        elif kind == K_DELEGATE:
            end = c.frames[c.depth - 1].end
            if c.frames[c.depth - 1].kind != K_TRY or not pop_frame(c):
                return REFUSED
            if not u32(c, &index) or index >= c.depth or not push_many(c, end):
                return REFUSED
        elif kind == K_RETHROW:
            if not u32(c, &index) or index >= c.depth:
                return REFUSED
            if not is_handler(c.frames[c.depth - 1 - index].kind):
                return REFUSED
            dead(c)
        else:
            return REFUSED
    return REFUSED


cdef int function(Check* c, Body* entry, const Run* runs) noexcept nogil:
    """Spec 3.5.6: a function against its type."""
    cdef Defined* type_ = &c.types[entry.signature]
    cdef Types none
    cdef uint32_t i, k, last
    cdef int status
    cdef bint set_first = False
    none.at = none.count = 0
    c.p = c.binary + entry.start
    c.end = c.binary + entry.end
    c.results = type_.results
    c.nlocals = 0
    c.slots = type_.params.count
    i = 0
    while i < type_.params.count:
        if c.nlocals < EXPANDED:
            c.locals[c.nlocals] = c.pool[type_.params.at + i]
        i += 2 if c.pool[type_.params.at + i] == T_V128 else 1
        c.nlocals += 1
    c.nparams = c.nlocals
    c.runs = runs + entry.runs
    c.nruns = entry.nruns
    for i in range(c.nruns):
        # The sum was checked when the runs were read.
        last = c.runs[i].end if c.runs[i].end < EXPANDED else EXPANDED
        for k in range(c.nlocals, last):
            c.locals[k] = c.runs[i].type
        c.nlocals += c.runs[i].count
        c.slots += c.runs[i].count
        if c.runs[i].type == T_V128:
            c.slots += c.runs[i].count
        if not defaultable(c.runs[i].type):
            set_first = True
    if set_first:
        memset(c.set_, 0, c.nlocals)
    c.sp = c.height = c.peak = c.depth = c.serial = c.ninits = 0
    c.unreachable = False
    status = push_frame(c, K_RETURN, none, type_.results)
    return body(c) if status == VALID else status
