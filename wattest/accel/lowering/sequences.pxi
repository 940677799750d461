# The last step: every cell's handler, one for several cells where there is one.
#
# Until here the first two words of a cell are its handler's number and its size. A handler for a
# sequence stands in the first of its cells and does what their handlers would do one after the
# other, from the operands where they stand; the other cells keep handlers of their own, so code that
# comes to them from elsewhere finds what it would find otherwise. No position changes.

cdef struct Steps:
    uint32_t room                # a power of two
    uint64_t* keys               # state and handler's number, plus one; 0: free
    int32_t* states              # the state behind them

cdef Steps STEPS
# The state after a first cell, 0: no sequence begins so; a state's handler, -1: none ends so
cdef int32_t* FIRST_STATE = NULL
cdef int32_t* STATE_HANDLER = NULL

cdef inline uint64_t step_key(int32_t state, int32_t number) noexcept nogil:
    return (<uint64_t><uint32_t>state << 32 | <uint32_t>number) + 1

cdef inline uint32_t step_place(int32_t state, int32_t number) noexcept nogil:
    """Where a step is, or where it would be."""
    cdef uint64_t key = step_key(state, number)
    cdef uint32_t at = <uint32_t>((key * <uint64_t>0x9E3779B97F4A7C15) >> 40) & (STEPS.room - 1)
    while STEPS.keys[at] and STEPS.keys[at] != key:
        at = (at + 1) & (STEPS.room - 1)
    return at

cdef int _fill_sequences() except -1:
    global FIRST_STATE, STATE_HANDLER
    cdef int32_t states = 1
    cdef int32_t state
    cdef int32_t number
    cdef uint32_t at
    cdef size_t steps = sum([len(row) for row in SEQUENCETABLE])
    cdef size_t handlers = _handlers.COUNT
    STEPS.room = 64
    while STEPS.room < 3 * steps:
        STEPS.room *= 2
    STEPS.keys = <uint64_t*>calloc(STEPS.room, sizeof(uint64_t))
    STEPS.states = <int32_t*>calloc(STEPS.room, sizeof(int32_t))
    FIRST_STATE = <int32_t*>calloc(handlers, sizeof(int32_t))
    STATE_HANDLER = <int32_t*>malloc((steps + 1) * sizeof(int32_t))
    if not (STEPS.keys and STEPS.states and FIRST_STATE and STATE_HANDLER):
        raise MemoryError()
    for *row, whole in SEQUENCETABLE if SEQUENCES else ():
        number = row[0]
        state = FIRST_STATE[number]
        if state == 0:
            state = FIRST_STATE[number] = states
            STATE_HANDLER[states] = -1
            states += 1
        for number in row[1:]:
            at = step_place(state, number)
            if STEPS.keys[at] == 0:
                STEPS.keys[at] = step_key(state, number)
                STEPS.states[at] = states
                STATE_HANDLER[states] = -1
                states += 1
            state = STEPS.states[at]
        STATE_HANDLER[state] = whole
    return 0

_fill_sequences()

cdef int put_handlers(Low* l) noexcept nogil:
    """Put a handler into every cell, so that as few as can be are run; -1 for want of memory."""
    cdef size_t count = 0
    cdef size_t i
    cdef size_t j
    cdef int32_t pos = 0
    cdef int32_t state
    cdef int32_t handler
    cdef int32_t best
    cdef int32_t* places
    cdef int32_t* numbers
    # How many handlers are run from each cell to the end of the code, if nothing is jumped over
    cdef int32_t* runs
    while <size_t>pos < l.length:
        pos += l.code[pos + 1]
        count += 1
    places = <int32_t*>malloc((3 * count + 1) * sizeof(int32_t))
    if places == NULL:
        return -1
    numbers = places + count
    runs = numbers + count
    pos = 0
    for i in range(count):
        places[i] = pos
        numbers[i] = l.code[pos]
        pos += l.code[pos + 1]
    runs[count] = 0
    i = count
    while i > 0:
        i -= 1
        handler = numbers[i]
        best = 1 + runs[i + 1]
        state = FIRST_STATE[handler]
        j = i + 1
        while state and j < count:
            state = STEPS.states[step_place(state, numbers[j])]
            j += 1
            if state and STATE_HANDLER[state] >= 0 and 1 + runs[j] <= best:
                best = 1 + runs[j]
                handler = STATE_HANDLER[state]
        runs[i] = best
        (<cell_handler*>(l.code + places[i]))[0] = HANDLERS[handler]
    free(places)
    return 0
