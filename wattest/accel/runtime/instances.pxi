# Modules and instances.

cdef class NativeModule:
    """What lowering needs of a module, in C."""
    cdef Module_ m
    cdef object binary
    cdef list sigs
    cdef list kinds
    cdef object module
    cdef object stack_types
    cdef object slow_types

    def __cinit__(self, module):
        cdef Py_ssize_t i
        cdef const uint8_t[::1] view
        types = module.types
        count = len(types)
        self.binary = module.binary
        view = self.binary
        self.m.binary = &view[0]
        self.m.size = len(self.binary)
        self.m.ntypes = count
        self.m.type_params = <uint32_t*>calloc(count + 1, 4)
        self.m.type_results = <uint32_t*>calloc(count + 1, 4)
        self.m.types = <RType**>calloc(count + 1, sizeof(RType*))
        self.m.wide_params = <const uint8_t**>calloc(count + 1, sizeof(void*))
        self.m.wide_results = <const uint8_t**>calloc(count + 1, sizeof(void*))
        addresses = [t.desc for t in module.imports if isinstance(t.desc, MemType)]
        addresses += module.mems
        self.m.mem64 = <uint8_t*>calloc(len(addresses) + 1, 1)
        self.m.page_bits = <uint8_t*>calloc(len(addresses) + 1, 1)
        self.m.shared = <uint8_t*>calloc(len(addresses) + 1, 1)
        for i in range(len(addresses)):
            self.m.mem64[i] = addresses[i].address is I64
            self.m.page_bits[i] = addresses[i].page_bits
            self.m.shared[i] = addresses[i].shared
        addresses = [t.desc for t in module.imports if isinstance(t.desc, TableType)]
        addresses += [table.type for table in module.tables]
        self.m.table64 = <uint8_t*>calloc(len(addresses) + 1, 1)
        for i in range(len(addresses)):
            self.m.table64[i] = addresses[i].address is I64
        self.m.func_types = <uint32_t*>calloc(len(module.func_types) + 1, 4)
        globals_ = [item.desc for item in module.imports if hasattr(item.desc, "mutable")]
        globals_ += [item.type for item in module.globals]
        self.m.global_class = <uint8_t*>calloc(len(globals_) + 1, 1)
        self.sigs = []
        self.kinds = []
        for i in range(count):
            sig = Signature(types[i])
            self.sigs.append(sig)
            kind = type_handle(types[i])
            self.kinds.append(kind)
            self.m.types[i] = &(<TypeHandle>kind).rec
            self.m.type_params[i] = <uint32_t>len((<Signature>sig).wide_params)
            self.m.type_results[i] = <uint32_t>len((<Signature>sig).wide_results)
            self.m.wide_params[i] = <const uint8_t*><char*>(<Signature>sig).wide_params
            self.m.wide_results[i] = <const uint8_t*><char*>(<Signature>sig).wide_results
        i = 0
        for index in module.func_types:
            self.m.func_types[i] = index
            i += 1
        self.m.nfuncs = i
        for i in range(len(globals_)):
            self.m.global_class[i] = {F64: 2, F32: 3, V128: 8}.get(globals_[i].valtype, 1)
        self.module = module

    cdef object fast_types_at(self, Py_ssize_t position, list offsets):
        """As `types_at`; None for a body that has types that only the reference knows."""
        if self.stack_types is None:
            from wattest.accel.validate import stack_types
            self.stack_types = stack_types(self.module)
        return self.stack_types.types_at(position, offsets)

    cdef object types_at(self, Py_ssize_t position, list offsets):
        """The letters of the types on the operand stack before instructions of a function."""
        found = self.fast_types_at(position, offsets)
        if found is None:
            if self.slow_types is None:
                from wattest.interp.validate.stacks import StackTypes
                self.slow_types = StackTypes(self.module)
            index = position + self.module.imported_func_count
            found = []
            for offset in offsets:
                codes = [bytes([code_of(t)]) for t in self.slow_types.at(index, offset)]
                found.append(b"".join([code * (2 if code == b"v" else 1) for code in codes]))
        return found

    def __dealloc__(self):
        free(self.m.type_params)
        free(self.m.type_results)
        free(self.m.types)
        free(<void*>self.m.wide_params)
        free(<void*>self.m.wide_results)
        free(self.m.mem64)
        free(self.m.page_bits)
        free(self.m.shared)
        free(self.m.table64)
        free(self.m.func_types)
        free(self.m.global_class)


cdef class Instance:
    """The native side of a module instance."""
    cdef Inst inst
    cdef Func* own
    cdef uint64_t* stubs
    cdef Py_ssize_t count
    cdef readonly NativeModule native
    cdef readonly State state
    cdef object owner
    cdef list funcs
    cdef list handles
    cdef list tags
    cdef list mems
    cdef list elems
    cdef object kind_seen
    cdef object caller_seen

    def __init__(self, State state, NativeModule native, owner):
        """Functions first: constant expressions may name them."""
        cdef Func* f
        cdef Py_ssize_t i
        cdef Py_ssize_t first
        cdef Signature sig
        module = owner.module
        self.native = native
        self.state = state
        self.owner = owner
        self.funcs = owner.funcs
        self.handles = []
        self.tags = []
        self.inst.state = <void*>state
        self.inst.owner = <void*>self
        self.inst.tracked = state.store.track_writes
        # As in the spec, a store keeps its instances: tables, stacks of stopped runs and
        # backtraces name their functions.
        state.keep[<uint64_t><void*>self] = self
        total = len(owner.funcs)
        first = module.imported_func_count
        self.count = total - first
        self.inst.funcs = <Func**>calloc(total + 1, sizeof(Func*))
        self.own = <Func*>calloc(self.count + 1, sizeof(Func))
        self.stubs = <uint64_t*>calloc(self.count + 1, 16)
        if self.inst.funcs == NULL or self.own == NULL or self.stubs == NULL:
            raise MemoryError("no room for the instance")
        for i in range(first):
            self.inst.funcs[i] = func_of(state, owner.funcs[i])
        facts = module.facts
        i = 0
        for func in module.funcs:
            f = &self.own[i]
            sig = <Signature>native.sigs[func.type]
            locals_, height = facts[i]
            f.params = <uint32_t>len(sig.wide_params)
            f.locals = locals_
            f.results = <uint32_t>len(sig.wide_results)
            f.link = max(f.locals, f.results)
            f.slots = locals_ + height
            f.pack = (<uint64_t>1 << 32) + f.slots
            f.inst = &self.inst
            f.type = native.m.types[func.type]
            f.obj = <void*>owner.funcs[first + i]
            f.index = first + i
            f.kind = FUNC_WASM
            f.type_index = func.type
            f.start = func.code.start
            f.end = func.code.end
            f.sig = <void*>sig
            f.stub = <int32_t*>(self.stubs + 2 * i)
            (<handler_t*>f.stub)[0] = HANDLERS[H_LOWER]
            (<Func**>f.stub)[1] = f
            f.code = f.stub
            self.inst.funcs[first + i] = f
            i += 1

    def complete(self, mems, tables, globals_, elems, datas):
        """Memory handles, tables' elements, cells, segments (lists of references, bytes)."""
        cdef Py_ssize_t i
        cdef MemoryHandle mem
        cdef Elements table
        cdef Cell cell
        cdef Elements segment
        cdef const uint8_t[::1] view
        if mems:
            self.inst.mems = <MemRec**>calloc(len(mems), sizeof(MemRec*))
            for i in range(len(mems)):
                mem = mems[i]
                self.inst.mems[i] = &mem.rec
        self.inst.tables = <TableRec**>calloc(len(tables) + 1, sizeof(TableRec*))
        for i in range(len(tables)):
            table = tables[i]
            self.inst.tables[i] = &table.rec
        self.inst.globals = <uint64_t**>calloc(len(globals_) + 1, sizeof(uint64_t*))
        for i in range(len(globals_)):
            cell = globals_[i]
            self.inst.globals[i] = cell.slot
        self.inst.elems = <ElemRec*>calloc(len(elems) + 1, sizeof(ElemRec))
        for i in range(len(elems)):
            segment = elems[i]
            self.inst.elems[i].elems = segment.rec.elems
            self.inst.elems[i].size = segment.rec.size
        self.inst.datas = <DataRec*>calloc(len(datas) + 1, sizeof(DataRec))
        for i in range(len(datas)):
            begin, end = datas[i]
            self.inst.datas[i].data = self.native.m.binary + <size_t>begin
            self.inst.datas[i].size = end - begin
        self.inst.tags = <RType**>calloc(len(self.owner.tags) + 1, sizeof(RType*))
        for i in range(len(self.owner.tags)):
            kind = tag_handle(self.owner.tags[i])
            self.inst.tags[i] = &(<TypeHandle>kind).rec
            self.tags.append(kind)
        self.handles += [mems, tables, globals_, elems]
        self.state.roots.append((tables, globals_, elems))

    # Segments, by their indices

    def elem_dropped(self, Py_ssize_t index):
        """Whether an element segment is empty."""
        return self.inst.elems[index].size == 0

    def drop_elem(self, Py_ssize_t index, bint drop):
        """Empty an element segment, or have it as it was."""
        cdef Elements segment = self.handles[3][index]
        self.inst.elems[index].size = 0 if drop else segment.rec.size

    def data_dropped(self, Py_ssize_t index):
        """Whether a data segment is empty."""
        return self.inst.datas[index].size == 0

    def drop_data(self, Py_ssize_t index, bint drop):
        """Empty a data segment, or have it as it was."""
        data = self.owner.module.datas[index]
        self.inst.datas[index].size = 0 if drop else data.end - data.begin

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.own != NULL:
            for i in range(self.count):
                free_lowered(<Lowered*>self.own[i].lowered)
        free(self.own)
        free(self.stubs)
        free(self.inst.funcs)
        free(self.inst.mems)
        free(self.inst.tables)
        free(self.inst.globals)
        free(self.inst.elems)
        free(self.inst.datas)
        free(self.inst.tags)

    cdef object seen(self, object kind):
        """What host functions of that kind see of the instance that calls."""
        if self.kind_seen is not kind:
            self.caller_seen = kind(self.owner)
            self.kind_seen = kind
        return self.caller_seen

    def caller(self, Py_ssize_t index):
        """A `Caller` for a function, or None when its types are not all numbers."""
        cdef Caller found
        cdef Func* f = self.inst.funcs[index]
        cdef Signature sig = <Signature>f.sig
        if f.kind != FUNC_WASM or sig.reference:
            return None
        found = Caller.__new__(Caller)
        found.func = f
        found.native = (<Instance>f.inst.owner)
        found.sig = sig
        return found

    def cells(self, Py_ssize_t index):
        """Address and length in words of a function's code; lowers it."""
        cdef Func* f = self.inst.funcs[index]
        self.state.lower(f)
        return <uint64_t>f.code, (<Lowered*>f.lowered).length

    def lower_all(self):
        """Lower every function now; returns the number of 32-bit words of code."""
        cdef Py_ssize_t i
        total = 0
        for i in range(self.count):
            self.state.lower(&self.own[i])
            total += (<Lowered*>self.own[i].lowered).length
        return total
