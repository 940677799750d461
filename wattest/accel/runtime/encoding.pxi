# What state commitments say of a stopped run (docs/commitments.md): written as it stands on the
# stack, no values are made of it.

cdef enum:
    MOST_ENCODED = 17  # bytes of a value
    NEAR = 64          # layouts that are at hand while frames are written
    STEP_COUNT = 0     # instead of a type: the number of operands
    STEP_HALF = 1      # instead of a type: the second half of the vector before


cdef struct Step:
    # A value of a frame.
    int32_t code       # the letter of its type
    bint fixed         # whether `value` is the value, not the slot that holds it
    uint64_t value


cdef class Layout:
    """How the frames that stand at one place of a function's code are written."""
    cdef Func* func
    # A tail call has left them: they are none.
    cdef bint left
    # The function's name, the offset, the number of locals.
    cdef bytes head
    cdef Step* steps
    cdef size_t count
    cdef size_t most

    def __dealloc__(self):
        free(self.steps)

    cdef int fill(self, State state, uint32_t offset, int32_t pos, encode) except -1:
        cdef FuncNotes notes = state.notes_of(self.func)
        cdef Step* step
        cdef Py_ssize_t i
        cdef Py_ssize_t slot = 0
        cdef uint32_t locals_ = <uint32_t>len(notes.locals)
        operands = ()
        if pos >= 0:
            place = notes.place(pos)
            if place[0] != offset:
                raise RuntimeError(f"function {self.func.index}: two places for {pos}")
            operands = place[1]
        self.head = encode(<object>self.func.obj) + (<char*>&offset)[:4] + (<char*>&locals_)[:4]
        self.most = len(self.head) + 4 + MOST_ENCODED * (locals_ + <size_t>len(operands))
        self.steps = <Step*>calloc(2 * (locals_ + <size_t>len(operands)) + 1, sizeof(Step))
        if self.steps == NULL:
            raise MemoryError("no room for a frame's layout")
        step = self.steps
        for i in range(locals_):
            step.code = notes.locals[i]
            step.value = slot
            step += 1
            slot += 1
            if notes.locals[i] == c'v':
                step.code = STEP_HALF
                step.value = slot
                step += 1
                slot += 1
        step.code = STEP_COUNT
        step.value = len(operands)
        step += 1
        for operand in operands:
            for i in range(len(operand) // 2):
                step.code = STEP_HALF if i else operand[0]
                step.fixed = operand[1 + 2 * i] == IN_CONST
                step.value = operand[2 + 2 * i]
                step += 1
        self.count = step - self.steps
        return 0

    cdef size_t write(self, State state, uint64_t* fp, encode, char* to) except 0:
        """Write a frame; how many bytes, at most `most`."""
        cdef Step* step = self.steps
        cdef Step* end = step + self.count
        cdef uint64_t words[2]
        cdef uint32_t number
        cdef int code
        cdef char* begin = to
        memcpy(to, <char*>self.head, len(self.head))
        to += len(self.head)
        while step < end:
            if step.code == STEP_COUNT:
                number = <uint32_t>step.value
                memcpy(to, &number, 4)
                to += 4
            else:
                code = step.code
                words[0] = step.value if step.fixed else fp[step.value]
                if code == c'v':
                    step += 1
                    words[1] = step.value if step.fixed else fp[step.value]
                to += encode_value(state, code, words, encode, to)
            step += 1
        return to - begin


cdef size_t encode_value(State state, int code, uint64_t* words, encode, char* to) except 0:
    """A value as state commitments have it; how many bytes, at most `MOST_ENCODED`. References are
    left to `encode`."""
    cdef uint64_t bits = words[0]
    cdef uint32_t half = <uint32_t>bits
    cdef float single
    cdef bytes text
    if code == c'i':
        to[0] = 1
        bits = half
    elif code == c'l':
        to[0] = 1
    elif code == c'd':
        to[0] = 2
    elif code == c'f':
        single = u2f(half)
        if single == single:
            bits = d2u(<double>single)
        elif half == 0x7FC00000:
            bits = 0x7FF8000000000000
        else:
            to[0] = 3
            memcpy(to + 1, &half, 4)
            return 5
        to[0] = 2
    elif code == c'v':
        to[0] = 4
        memcpy(to + 1, words, 16)
        return 17
    elif bits == 0:
        to[0] = 0
        return 1
    else:
        text = encode(value_of_slot(state, code, bits))
        if not 0 < len(text) <= MOST_ENCODED:
            raise ValueError("the encoding of a reference is too long")
        memcpy(to, <char*>text, len(text))
        return len(text)
    memcpy(to + 1, &bits, 8)
    return 9


cdef bytearray encode_frames(State state, Ctx* c, uint64_t* fp, encode, dict known):
    """The frames of a run that stands between two instructions.

    Args:
        known: layouts by place, for as long as `encode` names functions the same.
    """
    cdef PyObject* near[NEAR]
    cdef uint64_t keys[NEAR]
    # As much as the time before, and a quarter.
    cdef size_t room = state.written + state.written // 4 + 4096
    cdef bytearray text = PyByteArray_FromStringAndSize(NULL, <Py_ssize_t>room)
    cdef char* data = PyByteArray_AS_STRING(text)
    cdef Layout layout
    cdef uint32_t number = 0
    cdef size_t used = 5
    cdef size_t at
    cdef uint64_t key
    cdef int32_t* pc = c.pc
    # Layouts that are good for this state only.
    cdef list held = []
    memset(keys, 0, sizeof(keys))
    data[0] = c.status == STATUS_FUEL
    # A place in the code belongs to a call, an edge or a cell; the beginning is the function.
    if c.status != STATUS_FUEL:
        key = <uint64_t>pc + 2
    elif c.edge != NULL:
        key = <uint64_t>c.edge + 1
    else:
        key = <uint64_t>pc + 3
    layout = known.get(key)
    if layout is None:
        layout = layout_of(state, state.standing(c), key, encode, known, held)
    while True:
        if not layout.left:
            if used + layout.most > room:
                room = 2 * room + layout.most
                PyByteArray_Resize(text, <Py_ssize_t>room)
                data = PyByteArray_AS_STRING(text)
            used += layout.write(state, fp, encode, data + used)
            number += 1
        pc = state.outward(&fp, layout.func.link)
        if pc == NULL:
            break
        key = <uint64_t>pc
        at = (key >> 2 ^ key >> 9) % NEAR
        if keys[at] == key:
            layout = <Layout>near[at]
            continue
        layout = known.get(key)
        if layout is None:
            layout = layout_of(state, state.calling(pc), key, encode, known, held)
        keys[at] = key
        near[at] = <PyObject*>layout
    memcpy(data + 1, &number, 4)
    PyByteArray_Resize(text, <Py_ssize_t>used)
    state.written = used
    return text


cdef Layout layout_of(
    State state, tuple place, uint64_t key, encode, dict known, list held
):
    """The layout of a place: function, byte offset, position in the code, whether it is left."""
    cdef Layout layout = Layout.__new__(Layout)
    layout.func = <Func*><uint64_t>place[0]
    layout.left = place[3]
    if not layout.left:
        layout.fill(state, place[1], place[2], encode)
    if layout.left or layout.head[0] == 5:
        known[key] = layout
    else:
        # Who is no function of an instance that counts has a number that is given anew each time.
        held.append(layout)
    return layout


cdef bytes encode_elements(Elements elems, number_of):
    """References as state commitments have them; None where one is neither null nor a function
    of an instance that has a number.

    Args:
        number_of: gives the number of an instance, or None.
    """
    cdef uint64_t i
    cdef Func* func
    cdef Inst* inst = NULL
    cdef uint32_t number = 0
    cdef char* to
    cdef bytes made
    if elems.code != c'r':
        return None
    made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(9 * elems.rec.size))
    to = <char*>made
    for i in range(elems.rec.size):
        func = <Func*>elems.rec.elems[i]
        if func == NULL:
            to[0] = 0
            to += 1
            continue
        if func.inst == NULL:
            return None
        if func.inst != inst:
            found = number_of((<Instance>func.inst.owner).owner)
            if found is None:
                return None
            number = found
            inst = func.inst
        to[0] = 5
        memcpy(to + 1, &number, 4)
        memcpy(to + 5, &func.index, 4)
        to += 9
    return made[:to - <char*>made]
