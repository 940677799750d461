# What a stopped run consists of: its frames in terms of the specification, and back (docs/state.md).
#
# A stopped machine is a copy of the store's stack and of the registers. Frames are found by their
# links; what a frame holds besides its locals is told by the notes on its function, which are made
# when they are first asked for (lowering/notes.pxi), and by the types that validation finds.

cdef enum:
    FEW = 3  # places of a function before the types of all are taken


cdef inline object note_key(int kind, uint32_t offset):
    """A note's kind and byte offset as one integer: a function may have thousands of notes."""
    return <uint64_t>kind << 32 | offset


cdef class FuncNotes:
    """The notes on a function, and the types of what they place."""
    cdef Notes* notes
    cdef Func* func
    cdef NativeModule native
    cdef bytes locals
    # Places of notes by `note_key`; None until one is looked for.
    cdef dict offsets
    cdef dict known
    # The types on the operand stack by byte offset.
    cdef dict types

    def __dealloc__(self):
        free_notes(self.notes)

    cdef int fill(self, Places state, Func* func) except -1:
        state.lower(func)
        self.func = func
        self.native = (<Instance>func.inst.owner).native
        places = local_places(self.native.module, func.index, <Signature>func.sig)
        self.notes = take_notes(
            &self.native.m, func, func.slots - func.locals,
            NULL if places is None else <const int32_t*><char*><bytes>places,
        )
        if self.notes == NULL:
            raise RuntimeError(f"function {func.index} was lowered otherwise than before")
        syntax = self.native.module.funcs[self.position()]
        self.locals = (<Signature>func.sig).params + b"".join(
            [
                bytes([code_of(close_valtype(valtype, self.native.module.types))]) * count
                for count, valtype in syntax.code.locals
            ]
        )
        self.known = {}
        self.types = {}
        return 0

    cdef int index(self) except -1:
        """Fill `offsets`; a function with thousands of notes has few that are looked at."""
        cdef size_t i
        cdef Note* found
        cdef Lowered* low = <Lowered*>self.func.lowered
        places = {low.traps[i].pos: low.traps[i].offset for i in range(low.ntraps)}
        edges = {low.edges[i].pos: low.edges[i].offset for i in range(low.nedges)}
        self.offsets = {}
        for i in range(self.notes.count):
            found = &self.notes.notes[i]
            offset = (edges if found.kind == NOTE_EDGE else places)[found.pos]
            self.offsets.setdefault(note_key(found.kind, offset), found.pos)
        return 0

    cdef Note* at(self, int32_t pos, uint32_t* offset) except NULL:
        """The note of a place in the code, and its byte offset."""
        cdef size_t i = self.notes.count
        cdef size_t k
        cdef Lowered* low = <Lowered*>self.func.lowered
        while i:
            i -= 1
            if self.notes.notes[i].pos != pos:
                continue
            if self.notes.notes[i].kind == NOTE_EDGE:
                for k in range(low.nedges):
                    if low.edges[k].pos == pos:
                        offset[0] = low.edges[k].offset
                        return &self.notes.notes[i]
            else:
                for k in range(low.ntraps):
                    if low.traps[k].pos == pos:
                        offset[0] = low.traps[k].offset
                        return &self.notes.notes[i]
            break
        raise RuntimeError(f"function {self.func.index} cannot stop at {pos}")

    cdef Py_ssize_t position(self) except -1:
        """Of the function among those that its module defines."""
        return self.func.index - <Py_ssize_t>self.native.module.imported_func_count

    cdef bytes types_before(self, uint32_t offset):
        """The letters of the types on the operand stack before an instruction."""
        types = self.types.get(offset)
        if types is None and len(self.types) == FEW:
            # Going through the body is what it takes, for one of them or for all.
            if self.offsets is None:
                self.index()
            # Behind the last ``end`` is no instruction, and nothing that a run could stop before.
            found = {at & 0xFFFFFFFF for at in self.offsets}
            offsets = sorted([at for at in found if at < self.func.end])
            found = self.native.fast_types_at(self.position(), offsets)
            if found is not None:
                self.types.update(zip(offsets, found))
                types = self.types.get(offset)
        if types is None:
            (types,) = self.native.types_at(self.position(), [offset])
            self.types[offset] = types
        return types

    cdef tuple place(self, int32_t pos):
        """``(offset, operands, target, delta)`` of a note. An operand is the letter of its type,
        then for each of its slots how it is kept (there, in a local, as a constant) and which
        slot or constant that is."""
        cdef Note* found
        cdef Spot* spot
        cdef uint32_t i
        cdef uint32_t offset = 0
        known = self.known.get(pos)
        if known is not None:
            return known
        found = self.at(pos, &offset)
        types = self.types_before(offset) if found.count else b""
        if found.kind == NOTE_CALL:
            types = types[:found.count]
        if len(types) != found.count:
            raise RuntimeError(
                f"function {self.func.index} at 0x{offset:x}: {found.count} operands are noted, "
                f"{len(types)} typed"
            )
        operands = []
        i = 0
        while i < found.count:
            made = [types[i]]
            for _ in range(2 if types[i] == c'v' else 1):
                spot = &self.notes.spots[found.first + i]
                made += [spot.kind, spot.value]
                i += 1
            operands.append(tuple(made))
        place = self.known[pos] = (offset, tuple(operands), found.target, found.delta)
        return place


cdef tuple values_at(State state, FuncNotes notes, tuple place, uint64_t* fp):
    """The operands of a frame."""
    cdef uint64_t words[2]
    cdef uint64_t value
    cdef Py_ssize_t i
    found = []
    for operand in place[1]:
        for i in range(len(operand) // 2):
            value = operand[2 + 2 * i]
            words[i] = value if operand[1 + 2 * i] == IN_CONST else fp[value]
        found += take_values(state, bytes([operand[0]]), words)
    return tuple(found)


cdef struct Level:
    # An invocation that waits for a host function, which has called the guest.
    Ctx* ctx
    Level* outer


cdef class Machine:
    """A stopped run: its stack and registers, as data. See `wattest.interp.state.MachineView`."""
    cdef State state_
    # A copy of the store's stack; None for a run that is only looked at (`State.on_break`).
    cdef bytes stack
    cdef Ctx ctx
    cdef Signature root
    cdef bint in_host
    cdef bint spent
    cdef bint gone
    cdef bint left
    cdef readonly object outer
    cdef object __weakref__

    @property
    def store(self):
        """Its store."""
        return self.state_.store

    @property
    def resumable(self):
        """Whether `run` can go on."""
        return not self.spent and not self.gone

    cdef uint64_t* fp(self) except NULL:
        """The innermost frame in the copy.

        Raises:
            RuntimeError: the run has gone on from here. The copy is given up then: as long as it
                is there, it keeps alive what the guest has let go of.
        """
        if self.left:
            raise RuntimeError("the run has gone on from here")
        if self.stack is None:
            return self.ctx.fp
        return <uint64_t*><char*>self.stack + (self.ctx.fp - self.state_.stack)

    def backtrace(self):
        """The frames as errors show them, innermost first."""
        return self.state_.backtrace_of(&self.ctx, self.fp(), self.in_host)

    @property
    def frames(self):
        """The frames (`wattest.interp.state.FrameState`), innermost first."""
        return list(self.state().frames)

    def state(self):
        """The state in the form that belongs to no engine."""
        cdef State state = self.state_
        cdef FuncNotes notes
        cdef Func* func
        cdef uint64_t* fp
        cdef Signature sig
        cdef int32_t pos
        cdef bint owed = self.ctx.status == STATUS_FUEL and not self.in_host
        frames = []
        for address, offset, pos, at in state.walk(&self.ctx, self.fp(), self.in_host):
            func = <Func*><uint64_t>address
            fp = <uint64_t*><uint64_t>at
            notes = state.notes_of(func)
            operands = ()
            if pos >= 0:
                place = notes.place(pos)
                if place[0] != offset:
                    raise RuntimeError(f"function {func.index}: two places for {pos}")
                operands = values_at(state, notes, place, fp)
            frames.append(_FrameState(
                <object>func.obj,
                offset,
                tuple(take_values(state, notes.locals, fp)),
                operands,
            ))
        calling = None
        if self.in_host:
            func = self.ctx.func
            fp = self.fp()
            sig = <Signature>func.sig
            calling = _HostCall(
                <object>func.obj,
                tuple(take_values(state, sig.params, fp)),
            )
        return _MachineState(tuple(frames), owed, calling)

    def encoded_frames(self, encode, known):
        """The frames as state commitments have them (docs/commitments.md); the same as of `state`,
        without making its values.

        Args:
            encode: gives the bytes of a reference; asked in the order of the references.
            known: what is kept for the next time; empty at first, and for one numbering of the
                instances.

        Returns:
            None for a run that waits for a host function.
        """
        if self.in_host:
            return None
        return encode_frames(self.state_, &self.ctx, self.fp(), encode, known)

    def run(self):
        """Go on to the end.

        Raises:
            RuntimeError: it cannot (see `resumable`).
            Exception: as `State.invoke`.
        """
        if self.spent or self.gone:
            raise RuntimeError("this machine has stopped for good")
        return self.state_.resume(self)


cdef class Builder:
    """Makes the stack and the registers of a state."""
    cdef State state
    cdef bytearray room
    cdef uint64_t* words
    cdef Ctx ctx
    cdef int64_t frames
    cdef int64_t slots

    cdef Func* func_of_frame(self, frame) except NULL:
        cdef Instance native
        func = frame.func
        native = func.module.native if isinstance(func, _WasmFunc) else None
        if native is None or native.state is not self.state:
            raise _StateError(f"{func!r} does not live in this store")
        self.state.lower(native.inst.funcs[<size_t>func.index])
        return native.inst.funcs[<size_t>func.index]

    cdef int put(self, Func* func, bytes codes, values, uint64_t* target) except -1:
        """Write values into slots."""
        for code, value in zip(codes, values):
            if code == c'v' and (not isinstance(value, bytes) or len(value) != 16):
                raise _StateError(f"function {func.index}: {value!r} is no vector")
        try:
            put_values(self.state, codes, values, target)
        except (TypeError, OverflowError) as error:
            raise _StateError(f"function {func.index}: {error}") from None
        return 0

    cdef int fill(self, Func* func, size_t base, frame, tuple place) except -1:
        """Write a frame's locals and operands."""
        cdef FuncNotes notes = self.state.notes_of(func)
        cdef Py_ssize_t i
        cdef uint64_t words[2]
        cdef uint64_t value
        wanted = place[1] if place is not None else ()
        for what, count, given in (
            ("locals", len(notes.locals), len(frame.locals)),
            ("operands", len(wanted), len(frame.operands)),
        ):
            if count != given:
                raise _StateError(
                    f"function {func.index} has {count} {what} at 0x{frame.offset:x}, {given} given"
                )
        self.put(func, notes.locals, frame.locals, self.words + base)
        for operand, given in zip(wanted, frame.operands):
            self.put(func, bytes([operand[0]]), [given], words)
            for i in range(len(operand) // 2):
                value = operand[2 + 2 * i]
                if operand[1 + 2 * i] == IN_SLOT:
                    self.words[base + value] = words[i]
                elif words[i] != (
                    value if operand[1 + 2 * i] == IN_CONST else self.words[base + value]
                ):
                    # It is not kept: it must be what it stands for.
                    name = "a constant" if operand[1 + 2 * i] == IN_CONST else "a local"
                    raise _StateError(
                        f"function {func.index} at 0x{frame.offset:x}: "
                        f"an operand is {name} and cannot be {given!r}"
                    )
        self.frames -= 1
        self.slots -= func.slots
        if self.frames < 0 or self.slots < 0:
            raise _StateError("more frames or slots than the store allows")
        return 0

    cdef tuple find(self, Func* func, int kind, frame):
        """The place of the note of a kind at a frame's offset, and its position in the code."""
        cdef FuncNotes notes = self.state.notes_of(func)
        if notes.offsets is None:
            notes.index()
        pos = None
        if 0 <= frame.offset <= 0xFFFFFFFF:
            pos = notes.offsets.get(note_key(kind, frame.offset))
        if pos is None:
            raise _StateError(
                f"function {func.index} at 0x{frame.offset:x}: the accelerator cannot begin there"
            )
        return notes.place(pos), pos

    cdef int link(self, size_t base, Func* func, uint64_t back, uint64_t delta) except -1:
        self.words[base + func.link] = back
        self.words[base + func.link + 1] = delta
        self.words[base + func.link + 2] = (
            GUARDS | <uint64_t>self.frames << 32 | <uint64_t>self.slots
        )
        return 0

    cdef Machine build(self, state):
        """A machine of a state.

        Raises:
            StateError: the state does not fit, or is none that can be begun at.
        """
        cdef Func* func = NULL
        cdef Func* caller = NULL
        cdef HostHandle handle
        cdef Machine machine
        cdef Lowered* low
        cdef size_t base = 0
        cdef size_t size = 16
        cdef uint64_t back = <uint64_t>self.state.done
        cdef uint64_t delta = 0
        cdef int32_t pos
        cdef Signature sig
        frames = state.frames
        if not frames:
            raise _StateError("a machine has at least one frame")
        for frame in frames:
            func = self.func_of_frame(frame)
            size += func.link + func.slots + 8
        if state.calling is not None:
            size += 2 * (
                len(state.calling.args) + len(state.calling.func.functype.results) + 4
            )
        self.room = bytearray(size * 8)
        self.words = <uint64_t*><char*>self.room
        self.frames = <int64_t>self.state.max_frames
        self.slots = <int64_t>self.state.max_slots
        place = None
        results = None
        for number in range(len(frames) - 1, -1, -1):
            frame = frames[number]
            caller = func
            func = self.func_of_frame(frame)
            if number == len(frames) - 1:
                root = <Signature>func.sig
            elif (<Signature>func.sig).results != results:
                raise _StateError(f"function {func.index} does not return what was called for")
            elif func.inst != caller.inst:
                # A call into another instance leaves three words below the callee's frame.
                self.words[base] = back
                self.words[base + 1] = <uint64_t>caller.inst
                self.words[base + 2] = func.results
                base += 3
                delta += 3
                back = <uint64_t>self.state.cross
            if number or state.calling is not None:
                if state.calling is not None and not number and state.owed:
                    raise _StateError("no host function is called at a border")
                place, pos = self.find(func, NOTE_CALL, frame)
            elif not state.owed:
                place, pos = self.find(func, NOTE_CELL, frame)
            elif frame.offset == func.start:
                place, pos = None, -1
            else:
                place, pos = self.find(func, NOTE_EDGE, frame)
            self.fill(func, base, frame, place)
            self.link(base, func, back, delta)
            if number or state.calling is not None:
                results = call_results((<Instance>func.inst.owner).native, frame.offset)
                back = <uint64_t>(func.code + <int32_t>place[2])
                delta = <uint64_t>place[3]
                base += delta
        self.ctx = self.state.ctx
        self.ctx.inst = func.inst
        self.ctx.fuel = 0
        self.ctx.edge = NULL
        if state.calling is not None:
            host = state.calling.func
            if not isinstance(host, _HostFunc):
                raise _StateError(f"{host!r} is no host function")
            func_of(self.state, host)
            handle = host.__dict__["_native"]
            func = &handle.func
            sig = handle.sig
            if sig.results != results or len(sig.params) != len(state.calling.args):
                raise _StateError(f"{host.name} is not what was called")
            self.put(func, sig.params, state.calling.args, self.words + base)
            self.link(base, func, back, delta)
            self.ctx.pc = func.code
            self.ctx.func = func
            self.ctx.status = STATUS_HOST
        elif not state.owed:
            self.ctx.pc = func.code + pos
            self.ctx.status = STATUS_NEXT
        else:
            self.ctx.status = STATUS_FUEL
            low = <Lowered*>func.lowered
            if place is None:
                self.ctx.pc = func.code
                self.ctx.owed = func.cost
            else:
                self.ctx.pc = low.code + <int32_t>place[2]
                self.ctx.edge = low.code + pos
                self.ctx.owed = low.code[pos + 1]
        self.ctx.fp = self.state.stack + base
        machine = Machine.__new__(Machine)
        machine.state_ = self.state
        machine.stack = bytes(self.room)
        machine.ctx = self.ctx
        machine.root = root
        machine.in_host = state.calling is not None
        self.state.objects.machines.add(machine)
        return machine


cdef bytes call_results(NativeModule native, uint32_t offset):
    """The letters of what the call at an offset returns."""
    cdef const uint8_t* p = native.m.binary + offset
    cdef uint8_t op = p[0]
    cdef uint64_t index
    p += 1
    index = leb_u(&p)
    if op == 0x10 or op == 0x12:
        index = native.m.func_types[index]
    return (<Signature>native.sigs[index]).results
