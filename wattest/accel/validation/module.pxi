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
    cdef object context
    # First index of each defined type; numbers of types as bodies write them
    cdef dict indices
    cdef dict codes

    def __cinit__(self):
        memset(&self.c, 0, sizeof(self.c))

    def __dealloc__(self):
        free(self.c.pool)
        free(self.c.types)
        free(self.c.supers)
        free(self.c.fields)
        free(self.c.tags)
        free(self.c.funcs)
        free(self.c.refs)
        free(self.c.tables)
        free(self.c.indices)
        free(self.c.mems)
        free(self.c.globals)
        free(self.c.elems)
        free(self.c.locals)
        free(self.c.set_)
        free(self.c.inits)
        free(self.c.compared)
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
        self.context = context
        self.indices = {}
        self.codes = {}
        for i, deftype in enumerate(context.types):
            self.indices.setdefault(deftype, i)
        c.binary = <const uint8_t*><char*><bytes>module.binary
        self._types(context)
        c.nfuncs = <uint32_t>len(context.funcs)
        c.funcs = <uint32_t*>self.room(c.nfuncs, sizeof(uint32_t))
        c.refs = <uint8_t*>self.room(c.nfuncs, 1)
        for i, deftype in enumerate(context.funcs):
            c.funcs[i] = self.indices[deftype]
        c.ntags = <uint32_t>len(context.tags)
        c.tags = <uint32_t*>self.room(c.ntags, sizeof(uint32_t))
        for i, deftype in enumerate(context.tags):
            c.tags[i] = self.indices[deftype]
        for index in context.refs:
            if index < c.nfuncs:
                c.refs[<uint32_t>index] = True
        c.ntables = <uint32_t>len(context.tables)
        c.tables = <uint32_t*>self.room(c.ntables, sizeof(uint32_t))
        c.indices = <uint32_t*>self.room(c.ntables, sizeof(uint32_t))
        for i, table in enumerate(context.tables):
            c.tables[i] = code_of(table.elem, self.indices)
            c.indices[i] = _CODES[table.address]
        c.nmems = <uint32_t>len(context.addresses)
        c.mems = <uint32_t*>self.room(c.nmems, sizeof(uint32_t))
        for i, address in enumerate(context.addresses):
            c.mems[i] = _CODES[address]
        c.nglobals = <uint32_t>len(context.globals)
        c.globals = <Global*>self.room(c.nglobals, sizeof(Global))
        for i, item in enumerate(context.globals):
            c.globals[i].type = code_of(item.valtype, self.indices)
            c.globals[i].mutable = item.mutable
        c.nelems = <uint32_t>len(context.elems)
        c.elems = <uint32_t*>self.room(c.nelems, sizeof(uint32_t))
        for i, elem in enumerate(context.elems):
            c.elems[i] = code_of(elem, self.indices)
        c.ndatas = <uint32_t>context.datas
        c.data_count = module.data_count is not None
        c.wide = "wide_arithmetic" in context.features
        c.atomic = "threads" in context.features
        c.legacy = "legacy_exceptions" in context.features
        c.locals = <uint32_t*>self.room(EXPANDED, sizeof(uint32_t))
        c.set_ = <uint8_t*>self.room(<size_t>MAX_LIST + MAX_LOCALS, 1)
        c.inits = <uint32_t*>self.room(<size_t>MAX_LIST + MAX_LOCALS, sizeof(uint32_t))
        c.compared = <uint32_t*>self.room(MAX_COMPARED, sizeof(uint32_t))
        c.stack = <uint32_t*>self.room(<size_t>MAX_HEIGHT + SLACK, sizeof(uint32_t))
        c.room = 64
        c.frames = <Control*>self.room(c.room, sizeof(Control))
        self._bodies()

    cdef uint32_t declared(self, valtype) except 0xFFFFFFFF:
        """The number of a type that a body declares a local with."""
        found = self.codes.get(valtype)
        if found is None:
            try:
                found = code_of(self.context.valtype(valtype), self.indices)
            except Invalid:
                found = NOTHING
            self.codes[valtype] = found
        return found

    cdef int _types(self, context) except -1:
        """The pool of types, and what each type index stands for."""
        cdef Check* c = &self.c
        cdef Py_ssize_t i, first
        cdef uint32_t type_
        pool = array("I", [NOTHING, T_I32, T_I64, T_F32, T_F64, T_V128, T_V128])
        for heap in range(HT_DEFINED + len(context.types)):
            pool.append(reference(False, heap))
            pool.append(reference(True, heap))
        supers = array("I")
        fields = []
        c.ntypes = <uint32_t>len(context.types)
        c.types = <Defined*>self.room(c.ntypes, sizeof(Defined))
        for i, deftype in enumerate(context.types):
            first = self.indices[deftype]
            if first == i:
                self._define(&c.types[i], <uint32_t>i, deftype, pool, supers, fields)
            else:
                c.types[i] = c.types[first]
        c.pool = <uint32_t*>self.room(len(pool), sizeof(uint32_t))
        self._copy(c.pool, pool)
        c.supers = <uint32_t*>self.room(len(supers), sizeof(uint32_t))
        self._copy(c.supers, supers)
        c.fields = <Field*>self.room(len(fields), sizeof(Field))
        for i, field in enumerate(fields):
            c.fields[i].storage = code_of(field.storage, self.indices)
            c.fields[i].held = T_I32 if field.storage in _PACKED else c.fields[i].storage
            c.fields[i].mutable = field.mutable
        return 0

    cdef int _copy(self, uint32_t* target, values) except -1:
        cdef const uint32_t[::1] view
        if len(values):
            view = values
            memcpy(target, &view[0], len(values) * sizeof(uint32_t))
        return 0

    cdef int _define(self, Defined* out, uint32_t index, deftype, pool, supers, list fields) except -1:
        """Fill in a defined type; `kind` stays NOTHING where it has types that are not known."""
        cdef uint32_t most = 2 * MAX_LIST
        comp = deftype.comp
        out.first = index
        above = []
        upper = deftype
        while upper is not None:
            if upper not in self.indices:
                return 0
            above.append(upper)
            upper = upper.supertype
        out.depth = <uint32_t>len(above) - 1
        out.supers = <uint32_t>len(supers)
        supers.extend([self.indices[item] for item in reversed(above)])
        params = results = ()
        kind = D_FUNC
        if isinstance(comp, FuncType):
            params, results = self.context.signature(deftype)
        elif isinstance(comp, StructType):
            kind = D_STRUCT
            most = MAX_COMPARED
            params = self.context.struct_slots(index)
            out.defaultable = self.context.struct_defaultable(index)
            out.fields = <uint32_t>len(fields)
            out.count = <uint32_t>len(comp.fields)
            fields += comp.fields
        else:
            kind = D_ARRAY
            out.fields = <uint32_t>len(fields)
            out.count = 1
            fields.append(comp.field)
            if code_of(comp.field.storage, self.indices) == NOTHING:
                return 0
        codes = [code_of(valtype, self.indices) for valtype in (*params, *results)]
        if NOTHING in codes or max(len(params), len(results)) > most:
            return 0
        out.params.at = <uint32_t>len(pool)
        out.params.count = <uint32_t>len(params)
        out.results.at = out.params.at + out.params.count
        out.results.count = <uint32_t>len(results)
        pool.extend(codes)
        out.kind = kind
        return 0

    cdef int _bodies(self) except -1:
        """Where the bodies are, and their locals."""
        cdef Py_ssize_t i
        cdef Body* entry
        cdef Run* runs
        cdef uint64_t total, params, size = len(self.module.binary)
        cdef uint32_t found
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
                or self.c.types[entry.signature].kind != D_FUNC
            ):
                entry.refused = True
                continue
            params = len(self.context.types[func.type].comp.params)
            for count, type_ in code.locals:
                total += <uint64_t>count
                found = self.declared(type_)
                if found == NOTHING or total > MAX_LOCALS:
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
                self.runs[self.nruns].end = <uint32_t>(params + total)
                self.nruns += 1
                entry.nruns += 1
        return 0

    def types_at(self, Py_ssize_t position, offsets):
        """The types on the operand stack before some instructions of a valid body.

        Args:
            position: of the function among those that the module defines.
            offsets: byte offsets of the instructions, ascending.

        Returns:
            For each the letters that `wattest.accel.core` has for the types; None when the body is
            none that is accepted here.

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
            found.append((<char*>c.seen)[at:at + count])
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
