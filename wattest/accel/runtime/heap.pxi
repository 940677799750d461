# A store's heap: making objects from Python, handles, and what is alive.

cdef enum:
    RELEASE_AT = 1024            # Python objects that are kept before those in use are looked for

cdef class Objects:
    """The heap of a store, and the handles that Python holds."""
    cdef Heap heap
    # Addresses of objects that Python holds to their handles
    cdef object handles
    # References to what stands for them in the other hierarchy
    cdef object wrappers
    # Stopped runs, whose stacks refer to objects
    cdef object machines
    # (address, words) of contents on their way into an object
    cdef list pending

    def __cinit__(self):
        memset(&self.heap, 0, sizeof(Heap))
        self.heap.trigger = <uint64_t>16 << 20

    def __init__(self, limit):
        self.heap.limit = min(limit, 0x7FFFFFFFFFFFFFFF)
        self.handles = WeakValueDictionary()
        self.wrappers = WeakValueDictionary()
        self.machines = WeakSet()
        self.pending = []

    def __dealloc__(self):
        heap_clear(&self.heap)

    cdef void mark_range(self, const uint64_t* start, uint64_t count) noexcept:
        """Mark whatever of these words are addresses of objects."""
        cdef uint64_t i
        for i in range(count):
            mark_word(&self.heap, start[i])

    cdef int release(self, State state) except -1:
        """Give back all objects that nothing refers to, and let go of Python's.

        Only where no value is on its way between Python and a slot.
        """
        cdef Heap* h = &self.heap
        cdef size_t count = len(state.externs)
        cdef size_t i
        cdef list gone
        if state.filling or state.shared:
            return 0
        addresses = array("Q", sorted(state.externs))
        seen = bytearray(count + 1)
        h.externs = <const uint64_t*><uint64_t>addresses.buffer_info()[0]
        h.seen = <uint8_t*><char*>seen
        h.nexterns = count
        try:
            self.collect(state)
        finally:
            h.nexterns = 0
            h.externs = NULL
            h.seen = NULL
        gone = [state.externs.pop(addresses[i]) for i in range(count) if not seen[i]]
        state.release_at = max(<size_t>RELEASE_AT, 2 * len(state.externs))
        # What their finalizers do finds everything in its place.
        gone.clear()
        return 0

    cdef int collect(self, State state) except -1:
        """Give back all objects that nothing refers to."""
        cdef Heap* h = &self.heap
        cdef Machine machine
        cdef Elements elements
        cdef Cell cell
        cdef uint64_t* top = state.live_end()
        h.failed = 0
        if top > state.stack:
            self.mark_range(state.stack, top - state.stack)
        for address in list(self.handles.keys()):
            mark_word(h, address)
        for address, count in self.pending:
            self.mark_range(<const uint64_t*><uint64_t>address, count)
        for machine in list(self.machines):
            self.mark_range(<const uint64_t*><char*>machine.stack, len(machine.stack) // 8)
        for tables, cells, segments in state.roots:
            for elements in tables:
                if elements.code != c'r':
                    self.mark_range(elements.rec.elems, elements.rec.size)
            for elements in segments:
                if elements.code != c'r':
                    self.mark_range(elements.rec.elems, elements.rec.size)
            for cell in cells:
                if cell.code == c'a' or cell.code == c'e' or cell.code == c'x':
                    mark_word(h, cell.slot[0])
        with nogil:
            mark_all(h)
            heap_sweep(h, not h.failed)
        if h.failed:
            raise MemoryError("no room to look for what is alive")
        return 0

    cdef bint fits(self, State state, uint64_t fields) except -1:
        """Collect; whether an object of so many fields is within the limit then."""
        cdef Heap* h = &self.heap
        self.collect(state)
        if h.used + fields + OBJECT_FIELDS > h.limit and len(self.handles):
            # Handles in circles of Python's wait for Python's collector.
            gc.collect()
            self.collect(state)
        return h.used + fields + OBJECT_FIELDS <= h.limit

    cdef int room(self, State state, uint64_t size, uint64_t fields) except -1:
        """See to it that there is room for an object.

        Raises:
            LimitExceeded: the objects alive take too many fields.
            MemoryError: the host has no room.
        """
        cdef Heap* h = &self.heap
        if h.bytes > h.trigger or h.used + fields + OBJECT_FIELDS > h.limit:
            if not self.fits(state, fields):
                error = LimitExceeded("heap fields", h.limit)
                if state.depth and not state.in_host:
                    error.backtrace = state.backtrace()
                raise error
        if heap_room(h, size):
            raise MemoryError("no room for an object")
        return 0

    cdef Object* make(self, State state, RType* type_, uint64_t length) except NULL:
        """A new object, which the caller fills."""
        cdef uint64_t size = object_size(type_, length)
        cdef uint64_t fields = length if type_.kind == KIND_ARRAY else type_.fields
        cdef uint64_t limit = self.heap.limit
        cdef Object* made
        if type_.kind == KIND_EXN:
            # Exceptions are no part of what the limit counts.
            self.heap.limit = 0xFFFFFFFFFFFFFFFF
        try:
            if not heap_has(&self.heap, size, fields):
                self.room(state, size, fields)
            made = heap_take(&self.heap, size, fields)
        finally:
            self.heap.limit = limit
        if made == NULL:
            raise MemoryError("no room for an object")
        if type_.kind == KIND_EXN:
            self.heap.used -= fields + OBJECT_FIELDS
        made.type = type_
        made.length = <uint32_t>length
        made.mark = 0
        return made

    cdef object handle(self, State state, uint64_t slot):
        """The handle of a structure, an array or an exception."""
        cdef Object* o = <Object*>slot
        found = self.handles.get(slot)
        if found is not None:
            return found
        origin = <object>o.type.origin
        if o.type.kind == KIND_STRUCT:
            found = NativeStruct(state, slot, origin)
        elif o.type.kind == KIND_ARRAY:
            found = NativeArray(state, slot, origin)
        else:
            found = NativeExn(state, slot, origin)
        self.handles[slot] = found
        return found

    cdef list contents(self, State state, uint64_t slot):
        """Values of an object's fields or elements."""
        cdef Object* o = <Object*>slot
        cdef TypeHandle handle = handle_of(o)
        cdef uint64_t i
        if o.type.kind != KIND_ARRAY:
            return take_values(state, handle.codes, o.slots)
        return [element(state, o, handle.codes[0], i) for i in range(o.length)]

    cdef uint64_t new(self, State state, TypeHandle handle, values) except 0:
        """An object that holds these values."""
        cdef bint array_ = handle.rec.kind == KIND_ARRAY
        cdef uint64_t count = len(values)
        cdef uint64_t width = 2 if handle.rec.size == 16 else 1
        cdef uint64_t* slots
        cdef Object* o
        cdef uint64_t i
        slots = <uint64_t*>calloc(count * width + 1 if array_ else handle.rec.slots + 1, 8)
        if slots == NULL:
            raise MemoryError("no room for an object")
        state.filling += 1
        self.pending.append((<uint64_t>slots, count * width if array_ else handle.rec.slots))
        try:
            # Values first, as they may need room themselves.
            put_values(state, handle.codes * count if array_ else handle.codes, values, slots)
            o = self.make(state, &handle.rec, count if array_ else 0)
            if array_:
                for i in range(count):
                    put_element(o, i, slots + width * i)
            else:
                put_slots(o, slots)
        finally:
            self.pending.pop()
            state.filling -= 1
            free(slots)
        return <uint64_t>o

    cdef object blank(self, State state, TypeHandle handle, uint64_t length):
        """The handle of an object whose fields are all zero or null, to be filled through it:
        objects that refer to each other in a circle can be made no other way."""
        cdef Object* o = self.make(state, &handle.rec, length)
        memset(o.slots, 0, object_size(&handle.rec, length) - HEADER)
        return self.fresh(state, <uint64_t>o)

    cdef object fresh(self, State state, uint64_t slot):
        """The handle of an object that nothing refers to yet; what making it may set off does not
        collect the object."""
        self.pending.append((<uint64_t>&slot, 1))
        try:
            return self.handle(state, slot)
        finally:
            self.pending.pop()


cdef TypeHandle handle_of(Object* o):
    """The handle of an object's type or tag."""
    return tag_handle(<object>o.type.origin) if o.type.kind == KIND_EXN \
        else type_handle(<object>o.type.origin)


cdef object element(State state, Object* o, int code, uint64_t i):
    """An element of an array."""
    cdef uint64_t word
    if o.type.size == 16:
        return (<char*>(o.slots + 2 * i))[:16]
    if o.type.size == 1:
        word = (<uint8_t*>o.slots)[i]
    elif o.type.size == 2:
        word = (<uint16_t*>o.slots)[i]
    elif o.type.size == 4:
        word = (<uint32_t*>o.slots)[i]
    else:
        word = o.slots[i]
    return value_of_slot(state, code, word)


cdef class Contents:
    """The fields or elements of an object as a sequence that can be written, its length kept.

    What the reference does with a list of values of its own it does with this one too.
    """
    cdef State state
    # Keeps the object alive.
    cdef object owner
    cdef Object* o
    cdef bytes codes
    cdef uint64_t count

    def __init__(self, State state, owner):
        cdef TypeHandle handle
        self.state = state
        self.owner = owner
        self.o = <Object*><uint64_t>owner.address
        handle = handle_of(self.o)
        self.codes = handle.codes
        self.count = self.o.length if self.o.type.kind == KIND_ARRAY else self.o.type.fields

    cdef object get(self, uint64_t i):
        cdef Object* o = self.o
        cdef uint64_t* slot
        if o.type.kind == KIND_ARRAY:
            return element(self.state, o, self.codes[0], i)
        slot = o.slots + o.type.places[i]
        if self.codes[i] == c'v':
            return (<char*>slot)[:16]
        return value_of_slot(self.state, self.codes[i], slot[0])

    cdef int put(self, uint64_t i, value) except -1:
        cdef Object* o = self.o
        cdef bint array_ = o.type.kind == KIND_ARRAY
        cdef int code = self.codes[0 if array_ else i]
        cdef uint64_t words[2]
        cdef uint64_t* slot
        if code == c'v':
            if not isinstance(value, bytes) or len(value) != 16:
                raise TypeError(f"{value!r} is no vector")
            memcpy(words, <char*><bytes>value, 16)
        else:
            words[0] = slot_of_value(self.state, code, value)
        if array_:
            put_element(o, i, words)
            return 0
        slot = o.slots + o.type.places[i]
        if code == c'b':
            words[0] &= 0xFF
        elif code == c'h':
            words[0] &= 0xFFFF
        slot[0] = words[0]
        if code == c'v':
            slot[1] = words[1]
        return 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        cdef uint64_t i
        if isinstance(index, slice):
            return [self.get(i) for i in range(*index.indices(self.count))]
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.get(index)

    def __setitem__(self, index, value):
        cdef uint64_t i
        if isinstance(index, slice):
            places = range(*index.indices(self.count))
            values = list(value)
            if len(places) != len(values):
                raise ValueError("an object keeps the number of its fields")
            for i, item in zip(places, values):
                self.put(i, item)
            return
        if not 0 <= index < self.count:
            raise IndexError(index)
        self.put(index, value)

    def __iter__(self):
        return iter(self[:])

    def __eq__(self, other):
        if isinstance(other, (list, Contents)):
            return self[:] == other[:]
        return NotImplemented

    def __repr__(self):
        return repr(self[:])
