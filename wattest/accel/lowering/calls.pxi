# Calls.

cdef int32_t lower_call(Low* l, Func* func, uint32_t type_index) noexcept nogil:
    cdef int32_t pos
    cdef uint32_t params = l.m.type_params[type_index]
    settle_top(l, <int32_t>params)
    if func.inst != NULL and func.inst != l.inst:
        pos = emit(l, H_CALL_CROSS, 6)
    else:
        pos = emit(l, H_CALL, 6)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - <int32_t>params)
    (<cell_func*>(l.code + pos + 4))[0] = func
    may_trap(l, pos)
    note_call(l, pos, l.height - <int32_t>params)
    pop_to(l, l.height - <int32_t>params)
    push_slots(l, <int32_t>l.m.type_results[type_index], l.m.wide_results[type_index])
    return pos

cdef void lower_indirect(Low* l, bint tail) noexcept nogil:
    cdef uint32_t type_index = <uint32_t>leb_u(&l.p)
    cdef uint32_t table = <uint32_t>leb_u(&l.p)
    cdef int32_t params = <int32_t>l.m.type_params[type_index]
    cdef Entry* e = pop(l)
    cdef Entry saved = e[0]
    cdef int32_t height = l.height
    cdef int32_t source = 0
    cdef int32_t pos
    if saved.kind == IN_CONST:
        entry_slot(l, &saved, height)
        saved.kind = IN_SLOT
    settle_top(l, params)
    if in_register(l, &saved, height, 1):
        to_register(l)
        pos = emit(l, H_RETURN_CALL_INDIRECT_R if tail else H_CALL_INDIRECT_R, 10)
    else:
        source = entry_slot(l, &saved, height)
        pos = emit(l, H_RETURN_CALL_INDIRECT_S if tail else H_CALL_INDIRECT_S, 10)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - params)
    (<cell_table*>(l.code + pos + 4))[0] = l.inst.tables[table]
    (<cell_type*>(l.code + pos + 6))[0] = l.m.types[type_index]
    l.code[pos + 8] = source
    l.code[pos + 9] = <int32_t>l.func.slots
    may_trap(l, pos)
    note_call(l, pos, l.height - params)
    if tail:
        past_here(l, pos)
    pop_to(l, l.height - params)
    push_slots(l, <int32_t>l.m.type_results[type_index], l.m.wide_results[type_index])
    if tail:
        emit_return(l)

cdef void lower_return_call(Low* l) noexcept nogil:
    cdef uint32_t index = <uint32_t>leb_u(&l.p)
    cdef Func* func = l.inst.funcs[index]
    cdef int32_t params = <int32_t>func.params
    cdef int32_t pos
    if func.inst == NULL:
        # A host function: called, and its results returned.
        pos = lower_call(l, func, l.m.func_types[index])
        past_here(l, pos)
        emit_return(l)
        return
    settle_top(l, params)
    pos = emit(l, H_RETURN_CALL if func.inst == l.inst else H_RETURN_CALL_CROSS, 8)
    l.code[pos + 2] = l.link
    l.code[pos + 3] = slot_of(l, l.height - params)
    (<cell_func*>(l.code + pos + 4))[0] = func
    l.code[pos + 6] = <int32_t>l.func.slots
    may_trap(l, pos)
