# Values: as slots hold them, as the reference's runtime and as Python see them.

cdef int code_of(object valtype) except -1:
    """i: i32, l: i64, f: f32, d: f64, v: v128; references by their hierarchies, r: func,
    e: extern, a: any, x: exn."""
    if valtype is I32:
        return c'i'
    if valtype is I64:
        return c'l'
    if valtype is F32:
        return c'f'
    if valtype is F64:
        return c'd'
    if isinstance(valtype, RefType):
        top = top_heaptype(valtype.heap)
        return c'r' if top is FUNC else c'e' if top is EXTERN else c'a' if top is ANY else c'x'
    if valtype is V128:
        return c'v'
    raise ValidationError(f"unsupported type: {valtype!r}")


cdef bytes halves(codes):
    """Of each slot that values of these codes take, whether it is the second half of one."""
    return b"".join([b"\0\1" if code == c'v' else b"\0" for code in codes])


cdef class Signature:
    """A function type, as the driver needs it."""
    cdef bytes params
    cdef bytes results
    # The same in slots: which of them are second halves of vectors
    cdef bytes wide_params
    cdef bytes wide_results
    # Whether there is more than numbers in it
    cdef bint reference
    cdef object deftype

    def __init__(self, deftype):
        comp = deftype.comp
        self.deftype = deftype
        if not isinstance(comp, FuncType):
            self.params = self.results = self.wide_params = self.wide_results = b""
            return
        self.params = bytes([code_of(t) for t in comp.params])
        self.results = bytes([code_of(t) for t in comp.results])
        self.reference = any(code in b"reaxv" for code in self.params + self.results)

        self.wide_params = halves(self.params)
        self.wide_results = halves(self.results)


cdef int put_values(State state, bytes codes, values, uint64_t* fp) except -1:
    """Values into slots, one after the other."""
    cdef Py_ssize_t i
    for i in range(len(codes)):
        if codes[i] == c'v':
            memcpy(fp, <char*><bytes>values[i], 16)
            fp += 2
        else:
            fp[0] = slot_of_value(state, codes[i], values[i])
            fp += 1
    return 0


cdef list take_values(State state, bytes codes, uint64_t* fp):
    """The values that stand in slots, one after the other."""
    cdef Py_ssize_t i
    cdef list values = []
    for i in range(len(codes)):
        if codes[i] == c'v':
            values.append((<char*>fp)[:16])
            fp += 2
        else:
            values.append(value_of_slot(state, codes[i], fp[0]))
            fp += 1
    return values


cdef uint64_t slot_of_value(State state, int code, object value) except? 0xDEADBEEFDEADBEEF:
    """A value as it stands in a slot."""
    cdef double x
    if code == c'i' or code == c'b' or code == c'h':
        return <uint32_t>(<unsigned long long>value)
    if code == c'l':
        return <unsigned long long>value
    if code == c'd':
        return d2u(<double>value)
    if code == c'f':
        x = <double>value
        if x != x:
            return value.bits if isinstance(value, _F32Value) else 0x7FC00000
        return f2u(<float>x)
    if value is None:
        return 0
    if code == c'r':
        return <uint64_t>func_of(state, value)
    if code == c'x':
        return exception_slot(state, value)
    if code == c'e':
        if not isinstance(value, _Externalized):
            state.externs[<uint64_t><void*>value] = value
            return <uint64_t><void*>value | 2
        value = value.value
    return any_slot(state, value)


cdef uint64_t any_slot(State state, object value) except? 0xDEADBEEFDEADBEEF:
    """A value of the hierarchy of any, not null."""
    if type(value) is int:
        return <uint32_t>(<uint64_t>value << 1 | 1)
    if isinstance(value, _Internalized):
        value = value.value
        state.externs[<uint64_t><void*>value] = value
        return <uint64_t><void*>value | 2
    if not isinstance(value, (NativeStruct, NativeArray)):
        raise TypeError(f"{value!r} belongs to another engine")
    if value.state is not state:
        raise TypeError(f"{value!r} belongs to another store")
    return value.address


cdef uint64_t exception_slot(State state, object value) except 0:
    """An exception, which is made here unless it has been before."""
    cdef uint64_t slot
    if isinstance(value, NativeExn) and value.state is state:
        return value.address
    # One that the host made, or another store: it has an object in each store that it has been in,
    # as long as it is alive.
    known = value.__dict__.setdefault("_native", {})
    found = known.get(<uint64_t><void*>state)
    if found is not None:
        return found[1]
    state.keep[<uint64_t><void*>value.tag] = value.tag
    Py_EnterRecursiveCall(" while an exception was taken over")
    try:
        slot = state.objects.new(state, tag_handle(value.tag), value.values)
    finally:
        Py_LeaveRecursiveCall()
    known[<uint64_t><void*>state] = (state, slot)
    state.objects.handles[slot] = value
    return slot


cdef object value_of_slot(State state, int code, uint64_t slot):
    """The value that stands in a slot."""
    cdef float s
    if code == c'i' or code == c'b' or code == c'h':
        return <uint32_t>slot
    if code == c'l':
        return slot
    if code == c'd':
        return u2d(slot)
    if code == c'f':
        s = u2f(<uint32_t>slot)
        if s != s:
            return _f32_from_bits(<uint32_t>slot)
        return <double>s
    if slot == 0:
        return None
    if code == c'r':
        return <object>(<Func*>slot).obj
    if code == c'x':
        return state.objects.handle(state, slot)
    if slot & 3 == 2:
        if code == c'e':
            return <object><void*>(slot - 2)
    elif code == c'a':
        return <uint32_t>slot >> 1 if slot & 1 else state.objects.handle(state, slot)
    # Of the other hierarchy: one wrapper as long as anybody holds it.
    found = state.objects.wrappers.get(slot)
    if found is None:
        if code == c'a':
            found = _Internalized(<object><void*>(slot - 2))
        else:
            found = _Externalized(value_of_slot(state, c'a', slot))
        state.objects.wrappers[slot] = found
    return found


cdef object lifted(int code, uint64_t slot):
    """A value as Python sees it (`wattest.api.values`); functions are not handled here."""
    cdef double x
    if code == c'i':
        return <int32_t>slot
    if code == c'l':
        return <int64_t>slot
    if code == c'd':
        x = u2d(slot)
        if x != x and slot != 0x7FF8000000000000:
            return _F64Value(slot)
        return x
    return value_of_slot(None, code, slot)


cdef bint lowered_fast(int code, object value, uint64_t* slot) except -1:
    """Put a value of the expected Python type into a slot; False for any other."""
    cdef long long number
    cdef int overflow = 0
    cdef double x
    if code == c'i' or code == c'l':
        if not PyLong_CheckExact(value):
            return False
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            return False
        if code == c'l':
            slot[0] = <uint64_t>number
            return True
        if number < -2147483648 or number > 4294967295:
            return False
        slot[0] = <uint32_t>number
        return True
    if not PyFloat_CheckExact(value):
        return False
    x = PyFloat_AS_DOUBLE(value)
    if code == c'd':
        slot[0] = d2u(x) if x == x else <uint64_t>0x7FF8000000000000
        return True
    if code == c'f':
        slot[0] = f2u(<float>x) if x == x else <uint32_t>0x7FC00000
        return True
    return False
