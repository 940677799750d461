# Defined types and tags as native records, compared by their addresses.

cdef object _TYPES = WeakKeyDictionary()
"""Handles of defined types; who uses one keeps it, and the type."""

cdef dict STORAGE = {I8: c'b', I16: c'h'}
cdef dict ELEMENT_SIZES = {c'b': 1, c'h': 2, c'i': 4, c'f': 4, c'v': 16}


cdef class TypeHandle:
    """A record and what it points at."""
    cdef RType rec
    cdef list supers
    # A letter for each field, or for an array's element: `code_of`, b: i8, h: i16
    cdef bytes codes
    cdef object __weakref__

    def __cinit__(self):
        memset(&self.rec, 0, sizeof(RType))

    def __dealloc__(self):
        free(self.rec.display)
        free(self.rec.map)
        free(self.rec.places)

    cdef int lay_out(self, list storages) except -1:
        """A slot for each field, two for a vector."""
        cdef uint32_t slot = 0
        cdef Py_ssize_t i
        cdef int code
        self.codes = bytes([
            STORAGE[storage] if storage in STORAGE else code_of(storage) for storage in storages
        ])
        self.rec.fields = <uint32_t>len(storages)
        self.rec.map = <uint8_t*>calloc(2 * len(storages) + 1, 1)
        self.rec.places = <uint32_t*>calloc(len(storages) + 1, 4)
        if self.rec.map == NULL or self.rec.places == NULL:
            raise MemoryError("no room for a type")
        for i in range(len(storages)):
            code = self.codes[i]
            self.rec.places[i] = slot
            if code == c'b' or code == c'h':
                self.rec.map[slot] = SLOT_8 if code == c'b' else SLOT_16
                self.rec.packed = True
            elif code == c'v':
                self.rec.map[slot] = SLOT_WIDE
                slot += 1
            elif code == c'f' or code == c'd':
                self.rec.map[slot] = SLOT_FLOAT
            elif code == c'a' or code == c'e' or code == c'x':
                self.rec.map[slot] = SLOT_REF
                self.rec.refs = True
            slot += 1
        self.rec.slots = slot
        return 0


cdef TypeHandle type_handle(deftype):
    """The handle of a defined type."""
    cdef TypeHandle found = _TYPES.get(deftype)
    cdef TypeHandle other
    cdef uint32_t i
    if found is not None:
        return found
    found = TypeHandle()
    comp = deftype.comp
    above = []
    upper = deftype.supertype
    if upper is not None:
        other = type_handle(upper)
        above = [*other.supers, other]
    found.supers = above
    found.rec.origin = <void*>deftype
    found.rec.depth = <uint32_t>len(above)
    found.rec.display = <RType**>calloc(len(above) + 1, sizeof(RType*))
    if found.rec.display == NULL:
        raise MemoryError("no room for a type")
    for i in range(found.rec.depth):
        other = above[i]
        found.rec.display[i] = &other.rec
    found.rec.display[found.rec.depth] = &found.rec
    if isinstance(comp, FuncType):
        found.rec.kind = KIND_FUNC_TYPE
    elif isinstance(comp, StructType):
        found.rec.kind = KIND_STRUCT
        found.lay_out([field.storage for field in comp.fields])
    else:
        found.rec.kind = KIND_ARRAY
        found.lay_out([comp.field.storage])
        found.rec.size = ELEMENT_SIZES.get(found.codes[0], 8)
        found.rec.slots = 0
    _TYPES[deftype] = found
    return found


cdef TypeHandle tag_handle(tag):
    """The handle of a tag, as whose fields an exception carries the tag's parameters."""
    cdef TypeHandle found = tag.__dict__.get("_native")
    if found is None:
        found = TypeHandle()
        found.supers = []
        found.rec.kind = KIND_EXN
        found.rec.origin = <void*>tag
        found.rec.display = <RType**>calloc(1, sizeof(RType*))
        if found.rec.display == NULL:
            raise MemoryError("no room for a tag")
        found.rec.display[0] = &found.rec
        found.lay_out(list(tag.type.type.comp.params))
        tag.__dict__["_native"] = found
    return found
