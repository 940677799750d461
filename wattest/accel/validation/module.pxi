# The bodies of a module, and what is learnt of them.

cdef class Facts:
    """`FuncFacts` of each function, made when asked for."""

    cdef uint32_t* data
    cdef Py_ssize_t count

    def __cinit__(self, Py_ssize_t count):
        self.data = <uint32_t*>calloc(count * 2 + 1, sizeof(uint32_t))
        self.count = count
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple([self[i] for i in range(*index.indices(self.count))])
        cdef Py_ssize_t at = index
        if at < 0:
            at += self.count
        if not 0 <= at < self.count:
            raise IndexError(index)
        return FuncFacts(self.data[at * 2], self.data[at * 2 + 1])

    def __eq__(self, other):
        if not isinstance(other, Sequence):
            return NotImplemented
        return tuple(self) == tuple(other)

    def __repr__(self):
        return f"<facts of {self.count} functions>"

    def __reduce__(self):
        return tuple, (list(self),)


Sequence.register(Facts)


cdef class _Checker:
    """One run over the bodies of a module; owns what the checks point at."""

    cdef Check c
    cdef Body* bodies
    cdef Run* runs
    cdef uint32_t nruns
    cdef uint32_t runs_room
    cdef object module

    def __cinit__(self):
        memset(&self.c, 0, sizeof(self.c))

    def __dealloc__(self):
        free(self.c.pool)
        free(self.c.signatures)
        free(self.c.funcs)
        free(self.c.refs)
        free(self.c.tables)
        free(self.c.indices)
        free(self.c.mems)
        free(self.c.globals)
        free(self.c.elems)
        free(self.c.locals)
        free(self.c.stack)
        free(self.c.frames)
        free(self.c.seen)
        free(self.bodies)
        free(self.runs)

    cdef void* room(self, size_t count, size_t size) except NULL:
        cdef void* found = calloc(count + 1, size)
        if found == NULL:
            raise MemoryError
        return found

    def prepare(self, module, context):
        """Take over what bodies see of the module."""
        cdef Check* c = &self.c
        cdef Py_ssize_t i
        self.module = module
        c.binary = <const uint8_t*><char*><bytes>module.binary
        self._types(context)
        c.nfuncs = <uint32_t>len(context.funcs)
        c.funcs = <uint32_t*>self.room(c.nfuncs, sizeof(uint32_t))
        c.refs = <uint8_t*>self.room(c.nfuncs, 1)
        index_of = {}
        for i, deftype in enumerate(context.types):
            index_of.setdefault(deftype, i)
        for i, deftype in enumerate(context.funcs):
            c.funcs[i] = index_of[deftype]
        for index in context.refs:
            if index < c.nfuncs:
                c.refs[<uint32_t>index] = True
        c.ntables = <uint32_t>len(context.tables)
        c.tables = <uint8_t*>self.room(c.ntables, 1)
        c.indices = <uint8_t*>self.room(c.ntables, 1)
        for i, table in enumerate(context.tables):
            c.tables[i] = _CODES.get(table.elem, NOTHING)
            c.indices[i] = _CODES[table.address]
        c.nmems = <uint32_t>len(context.addresses)
        c.mems = <uint8_t*>self.room(c.nmems, 1)
        for i, address in enumerate(context.addresses):
            c.mems[i] = _CODES[address]
        c.nglobals = <uint32_t>len(context.globals)
        c.globals = <Global*>self.room(c.nglobals, sizeof(Global))
        for i, item in enumerate(context.globals):
            c.globals[i].type = _CODES.get(item.valtype, NOTHING)
            c.globals[i].mutable = item.mutable
        c.nelems = <uint32_t>len(context.elems)
        c.elems = <uint8_t*>self.room(c.nelems, 1)
        for i, elem in enumerate(context.elems):
            c.elems[i] = _HEAPS.get(elem.heap, NOTHING)
        c.ndatas = <uint32_t>context.datas
        c.data_count = module.data_count is not None
        c.wide = "wide_arithmetic" in context.features
        c.atomic = "threads" in context.features
        c.locals = <uint8_t*>self.room(<size_t>MAX_LIST + MAX_LOCALS, 1)
        c.stack = <uint8_t*>self.room(<size_t>MAX_HEIGHT + SLACK, 1)
        c.room = 64
        c.frames = <Control*>self.room(c.room, sizeof(Control))
        self._bodies()

    cdef int _types(self, context) except -1:
        """The pool of types, and the signature of each type index."""
        cdef Check* c = &self.c
        cdef Py_ssize_t i
        pool = bytearray([NOTHING, T_I32, T_I64, T_F32, T_F64, T_FUNC, T_EXTERN, T_V128, T_V128])
        places = {}
        c.ntypes = <uint32_t>len(context.types)
        c.signatures = <Signature*>self.room(c.ntypes, sizeof(Signature))
        for i, deftype in enumerate(context.types):
            if not isinstance(deftype.comp, FuncType):
                continue
            place = places.get(deftype)
            if place is None:
                params, results = context.signature(deftype)
                codes = [_CODES.get(valtype, NOTHING) for valtype in (*params, *results)]
                if NOTHING in codes or max(len(params), len(results)) > MAX_LIST:
                    continue
                place = (len(pool), len(params), len(pool) + len(params), len(results))
                pool += bytes(codes)
                places[deftype] = place
            c.signatures[i].params.at = place[0]
            c.signatures[i].params.count = place[1]
            c.signatures[i].results.at = place[2]
            c.signatures[i].results.count = place[3]
            c.signatures[i].known = True
        c.pool = <uint8_t*>self.room(len(pool), 1)
        memcpy(c.pool, <char*>pool, len(pool))
        return 0

    cdef int _bodies(self) except -1:
        """Where the bodies are, and their locals."""
        cdef Py_ssize_t i
        cdef Body* entry
        cdef Run* runs
        cdef uint64_t total, size = len(self.module.binary)
        funcs = self.module.funcs
        self.bodies = <Body*>self.room(len(funcs), sizeof(Body))
        self.runs_room = 1024
        self.runs = <Run*>self.room(self.runs_room, sizeof(Run))
        for i, func in enumerate(funcs):
            entry = &self.bodies[i]
            code = func.code
            entry.start, entry.end = code.start, code.end
            entry.signature = func.type
            entry.runs = self.nruns
            total = 0
            if (
                entry.start > entry.end
                or entry.end > size
                or entry.end - entry.start > <uint64_t>MAXIMUM["function body bytes"]
                or entry.signature >= self.c.ntypes
                or not self.c.signatures[entry.signature].known
            ):
                entry.refused = True
                continue
            for count, type_ in code.locals:
                total += <uint64_t>count
                found = _CODES.get(type_)
                if found is None or total > MAX_LOCALS:
                    entry.refused = True
                    break
                if self.nruns == self.runs_room:
                    runs = <Run*>realloc(self.runs, <size_t>self.runs_room * 2 * sizeof(Run))
                    if runs == NULL:
                        raise MemoryError
                    self.runs = runs
                    self.runs_room *= 2
                self.runs[self.nruns].count = count
                self.runs[self.nruns].type = found
                self.nruns += 1
                entry.nruns += 1
        return 0

    def types_at(self, Py_ssize_t position, offsets):
        """The types on the operand stack before some instructions of a valid body.

        Args:
            position: of the function among those that the module defines.
            offsets: byte offsets of the instructions, ascending.

        Returns:
            A string of `CODES` for each; None when the body is none that is accepted here.

        Raises:
            RuntimeError: there is no instruction at an offset.
        """
        cdef Check* c = &self.c
        cdef uint32_t count
        cdef size_t at = 0
        cdef int status
        wanted = array("I", [*offsets, 0xFFFFFFFF])
        cdef const uint32_t[::1] view = wanted
        c.watch = &view[0]
        c.nseen = 0
        with nogil:
            status = function(c, &self.bodies[position], self.runs)
        c.watch = NULL
        found = []
        while at < c.nseen:
            memcpy(&count, c.seen + at, sizeof(uint32_t))
            at += sizeof(uint32_t)
            found.append((<char*>c.seen)[at:at + count].translate(CODES))
            at += count
        if status != VALID:
            return None
        if len(found) != len(offsets):
            raise RuntimeError(f"function at position {position}: no types at {offsets}")
        return found

    def run(self):
        """The facts, and which bodies are refused, by position."""
        cdef Py_ssize_t count = len(self.module.funcs)
        cdef Py_ssize_t i = 0
        cdef int status = VALID
        cdef uint64_t done
        cdef Facts facts = Facts(count)
        cdef Check* c = &self.c
        refused = []
        while i < count:
            PyErr_CheckSignals()
            with nogil:
                done = 0
                while i < count and done < BATCH:
                    status = REFUSED
                    if not self.bodies[i].refused:
                        status = function(c, &self.bodies[i], self.runs)
                        done += self.bodies[i].end - self.bodies[i].start + 64
                    if status != VALID:
                        break
                    facts.data[i * 2] = c.slots
                    facts.data[i * 2 + 1] = c.peak
                    i += 1
            if status == NO_MEMORY:
                raise MemoryError
            if status == REFUSED:
                refused.append(i)
                i += 1
                status = VALID
        return facts, refused
