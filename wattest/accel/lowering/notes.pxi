# Notes: where each operand is wherever a run can stop. Only made when a stopped run is looked at:
# the function is lowered once more, into nothing, with `Low.notes` set (docs/state.md).

cdef enum:
    NOTE_EDGE = 0      # a segment border: the note's place is the edge's
    NOTE_CALL = 1      # a call: what the caller's frame holds meanwhile
    NOTE_CELL = 2      # a cell that may be stopped before: a bulk instruction

cdef struct Spot:
    int32_t kind       # IN_SLOT, IN_LOCAL or IN_CONST
    uint64_t value     # the slot, the local, or the constant

cdef struct Note:
    int32_t pos        # place in the code
    int32_t kind
    int32_t target     # where the edge leads, or the place behind the call
    int32_t delta      # distance of the callee's frame
    uint32_t count     # operands
    size_t first       # their spots

cdef struct Notes:
    Note* notes
    size_t count, room
    Spot* spots
    size_t nspots, spots_room

cdef void note(
    Low* l, int32_t kind, int32_t pos, int32_t height, int32_t count, int32_t slot,
    int32_t target, int32_t delta
) noexcept nogil:
    """Note the operands below a height, and `count` more that stand from a slot on."""
    cdef Notes* n = l.notes
    cdef Note* made
    cdef Spot* spot
    cdef int32_t i
    if n == NULL or l.failed:
        return
    if height < 0 or not more_spots(n, height + count):
        l.failed = True
        return
    made = &n.notes[n.count]
    n.count += 1
    made.pos = pos
    made.kind = kind
    made.target = target
    made.delta = delta
    made.count = <uint32_t>(height + count)
    made.first = n.nspots
    for i in range(height + count):
        spot = &n.spots[n.nspots]
        n.nspots += 1
        if i >= height:
            spot.kind = IN_SLOT
            spot.value = <uint64_t>(slot + i - height)
        elif l.stack[i].kind == IN_LOCAL:
            spot.kind = IN_LOCAL
            spot.value = l.stack[i].local
        elif l.stack[i].kind == IN_CONST:
            spot.kind = IN_CONST
            spot.value = l.stack[i].value
        else:
            spot.kind = IN_SLOT
            spot.value = <uint64_t>slot_of(l, i)

cdef inline void forget_note(Low* l) noexcept nogil:
    """The last note is of a place that no run can stop at."""
    if l.notes != NULL and l.notes.count:
        l.notes.count -= 1
        l.notes.nspots = l.notes.notes[l.notes.count].first

cdef bint more_spots(Notes* n, size_t count) noexcept nogil:
    if n.count >= n.room and not more(<void**>&n.notes, &n.room, n.count + 1, sizeof(Note)):
        return False
    return n.nspots + count < n.spots_room or more(
        <void**>&n.spots, &n.spots_room, n.nspots + count + 1, sizeof(Spot)
    )

cdef inline void note_edge(
    Low* l, int32_t edge, int32_t height, int32_t count, int32_t slot, int32_t target
) noexcept nogil:
    """What stands where an edge leads; `target` is that place."""
    if l.notes != NULL:
        note(l, NOTE_EDGE, edge, height, count, slot, target, 0)

cdef inline void note_call(Low* l, int32_t pos, int32_t height) noexcept nogil:
    """A call has just been emitted; below `height` is what it leaves alone."""
    if l.notes != NULL:
        note(l, NOTE_CALL, pos, height, 0, 0, <int32_t>l.length, l.code[pos + 3])

cdef inline void note_cell(Low* l, int32_t pos) noexcept nogil:
    """A cell that finds its operands on the stack and may be stopped before."""
    if l.notes != NULL:
        note(l, NOTE_CELL, pos, l.height, 0, 0, pos, 0)

cdef void free_notes(Notes* n) noexcept nogil:
    if n != NULL:
        free(n.notes)
        free(n.spots)
        free(n)
