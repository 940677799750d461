# Validation of function bodies (spec appendix "Validation Algorithm"), straight from the bytes.
#
# The answer is yes or no. On "no" the reference's validator finds the words, so both engines
# always say the same. The types that can occur are six; a type of any other feature means "no".

cdef enum:
    T_UNKNOWN = 0
    T_I32 = 1
    T_I64 = 2
    T_F32 = 3
    T_F64 = 4
    T_FUNC = 5
    T_EXTERN = 6

    MAX_STACK = 1048576

cdef struct Types:
    const uint8_t* items
    uint32_t count

cdef struct Frame:
    uint8_t opcode
    bint unreachable
    uint32_t height
    Types start
    Types end

cdef struct Space:
    # A module's index spaces
    const uint8_t* binary
    uint32_t ntypes
    Types* params
    Types* results
    uint32_t nfuncs
    uint32_t* funcs
    uint8_t* declared
    uint32_t ntables
    uint8_t* tables
    uint32_t nmems
    uint32_t nglobals
    uint8_t* globals
    uint8_t* mutables
    uint32_t nelems
    uint8_t* elems
    uint32_t ndatas
    bint data_count

cdef struct Check:
    Space* s
    const uint8_t* p
    const uint8_t* end
    bint bad
    uint8_t* stack
    uint32_t height
    uint32_t room
    uint32_t peak
    uint32_t base
    bint polymorphic
    Frame* frames
    int32_t nframes
    int32_t frames_room
    uint8_t* locals
    uint32_t nlocals

cdef uint8_t SINGLE[8]
for _i in range(8):
    SINGLE[_i] = _i

# Operand and result types of the instructions of fixed type: up to three operands.
cdef struct Fixed:
    uint8_t known
    uint8_t params
    uint8_t results
    uint8_t param[3]
    uint8_t result
    uint8_t width

cdef Fixed FIXED[512]

def _fill_fixed():
    from wattest.interp.opcodes import OPCODES, Address
    codes = {I32: T_I32, I64: T_I64, F32: T_F32, F64: T_F64}
    for op in OPCODES:
        if op.prefix not in (None, 0xFC) or op.params is None or op.results is None:
            continue
        if op.prefix == 0xFC and op.code >= 8:
            continue
        types = [T_I32 if isinstance(t, Address) else codes.get(t) for t in op.params]
        results = [T_I32 if isinstance(t, Address) else codes.get(t) for t in op.results]
        if None in types or None in results or len(results) > 1:
            continue
        if op.immediates and op.immediates[0] not in ("memarg", "i32", "i64", "f32", "f64"):
            continue
        i = op.code if op.prefix is None else 0x100 + op.code
        FIXED[i].known = 1
        FIXED[i].params = len(types)
        FIXED[i].results = len(results)
        for k, t in enumerate(types):
            FIXED[i].param[k] = t
        if results:
            FIXED[i].result = results[0]
        FIXED[i].width = op.width

memset(FIXED, 0, sizeof(FIXED))
_fill_fixed()


cdef inline uint32_t u32(Check* c) noexcept nogil:
    cdef uint8_t byte
    if c.p < c.end and c.p[0] < 0x80:
        byte = c.p[0]
        c.p += 1
        return byte
    return <uint32_t>unsigned_leb(c, 32)

cdef uint64_t unsigned_leb(Check* c, int bits) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef int left
    cdef uint8_t byte
    while True:
        if c.p >= c.end:
            c.bad = True
            return 0
        byte = c.p[0]
        left = bits - shift
        if left < 7 and (byte & 0x7F) >> left:
            c.bad = True
            return 0
        c.p += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
        if shift >= bits:
            c.bad = True
            return 0

cdef int64_t signed_leb(Check* c, int bits) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef int left
    cdef int unused
    cdef uint8_t byte
    while True:
        if c.p >= c.end:
            c.bad = True
            return 0
        byte = c.p[0]
        left = bits - shift
        if left < 7:
            unused = (byte & 0x7F) >> (left - 1)
            if unused and unused != 0x7F >> (left - 1):
                c.bad = True
                return 0
        c.p += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if byte & 0x40 and shift < 64:
                value |= <uint64_t>-1 << shift
            return <int64_t>value
        if shift >= bits:
            c.bad = True
            return 0

cdef void reach(Check* c, uint32_t height) noexcept nogil:
    """Note that the stack has, or has for a moment, this height."""
    cdef size_t room
    if height > c.peak:
        c.peak = height
        if height > MAX_STACK:
            c.bad = True
            return
    if height + 8 > c.room:
        room = c.room
        if not more(<void**>&c.stack, &room, height + 8, 1):
            c.bad = True
            return
        c.room = <uint32_t>room

cdef inline void push_type(Check* c, uint8_t t) noexcept nogil:
    if c.height >= c.peak:
        reach(c, c.height + 1)
        if c.bad:
            return
    c.stack[c.height] = t
    c.height += 1

cdef inline uint8_t pop_any(Check* c) noexcept nogil:
    if c.height == c.base:
        if not c.polymorphic:
            c.bad = True
        return T_UNKNOWN
    c.height -= 1
    return c.stack[c.height]

cdef inline void pop_type(Check* c, uint8_t t) noexcept nogil:
    cdef uint8_t actual
    if c.height > c.base and c.stack[c.height - 1] == t:
        c.height -= 1
        return
    actual = pop_any(c)
    if actual != T_UNKNOWN and actual != t:
        c.bad = True

cdef void push_types(Check* c, Types types) noexcept nogil:
    cdef uint32_t i
    for i in range(types.count):
        push_type(c, types.items[i])
        if c.bad:
            return

cdef void pop_types(Check* c, Types types) noexcept nogil:
    cdef uint32_t i = types.count
    while i:
        i -= 1
        pop_type(c, types.items[i])

cdef void enter_frame(Check* c, uint8_t opcode, Types start, Types end) noexcept nogil:
    cdef Frame* f
    if c.nframes >= c.frames_room:
        if not more32(<void**>&c.frames, &c.frames_room, c.nframes + 1, sizeof(Frame)):
            c.bad = True
            return
    f = &c.frames[c.nframes]
    c.nframes += 1
    f.opcode = opcode
    f.start = start
    f.end = end
    f.height = c.height
    f.unreachable = False
    c.base = c.height
    c.polymorphic = False
    push_types(c, start)

cdef void leave_frame(Check* c) noexcept nogil:
    """The end types are popped; the frame stays readable at the old place."""
    cdef Frame* f = &c.frames[c.nframes - 1]
    pop_types(c, f.end)
    if c.height != f.height:
        c.bad = True
        c.height = f.height
    c.nframes -= 1
    if c.nframes:
        c.base = c.frames[c.nframes - 1].height
        c.polymorphic = c.frames[c.nframes - 1].unreachable

cdef inline void dead(Check* c) noexcept nogil:
    c.height = c.base
    c.polymorphic = True
    c.frames[c.nframes - 1].unreachable = True

cdef bint same_types(Types a, Types b) noexcept nogil:
    cdef uint32_t i
    if a.count != b.count:
        return False
    if a.items == b.items:
        return True
    for i in range(a.count):
        if a.items[i] != b.items[i]:
            return False
    return True

cdef inline Types label_types(Check* c, uint32_t depth) noexcept nogil:
    cdef Frame* f
    cdef Types none
    if depth >= <uint32_t>c.nframes:
        c.bad = True
        none.items = SINGLE
        none.count = 0
        return none
    f = &c.frames[c.nframes - 1 - <int32_t>depth]
    return f.start if f.opcode == 0x03 else f.end

cdef void read_block(Check* c, Types* start, Types* end) noexcept nogil:
    cdef uint8_t byte
    cdef int64_t index
    start.items = SINGLE
    start.count = 0
    end.items = SINGLE
    end.count = 0
    if c.p >= c.end:
        c.bad = True
        return
    byte = c.p[0]
    if byte == 0x40:
        c.p += 1
        return
    if (byte & 0xC0) == 0x40:
        c.p += 1
        end.items = SINGLE + value_type(c, byte)
        end.count = 1
        return
    index = signed_leb(c, 33)
    if c.bad or index < 0 or index >= c.s.ntypes:
        c.bad = True
        return
    start[0] = c.s.params[index]
    end[0] = c.s.results[index]

cdef uint8_t value_type(Check* c, uint8_t byte) noexcept nogil:
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
    c.bad = True
    return T_UNKNOWN

cdef inline bint below(Check* c, uint32_t index, uint32_t count) noexcept nogil:
    if index >= count:
        c.bad = True
        return False
    return True

cdef void check_memarg(Check* c, uint8_t width) noexcept nogil:
    cdef uint32_t flags
    cdef uint32_t memory = 0
    flags = u32(c)
    if flags >= 0x80:
        c.bad = True
        return
    if flags & 0x40:
        memory = u32(c)
    if unsigned_leb(c, 64) >> 32:
        c.bad = True
    flags &= 0x3F
    if flags > 3 or (1 << flags) > width or memory >= c.s.nmems:
        c.bad = True

cdef void check_br_table(Check* c) noexcept nogil:
    cdef uint32_t count = u32(c)
    cdef uint32_t i
    cdef uint32_t k
    cdef uint32_t here_
    cdef uint32_t missing
    cdef Types types
    cdef Types label
    cdef Types last
    cdef const uint8_t* first = c.p
    if c.bad or count > <uint64_t>(c.end - c.p):
        c.bad = True
        return
    for i in range(count):
        u32(c)
    types = label_types(c, u32(c))
    pop_type(c, T_I32)
    if c.bad:
        return
    last = types
    c.p = first
    for i in range(count):
        label = label_types(c, u32(c))
        if c.bad:
            return
        if label.count != types.count:
            c.bad = True
            return
        if label.count == 0 or label.items == types.items or label.items == last.items:
            continue
        last = label
        here_ = c.height - c.base
        if here_ > label.count:
            here_ = label.count
        missing = label.count - here_
        if missing and not c.polymorphic:
            c.bad = True
            return
        for k in range(here_):
            if c.stack[c.height - here_ + k] != label.items[missing + k] and c.stack[c.height - here_ + k]:
                c.bad = True
                return
        reach(c, c.height - here_ + label.count)
        if c.bad:
            return
    u32(c)
    pop_types(c, types)
    dead(c)

cdef void check_call(Check* c, uint32_t type_index, bint tail) noexcept nogil:
    pop_types(c, c.s.params[type_index])
    if tail:
        if not same_types(c.s.results[type_index], c.frames[0].end):
            c.bad = True
        dead(c)
    else:
        push_types(c, c.s.results[type_index])

cdef void check_prefixed(Check* c) noexcept nogil:
    cdef uint32_t sub = u32(c)
    cdef uint32_t x
    cdef uint32_t y = 0
    cdef Fixed* f
    if sub < 8:
        f = &FIXED[0x100 + sub]
        pop_type(c, f.param[0])
        push_type(c, f.result)
        return
    if sub > 17:
        c.bad = True
        return
    x = u32(c)
    if sub == 8 or sub == 10 or sub == 12 or sub == 14:
        y = u32(c)
    if c.bad:
        return
    if sub == 8:
        if not c.s.data_count or not below(c, x, c.s.ndatas) or not below(c, y, c.s.nmems):
            c.bad = True
    elif sub == 9:
        if not c.s.data_count or not below(c, x, c.s.ndatas):
            c.bad = True
        return
    elif sub == 10:
        below(c, x, c.s.nmems)
        below(c, y, c.s.nmems)
    elif sub == 11:
        below(c, x, c.s.nmems)
    elif sub == 12:
        if below(c, x, c.s.nelems) and below(c, y, c.s.ntables):
            if c.s.elems[x] != c.s.tables[y]:
                c.bad = True
    elif sub == 13:
        below(c, x, c.s.nelems)
        return
    elif sub == 14:
        if below(c, x, c.s.ntables) and below(c, y, c.s.ntables):
            if c.s.tables[x] != c.s.tables[y]:
                c.bad = True
    elif not below(c, x, c.s.ntables):
        return
    if sub == 15:
        pop_type(c, T_I32)
        pop_type(c, c.s.tables[x])
        push_type(c, T_I32)
    elif sub == 16:
        push_type(c, T_I32)
    elif sub == 17:
        pop_type(c, T_I32)
        pop_type(c, c.s.tables[x])
        pop_type(c, T_I32)
    else:
        pop_type(c, T_I32)
        pop_type(c, T_I32)
        pop_type(c, T_I32)

cdef void check_body(Check* c, uint32_t type_index) noexcept nogil:
    cdef uint8_t op
    cdef Fixed* f
    cdef uint32_t x
    cdef uint32_t y
    cdef uint8_t t
    cdef uint8_t u
    cdef Types start
    cdef Types end
    cdef Frame* b
    c.height = 0
    c.peak = 0
    c.nframes = 0
    start.items = SINGLE
    start.count = 0
    enter_frame(c, 0, start, c.s.results[type_index])
    while not c.bad:
        if c.p >= c.end:
            c.bad = True
            return
        op = c.p[0]
        c.p += 1
        if op == 0x20:
            x = u32(c)
            if below(c, x, c.nlocals):
                push_type(c, c.locals[x])
            continue
        f = &FIXED[op]
        if f.known:
            if f.width:
                check_memarg(c, f.width)
            elif op == 0x41:
                signed_leb(c, 32)
            elif op == 0x42:
                signed_leb(c, 64)
            elif op == 0x43:
                c.p += 4
            elif op == 0x44:
                c.p += 8
            if c.p > c.end:
                c.bad = True
                return
            if f.params:
                if f.params == 2:
                    pop_type(c, f.param[1])
                pop_type(c, f.param[0])
            if f.results:
                push_type(c, f.result)
        elif op == 0x21:
            x = u32(c)
            if below(c, x, c.nlocals):
                pop_type(c, c.locals[x])
        elif op == 0x22:
            x = u32(c)
            if below(c, x, c.nlocals):
                pop_type(c, c.locals[x])
                push_type(c, c.locals[x])
        elif op == 0x02 or op == 0x03:
            read_block(c, &start, &end)
            if c.bad:
                return
            pop_types(c, start)
            enter_frame(c, op, start, end)
        elif op == 0x04:
            read_block(c, &start, &end)
            if c.bad:
                return
            pop_type(c, T_I32)
            pop_types(c, start)
            enter_frame(c, op, start, end)
        elif op == 0x05:
            b = &c.frames[c.nframes - 1]
            if b.opcode != 0x04:
                c.bad = True
                return
            leave_frame(c)
            start = b.start
            end = b.end
            enter_frame(c, 0x05, start, end)
        elif op == 0x0B:
            b = &c.frames[c.nframes - 1]
            if b.opcode == 0x04 and not same_types(b.start, b.end):
                c.bad = True
            leave_frame(c)
            if c.bad:
                return
            push_types(c, b.end)
            if c.nframes == 0:
                if c.p != c.end:
                    c.bad = True
                return
        elif op == 0x0C:
            pop_types(c, label_types(c, u32(c)))
            dead(c)
        elif op == 0x0D:
            x = u32(c)
            pop_type(c, T_I32)
            start = label_types(c, x)
            pop_types(c, start)
            push_types(c, start)
        elif op == 0x10 or op == 0x12:
            x = u32(c)
            if below(c, x, c.s.nfuncs):
                check_call(c, c.s.funcs[x], op == 0x12)
        elif op == 0x11 or op == 0x13:
            x = u32(c)
            y = u32(c)
            if below(c, x, c.s.ntypes) and below(c, y, c.s.ntables):
                if c.s.tables[y] != T_FUNC:
                    c.bad = True
                pop_type(c, T_I32)
                check_call(c, x, op == 0x13)
        elif op == 0x0F:
            pop_types(c, c.frames[0].end)
            dead(c)
        elif op == 0x0E:
            check_br_table(c)
        elif op == 0x1A:
            pop_any(c)
        elif op == 0x1B:
            pop_type(c, T_I32)
            t = pop_any(c)
            u = pop_any(c)
            if t >= T_FUNC or u >= T_FUNC or (t != u and t and u):
                c.bad = True
            push_type(c, t if u == T_UNKNOWN else u)
        elif op == 0x1C:
            if u32(c) != 1 or c.p >= c.end:
                c.bad = True
                return
            t = value_type(c, c.p[0])
            c.p += 1
            pop_type(c, T_I32)
            pop_type(c, t)
            pop_type(c, t)
            push_type(c, t)
        elif op == 0x23:
            x = u32(c)
            if below(c, x, c.s.nglobals):
                push_type(c, c.s.globals[x])
        elif op == 0x24:
            x = u32(c)
            if below(c, x, c.s.nglobals):
                if not c.s.mutables[x]:
                    c.bad = True
                pop_type(c, c.s.globals[x])
        elif op == 0x00:
            dead(c)
        elif op == 0x01:
            pass
        elif op == 0x3F:
            below(c, u32(c), c.s.nmems)
            push_type(c, T_I32)
        elif op == 0x40:
            below(c, u32(c), c.s.nmems)
            pop_type(c, T_I32)
            push_type(c, T_I32)
        elif op == 0x25:
            x = u32(c)
            if below(c, x, c.s.ntables):
                pop_type(c, T_I32)
                push_type(c, c.s.tables[x])
        elif op == 0x26:
            x = u32(c)
            if below(c, x, c.s.ntables):
                pop_type(c, c.s.tables[x])
                pop_type(c, T_I32)
        elif op == 0xD0:
            if c.p >= c.end or (c.p[0] != 0x70 and c.p[0] != 0x6F):
                c.bad = True
                return
            push_type(c, T_FUNC if c.p[0] == 0x70 else T_EXTERN)
            c.p += 1
        elif op == 0xD1:
            t = pop_any(c)
            if t != T_UNKNOWN and t < T_FUNC:
                c.bad = True
            push_type(c, T_I32)
        elif op == 0xD2:
            x = u32(c)
            if below(c, x, c.s.nfuncs):
                if not c.s.declared[x]:
                    c.bad = True
                push_type(c, T_FUNC)
        elif op == 0xFC:
            check_prefixed(c)
        else:
            c.bad = True


cdef class Bodies:
    """Validates all function bodies of a module whose other parts have been validated."""
    cdef Space s
    cdef list kept
    cdef object module
    cdef object context

    def __init__(self, module, context):
        self.module = module
        self.context = context
        self.kept = []

    cdef void* _room(self, size_t size) except NULL:
        cdef bytearray room = bytearray(size + 8)
        self.kept.append(room)
        return <void*><char*>room

    cdef bint _types(self, Types* types, list codes) except -1:
        """A list of types at a place of its own; False when one is of another feature."""
        cdef uint8_t* items = <uint8_t*>self._room(len(codes))
        cdef Py_ssize_t i
        for i in range(len(codes)):
            items[i] = codes[i]
            if not items[i]:
                return False
        types.items = items
        types.count = len(codes)
        return True

    cdef bint _prepare(self) except -1:
        """The index spaces in C; False when a type of another feature occurs."""
        cdef Space* s = &self.s
        cdef Py_ssize_t i
        cdef bytes data
        context = self.context
        codes = {I32: T_I32, I64: T_I64, F32: T_F32, F64: T_F64}

        def code(valtype):
            if isinstance(valtype, RefType):
                if valtype == FUNCREF:
                    return T_FUNC
                return T_EXTERN if valtype == EXTERNREF else 0
            return codes.get(valtype, 0)

        s.binary = <const uint8_t*><const char*>self.module.binary
        s.ntypes = len(context.types)
        s.params = <Types*>self._room(s.ntypes * sizeof(Types))
        s.results = <Types*>self._room(s.ntypes * sizeof(Types))
        first = {}
        for i in range(s.ntypes):
            deftype = context.types[i]
            known = first.setdefault(deftype, i)
            if known != i:
                s.params[i] = s.params[<Py_ssize_t>known]
                s.results[i] = s.results[<Py_ssize_t>known]
                continue
            if not isinstance(deftype.comp, FuncType):
                return False
            if not self._types(&s.params[i], [code(t) for t in deftype.comp.params]):
                return False
            if not self._types(&s.results[i], [code(t) for t in deftype.comp.results]):
                return False
        s.nfuncs = len(self.module.func_types)
        s.funcs = <uint32_t*>self._room(s.nfuncs * 4)
        s.declared = <uint8_t*>self._room(s.nfuncs)
        i = 0
        for index in self.module.func_types:
            s.funcs[i] = index
            i += 1
        for index in context.refs:
            if index < s.nfuncs:
                s.declared[<Py_ssize_t>index] = 1
        data = bytes([code(t.elem) for t in context.tables])
        if 0 in data or any(t.address is not I32 for t in context.tables):
            return False
        self.kept.append(data)
        s.tables = <uint8_t*><char*>data
        s.ntables = len(data)
        if any(address is not I32 for address in context.addresses):
            return False
        s.nmems = len(context.addresses)
        data = bytes([code(t.valtype) for t in context.globals])
        if 0 in data:
            return False
        self.kept.append(data)
        s.globals = <uint8_t*><char*>data
        s.nglobals = len(data)
        data = bytes([t.mutable for t in context.globals])
        self.kept.append(data)
        s.mutables = <uint8_t*><char*>data
        data = bytes([
            T_EXTERN if t.heap is EXTERN else T_FUNC if t.heap is FUNC else 0
            for t in context.elems
        ])
        if 0 in data:
            return False
        self.kept.append(data)
        s.elems = <uint8_t*><char*>data
        s.nelems = len(data)
        s.ndatas = context.datas
        s.data_count = self.module.data_count is not None
        return True

    def run(self):
        """(locals, height) of each function, or None when a body is not valid."""
        cdef Check c
        cdef uint8_t locals_[51100]
        cdef uint32_t n
        cdef uint32_t k
        cdef Types params
        cdef uint32_t type_index
        cdef uint64_t start
        cdef uint64_t end
        cdef uint8_t t
        if not self._prepare():
            return None
        codes = {I32: T_I32, I64: T_I64, F32: T_F32, F64: T_F64}
        codes[FUNCREF] = T_FUNC
        codes[EXTERNREF] = T_EXTERN
        memset(&c, 0, sizeof(Check))
        c.s = &self.s
        c.locals = locals_
        found = []
        try:
            for func in self.module.funcs:
                type_index = func.type
                params = self.s.params[type_index]
                if params.count > 1000:
                    return None
                memcpy(locals_, params.items, params.count)
                n = params.count
                code = func.code
                for count, valtype in code.locals:
                    if count > 50000 or n - params.count + count > 50000:
                        return None
                    t = codes.get(valtype, 0)
                    if t == 0 and count:
                        return None
                    if t == 0:
                        return None
                    k = count
                    memset(locals_ + n, t, k)
                    n += k
                c.nlocals = n
                start = code.start
                end = code.end
                c.p = self.s.binary + start
                c.end = self.s.binary + end
                with nogil:
                    check_body(&c, type_index)
                if c.bad:
                    return None
                found.append((n, c.peak))
        finally:
            free(c.stack)
            free(c.frames)
        return found
