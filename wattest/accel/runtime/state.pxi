# The driver: a store's stack, and what runs the handlers on it.

cdef uint64_t no_room(inst):
    """-1 in the address type of a memory or table that cannot grow."""
    return 0xFFFFFFFFFFFFFFFF if inst.type.address is I64 else 0xFFFFFFFF


cdef class State(Places):
    """The accelerator's data about a store."""
    cdef public object store
    cdef object mapping
    cdef public dict keep
    # Python objects that slots may refer to, by address; how many there may be before those in
    # use are looked for; values on their way to slots; whether other stores may have them too.
    cdef public dict externs
    cdef size_t release_at
    cdef int64_t filling
    cdef bint shared
    cdef Objects objects
    # (tables, globals, element segments) of each instance
    cdef list roots
    cdef int64_t mark
    cdef int64_t size
    cdef bint running
    cdef unsigned long thread
    cdef int64_t used
    cdef int64_t limit
    cdef int64_t leftover
    cdef public uint64_t frames
    cdef public uint64_t slots
    cdef public int64_t nesting
    cdef public int64_t host_calls
    cdef public int64_t entries
    cdef uint64_t max_frames
    cdef uint64_t max_slots
    # Bytes that the frames of the last commitment took.
    cdef size_t written
    cdef Signature root
    # The fuel of a slice; when the last one began, and the fuel then.
    cdef int64_t slice
    cdef int64_t began
    cdef int64_t begun
    # The fuel value to break at, or -1.
    cdef int64_t stop
    # Whether the run waits between two instructions, to be looked at and perhaps left.
    cdef bint waits
    # `entries` when the host function was called that runs now.
    cdef int64_t entered
    # The invocations that wait for a host function, innermost first.
    cdef Level* level

    def __init__(self, store):
        cdef uint8_t[::1] view
        limits = store.limits
        self.store = store
        self.used = store.fuel_used
        self.host_calls = store.host_calls
        self.entries = store.entries
        self.fuel_limit = store.fuel_limit
        self.break_at = store.break_at
        self.slice = FIRST_SLICE
        self.keep = {}
        self.externs = {}
        self.release_at = RELEASE_AT
        self.objects = Objects(limits.heap_fields)
        self.ctx.heap = &self.objects.heap
        self.roots = []
        self.max_frames = min(limits.frames, 0x3FFFFFFF)
        self.max_slots = min(limits.slots, 0x3FFFFFFF)
        size = 2 * self.max_slots + 6 * self.max_frames + 0x10000
        try:
            self.mapping = reserve(size * 8)
        except (OSError, OverflowError, ValueError) as error:
            raise LimitExceeded("slots", limits.slots) from error
        view = self.mapping
        self.stack = <uint64_t*>&view[0]
        self.end = self.stack + <size_t>size
        self.top = self.stack

    @property
    def fuel_limit(self):
        """Units that may be used in all, or None."""
        return None if self.limit < 0 else self.limit

    @fuel_limit.setter
    def fuel_limit(self, limit):
        self.limit = -1 if limit is None else min(max(limit, 0), 0x7FFFFFFFFFFFFFFF)
        self.leftover = 0

    @property
    def fuel_used(self):
        """Units used so far."""
        return self.used

    @fuel_used.setter
    def fuel_used(self, used):
        self.used = used
        self.leftover = 0

    @property
    def break_at(self):
        """The fuel at whose next border `Store.on_break` is called, or None."""
        return None if self.stop < 0 else self.stop

    @break_at.setter
    def break_at(self, fuel):
        self.stop = -1 if fuel is None else min(max(fuel, 0), 0x7FFFFFFFFFFFFFFF)
        self.leftover = 0

    # Exceptions

    cdef int throw_(self) except -1:
        """Do what the `throw` or `throw_ref` at the current place does."""
        cdef Ctx* c = &self.ctx
        cdef uint64_t* fp = c.fp + c.pc[2]
        cdef uint64_t slot = fp[0]
        cdef Object* o
        if c.status == STATUS_THROW:
            o = self.objects.make(self, c.inst.tags[c.pc[3]], 0)
            put_slots(o, fp)
            slot = <uint64_t>o
        if not self.caught(slot, False):
            raise GuestException(self.objects.handle(self, slot), self.backtrace())
        return 0

    # Objects

    def new_struct(self, deftype, list values):
        """A structure with these values of its fields."""
        return self.objects.fresh(self, self.objects.new(self, type_handle(deftype), values))

    def new_array(self, deftype, list values):
        """An array with these elements."""
        return self.objects.fresh(self, self.objects.new(self, type_handle(deftype), values))

    def new_exception(self, tag, list values):
        """An exception that carries these values."""
        self.keep[<uint64_t><void*>tag] = tag
        return self.objects.fresh(self, self.objects.new(self, tag_handle(tag), values))

    def blank(self, deftype, length):
        """A structure, or an array of that length, whose fields are zero or null."""
        return self.objects.blank(self, type_handle(deftype), length)

    def blank_exception(self, tag):
        """An exception whose values are zero or null."""
        self.keep[<uint64_t><void*>tag] = tag
        return self.objects.blank(self, tag_handle(tag), 0)

    def room_for(self, uint64_t fields):
        """See to it that an object of so many fields is within the limit.

        Raises:
            LimitExceeded: it is not, whatever is given back.
        """
        cdef Heap* h = &self.objects.heap
        if h.used + fields + OBJECT_FIELDS > h.limit and not self.objects.fits(self, fields):
            raise LimitExceeded("heap fields", h.limit)

    @property
    def heap_used(self):
        """What the structures and arrays take that have not been given back."""
        return self.objects.heap.used

    def contents(self, handle):
        """The fields or elements of an object that a handle stands for."""
        return Contents(self, handle)

    # Fuel

    cdef inline void sync(self) noexcept:
        """Let the store know what has been used."""
        self.used = self.mark + (self.size - self.ctx.fuel)

    cdef inline void same_slice(self) noexcept:
        """Go on with the slice after something that may have changed fuel or limit."""
        cdef int64_t left = self.ctx.fuel
        cdef int64_t room
        self.mark = self.used
        if self.limit >= 0:
            room = self.limit - self.mark
            if room < left:
                left = room if room > 0 else 0
        if self.stop >= 0:
            room = self.stop - self.mark
            if room < left:
                left = room if room > 0 else 0
        self.size = self.ctx.fuel = left

    cdef int next_slice(self, int64_t cost) except -1:
        """Begin a slice that has room for a segment, or for what a bulk instruction costs."""
        cdef int64_t size
        cdef bint border = self.ctx.status == STATUS_FUEL
        self.waits = True
        PyErr_CheckSignals()
        if self.store.interrupted:
            self.store.interrupted = False
            raise KeyboardInterrupt
        if border and cost and self.stop >= 0 and self.used >= self.stop:
            self.on_break()
        on_slice = self.store.on_slice
        if on_slice is not None:
            try:
                on_slice()
            except LimitExceeded as error:
                error.backtrace = error.backtrace or self.backtrace()
                raise
        self.mark = self.used
        size = max(self.next_size(), cost)
        if self.limit >= 0:
            size = min(size, self.limit - self.mark)
            if size < cost:
                self.size = self.ctx.fuel = 0
                error = FuelExhausted(self.fuel_limit, self.backtrace())
                error.needed = cost
                error.at_border = border
                raise error
        if self.stop >= 0:
            size = min(size, max(self.stop - self.mark, cost))
        self.size = self.ctx.fuel = size
        self.waits = False
        return 0

    cdef int64_t next_size(self) except -1:
        """The fuel of a slice that takes about `SLICE_TIME`, by the one before."""
        cdef int64_t now = perf_counter_ns()
        cdef int64_t taken = now - self.began
        cdef int64_t used = self.used - self.begun
        self.began = now
        self.begun = self.used
        if used >= self.slice - self.slice // 8 and taken > 0:
            # It was used up. Time in host functions counts too: then it grows again.
            if taken > 4 * SLICE_TIME:
                self.slice = max(self.slice // 4, <int64_t>LEAST_SLICE)
            elif taken > SLICE_TIME:
                self.slice = max(self.slice // 2, <int64_t>LEAST_SLICE)
            elif taken < SLICE_TIME // 4:
                self.slice = min(self.slice * 4, <int64_t>MOST_SLICE)
            elif taken < SLICE_TIME // 2:
                self.slice = min(self.slice * 2, <int64_t>MOST_SLICE)
        return self.slice

    cdef int on_break(self) except -1:
        """Call `Store.on_break` with the machine as it stands."""
        cdef Machine view
        on_break = self.store.on_break
        if on_break is not None:
            self.stop = -1
            if self.level == NULL:
                # It stands on the store's stack itself, unless somebody keeps it.
                view = self.machine_of(&self.ctx, self.in_host)
            else:
                view = self.capture()
            view.spent = True  # it is running
            try:
                self.break_at = on_break(view)
            finally:
                if view.stack is None and Py_REFCNT(view) > 1:
                    self.keep_machine(view, self.live())
        return 0

    # Stopping

    cdef bytes live(self):
        """A copy of the part of the stack that is in use."""
        return (<char*>self.stack)[:(self.live_end() - self.stack) * 8]

    cdef Machine machine_of(self, Ctx* c, bint in_host):
        """An invocation as a machine, which has no stack of its own yet."""
        cdef Machine machine = Machine.__new__(Machine)
        machine.state_ = self
        machine.ctx = c[0]
        machine.root = self.root
        machine.in_host = in_host
        # Nobody waits for the results of a run whose host function is gone.
        machine.gone = self.nesting > 1
        return machine

    cdef int keep_machine(self, Machine machine, bytes stack) except -1:
        """Let a machine outlive what it is of, with a copy of the stack."""
        machine.stack = stack
        self.objects.machines.add(machine)
        return 0

    cdef Machine capture(self):
        """The current invocation as a machine, and those around it."""
        cdef Ctx* c = &self.ctx
        cdef Machine machine
        cdef Machine inner = None
        cdef Level* level = self.level
        stack = self.live()
        first = None
        while True:
            machine = self.machine_of(c, self.in_host if first is None else True)
            self.keep_machine(machine, stack)
            if first is None:
                first = machine
            else:
                inner.outer = machine
            inner = machine
            if level == NULL:
                return first
            c = level.ctx
            level = level.outer

    cdef int left(self, object error) except -1:
        """An error ends the current invocation: give it the machine, if it can go on or was
        between two instructions."""
        cdef bint gone
        if isinstance(error, (Trap, GuestException)) or not (self.waits or self.in_host):
            return 0
        gone = False
        if self.in_host:
            gone = self.entries != self.entered
            if not gone:
                self.host_calls -= 1
        if getattr(error, "machine", None) is not None:
            return 0
        machine = self.capture()
        if gone:
            (<Machine>machine).gone = True
        try:
            error.machine = machine
        except AttributeError:
            pass  # its class allows no attributes
        return 0

    # Running

    def invoke(self, func, args):
        """Call a Wasm function with values of its parameter types."""
        cdef Instance native = func.module.native
        cdef Func* f = native.inst.funcs[func.index]
        return self.call(f, args)

    cdef int enter(self) except -1:
        cdef unsigned long me = PyThread_get_thread_ident()
        if self.running and self.thread != me:
            raise RuntimeError("the store is running in another thread")
        if self.nesting >= MAX_LEVELS:
            raise StackExhausted()
        self.thread = me
        if len(self.externs) > self.release_at and not self.nesting:
            self.objects.release(self)
        return 0

    def collect(self):
        """Let go of the objects that nothing in the store refers to.

        Raises:
            RuntimeError: the store is running.
        """
        if self.nesting:
            raise RuntimeError("the store is running")
        self.objects.release(self)

    cdef inline bint full(self) noexcept:
        """Whether the next invocation needs a native stack of its own."""
        return self.nesting and self.nesting % THREAD_LEVELS == 0

    def call_on_this_thread(self, address, args):
        """`call`, on a thread that has been made for it; the store is in use on another one, which
        waits."""
        cdef unsigned long before = self.thread
        self.thread = PyThread_get_thread_ident()
        try:
            return self.call_here(<Func*><uint64_t>address, args)
        finally:
            self.thread = before

    cdef int call_slots(self, Func* f) except -1:
        """Call a function whose arguments stand at `top`, where its results will be."""
        cdef uint64_t* fp = self.top
        cdef uint64_t* link
        cdef uint64_t frames
        cdef uint64_t slots
        cdef uint32_t i
        cdef Ctx saved
        cdef uint64_t* top = fp
        cdef int64_t mark = self.mark
        cdef int64_t size = self.size
        cdef bint in_host = self.in_host
        cdef bint running = self.running
        cdef uint64_t outer_frames = self.frames
        cdef uint64_t outer_slots = self.slots
        cdef int64_t entered = self.entered
        cdef Level level
        if outer_frames + 1 > self.max_frames or outer_slots + f.slots > self.max_slots:
            raise StackExhausted()
        frames = self.max_frames - outer_frames - 1
        slots = self.max_slots - outer_slots - f.slots
        for i in range(f.params, f.locals):
            fp[i] = 0
        link = fp + f.link
        link[0] = <uint64_t>self.done
        link[1] = 0
        link[2] = GUARDS | frames << 32 | slots
        saved = self.ctx
        if self.nesting and in_host:
            level.ctx = &saved
            level.outer = self.level
            self.level = &level
        self.nesting += 1
        self.depth += 1
        self.entries += 1
        self.running = True
        self.waits = False
        try:
            if f.lowered == NULL:
                self.lower(f)
            self.ctx.pc = f.code
            self.ctx.fp = fp
            self.ctx.inst = f.inst
            self.mark = self.used
            self.in_host = False
            if self.nesting == 1:
                self.root = <Signature>f.sig
                if self.leftover >= f.cost and self.store.on_slice is None:
                    self.size = self.leftover
                    self.ctx.fuel = self.leftover - f.cost
                    self.ctx.status = STATUS_NEXT
                    self.leftover = 0
                    self.run()
                    self.leftover = self.ctx.fuel
                    return 0
            self.size = self.ctx.fuel = 0
            self.ctx.status = STATUS_FUEL
            self.ctx.edge = NULL
            self.ctx.owed = f.cost
            self.leftover = 0
            self.run()
            if self.nesting == 1:
                self.leftover = self.ctx.fuel
            return 0
        except BaseException as error:
            self.left(error)
            raise
        finally:
            self.frames = outer_frames
            self.slots = outer_slots
            if self.level == &level:
                self.level = level.outer
            self.nesting -= 1
            self.depth -= 1
            self.running = running
            self.waits = False
            self.in_host = in_host
            self.entered = entered
            self.top = top
            self.mark = mark
            self.size = size
            self.ctx = saved

    cdef list call(self, Func* f, args):
        """Call a function with values of its parameter types."""
        self.enter()
        if self.full():
            return deeper(self.store, partial(self.call_on_this_thread, <uint64_t>f, args))
        return self.call_here(f, args)

    cdef list call_here(self, Func* f, args):
        cdef Signature sig = <Signature>f.sig
        cdef uint64_t* fp
        fp = self.top
        self.filling += 1
        try:
            put_values(self, sig.params, args, fp)
        finally:
            self.filling -= 1
        self.call_slots(f)
        return take_values(self, sig.results, fp)

    def machine(self, state):
        """A machine that goes on from a state.

        Raises:
            StateError: it does not fit, or is none that can be begun at.
        """
        cdef Builder builder = Builder.__new__(Builder)
        builder.state = self
        return builder.build(state)

    def resume(self, Machine machine):
        """Go on with a stopped run."""
        cdef Signature sig
        cdef Py_ssize_t i
        cdef uint64_t* fp
        self.enter()
        if self.nesting:
            raise RuntimeError("the store is running")
        self.nesting += 1
        self.depth += 1
        self.entries += 1
        self.running = True
        self.waits = False
        self.leftover = 0
        machine.spent = True
        try:
            memcpy(self.stack, <char*>machine.stack, len(machine.stack))
            machine.stack = b""
            machine.left = True
            self.ctx = machine.ctx
            self.ctx.fuel = 0
            self.size = 0
            self.mark = self.used
            self.in_host = False
            self.root = machine.root
            self.run()
            sig = machine.root
            return take_values(self, sig.results, self.stack)
        except BaseException as error:
            self.left(error)
            raise
        finally:
            self.frames = self.slots = 0
            self.nesting -= 1
            self.depth -= 1
            self.running = False
            self.waits = False
            self.in_host = False
            self.top = self.stack

    cdef int refresh(self) noexcept:
        """The memory of the current instance, as it is now."""
        self.ctx.memlen = 0
        if self.ctx.inst.mems != NULL:
            self.ctx.memlen = self.ctx.inst.mems[0].length
            self.ctx.dirty = self.ctx.inst.mems[0].dirty
        return 0

    cdef int run(self) except -1:
        """Drive the handlers until the outermost function returns."""
        cdef Ctx* c = &self.ctx
        cdef uint8_t* mem
        cdef Func* func
        cdef uint64_t* fp
        cdef int64_t rest
        cdef bint brief = True
        while True:
            if c.status == STATUS_FUEL:
                self.sync()
                self.next_slice(c.owed)
                c.fuel -= c.owed
            elif c.status == STATUS_RETRY:
                self.sync()
                self.next_slice(c.owed)
            elif c.status == STATUS_LOWER:
                func = c.func
                self.lower(func)
                c.pc = func.code
                c.fuel -= func.cost
                if c.fuel < 0:
                    c.fuel += func.cost
                    c.owed = func.cost
                    c.edge = NULL
                    c.status = STATUS_FUEL
                    continue
            elif c.status == STATUS_HOST:
                self.host()
            elif c.status == STATUS_DONE:
                self.sync()
                return 0
            elif c.status == STATUS_TRAP:
                self.sync()
                if c.trap == TRAP_STACK:
                    raise StackExhausted(self.backtrace())
                message = TRAPS[c.trap]
                if c.trap == TRAP_UNINITIALIZED:
                    message = f"{message} {c.detail}"
                raise Trap(message, self.backtrace())
            elif c.status == STATUS_GROW_MEMORY:
                fp = c.fp + c.pc[2]
                mem_inst = (<Instance>c.inst.owner).owner.mems[c.pc[3]]
                pages = mem_inst.pages
                if mem_inst.grow(fp[0]):
                    self.store.note_pages(mem_inst.blocks)
                    fp[0] = pages
                else:
                    fp[0] = no_room(mem_inst)
                c.pc += 4
            elif c.status == STATUS_GROW_TABLE:
                self.grow_table()
            elif c.status == STATUS_ROOM:
                self.sync()
                self.objects.room(self, c.heap.want_size, c.heap.want_fields)
            elif c.status == STATUS_THROW or c.status == STATUS_THROW_REF:
                self.sync()
                self.throw_()
            elif c.status == STATUS_NEXT:
                pass
            elif c.status == STATUS_FOREIGN:
                raise RuntimeError("a function of another store cannot be called")
            else:
                raise RuntimeError(f"the handlers stopped with status {c.status}")
            self.refresh()
            mem = c.inst.mems[0].base if c.inst.mems != NULL else NULL
            if brief and c.fuel > BURST:
                # A short call is over before the lock would have been given back.
                brief = False
                rest = c.fuel - BURST
                c.fuel = BURST
                run_handlers(c, mem)
                c.fuel += rest
                if c.status == STATUS_FUEL and c.fuel >= c.owed:
                    c.fuel -= c.owed
                    c.status = STATUS_NEXT
                elif c.status == STATUS_RETRY and c.fuel >= c.owed:
                    c.status = STATUS_NEXT
            else:
                with nogil:
                    run_handlers(c, mem)

    cdef int grow_table(self) except -1:
        cdef Ctx* c = &self.ctx
        cdef uint64_t* fp = c.fp + c.pc[2]
        cdef uint64_t count = fp[1]
        cdef int64_t cost
        cdef Elements elems
        table = (<Instance>c.inst.owner).owner.tables[c.pc[3]]
        elems = table.elem
        size = elems.rec.size
        if not table.can_grow(count):
            fp[0] = no_room(table)
            c.pc += 4
            return 0
        cost = <int64_t>((count + 7) >> 3)
        if c.fuel < cost:
            c.status = STATUS_RETRY
            c.owed = cost
            self.sync()
            self.next_slice(cost)
        c.fuel -= cost
        table.grow(count, value_of_slot(self, elems.code, fp[0]))
        fp[0] = size
        c.pc += 4
        return 0

    cdef int host(self) except -1:
        """Call a host function; its frame holds the arguments and takes the results."""
        cdef Ctx* c = &self.ctx
        cdef Func* func = c.func
        cdef Signature sig = <Signature>func.sig
        cdef uint64_t* fp = c.fp
        cdef uint64_t* link = fp + func.link
        cdef uint64_t left = link[2]
        cdef uint32_t i
        cdef object host = <object>func.obj
        cdef HostHandle handle = <HostHandle>func.lowered
        cdef object fn = handle.fn
        cdef object value
        self.sync()
        self.host_calls += 1
        self.entered = self.entries
        self.frames = self.max_frames - (left >> 32 & 0x7FFFFFFF)
        self.slots = self.max_slots - (left & 0x7FFFFFFF)
        self.top = link + 3
        self.in_host = True
        if len(self.externs) > self.release_at:
            self.objects.release(self)
        try:
            if fn is not None:
                # The Python function itself, with what Python sees of the values.
                if handle.caller is not None:
                    caller = (<Instance>c.inst.owner).seen(handle.caller)
                    value = fn(*seen_arguments(caller, func, fp))
                elif func.params == 1:
                    value = fn(lifted(sig.params[0], fp[0]))
                elif func.params == 0:
                    value = fn()
                elif func.params == 2:
                    value = fn(lifted(sig.params[0], fp[0]), lifted(sig.params[1], fp[1]))
                else:
                    value = fn(*[lifted(sig.params[i], fp[i]) for i in range(func.params)])
                if func.results == 0 and value is None:
                    pass
                elif func.results != 1 or not lowered_fast(sig.results[0], value, fp):
                    put_values(self, sig.results, handle.lower(value), fp)
            else:
                results = host.code(
                    (<Instance>c.inst.owner).owner,
                    take_values(self, sig.params, fp),
                )
                put_values(self, sig.results, results, fp)
        except GuestException as error:
            if not self.caught(slot_of_value(self, c'x', error.exception), True):
                frame = FrameInfo(None, None, host.name, None)
                error.backtrace = (*error.backtrace, frame, *self.backtrace())
                raise
            self.in_host = False
            self.same_slice()
            return 0
        except RecursionError:
            if self.nesting == 1:
                raise
            raise StackExhausted(self.backtrace()) from None
        except (Trap, LimitExceeded) as error:
            frame = FrameInfo(None, None, host.name, None)
            error.backtrace = (*error.backtrace, frame, *self.backtrace())
            raise
        self.in_host = False
        self.same_slice()
        c.pc = <int32_t*>link[0]
        c.fp = fp - link[1]
        c.r = <uint64_t>fp
        return 0


cdef tuple seen_arguments(object caller, Func* func, uint64_t* fp):
    """The arguments of a host function that is told who calls."""
    cdef Signature sig = <Signature>func.sig
    cdef tuple args = PyTuple_New(func.params + 1)
    cdef uint32_t i
    cdef object item = caller
    Py_INCREF(item)
    PyTuple_SET_ITEM(args, 0, item)
    for i in range(func.params):
        item = lifted(sig.params[i], fp[i])
        Py_INCREF(item)
        PyTuple_SET_ITEM(args, i + 1, item)
    return args


cdef class Caller:
    """Calls a function of numbers directly with Python's own ints and floats."""
    cdef Func* func
    cdef Instance native
    cdef Signature sig

    def __call__(self, *args):
        """The result as Python sees it, or NotImplemented for arguments of other types."""
        cdef State state = self.native.state
        cdef Func* f = self.func
        cdef Signature sig = self.sig
        cdef uint64_t* fp
        cdef uint32_t i
        cdef uint32_t count = f.params
        if len(args) != count:
            return NotImplemented
        state.enter()
        if state.full():
            return NotImplemented
        fp = state.top
        for i in range(count):
            if not lowered_fast(sig.params[i], args[i], fp + i):
                return NotImplemented
        state.call_slots(f)
        if f.results == 1:
            return lifted(sig.results[0], fp[0])
        if f.results == 0:
            return None
        return tuple([lifted(sig.results[i], fp[i]) for i in range(f.results)])
