# The native sides of host functions, memories, globals and tables.

cdef class HostHandle:
    """The native side of a host function."""
    cdef Func func
    cdef uint64_t code[2]
    cdef Signature sig
    cdef TypeHandle kind
    cdef object fn
    cdef object lower
    cdef object caller

    def __init__(self, host):
        cdef Func* f = &self.func
        self.sig = Signature(host.type)
        memset(f, 0, sizeof(Func))
        (<handler_t*>self.code)[0] = HANDLERS[H_HOST]
        self.code[1] = <uint64_t>f
        f.code = <int32_t*>self.code
        f.params = f.locals = <uint32_t>len(self.sig.wide_params)
        f.results = <uint32_t>len(self.sig.wide_results)
        f.link = max(f.params, f.results)
        self.kind = type_handle(host.type)
        f.type = &self.kind.rec
        f.obj = <void*>host
        f.kind = FUNC_HOST
        f.sig = <void*>self.sig
        f.lowered = <void*>self
        self.fn = None
        if not self.sig.reference:
            self.fn = host.fn
            self.lower = host.lower
            self.caller = host.caller


cdef Func* func_of(State state, object inst) except NULL:
    """The native function of a function instance, which the state keeps from now on."""
    cdef HostHandle handle
    cdef Instance native
    if isinstance(inst, _WasmFunc):
        native = inst.module.native
        if native is None:
            raise TypeError(f"{inst!r} belongs to another engine")
        if native.state is not state and state is not None:
            state.keep[<uint64_t><void*>native] = native
        return native.inst.funcs[inst.index]
    handle = inst.__dict__.get("_native")
    if handle is None:
        handle = inst.__dict__["_native"] = HostHandle(inst)
    if state is not None:
        state.keep[<uint64_t><void*>inst] = inst
    return &handle.func


cdef class MemoryHandle:
    """The native side of a memory: where it is and how long."""
    cdef MemRec rec
    cdef object buffer
    cdef object dirty

    def __init__(self, mem):
        cdef uint8_t[::1] view = mem.data
        self.buffer = view
        self.rec.base = &view[0]
        self.rec.length = mem.length
        if mem.dirty is not None:
            self.track(mem.dirty)

    def track(self, dirty):
        """From now on note in ``dirty``, a byte for each 4 KiB, what is written."""
        cdef uint8_t[::1] view = dirty
        self.dirty = view
        self.rec.dirty = &view[0]

    def resize(self, length):
        """The memory has grown."""
        self.rec.length = length


cdef void share(list states):
    """Objects of Python's pass between these stores: none can tell alone which are in use."""
    cdef State state
    for state in states:
        state.shared = True


cdef class Cell:
    """The native side of a global: its value as a slot."""
    cdef uint64_t slot[2]
    cdef int code
    cdef list states

    def __init__(self, State state, valtype, value):
        self.code = code_of(valtype)
        # Numbers are of no store: a global of theirs does not keep one alive.
        self.states = [state] if self.code in b"reax" else [None]
        self.set(value)

    def join(self, State state):
        """The global is imported into a store, which keeps what it refers to."""
        if self.states[0] is not None and all(state is not known for known in self.states):
            self.states.append(state)
            share(self.states)
            self.set(self.get())

    def get(self):
        """Its value."""
        if self.code == c'v':
            return (<char*>self.slot)[:16]
        return value_of_slot(self.states[0], self.code, self.slot[0])

    def set(self, value):
        """Change its value."""
        if self.code == c'v':
            memcpy(self.slot, <char*><bytes>value, 16)
            return
        for state in self.states:
            self.slot[0] = slot_of_value(state, self.code, value)


cdef enum:
    RESERVED = 4096              # entries of tables that need no mapping of their own


cdef class Elements:
    """The native side of a table: a sequence of references.

    It has room for all that it may grow to from the beginning, reserved as a memory's is, and so
    never moves: another thread's guest may be reading it.
    """
    cdef TableRec rec
    cdef uint64_t room
    cdef object mapping
    cdef int code
    cdef list states

    def __init__(self, State state, reftype, list elems, bound=0):
        cdef uint8_t[::1] view
        self.code = code_of(reftype)
        self.states = [state]
        self.room = max(len(elems), bound)
        if self.room <= RESERVED:
            self.rec.elems = <uint64_t*>malloc((self.room + 1) * sizeof(uint64_t))
        else:
            try:
                self.mapping = reserve(self.room * sizeof(uint64_t))
            except (OSError, OverflowError, ValueError) as error:
                raise LimitExceeded("table elements", bound) from error
            view = self.mapping
            self.rec.elems = <uint64_t*>&view[0]
        if self.rec.elems == NULL:
            raise MemoryError("no room for the table")
        self.extend(elems)

    def __dealloc__(self):
        if self.room <= RESERVED:
            free(self.rec.elems)

    def join(self, State state):
        """The table is imported into a store."""
        cdef uint64_t i
        if all(state is not known for known in self.states):
            self.states.append(state)
            share(self.states)
            for i in range(self.rec.size):
                slot_of_value(state, self.code, value_of_slot(self.states[0], self.code, self.rec.elems[i]))

    def raw(self):
        """The references as they are kept, 8 bytes each: only good to compare with themselves."""
        return (<char*>self.rec.elems)[:self.rec.size * sizeof(uint64_t)]

    def encoded(self, number_of):
        """The references as state commitments have them (`encode_elements`), or None."""
        return encode_elements(self, number_of)

    cdef uint64_t _slot(self, object value) except? 0xDEADBEEFDEADBEEF:
        cdef uint64_t slot = 0
        for state in self.states:
            slot = slot_of_value(state, self.code, value)
        return slot

    def __len__(self):
        return self.rec.size

    def __getitem__(self, index):
        cdef uint64_t i
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.rec.size))]
        if not 0 <= index < self.rec.size:
            raise IndexError(index)
        i = index
        return value_of_slot(self.states[0], self.code, self.rec.elems[i])

    def __setitem__(self, index, value):
        cdef uint64_t i
        if isinstance(index, slice):
            places = range(*index.indices(self.rec.size))
            values = list(value)
            if len(places) != len(values):
                raise ValueError("a table's slice keeps its length")
            for i, item in zip(places, values):
                self.rec.elems[i] = self._slot(item)
            return
        if not 0 <= index < self.rec.size:
            raise IndexError(index)
        i = index
        self.rec.elems[i] = self._slot(value)

    def __delitem__(self, places):
        """Cut the end off; that is all that can be deleted."""
        start, stop, step = places.indices(self.rec.size)
        if step != 1 or stop != self.rec.size:
            raise ValueError("only the end of a table can be cut off")
        self.rec.size = start

    def extend(self, list values):
        """Append references, no more than it has room for."""
        cdef uint64_t count = len(values)
        cdef uint64_t size = self.rec.size + count
        cdef uint64_t* found
        cdef uint64_t i
        if size > self.room:
            raise MemoryError("no room in the table")
        last = None
        for i in range(count):
            value = values[i]
            if i and value is last:
                found = self.rec.elems + self.rec.size + i
                found[0] = found[-1]
            else:
                self.rec.elems[self.rec.size + i] = self._slot(value)
            last = value
        self.rec.size = size
