# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The accelerator's engine room: native instances, lowering, and the driver of the handlers."""

from cpython.bytearray cimport (
    PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize,
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Malloc, PyMem_Free
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_INCREF, Py_REFCNT, PyObject
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset
from wattest.accel.structs cimport *

import gc
import mmap
import sys
from array import array
from bisect import bisect_right
from functools import partial
from time import perf_counter_ns
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from wattest.accel import _handlers
from wattest.accel.objects import NativeArray, NativeExn, NativeStruct
from wattest.errors import (
    FrameInfo, FuelExhausted, GuestException, LimitExceeded, StackExhausted, Trap, TrapKind,
    ValidationError,
)
from wattest.interp.nesting import LEVELS_A_THREAD, MAX_NESTING, deeper
from wattest.interp.runtime import (
    ExnInst, Externalized, HostFunc, Internalized, WasmFunc, reserve,
)
from wattest.interp.state import FrameState, HostCall, MachineState, StateError
from wattest.interp.types import (
    ANY, F32, F64, I8, I16, I32, I64, V128, FuncType, RefType, StructType,
)
from wattest.interp.matching import top_heaptype
from wattest.interp.types import (
    EXTERN, EXTERNREF, FUNC, FUNCREF, MemType, TableType, close_valtype,
)
from wattest.interp.values import F32 as F32Value
from wattest.interp.values import F64 as F64Value
from wattest.interp.values import f32_from_bits

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char*) except -1
    void Py_LeaveRecursiveCall()

include "ids.pxi"

cdef handler_t* HANDLERS = <handler_t*><void*><uintptr_t>_handlers.table()

include "lowering.pxi"

cdef enum:
    # Fuel between two looks at clocks and signals: at first, at least, at most. The time that slices
    # take decides; what the guest does or is charged does not depend on it.
    FIRST_SLICE = 200000
    LEAST_SLICE = 20000
    MOST_SLICE = 8000000
    SLICE_TIME = 2000000    # nanoseconds
    BURST = 2000

cdef int64_t MAX_LEVELS = MAX_NESTING
cdef int64_t THREAD_LEVELS = LEVELS_A_THREAD

cdef tuple TRAPS = (
    TrapKind.UNREACHABLE, TrapKind.INTEGER_DIVIDE_BY_ZERO, TrapKind.INTEGER_OVERFLOW,
    TrapKind.INVALID_CONVERSION, TrapKind.OUT_OF_BOUNDS_MEMORY, TrapKind.OUT_OF_BOUNDS_TABLE,
    TrapKind.UNDEFINED_ELEMENT, TrapKind.UNINITIALIZED_ELEMENT,
    TrapKind.INDIRECT_CALL_TYPE_MISMATCH, TrapKind.CALL_STACK_EXHAUSTED,
    TrapKind.OUT_OF_BOUNDS_ARRAY, TrapKind.NULL_REFERENCE, TrapKind.NULL_FUNCTION_REFERENCE,
    TrapKind.NULL_STRUCTURE_REFERENCE, TrapKind.NULL_ARRAY_REFERENCE,
    TrapKind.NULL_I31_REFERENCE, TrapKind.NULL_EXCEPTION_REFERENCE, TrapKind.CAST_FAILURE,
    TrapKind.UNALIGNED_ATOMIC, TrapKind.EXPECTED_SHARED_MEMORY, TrapKind.ENDLESS_WAIT,
)

cdef object _WasmFunc = WasmFunc
cdef object _HostFunc = HostFunc
cdef object _Externalized = Externalized
cdef object _Internalized = Internalized
cdef object _F32Value = F32Value
cdef object _F64Value = F64Value
cdef object _f32_from_bits = f32_from_bits
cdef object _FrameState = FrameState
cdef object _HostCall = HostCall
cdef object _MachineState = MachineState
cdef object _StateError = StateError

include "runtime/types.pxi"
include "runtime/values.pxi"
include "runtime/heap.pxi"
include "runtime/handles.pxi"
include "runtime/instances.pxi"
include "runtime/frames.pxi"
include "runtime/encoding.pxi"
include "runtime/places.pxi"
include "runtime/state.pxi"
