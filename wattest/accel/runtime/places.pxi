# Where a guest is: a store's stack, the functions whose code it runs, and the frames on it.

cdef object local_places(module, uint32_t index, Signature sig):
    """For a function with vectors among its locals, twice the slot of each local as 32-bit
    numbers, plus one for a vector; None for any other."""
    locals_ = module.funcs[index - module.imported_func_count].code.locals
    if c'v' not in sig.params and all(valtype is not V128 for _, valtype in locals_):
        return None
    found = array("i")
    slot = 0
    for code in sig.params:
        found.append(2 * slot + (code == c'v'))
        slot += 2 if code == c'v' else 1
    for count, valtype in locals_:
        size = 2 if valtype is V128 else 1
        found.extend([2 * (slot + size * i) + size - 1 for i in range(count)])
        slot += size * count
    return found.tobytes()


cdef class Places:
    """The part of a `State` that knows where code and frames are."""
    cdef Ctx ctx
    cdef uint64_t* stack
    cdef uint64_t* end
    cdef uint64_t* top
    # What an outermost function returns to; what a function returns to whose caller is another
    # instance's.
    cdef uint64_t done[1]
    cdef uint64_t cross[1]
    # Where the code of each function begins, ascending, and the functions.
    cdef list starts
    cdef list owners
    # Invocations that are this engine's: the reference's have no part of the stack.
    cdef int64_t depth
    cdef bint in_host
    # What errors call functions, and the notes on them, by address.
    cdef dict names
    cdef dict noted

    def __cinit__(self, *_):
        self.starts = []
        self.owners = []
        self.names = {}
        self.noted = {}
        (<handler_t*>self.done)[0] = HANDLERS[H_DONE]
        (<handler_t*>self.cross)[0] = HANDLERS[H_RETURN_CROSS]
        self.ctx.cross = <int32_t*>self.cross

    cdef int lower(self, Func* func) except -1:
        cdef int status
        cdef NativeModule native
        if func.lowered != NULL:
            return 0
        native = (<Instance>func.inst.owner).native
        places = local_places(native.module, func.index, <Signature>func.sig)
        status = lower_function(
            &native.m, func, func.slots - func.locals,
            NULL if places is None else <const int32_t*><char*><bytes>places,
        )
        if status == -1:
            raise MemoryError("no room for the function's code")
        if status:
            raise RuntimeError(f"function {func.index} cannot be lowered")
        start = <uint64_t>func.code
        at = bisect_right(self.starts, start)
        self.starts.insert(at, start)
        self.owners.insert(at, <uint64_t>func)
        return 0

    cdef Func* find(self, uint64_t pc) except NULL:
        cdef Py_ssize_t at = bisect_right(self.starts, pc) - 1
        if at < 0:
            raise RuntimeError("code of no function")
        return <Func*><uint64_t>self.owners[at]

    cdef object info(self, Func* func, object offset):
        key = <uint64_t>func
        found = self.names.get(key)
        if found is None:
            module = (<Instance>func.inst.owner).native.module
            name = module.names.functions.get(func.index)
            if name is None:
                for export in module.exports:
                    if export.kind == "func" and export.index == func.index:
                        name = export.name
                        break
            found = self.names[key] = (module.names.module, func.index, name)
        return FrameInfo(*found, offset)

    cdef size_t trap_before(self, Func* func, int64_t pos, bint behind) except? 0xFFFFFFFF:
        """The number of the last place that may trap at a cell, or before it."""
        cdef Lowered* low = <Lowered*>func.lowered
        cdef int64_t a = 0
        cdef int64_t b = <int64_t>low.ntraps
        cdef int64_t k
        while a < b:
            k = (a + b) // 2
            if low.traps[k].pos < pos or (not behind and low.traps[k].pos == pos):
                a = k + 1
            else:
                b = k
        if a == 0:
            raise RuntimeError(f"function {func.index}: nothing can trap before {pos}")
        return <size_t>(a - 1)

    cdef object offset_of(self, Func* func, int64_t pos, bint behind):
        """Byte offset of the instruction at a cell, or of the call that returns to it."""
        return (<Lowered*>func.lowered).traps[self.trap_before(func, pos, behind)].offset

    cdef FuncNotes notes_of(self, Func* func):
        """The notes on a function, taken when they are first asked for."""
        cdef FuncNotes notes = self.noted.get(<uint64_t>func)
        if notes is None:
            notes = FuncNotes.__new__(FuncNotes)
            notes.fill(self, func)
            self.noted[<uint64_t>func] = notes
        return notes

    cdef inline int32_t* outward(self, uint64_t** fp, uint32_t link) noexcept:
        """Where a frame returns to, whose results and link are `link` words from its beginning;
        `fp` becomes the caller's frame. NULL where nobody of the invocation waits for it."""
        cdef uint64_t* callee = fp[0]
        cdef int32_t* pc = <int32_t*>(callee + link)[0]
        fp[0] = callee - (callee + link)[1]
        if pc == <int32_t*>self.cross:
            pc = <int32_t*>(callee - 3)[0]
        return NULL if pc == <int32_t*>self.done else pc

    cdef tuple standing(self, Ctx* c):
        """Where a guest stands that calls nobody: as `calling`."""
        cdef Func* func = self.find(<uint64_t>c.pc)
        cdef Lowered* low = <Lowered*>func.lowered
        cdef int64_t pos
        cdef size_t i
        if c.status != STATUS_FUEL:
            pos = c.pc - low.code
            return <uint64_t>func, self.offset_of(func, pos, False), pos, False
        if c.edge == NULL:
            return <uint64_t>func, func.start, -1, False
        # The edge is in the function it leads to.
        pos = c.edge - low.code
        for i in range(low.nedges):
            if low.edges[i].pos == pos:
                return <uint64_t>func, low.edges[i].offset, pos, False
        raise RuntimeError(f"function {func.index} has no edge at {pos}")

    cdef tuple calling(self, int32_t* pc):
        """The call that returns to a place: function, byte offset, place in the code (of a call,
        edge or cell; -1 at the function's beginning), whether it is a tail call."""
        cdef Func* func = self.find(<uint64_t>pc - 1)
        cdef Lowered* low = <Lowered*>func.lowered
        cdef size_t i = self.trap_before(func, pc - low.code, True)
        cdef uint8_t op = (<Instance>func.inst.owner).native.m.binary[low.traps[i].offset]
        # return_call, return_call_indirect, return_call_ref
        cdef bint left = op == 0x12 or op == 0x13 or op == 0x15
        return <uint64_t>func, low.traps[i].offset, low.traps[i].pos, left

    cdef list walk(self, Ctx* c, uint64_t* fp, bint in_host):
        """The frames of an invocation, innermost first: function, byte offset, place in the code
        (as `calling`), address of its slots.

        A frame that a tail call has left but for handing on the results is none."""
        cdef int32_t* pc
        cdef uint32_t link = c.func.link if in_host else 0
        cdef bint host = in_host
        cdef tuple place
        # Deep recursion returns to few places: what is found out about one serves all its frames.
        cdef dict known = {}
        cdef list frames = []
        if not in_host:
            place = self.standing(c)
            frames.append((place[0], place[1], place[2], <uint64_t>fp))
            link = (<Func*><uint64_t>place[0]).link
        while True:
            pc = self.outward(&fp, link)
            if pc == NULL:
                return frames
            place = known.get(<uint64_t>pc)
            if place is None:
                place = known[<uint64_t>pc] = self.calling(pc)
            if host or not place[3]:
                frames.append((place[0], place[1], place[2], <uint64_t>fp))
            host = False
            link = (<Func*><uint64_t>place[0]).link

    cdef uint64_t* live_end(self) except NULL:
        """Behind the last word of the stack that can be of use."""
        cdef Func* func
        cdef uint64_t* found
        if not self.depth:
            return self.stack
        if self.in_host:
            return self.top
        func = self.find(<uint64_t>self.ctx.pc)
        found = self.ctx.fp + func.link + 3 + func.slots
        return found if found < self.end else self.end

    cdef tuple backtrace_of(self, Ctx* c, uint64_t* fp, bint in_host):
        cdef dict known = {}
        cdef list found = []
        for func, offset, _, _ in self.walk(c, fp, in_host):
            info = known.get((func, offset))
            if info is None:
                info = known[func, offset] = self.info(<Func*><uint64_t>func, offset)
            found.append(info)
        return tuple(found)

    cdef tuple backtrace(self):
        """The frames of the current invocation, innermost first."""
        return self.backtrace_of(&self.ctx, self.ctx.fp, self.in_host)

    cdef bint caught(self, uint64_t slot, bint by_host) except -1:
        """Go to the handler of an exception thrown at the current place, or by the host function
        that runs; False, and nothing changed, where there is none."""
        cdef Ctx* c = &self.ctx
        cdef Object* o = <Object*>slot
        cdef int32_t* pc = c.pc
        cdef uint64_t* fp = c.fp
        cdef uint64_t* callee
        cdef Func* func
        cdef Lowered* low
        cdef Try* t
        cdef Clause* clause
        cdef size_t i
        cdef int32_t k
        cdef int64_t pos
        cdef uint32_t count
        cdef uint32_t bound
        cdef bint inside = not by_host
        func = c.func if by_host else self.find(<uint64_t>pc)
        while True:
            if inside:
                low = <Lowered*>func.lowered
                pos = pc - low.code
                bound = 0xFFFFFFFF
                for i in range(low.ntries):
                    t = &low.tries[i]
                    if not t.start <= pos < t.end or t.opened > bound:
                        continue
                    if t.count == PAST_HERE:
                        break
                    if t.count == DELEGATES:
                        # As if thrown in that block, of which the blocks around began before.
                        bound = t.target
                        continue
                    k = t.first
                    for _ in range(t.count):
                        clause = &low.clauses[k]
                        k = clause.next
                        if clause.tag != NULL and clause.tag != o.type:
                            continue
                        count = 0
                        callee = fp + clause.slot
                        if clause.kind == CLAUSE_UNDER:
                            callee[0] = slot
                            callee += 1
                        if clause.tag != NULL:
                            count = o.type.slots
                            memcpy(callee, o.slots, 8 * <size_t>count)
                        if clause.kind & 1:
                            callee[count] = slot
                        c.pc = low.code + clause.pos
                        c.fp = fp
                        c.inst = func.inst
                        return True
            pc = self.outward(&fp, func.link)
            if pc == NULL:
                return False
            # Within the call that returns there.
            pc -= 1
            func = self.find(<uint64_t>pc)
            inside = True
