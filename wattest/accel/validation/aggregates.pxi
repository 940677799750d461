# Structures and arrays (spec 3.4.7).

cdef inline bint packed(Field* field) noexcept nogil:
    return field.storage == T_I8 or field.storage == T_I16


cdef inline bint element_fits(Check* c, Field* field) noexcept nogil:
    """Read an element segment, whose type must match an array's elements."""
    cdef uint32_t index
    return u32(c, &index) and index < c.nelems and subtype(c, c.elems[index], field.held)


cdef inline bint data_fits(Check* c, Field* field) noexcept nogil:
    """Read a data segment; an array's elements must be numbers or vectors."""
    cdef uint32_t index
    return (
        c.data_count and u32(c, &index) and index < c.ndatas and not is_ref(field.held)
    )


cdef bint on_structure(Check* c, uint8_t kind) noexcept nogil:
    """An instruction on structures."""
    cdef uint32_t index, heap
    cdef Defined* type_
    cdef Field* field
    if not defined(c, D_STRUCT, &type_, &heap):
        return False
    if kind == K_STRUCT_NEW:
        return pop_many(c, type_.params) and push(c, reference(False, heap))
    if kind == K_STRUCT_NEW_DEFAULT:
        return type_.defaultable and push(c, reference(False, heap))
    if not u32(c, &index) or index >= type_.count:
        return False
    field = &c.fields[type_.fields + index]
    if kind == K_STRUCT_SET:
        return field.mutable and pop_value(c, field.held) and pop(c, reference(True, heap))
    if packed(field) != (kind == K_STRUCT_GET_PACKED):
        return False
    return pop(c, reference(True, heap)) and push_value(c, field.held)


cdef bint array_copy(Check* c) noexcept nogil:
    """``[(ref null x) i32 (ref null y) i32 i32] -> []`` from ``y`` to a mutable ``x``."""
    cdef uint32_t target, source
    cdef Defined* type_
    cdef Field* to
    cdef Field* from_
    if not defined(c, D_ARRAY, &type_, &target):
        return False
    to = &c.fields[type_.fields]
    if not to.mutable or not defined(c, D_ARRAY, &type_, &source):
        return False
    from_ = &c.fields[type_.fields]
    if from_.storage != to.storage and not subtype(c, from_.storage, to.storage):
        return False
    return (
        pop(c, T_I32) and pop(c, T_I32) and pop(c, reference(True, source))
        and pop(c, T_I32) and pop(c, reference(True, target))
    )


cdef bint on_array(Check* c, uint8_t kind) noexcept nogil:
    """An instruction on arrays."""
    cdef uint32_t count, heap
    cdef Defined* type_
    cdef Field* field
    if kind == K_ARRAY_COPY:
        return array_copy(c)
    if not defined(c, D_ARRAY, &type_, &heap):
        return False
    field = &c.fields[type_.fields]
    if kind == K_ARRAY_NEW:
        return pop(c, T_I32) and pop_value(c, field.held) and push(c, reference(False, heap))
    if kind == K_ARRAY_NEW_DEFAULT:
        return defaultable(field.held) and pop(c, T_I32) and push(c, reference(False, heap))
    if kind == K_ARRAY_NEW_FIXED:
        if not u32(c, &count) or count > MAX_FIXED:
            return False
        if not pop_repeated(c, field.held, count * 2 if field.held == T_V128 else count):
            return False
        return push(c, reference(False, heap))
    if kind == K_ARRAY_NEW_DATA or kind == K_ARRAY_NEW_ELEM:
        if not (data_fits(c, field) if kind == K_ARRAY_NEW_DATA else element_fits(c, field)):
            return False
        return pop(c, T_I32) and pop(c, T_I32) and push(c, reference(False, heap))
    if kind == K_ARRAY_GET or kind == K_ARRAY_GET_PACKED:
        if packed(field) != (kind == K_ARRAY_GET_PACKED):
            return False
        return pop(c, T_I32) and pop(c, reference(True, heap)) and push_value(c, field.held)
    if not field.mutable:
        return False
    if kind == K_ARRAY_SET:
        return pop_value(c, field.held) and pop(c, T_I32) and pop(c, reference(True, heap))
    if kind == K_ARRAY_FILL:
        return (
            pop(c, T_I32) and pop_value(c, field.held) and pop(c, T_I32)
            and pop(c, reference(True, heap))
        )
    if not (data_fits(c, field) if kind == K_ARRAY_INIT_DATA else element_fits(c, field)):
        return False
    return (
        pop(c, T_I32) and pop(c, T_I32) and pop(c, T_I32) and pop(c, reference(True, heap))
    )
