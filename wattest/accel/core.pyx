# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The accelerator's engine room: native instances, lowering, and the driver of the handlers."""

from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Malloc, PyMem_Free
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport PyObject
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from wattest.accel.structs cimport *

import mmap
import sys
from bisect import bisect_right

from wattest.accel import _handlers
from wattest.errors import (
    FrameInfo, FuelExhausted, LimitExceeded, StackExhausted, Trap, TrapKind, ValidationError,
)
from wattest.interp.runtime import HostFunc, WasmFunc
from wattest.interp.types import F32, F64, I32, I64, FuncType, RefType
from wattest.interp.matching import top_heaptype
from wattest.interp.types import EXTERN, EXTERNREF, FUNC, FUNCREF
from wattest.interp.values import F32 as F32Value
from wattest.interp.values import F64 as F64Value
from wattest.interp.values import f32_from_bits

include "ids.pxi"

cdef handler_t* HANDLERS = <handler_t*><void*><uintptr_t>_handlers.table()

include "lowering.pxi"

cdef enum:
    SLICE = 2000000
    BURST = 2000

cdef int64_t MAX_NESTING = 100

cdef tuple TRAPS = (
    TrapKind.UNREACHABLE, TrapKind.INTEGER_DIVIDE_BY_ZERO, TrapKind.INTEGER_OVERFLOW,
    TrapKind.INVALID_CONVERSION, TrapKind.OUT_OF_BOUNDS_MEMORY, TrapKind.OUT_OF_BOUNDS_TABLE,
    TrapKind.UNDEFINED_ELEMENT, TrapKind.UNINITIALIZED_ELEMENT,
    TrapKind.INDIRECT_CALL_TYPE_MISMATCH, TrapKind.CALL_STACK_EXHAUSTED,
)

cdef object _WasmFunc = WasmFunc
cdef object _HostFunc = HostFunc
cdef object _F32Value = F32Value
cdef object _F64Value = F64Value
cdef object _f32_from_bits = f32_from_bits


# Values

cdef int code_of(object valtype) except -1:
    """i: i32, l: i64, f: f32, d: f64, r: a function, e: any other reference."""
    if valtype is I32:
        return c'i'
    if valtype is I64:
        return c'l'
    if valtype is F32:
        return c'f'
    if valtype is F64:
        return c'd'
    if isinstance(valtype, RefType):
        return c'r' if top_heaptype(valtype.heap) is FUNC else c'e'
    raise ValidationError(f"unsupported feature: simd: {valtype!r}")


cdef class Signature:
    """A function type, as the driver needs it."""
    cdef bytes params
    cdef bytes results
    cdef bint reference
    cdef object deftype

    def __init__(self, deftype):
        comp = deftype.comp
        self.deftype = deftype
        if not isinstance(comp, FuncType):
            self.params = self.results = b""
            return
        self.params = bytes([code_of(t) for t in comp.params])
        self.results = bytes([code_of(t) for t in comp.results])
        self.reference = any(code in b"re" for code in self.params + self.results)


cdef uint64_t slot_of_value(State state, int code, object value) except? 0xDEADBEEFDEADBEEF:
    """A value as it stands in a slot."""
    cdef double x
    if code == c'i':
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
    state.keep[<uint64_t><void*>value] = value
    return <uint64_t><void*>value


cdef object value_of_slot(int code, uint64_t slot):
    """The value that stands in a slot."""
    cdef float s
    if code == c'i':
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
    return <object><void*>slot


cdef class HostHandle:
    """The native side of a host function."""
    cdef Func func
    cdef uint64_t code[2]
    cdef Signature sig
    cdef object fn
    cdef object lower

    def __init__(self, host):
        cdef Func* f = &self.func
        self.sig = Signature(host.type)
        memset(f, 0, sizeof(Func))
        (<handler_t*>self.code)[0] = HANDLERS[H_HOST]
        self.code[1] = <uint64_t>f
        f.code = <int32_t*>self.code
        f.params = f.locals = <uint32_t>len(self.sig.params)
        f.results = <uint32_t>len(self.sig.results)
        f.link = max(f.params, f.results)
        f.type = <void*>host.type
        f.obj = <void*>host
        f.kind = FUNC_HOST
        f.sig = <void*>self.sig
        f.lowered = <void*>self
        self.fn = None
        if not self.sig.reference:
            self.fn = host.fn
            self.lower = host.lower


cdef Func* func_of(State state, object inst) except NULL:
    """The native function of a function instance, which the state keeps from now on."""
    cdef HostHandle handle
    cdef Instance native
    if isinstance(inst, _WasmFunc):
        native = inst.module.native
        if native is None:
            raise TypeError(f"{inst!r} belongs to another engine")
        if native.state is not state and state is not None:
            state.keep[<uint64_t><void*>native] = native
        return native.inst.funcs[inst.index]
    handle = inst.__dict__.get("_native")
    if handle is None:
        handle = inst.__dict__["_native"] = HostHandle(inst)
    if state is not None:
        state.keep[<uint64_t><void*>inst] = inst
    return &handle.func


cdef class MemoryHandle:
    """The native side of a memory: where it is and how long."""
    cdef MemRec rec
    cdef object buffer

    def __init__(self, mem):
        cdef uint8_t[::1] view = mem.data
        self.buffer = view
        self.rec.base = &view[0]
        self.rec.length = mem.length

    def resize(self, length):
        """The memory has grown."""
        self.rec.length = length


cdef class Cell:
    """The native side of a global: its value as a slot."""
    cdef uint64_t slot
    cdef int code
    cdef list states

    def __init__(self, State state, valtype, value):
        self.code = code_of(valtype)
        # Numbers are of no store: a global of theirs does not keep one alive.
        self.states = [state] if self.code == c'r' or self.code == c'e' else [None]
        self.set(value)

    def join(self, State state):
        """The global is imported into a store, which keeps what it refers to."""
        if self.states[0] is not None and all(state is not known for known in self.states):
            self.states.append(state)
            self.set(self.get())

    def get(self):
        """Its value."""
        return value_of_slot(self.code, self.slot)

    def set(self, value):
        """Change its value."""
        for state in self.states:
            self.slot = slot_of_value(state, self.code, value)


cdef class Elements:
    """The native side of a table: a sequence of references."""
    cdef TableRec rec
    cdef uint64_t room
    cdef int code
    cdef list states

    def __init__(self, State state, reftype, list elems):
        self.code = code_of(reftype)
        self.states = [state]
        self.extend(elems)

    def __dealloc__(self):
        free(self.rec.elems)

    def join(self, State state):
        """The table is imported into a store."""
        cdef uint64_t i
        if all(state is not known for known in self.states):
            self.states.append(state)
            for i in range(self.rec.size):
                slot_of_value(state, self.code, value_of_slot(self.code, self.rec.elems[i]))

    cdef uint64_t _slot(self, object value) except? 0xDEADBEEFDEADBEEF:
        cdef uint64_t slot = 0
        for state in self.states:
            slot = slot_of_value(state, self.code, value)
        return slot

    def __len__(self):
        return self.rec.size

    def __getitem__(self, index):
        cdef uint64_t i
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.rec.size))]
        if not 0 <= index < self.rec.size:
            raise IndexError(index)
        i = index
        return value_of_slot(self.code, self.rec.elems[i])

    def __setitem__(self, index, value):
        cdef uint64_t i
        if isinstance(index, slice):
            places = range(*index.indices(self.rec.size))
            values = list(value)
            if len(places) != len(values):
                raise ValueError("a table's slice keeps its length")
            for i, item in zip(places, values):
                self.rec.elems[i] = self._slot(item)
            return
        if not 0 <= index < self.rec.size:
            raise IndexError(index)
        i = index
        self.rec.elems[i] = self._slot(value)

    def extend(self, list values):
        """Append references."""
        cdef uint64_t count = len(values)
        cdef uint64_t size = self.rec.size + count
        cdef uint64_t* found
        cdef uint64_t i
        if size > self.room or self.rec.elems == NULL:
            found = <uint64_t*>realloc(self.rec.elems, (size + 1) * sizeof(uint64_t))
            if found == NULL:
                raise MemoryError("no room for the table")
            self.rec.elems = found
            self.room = size
        last = None
        for i in range(count):
            value = values[i]
            if i and value is last:
                found = self.rec.elems + self.rec.size + i
                found[0] = found[-1]
            else:
                self.rec.elems[self.rec.size + i] = self._slot(value)
            last = value
        self.rec.size = size


# Modules and instances

cdef class NativeModule:
    """What lowering needs of a module, in C."""
    cdef Module_ m
    cdef object binary
    cdef list sigs
    cdef object module

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
        self.m.types = <void**>calloc(count + 1, sizeof(void*))
        self.m.func_types = <uint32_t*>calloc(len(module.func_types) + 1, 4)
        globals_ = [item.desc for item in module.imports if hasattr(item.desc, "mutable")]
        globals_ += [item.type for item in module.globals]
        self.m.global_class = <uint8_t*>calloc(len(globals_) + 1, 1)
        self.sigs = []
        for i in range(count):
            sig = Signature(types[i])
            self.sigs.append(sig)
            self.m.types[i] = <void*>types[i]
            self.m.type_params[i] = <uint32_t>len((<Signature>sig).params)
            self.m.type_results[i] = <uint32_t>len((<Signature>sig).results)
        i = 0
        for index in module.func_types:
            self.m.func_types[i] = index
            i += 1
        self.m.nfuncs = i
        for i in range(len(globals_)):
            code = code_of(globals_[i].valtype)
            self.m.global_class[i] = 2 if code == c'd' else 3 if code == c'f' else 1
        self.module = module

    def __dealloc__(self):
        free(self.m.type_params)
        free(self.m.type_results)
        free(self.m.types)
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
    cdef list mems
    cdef list elems
    cdef object binary
    cdef list heights

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
        self.inst.state = <void*>state
        self.inst.owner = <void*>self
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
            f.params = <uint32_t>len(sig.params)
            f.locals = locals_
            f.results = <uint32_t>len(sig.results)
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
            self.inst.globals[i] = &cell.slot
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
        self.handles += [mems, tables, globals_, elems]

    def drop_elem(self, index):
        """Empty an element segment."""
        self.inst.elems[<Py_ssize_t>index].size = 0

    def drop_data(self, index):
        """Empty a data segment."""
        self.inst.datas[<Py_ssize_t>index].size = 0

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


# The driver

cdef class Machine:
    """A stopped run: its stack and registers, as data."""
    cdef State state
    cdef bytes stack
    cdef Ctx ctx
    cdef Func* func
    cdef object root
    cdef bint spent

    def run(self):
        """Go on to the end.

        Raises:
            RuntimeError: it has gone on already.
            Exception: as `State.invoke`.
        """
        if self.spent:
            raise RuntimeError("this machine has stopped for good")
        self.spent = True
        return self.state.resume(self)


cdef class State:
    """The accelerator's data about a store."""
    cdef Ctx ctx
    cdef public object store
    cdef object mapping
    cdef uint64_t* stack
    cdef uint64_t* end
    cdef uint64_t* top
    cdef uint64_t done[1]
    cdef uint64_t cross[1]
    cdef public dict keep
    cdef list starts
    cdef list owners
    cdef int64_t mark
    cdef int64_t size
    cdef bint running
    cdef unsigned long thread
    cdef public int64_t fuel_used
    cdef int64_t limit
    cdef int64_t leftover
    cdef public uint64_t frames
    cdef public uint64_t slots
    cdef public int64_t nesting
    cdef public int64_t host_calls
    cdef uint64_t max_frames
    cdef uint64_t max_slots
    cdef bint in_host
    cdef dict names
    cdef Signature root

    def __init__(self, store):
        cdef uint8_t[::1] view
        limits = store.limits
        self.store = store
        self.fuel_used = store.fuel_used
        self.host_calls = store.host_calls
        self.fuel_limit = store.fuel_limit
        self.keep = {}
        self.starts = []
        self.owners = []
        self.names = {}
        self.max_frames = min(limits.frames, 0x3FFFFFFF)
        self.max_slots = min(limits.slots, 0x3FFFFFFF)
        size = 2 * self.max_slots + 6 * self.max_frames + 0x10000
        flags = {}
        if sys.platform != "win32":
            flags["flags"] = (
                mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
                | getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
            )
        try:
            self.mapping = mmap.mmap(-1, size * 8, **flags)
        except (OSError, OverflowError, ValueError) as error:
            raise LimitExceeded("slots", limits.slots) from error
        view = self.mapping
        self.stack = <uint64_t*>&view[0]
        self.end = self.stack + <size_t>size
        self.top = self.stack
        (<handler_t*>self.done)[0] = HANDLERS[H_DONE]
        (<handler_t*>self.cross)[0] = HANDLERS[H_RETURN_CROSS]
        self.ctx.cross = <int32_t*>self.cross

    @property
    def fuel_limit(self):
        """Units that may be used in all, or None."""
        return None if self.limit < 0 else self.limit

    @fuel_limit.setter
    def fuel_limit(self, limit):
        self.limit = -1 if limit is None else min(max(limit, 0), 0x7FFFFFFFFFFFFFFF)
        self.leftover = 0

    cdef int lower(self, Func* func) except -1:
        cdef int status
        cdef NativeModule native
        if func.lowered != NULL:
            return 0
        native = (<Instance>func.inst.owner).native
        status = lower_function(&native.m, func, func.slots - func.locals)
        if status == -1:
            raise MemoryError("no room for the function's code")
        if status:
            raise RuntimeError(f"function {func.index} cannot be lowered")
        start = <uint64_t>func.code
        at = bisect_right(self.starts, start)
        self.starts.insert(at, start)
        self.owners.insert(at, <uint64_t>func)
        return 0

    # Places

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

    cdef object offset_of(self, Func* func, int64_t pos, bint behind):
        """Byte offset of the instruction at a cell, or of the call that returns to it."""
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
            return None
        return low.traps[a - 1].offset

    cdef tuple backtrace(self):
        """The frames of the current invocation, innermost first."""
        cdef int32_t* pc = self.ctx.pc
        cdef uint64_t* fp = self.ctx.fp
        cdef uint64_t* link
        cdef uint64_t* callee
        cdef Func* func
        cdef Lowered* low
        cdef size_t i
        cdef int64_t pos
        frames = []
        if self.in_host:
            link = fp + self.ctx.func.link
        else:
            func = self.find(<uint64_t>pc)
            low = <Lowered*>func.lowered
            offset = None
            if self.ctx.status == STATUS_FUEL:
                if self.ctx.edge == NULL:
                    offset = func.start
                else:
                    # The edge is in the function it leads to.
                    pos = self.ctx.edge - low.code
                    for i in range(low.nedges):
                        if low.edges[i].pos == pos:
                            offset = low.edges[i].offset
            else:
                offset = self.offset_of(func, pc - low.code, False)
            frames.append(self.info(func, offset))
            link = fp + func.link
        while True:
            callee = fp
            pc = <int32_t*>link[0]
            fp = fp - link[1]
            if pc == <int32_t*>self.cross:
                pc = <int32_t*>(callee - 3)[0]
            if pc == <int32_t*>self.done:
                return tuple(frames)
            func = self.find(<uint64_t>pc - 1)
            low = <Lowered*>func.lowered
            frames.append(self.info(func, self.offset_of(func, pc - low.code, True)))
            link = fp + func.link

    # Fuel

    cdef inline void sync(self) noexcept:
        """Let the store know what has been used."""
        self.fuel_used = self.mark + (self.size - self.ctx.fuel)

    cdef inline void same_slice(self) noexcept:
        """Go on with the slice after something that may have changed fuel or limit."""
        cdef int64_t left = self.ctx.fuel
        cdef int64_t room
        self.mark = self.fuel_used
        if self.limit >= 0:
            room = self.limit - self.mark
            if room < left:
                left = room if room > 0 else 0
        self.size = self.ctx.fuel = left

    cdef int next_slice(self, int64_t cost) except -1:
        """Begin a slice that has room for a segment."""
        cdef int64_t size
        PyErr_CheckSignals()
        on_slice = self.store.on_slice
        if on_slice is not None:
            try:
                on_slice()
            except LimitExceeded as error:
                error.backtrace = error.backtrace or self.backtrace()
                raise
        self.mark = self.fuel_used
        size = max(<int64_t>SLICE, cost)
        if self.limit >= 0:
            size = min(size, self.limit - self.mark)
            if size < cost:
                self.size = self.ctx.fuel = 0
                raise self.exhausted()
        self.size = self.ctx.fuel = size
        return 0

    cdef object exhausted(self):
        cdef Machine machine
        cdef Func* func
        cdef size_t used
        error = FuelExhausted(self.fuel_limit, self.backtrace())
        if self.nesting == 1:
            func = self.find(<uint64_t>self.ctx.pc)
            used = self.ctx.fp - self.stack + func.link + 3 + func.slots
            machine = Machine.__new__(Machine)
            machine.state = self
            machine.stack = (<char*>self.stack)[:used * 8]
            machine.ctx = self.ctx
            machine.root = self.root
            error.machine = machine
        return error

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
        if self.nesting >= MAX_NESTING:
            raise StackExhausted()
        self.thread = me
        return 0

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
        self.nesting += 1
        self.running = True
        try:
            if f.lowered == NULL:
                self.lower(f)
            self.ctx.pc = f.code
            self.ctx.fp = fp
            self.ctx.inst = f.inst
            self.mark = self.fuel_used
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
        finally:
            self.frames = outer_frames
            self.slots = outer_slots
            self.nesting -= 1
            self.running = running
            self.in_host = in_host
            self.top = top
            self.mark = mark
            self.size = size
            self.ctx = saved

    cdef list call(self, Func* f, args):
        cdef Signature sig = <Signature>f.sig
        cdef uint64_t* fp
        cdef uint32_t i
        self.enter()
        fp = self.top
        for i in range(f.params):
            fp[i] = slot_of_value(self, sig.params[i], args[i])
        self.call_slots(f)
        return [value_of_slot(sig.results[i], fp[i]) for i in range(f.results)]

    def resume(self, Machine machine):
        """Go on with a stopped run."""
        cdef Signature sig
        cdef Py_ssize_t i
        cdef uint64_t* fp
        self.enter()
        if self.nesting:
            raise RuntimeError("the store is running")
        self.nesting += 1
        self.running = True
        self.leftover = 0
        try:
            memcpy(self.stack, <char*>machine.stack, len(machine.stack))
            self.ctx = machine.ctx
            self.ctx.fuel = 0
            self.size = 0
            self.mark = self.fuel_used
            self.in_host = False
            self.root = machine.root
            self.run()
            sig = machine.root
            fp = self.stack
            return [value_of_slot(sig.results[i], fp[i]) for i in range(len(sig.results))]
        finally:
            self.frames = self.slots = 0
            self.nesting -= 1
            self.running = False
            self.top = self.stack

    cdef int refresh(self) noexcept:
        """The memory of the current instance, as it is now."""
        self.ctx.memlen = 0
        if self.ctx.inst.mems != NULL:
            self.ctx.memlen = self.ctx.inst.mems[0].length
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
                if mem_inst.grow(<uint32_t>fp[0]):
                    self.store.note_pages(mem_inst.pages)
                    fp[0] = <uint32_t>pages
                else:
                    fp[0] = 0xFFFFFFFF
                c.pc += 4
            elif c.status == STATUS_GROW_TABLE:
                self.grow_table()
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
        cdef uint64_t count = <uint32_t>fp[1]
        cdef int64_t cost
        cdef Elements elems
        table = (<Instance>c.inst.owner).owner.tables[c.pc[3]]
        elems = table.elem
        size = elems.rec.size
        if not table.can_grow(count):
            fp[0] = 0xFFFFFFFF
            c.pc += 4
            return 0
        cost = <int64_t>((count + 7) >> 3)
        if c.fuel < cost:
            c.status = STATUS_RETRY
            c.owed = cost
            self.sync()
            self.next_slice(cost)
        c.fuel -= cost
        table.grow(count, value_of_slot(elems.code, fp[0]))
        fp[0] = <uint32_t>size
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
        self.frames = self.max_frames - (left >> 32 & 0x7FFFFFFF)
        self.slots = self.max_slots - (left & 0x7FFFFFFF)
        self.top = link + 3
        self.in_host = True
        try:
            if fn is not None:
                # The Python function itself, with what Python sees of the values.
                if func.params == 1:
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
                    results = handle.lower(value)
                    for i in range(func.results):
                        fp[i] = slot_of_value(self, sig.results[i], results[i])
            else:
                results = host.code(
                    (<Instance>c.inst.owner).owner,
                    [value_of_slot(sig.params[i], fp[i]) for i in range(func.params)],
                )
                for i in range(func.results):
                    fp[i] = slot_of_value(self, sig.results[i], results[i])
        except RecursionError:
            if self.nesting == 1:
                raise
            raise StackExhausted(self.backtrace()) from None
        except (Trap, LimitExceeded) as error:
            frame = FrameInfo(None, None, host.name, None)
            error.backtrace = (*error.backtrace, frame, *self.backtrace())
            if isinstance(error, FuelExhausted):
                error.machine = None
            raise
        self.in_host = False
        self.same_slice()
        c.pc = <int32_t*>link[0]
        c.fp = fp - link[1]
        c.r = <uint64_t>fp
        return 0


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
    return value_of_slot(code, slot)


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
