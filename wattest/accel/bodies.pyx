# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Function bodies validated straight from their bytes (spec appendix "Validation Algorithm").

The answer is only "valid, with these facts" or "not shown to be valid". Whatever is refused here
goes to `wattest.interp.validate`, which finds the error or accepts, so that verdicts and messages
are the reference's by construction. What is accepted here must be valid, as lowering trusts it.

A type is one byte. Only number types, ``funcref`` and ``externref`` are known; a body that meets
another type, a 64-bit address or an instruction that the accelerator does not execute is refused.
The ``(ref $t)`` of ``ref.func`` stands on the stack as ``funcref``: nothing that is known here
tells them apart.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from collections.abc import Sequence

from wattest.interp.module import FuncFacts
from wattest.interp.opcodes import ADDRESS, OPCODES
from wattest.interp.types import (
    EXTERN, EXTERNREF, F32, F64, FUNC, FUNCREF, I32, I64, FuncType,
)
from wattest.interp.validate.limits import MAXIMUM

__all__ = ["check_bodies", "rules"]

cdef enum:
    NOTHING = 0
    T_I32 = 1
    T_I64 = 2
    T_F32 = 3
    T_F64 = 4
    T_FUNC = 5
    T_EXTERN = 6
    T_UNKNOWN = 7

# What an instruction needs; those with a type in the table and no further rule are K_FIXED.
cdef enum:
    K_REFUSED = 0
    K_FIXED
    K_PREFIX
    K_UNREACHABLE
    K_BLOCK
    K_LOOP
    K_IF
    K_ELSE
    K_END
    K_BR
    K_BR_IF
    K_BR_TABLE
    K_RETURN
    K_CALL
    K_CALL_INDIRECT
    K_RETURN_CALL
    K_RETURN_CALL_INDIRECT
    K_DROP
    K_SELECT
    K_SELECT_T
    K_LOCAL_GET
    K_LOCAL_SET
    K_LOCAL_TEE
    K_GLOBAL_GET
    K_GLOBAL_SET
    K_TABLE_GET
    K_TABLE_SET
    K_TABLE_SIZE
    K_TABLE_GROW
    K_TABLE_FILL
    K_TABLE_COPY
    K_TABLE_INIT
    K_REF_NULL
    K_REF_IS_NULL
    K_REF_FUNC

# Immediates that need no more than a look at an index space.
cdef enum:
    M_NONE = 0
    M_I32
    M_I64
    M_F32
    M_F64
    M_MEMARG
    M_MEMORY
    M_DATA
    M_ELEM

cdef enum:
    MAX_OPERANDS = 3
    SUB_OPCODES = 64
    SLACK = 8
    BATCH = 1 << 20

# What checking a body says.
cdef enum:
    REFUSED = 0
    VALID = 1
    NO_MEMORY = 2

cdef struct Op:
    uint8_t kind
    uint8_t imm[2]
    uint8_t natural              # log2 of the width of a memory access
    uint8_t count                # operands
    uint8_t operands[MAX_OPERANDS]
    uint8_t result               # or NOTHING

cdef struct Types:               # a list of types in the pool
    uint32_t at
    uint32_t count

cdef struct Signature:
    Types params
    Types results
    bint known                   # a function type, of known types

cdef struct Control:             # a control frame
    Types start
    Types end
    uint32_t height
    uint32_t checked             # the br_table that last looked at its label
    uint8_t kind                 # the instruction that opened it; K_RETURN for the body
    uint8_t unreachable

cdef struct Global:
    uint8_t type
    uint8_t mutable

cdef struct Body:
    uint64_t start
    uint64_t end
    uint32_t signature
    uint32_t runs                # where its runs of locals begin
    uint32_t nruns
    uint8_t refused              # known beforehand

cdef struct Run:
    uint32_t count
    uint8_t type

cdef struct Check:
    # The module.
    const uint8_t* binary
    uint8_t* pool
    Signature* signatures
    uint32_t ntypes
    uint32_t* funcs              # the signature of each function
    uint8_t* refs                # whether ref.func may name it
    uint32_t nfuncs
    uint8_t* tables              # element types, NOTHING where addresses have 64 bits
    uint32_t ntables
    uint8_t* mems                # whether addresses have 32 bits
    uint32_t nmems
    Global* globals
    uint32_t nglobals
    uint8_t* elems
    uint32_t nelems
    uint32_t ndatas
    bint data_count
    # The body.
    const uint8_t* p
    const uint8_t* end
    Types results
    uint8_t* locals
    uint32_t nlocals
    uint8_t* stack
    uint32_t sp
    uint32_t height
    uint32_t peak
    bint unreachable
    Control* frames
    uint32_t depth
    uint32_t room
    uint32_t serial

cdef Op PLAIN[256]
cdef Op PREFIXED[SUB_OPCODES]

cdef enum:
    PREFIX = 0xFC

cdef uint32_t MAX_HEIGHT = MAXIMUM["operand stack slots"]
cdef uint32_t MAX_LOCALS = MAXIMUM["locals"]
cdef uint32_t MAX_LIST = max(MAXIMUM["parameters"], MAXIMUM["results"])

_CODES = {I32: T_I32, I64: T_I64, F32: T_F32, F64: T_F64, FUNCREF: T_FUNC, EXTERNREF: T_EXTERN}
_HEAPS = {FUNC: T_FUNC, EXTERN: T_EXTERN}

_NAMED = {
    "unreachable": K_UNREACHABLE,
    "block": K_BLOCK,
    "loop": K_LOOP,
    "if": K_IF,
    "else": K_ELSE,
    "end": K_END,
    "br": K_BR,
    "br_if": K_BR_IF,
    "br_table": K_BR_TABLE,
    "return": K_RETURN,
    "call": K_CALL,
    "call_indirect": K_CALL_INDIRECT,
    "return_call": K_RETURN_CALL,
    "return_call_indirect": K_RETURN_CALL_INDIRECT,
    "drop": K_DROP,
    "select": K_SELECT,
    "select_t": K_SELECT_T,
    "local.get": K_LOCAL_GET,
    "local.set": K_LOCAL_SET,
    "local.tee": K_LOCAL_TEE,
    "global.get": K_GLOBAL_GET,
    "global.set": K_GLOBAL_SET,
    "table.get": K_TABLE_GET,
    "table.set": K_TABLE_SET,
    "table.size": K_TABLE_SIZE,
    "table.grow": K_TABLE_GROW,
    "table.fill": K_TABLE_FILL,
    "table.copy": K_TABLE_COPY,
    "table.init": K_TABLE_INIT,
    "ref.null": K_REF_NULL,
    "ref.is_null": K_REF_IS_NULL,
    "ref.func": K_REF_FUNC,
}

# The table leaves it to a rule because of addresses of 64 bits, which are refused here.
_SIGNATURES = {"memory.copy": ((I32, I32, I32), ())}

_IMMEDIATES = {
    "i32": M_I32,
    "i64": M_I64,
    "f32": M_F32,
    "f64": M_F64,
    "memarg": M_MEMARG,
    "memory": M_MEMORY,
    "data": M_DATA,
    "elem": M_ELEM,
}


cdef bint _fixed(Op* op, object row) except -1:
    """Fill in a row whose type is fixed and whose immediates stand for themselves."""
    params, results = _SIGNATURES.get(row.name, (row.params, row.results))
    if params is None or results is None:
        return False
    params = [I32 if item is ADDRESS else item for item in params]
    results = [I32 if item is ADDRESS else item for item in results]
    if len(params) > MAX_OPERANDS or len(results) > 1 or len(row.immediates) > 2:
        return False
    if not all(item in _CODES for item in (*params, *results)):
        return False
    if not all(kind in _IMMEDIATES for kind in row.immediates):
        return False
    op.count = <uint8_t>len(params)
    for i, item in enumerate(params):
        op.operands[<int>i] = _CODES[item]
    op.result = _CODES[results[0]] if results else NOTHING
    for i, kind in enumerate(row.immediates):
        op.imm[<int>i] = _IMMEDIATES[kind]
    op.natural = row.width.bit_length() - 1 if row.width else 0
    op.kind = K_FIXED
    return True


def _fill():
    cdef Op* op
    memset(PLAIN, 0, sizeof(PLAIN))
    memset(PREFIXED, 0, sizeof(PREFIXED))
    PLAIN[PREFIX].kind = K_PREFIX
    from wattest.accel.features import SUPPORTED

    for row in OPCODES:
        if row.feature not in SUPPORTED:
            continue
        if row.prefix is None:
            op = &PLAIN[<int>row.code]
        elif row.prefix == PREFIX and row.code < SUB_OPCODES:
            op = &PREFIXED[<int>row.code]
        else:
            continue
        if row.name in _NAMED:
            op.kind = _NAMED[row.name]
        else:
            _fixed(op, row)


_fill()


def rules():
    """Names of the instructions that are checked here; the others are refused."""
    found = []
    for row in OPCODES:
        if row.prefix is None:
            kind = PLAIN[<int>row.code].kind
        elif row.prefix == PREFIX and row.code < SUB_OPCODES:
            kind = PREFIXED[<int>row.code].kind
        else:
            kind = K_REFUSED
        if kind != K_REFUSED:
            found.append(row.name)
    return frozenset(found)


# Integers of the binary format (spec 5.2.2); False where they are malformed or cut off.

cdef inline bint u32(Check* c, uint32_t* out) noexcept nogil:
    cdef uint32_t value = 0
    cdef int shift = 0
    cdef uint8_t byte
    while c.p < c.end:
        byte = c.p[0]
        c.p += 1
        if shift == 28 and byte > 0x0F:
            return False
        value |= <uint32_t>(byte & 0x7F) << shift
        if byte < 0x80:
            out[0] = value
            return True
        shift += 7
    return False


cdef bint u64_(Check* c, uint64_t* out) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef uint8_t byte
    while c.p < c.end:
        byte = c.p[0]
        c.p += 1
        if shift == 63 and byte > 1:
            return False
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            out[0] = value
            return True
        shift += 7
    return False


cdef inline bint signed(Check* c, int bits, int64_t* out) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0, unused
    cdef uint8_t byte
    while c.p < c.end:
        byte = c.p[0]
        c.p += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        if bits - shift < 7:
            # The last byte: what is left over repeats the sign, and nothing follows.
            unused = (byte & 0x7F) >> (bits - shift - 1)
            if byte >= 0x80 or (unused and unused != 0x7F >> (bits - shift - 1)):
                return False
        shift += 7
        if byte < 0x80:
            if byte & 0x40 and shift < 64:
                value |= (<uint64_t>-1) << shift
            out[0] = <int64_t>value
            return True
    return False


cdef inline bint skip(Check* c, int count) noexcept nogil:
    if c.end - c.p < count:
        return False
    c.p += count
    return True


cdef uint8_t valtype(Check* c) noexcept nogil:
    """A value type (spec 5.3.5), or NOTHING."""
    cdef uint8_t byte
    if c.p >= c.end:
        return NOTHING
    byte = c.p[0]
    c.p += 1
    if byte == 0x63:             # (ref null ...), the long form
        if c.p >= c.end:
            return NOTHING
        byte = c.p[0]
        c.p += 1
        if byte != 0x70 and byte != 0x6F:
            return NOTHING
    if byte == 0x7F:
        return T_I32
    if byte == 0x7E:
        return T_I64
    if byte == 0x7D:
        return T_F32
    if byte == 0x7C:
        return T_F64
    if byte == 0x70:
        return T_FUNC
    if byte == 0x6F:
        return T_EXTERN
    return NOTHING


cdef bint blocktype(Check* c, Types* start, Types* end) noexcept nogil:
    """A block type (spec 3.2.8, 5.4.2)."""
    cdef uint8_t byte, found
    cdef int64_t index
    start.at = start.count = end.at = end.count = 0
    if c.p >= c.end:
        return False
    byte = c.p[0]
    if byte == 0x40:
        c.p += 1
        return True
    if 0x40 < byte < 0x80:
        found = valtype(c)
        # The pool begins with each type, in the order of the codes.
        end.at = found
        end.count = 1
        return found != NOTHING
    if not signed(c, 33, &index) or index < 0 or index >= c.ntypes:
        return False
    start[0] = c.signatures[index].params
    end[0] = c.signatures[index].results
    return c.signatures[index].known


# The value stack.

cdef inline bint reach(Check* c, uint64_t height) noexcept nogil:
    if height > MAX_HEIGHT:
        return False
    if height > c.peak:
        c.peak = <uint32_t>height
    return True


cdef inline bint push(Check* c, uint8_t type_) noexcept nogil:
    c.stack[c.sp] = type_
    c.sp += 1
    return c.sp <= c.peak or reach(c, c.sp)


cdef inline bint push_many(Check* c, Types types) noexcept nogil:
    cdef uint64_t height = <uint64_t>c.sp + types.count
    if height > c.peak and not reach(c, height):
        return False
    if types.count == 1:
        c.stack[c.sp] = c.pool[types.at]
    else:
        memcpy(c.stack + c.sp, c.pool + types.at, types.count)
    c.sp = <uint32_t>height
    return True


cdef inline uint8_t pop_any(Check* c) noexcept nogil:
    """The type of the operand popped, T_UNKNOWN in dead code, NOTHING where none is there."""
    if c.sp > c.height:
        c.sp -= 1
        return c.stack[c.sp]
    return T_UNKNOWN if c.unreachable else NOTHING


cdef inline bint pop(Check* c, uint8_t expected) noexcept nogil:
    cdef uint8_t found = pop_any(c)
    return found == expected or found == T_UNKNOWN


cdef bint match(const uint8_t* found, const uint8_t* expected, uint32_t count) noexcept nogil:
    cdef uint32_t i
    if memcmp(found, expected, count) == 0:
        return True
    for i in range(count):
        if found[i] != expected[i] and found[i] != T_UNKNOWN:
            return False
    return True


cdef inline int64_t on_top(Check* c, Types types) noexcept nogil:
    """How many of these types are on top, which can be fewer in dead code only; -1: others."""
    cdef uint32_t here = c.sp - c.height
    if here >= types.count:
        here = types.count
    elif not c.unreachable:
        return -1
    if not match(c.stack + c.sp - here, c.pool + types.at + types.count - here, here):
        return -1
    return here


cdef inline bint pop_many(Check* c, Types types) noexcept nogil:
    cdef int64_t here
    if types.count == 0:
        return True
    if types.count == 1:
        return pop(c, c.pool[types.at])
    here = on_top(c, types)
    if here < 0:
        return False
    c.sp -= <uint32_t>here
    return True


# The control stack.

cdef bint more_frames(Check* c) noexcept nogil:
    # A body has less than 2**23 bytes, so neither number can overflow.
    cdef uint32_t room = c.room * 2
    cdef Control* frames = <Control*>realloc(c.frames, <size_t>room * sizeof(Control))
    if frames == NULL:
        return False
    c.frames = frames
    c.room = room
    return True


cdef inline int push_frame(Check* c, uint8_t kind, Types start, Types end) noexcept nogil:
    cdef Control* frame
    if c.depth == c.room and not more_frames(c):
        return NO_MEMORY
    if c.depth:
        c.frames[c.depth - 1].unreachable = c.unreachable
    frame = &c.frames[c.depth]
    c.depth += 1
    frame.kind = kind
    frame.start = start
    frame.end = end
    frame.height = c.height = c.sp
    frame.checked = 0
    c.unreachable = False
    return VALID if push_many(c, start) else REFUSED


cdef inline bint pop_frame(Check* c) noexcept nogil:
    """Leave the innermost block; its end types are checked and popped."""
    cdef Control* frame = &c.frames[c.depth - 1]
    cdef uint32_t here = c.sp - frame.height
    if here > frame.end.count or (here < frame.end.count and not c.unreachable):
        return False
    if not match(
        c.stack + frame.height, c.pool + frame.end.at + frame.end.count - here, here
    ):
        return False
    c.sp = frame.height
    c.depth -= 1
    if c.depth:
        frame = &c.frames[c.depth - 1]
        c.height = frame.height
        c.unreachable = frame.unreachable
    else:
        c.height = 0
        c.unreachable = False
    return True


cdef inline bint label(Check* c, uint32_t index, Types* types) noexcept nogil:
    cdef Control* frame
    if index >= c.depth:
        return False
    frame = &c.frames[c.depth - 1 - index]
    types[0] = frame.start if frame.kind == K_LOOP else frame.end
    return True


cdef inline void dead(Check* c) noexcept nogil:
    c.sp = c.height
    c.unreachable = True


cdef inline bint same(Check* c, Types left, Types right) noexcept nogil:
    if left.count != right.count:
        return False
    return memcmp(c.pool + left.at, c.pool + right.at, left.count) == 0


cdef bint br_table(Check* c) noexcept nogil:
    cdef const uint8_t* labels = c.p
    cdef uint32_t count, index, i
    cdef int64_t here
    cdef Types types, others
    cdef Control* frame
    if not u32(c, &count) or count > c.end - labels:
        return False
    labels = c.p
    for i in range(count):
        if not u32(c, &index):
            return False
    if not u32(c, &index) or not pop(c, T_I32) or not label(c, index, &types):
        return False
    cdef const uint8_t* behind = c.p
    c.p = labels
    c.serial += 1
    for i in range(count):
        u32(c, &index)
        if not label(c, index, &others):
            return False
        frame = &c.frames[c.depth - 1 - index]
        if frame.checked == c.serial:
            continue
        frame.checked = c.serial
        if others.count != types.count:
            return False
        here = on_top(c, others)
        if here < 0 or not reach(c, <uint64_t>(c.sp - here) + others.count):
            return False
    c.p = behind
    if not pop_many(c, types):
        return False
    dead(c)
    return True


cdef inline bint immediate(Check* c, Op* op, uint8_t kind) noexcept nogil:
    """Read an immediate that stands for itself, and look it up."""
    cdef uint32_t index
    cdef uint64_t offset
    cdef int64_t number
    if kind == M_I32:
        return signed(c, 32, &number)
    if kind == M_MEMARG:
        if not u32(c, &index) or index >= 0x80 or (index & 0x3F) > op.natural:
            return False
        if not index & 0x40:
            index = 0
        elif not u32(c, &index):
            return False
        if index >= c.nmems or not c.mems[index]:
            return False
        return u64_(c, &offset) and offset <= 0xFFFFFFFFu
    if kind == M_I64:
        return signed(c, 64, &number)
    if kind == M_F32:
        return skip(c, 4)
    if kind == M_F64:
        return skip(c, 8)
    if not u32(c, &index):
        return False
    if kind == M_MEMORY:
        return index < c.nmems and c.mems[index]
    if kind == M_DATA:
        return c.data_count and index < c.ndatas
    if kind == M_ELEM:
        return index < c.nelems
    return False


cdef int body(Check* c) noexcept nogil:
    """The instructions of a body from ``c.p`` to ``c.end``, the frame of the body pushed."""
    cdef Op* op
    cdef uint8_t kind, first, second
    cdef uint32_t index, other, k
    cdef int status
    cdef Types start, end
    cdef Signature* signature
    while c.p < c.end:
        op = &PLAIN[c.p[0]]
        c.p += 1
        if op.kind == K_PREFIX:
            if not u32(c, &index) or index >= SUB_OPCODES:
                return REFUSED
            op = &PREFIXED[index]
        kind = op.kind
        if kind == K_FIXED:
            if op.imm[0] and not immediate(c, op, op.imm[0]):
                return REFUSED
            if op.imm[1] and not immediate(c, op, op.imm[1]):
                return REFUSED
            k = op.count
            while k:
                k -= 1
                if not pop(c, op.operands[k]):
                    return REFUSED
            if op.result and not push(c, op.result):
                return REFUSED
        elif kind == K_LOCAL_GET:
            if not u32(c, &index) or index >= c.nlocals or not push(c, c.locals[index]):
                return REFUSED
        elif kind == K_LOCAL_SET:
            if not u32(c, &index) or index >= c.nlocals or not pop(c, c.locals[index]):
                return REFUSED
        elif kind == K_LOCAL_TEE:
            if not u32(c, &index) or index >= c.nlocals or not pop(c, c.locals[index]):
                return REFUSED
            if not push(c, c.locals[index]):
                return REFUSED
        elif kind == K_BLOCK or kind == K_LOOP or kind == K_IF:
            if not blocktype(c, &start, &end):
                return REFUSED
            if kind == K_IF and not pop(c, T_I32):
                return REFUSED
            if not pop_many(c, start):
                return REFUSED
            status = push_frame(c, kind, start, end)
            if status != VALID:
                return status
        elif kind == K_ELSE:
            if c.frames[c.depth - 1].kind != K_IF:
                return REFUSED
            start = c.frames[c.depth - 1].start
            end = c.frames[c.depth - 1].end
            if not pop_frame(c):
                return REFUSED
            status = push_frame(c, K_ELSE, start, end)
            if status != VALID:
                return status
        elif kind == K_END:
            start = c.frames[c.depth - 1].start
            end = c.frames[c.depth - 1].end
            if c.frames[c.depth - 1].kind == K_IF and not same(c, start, end):
                return REFUSED       # a missing else-branch hands its operands on
            if not pop_frame(c) or not push_many(c, end):
                return REFUSED
            if c.depth == 0:
                return VALID if c.p == c.end else REFUSED
        elif kind == K_BR:
            if not u32(c, &index) or not label(c, index, &end) or not pop_many(c, end):
                return REFUSED
            dead(c)
        elif kind == K_BR_IF:
            if not u32(c, &index) or not pop(c, T_I32) or not label(c, index, &end):
                return REFUSED
            if not pop_many(c, end) or not push_many(c, end):
                return REFUSED
        elif kind == K_BR_TABLE:
            if not br_table(c):
                return REFUSED
        elif kind == K_RETURN:
            if not pop_many(c, c.results):
                return REFUSED
            dead(c)
        elif kind == K_UNREACHABLE:
            dead(c)
        elif kind == K_CALL or kind == K_RETURN_CALL:
            if not u32(c, &index) or index >= c.nfuncs:
                return REFUSED
            signature = &c.signatures[c.funcs[index]]
            if not signature.known or not pop_many(c, signature.params):
                return REFUSED
            if kind == K_CALL:
                if not push_many(c, signature.results):
                    return REFUSED
            else:
                if not same(c, signature.results, c.results):
                    return REFUSED
                dead(c)
        elif kind == K_CALL_INDIRECT or kind == K_RETURN_CALL_INDIRECT:
            if not u32(c, &index) or not u32(c, &other):
                return REFUSED
            if index >= c.ntypes or other >= c.ntables or c.tables[other] != T_FUNC:
                return REFUSED
            signature = &c.signatures[index]
            if not signature.known or not pop(c, T_I32) or not pop_many(c, signature.params):
                return REFUSED
            if kind == K_CALL_INDIRECT:
                if not push_many(c, signature.results):
                    return REFUSED
            else:
                if not same(c, signature.results, c.results):
                    return REFUSED
                dead(c)
        elif kind == K_DROP:
            if pop_any(c) == NOTHING:
                return REFUSED
        elif kind == K_SELECT:
            if not pop(c, T_I32):
                return REFUSED
            second = pop_any(c)
            first = pop_any(c)
            if first == NOTHING or second == NOTHING:
                return REFUSED
            if first == T_FUNC or first == T_EXTERN or second == T_FUNC or second == T_EXTERN:
                return REFUSED
            if first == T_UNKNOWN:
                first = second
            elif second != first and second != T_UNKNOWN:
                return REFUSED
            if not push(c, first):
                return REFUSED
        elif kind == K_SELECT_T:
            if not u32(c, &index) or index != 1:
                return REFUSED
            first = valtype(c)
            if first == NOTHING or not pop(c, T_I32) or not pop(c, first) or not pop(c, first):
                return REFUSED
            if not push(c, first):
                return REFUSED
        elif kind == K_GLOBAL_GET:
            if not u32(c, &index) or index >= c.nglobals or c.globals[index].type == NOTHING:
                return REFUSED
            if not push(c, c.globals[index].type):
                return REFUSED
        elif kind == K_GLOBAL_SET:
            if not u32(c, &index) or index >= c.nglobals or not c.globals[index].mutable:
                return REFUSED
            if c.globals[index].type == NOTHING or not pop(c, c.globals[index].type):
                return REFUSED
        elif kind >= K_TABLE_GET and kind <= K_TABLE_FILL:
            if not u32(c, &index) or index >= c.ntables:
                return REFUSED
            first = c.tables[index]
            if first == NOTHING:
                return REFUSED
            if kind == K_TABLE_GET:
                if not pop(c, T_I32) or not push(c, first):
                    return REFUSED
            elif kind == K_TABLE_SET:
                if not pop(c, first) or not pop(c, T_I32):
                    return REFUSED
            elif kind == K_TABLE_SIZE:
                if not push(c, T_I32):
                    return REFUSED
            elif kind == K_TABLE_GROW:
                if not pop(c, T_I32) or not pop(c, first) or not push(c, T_I32):
                    return REFUSED
            elif not pop(c, T_I32) or not pop(c, first) or not pop(c, T_I32):
                return REFUSED
        elif kind == K_TABLE_COPY or kind == K_TABLE_INIT:
            # The element segment comes first for table.init, the target for table.copy.
            if not u32(c, &index) or not u32(c, &other) or other >= c.ntables:
                return REFUSED
            if c.tables[other] == NOTHING:
                return REFUSED
            if kind == K_TABLE_INIT:
                if index >= c.nelems or c.elems[index] != c.tables[other]:
                    return REFUSED
            elif index >= c.ntables or c.tables[index] != c.tables[other]:
                return REFUSED
            if not pop(c, T_I32) or not pop(c, T_I32) or not pop(c, T_I32):
                return REFUSED
        elif kind == K_REF_NULL:
            if c.p >= c.end:
                return REFUSED
            if c.p[0] == 0x70:
                first = T_FUNC
            elif c.p[0] == 0x6F:
                first = T_EXTERN
            else:
                return REFUSED
            c.p += 1
            if not push(c, first):
                return REFUSED
        elif kind == K_REF_IS_NULL:
            first = pop_any(c)
            if first != T_FUNC and first != T_EXTERN and first != T_UNKNOWN:
                return REFUSED
            if not push(c, T_I32):
                return REFUSED
        elif kind == K_REF_FUNC:
            if not u32(c, &index) or index >= c.nfuncs or not c.refs[index]:
                return REFUSED
            if not push(c, T_FUNC):
                return REFUSED
        else:
            return REFUSED
    return REFUSED


cdef int function(Check* c, Body* entry, const Run* runs) noexcept nogil:
    """Spec 3.5.6: a function against its type."""
    cdef Signature* signature = &c.signatures[entry.signature]
    cdef Types none
    cdef uint32_t i
    cdef int status
    none.at = none.count = 0
    c.p = c.binary + entry.start
    c.end = c.binary + entry.end
    c.results = signature.results
    c.nlocals = signature.params.count
    memcpy(c.locals, c.pool + signature.params.at, signature.params.count)
    for i in range(entry.nruns):
        # The sum was checked when the runs were read.
        memset(c.locals + c.nlocals, runs[entry.runs + i].type, runs[entry.runs + i].count)
        c.nlocals += runs[entry.runs + i].count
    c.sp = c.height = c.peak = c.depth = c.serial = 0
    c.unreachable = False
    status = push_frame(c, K_RETURN, none, signature.results)
    return body(c) if status == VALID else status


cdef class Facts:
    """`FuncFacts` of each function, made when asked for."""

    cdef uint32_t* data
    cdef Py_ssize_t count

    def __cinit__(self, Py_ssize_t count):
        self.data = <uint32_t*>calloc(count * 2 + 1, sizeof(uint32_t))
        self.count = count
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple([self[i] for i in range(*index.indices(self.count))])
        cdef Py_ssize_t at = index
        if at < 0:
            at += self.count
        if not 0 <= at < self.count:
            raise IndexError(index)
        return FuncFacts(self.data[at * 2], self.data[at * 2 + 1])

    def __eq__(self, other):
        if not isinstance(other, Sequence):
            return NotImplemented
        return tuple(self) == tuple(other)

    def __repr__(self):
        return f"<facts of {self.count} functions>"

    def __reduce__(self):
        return tuple, (list(self),)


Sequence.register(Facts)


cdef class _Checker:
    """One run over the bodies of a module; owns what the checks point at."""

    cdef Check c
    cdef Body* bodies
    cdef Run* runs
    cdef uint32_t nruns
    cdef uint32_t runs_room
    cdef object module

    def __cinit__(self):
        memset(&self.c, 0, sizeof(self.c))

    def __dealloc__(self):
        free(self.c.pool)
        free(self.c.signatures)
        free(self.c.funcs)
        free(self.c.refs)
        free(self.c.tables)
        free(self.c.mems)
        free(self.c.globals)
        free(self.c.elems)
        free(self.c.locals)
        free(self.c.stack)
        free(self.c.frames)
        free(self.bodies)
        free(self.runs)

    cdef void* room(self, size_t count, size_t size) except NULL:
        cdef void* found = calloc(count + 1, size)
        if found == NULL:
            raise MemoryError
        return found

    def prepare(self, module, context):
        """Take over what bodies see of the module."""
        cdef Check* c = &self.c
        cdef Py_ssize_t i
        self.module = module
        c.binary = <const uint8_t*><char*><bytes>module.binary
        self._types(context)
        c.nfuncs = <uint32_t>len(context.funcs)
        c.funcs = <uint32_t*>self.room(c.nfuncs, sizeof(uint32_t))
        c.refs = <uint8_t*>self.room(c.nfuncs, 1)
        index_of = {}
        for i, deftype in enumerate(context.types):
            index_of.setdefault(deftype, i)
        for i, deftype in enumerate(context.funcs):
            c.funcs[i] = index_of[deftype]
        for index in context.refs:
            if index < c.nfuncs:
                c.refs[<uint32_t>index] = True
        c.ntables = <uint32_t>len(context.tables)
        c.tables = <uint8_t*>self.room(c.ntables, 1)
        for i, table in enumerate(context.tables):
            if table.address is I32:
                c.tables[i] = _CODES.get(table.elem, NOTHING)
        c.nmems = <uint32_t>len(context.addresses)
        c.mems = <uint8_t*>self.room(c.nmems, 1)
        for i, address in enumerate(context.addresses):
            c.mems[i] = address is I32
        c.nglobals = <uint32_t>len(context.globals)
        c.globals = <Global*>self.room(c.nglobals, sizeof(Global))
        for i, item in enumerate(context.globals):
            c.globals[i].type = _CODES.get(item.valtype, NOTHING)
            c.globals[i].mutable = item.mutable
        c.nelems = <uint32_t>len(context.elems)
        c.elems = <uint8_t*>self.room(c.nelems, 1)
        for i, elem in enumerate(context.elems):
            c.elems[i] = _HEAPS.get(elem.heap, NOTHING)
        c.ndatas = <uint32_t>context.datas
        c.data_count = module.data_count is not None
        c.locals = <uint8_t*>self.room(<size_t>MAX_LIST + MAX_LOCALS, 1)
        c.stack = <uint8_t*>self.room(<size_t>MAX_HEIGHT + SLACK, 1)
        c.room = 64
        c.frames = <Control*>self.room(c.room, sizeof(Control))
        self._bodies()

    cdef int _types(self, context) except -1:
        """The pool of types, and the signature of each type index."""
        cdef Check* c = &self.c
        cdef Py_ssize_t i
        pool = bytearray([NOTHING, T_I32, T_I64, T_F32, T_F64, T_FUNC, T_EXTERN])
        places = {}
        c.ntypes = <uint32_t>len(context.types)
        c.signatures = <Signature*>self.room(c.ntypes, sizeof(Signature))
        for i, deftype in enumerate(context.types):
            if not isinstance(deftype.comp, FuncType):
                continue
            place = places.get(deftype)
            if place is None:
                params, results = context.signature(deftype)
                codes = [_CODES.get(valtype, NOTHING) for valtype in (*params, *results)]
                if NOTHING in codes or max(len(params), len(results)) > MAX_LIST:
                    continue
                place = (len(pool), len(params), len(pool) + len(params), len(results))
                pool += bytes(codes)
                places[deftype] = place
            c.signatures[i].params.at = place[0]
            c.signatures[i].params.count = place[1]
            c.signatures[i].results.at = place[2]
            c.signatures[i].results.count = place[3]
            c.signatures[i].known = True
        c.pool = <uint8_t*>self.room(len(pool), 1)
        memcpy(c.pool, <char*>pool, len(pool))
        return 0

    cdef int _bodies(self) except -1:
        """Where the bodies are, and their locals."""
        cdef Py_ssize_t i
        cdef Body* entry
        cdef Run* runs
        cdef uint64_t total, size = len(self.module.binary)
        funcs = self.module.funcs
        self.bodies = <Body*>self.room(len(funcs), sizeof(Body))
        self.runs_room = 1024
        self.runs = <Run*>self.room(self.runs_room, sizeof(Run))
        for i, func in enumerate(funcs):
            entry = &self.bodies[i]
            code = func.code
            entry.start, entry.end = code.start, code.end
            entry.signature = func.type
            entry.runs = self.nruns
            total = 0
            if (
                entry.start > entry.end
                or entry.end > size
                or entry.end - entry.start > <uint64_t>MAXIMUM["function body bytes"]
                or entry.signature >= self.c.ntypes
                or not self.c.signatures[entry.signature].known
            ):
                entry.refused = True
                continue
            for count, type_ in code.locals:
                total += <uint64_t>count
                found = _CODES.get(type_)
                if found is None or total > MAX_LOCALS:
                    entry.refused = True
                    break
                if self.nruns == self.runs_room:
                    runs = <Run*>realloc(self.runs, <size_t>self.runs_room * 2 * sizeof(Run))
                    if runs == NULL:
                        raise MemoryError
                    self.runs = runs
                    self.runs_room *= 2
                self.runs[self.nruns].count = count
                self.runs[self.nruns].type = found
                self.nruns += 1
                entry.nruns += 1
        return 0

    def run(self):
        """The facts, and which bodies are refused, by position."""
        cdef Py_ssize_t count = len(self.module.funcs)
        cdef Py_ssize_t i = 0
        cdef int status = VALID
        cdef uint64_t done
        cdef Facts facts = Facts(count)
        cdef Check* c = &self.c
        refused = []
        while i < count:
            PyErr_CheckSignals()
            with nogil:
                done = 0
                while i < count and done < BATCH:
                    status = REFUSED
                    if not self.bodies[i].refused:
                        status = function(c, &self.bodies[i], self.runs)
                        done += self.bodies[i].end - self.bodies[i].start + 64
                    if status != VALID:
                        break
                    facts.data[i * 2] = c.nlocals
                    facts.data[i * 2 + 1] = c.peak
                    i += 1
            if status == NO_MEMORY:
                raise MemoryError
            if status == REFUSED:
                refused.append(i)
                i += 1
                status = VALID
        return facts, refused


def check_bodies(module, context):
    """Check the bodies of a module whose other sections have been checked.

    Args:
        module: as `wattest.interp.decode.decode_module` gives it.
        context: its index spaces (`wattest.interp.validate.context.Context`).

    Returns:
        The `FuncFacts` of each function of the module, and the positions of those that were
        not shown to be valid, whose facts mean nothing.

    Raises:
        MemoryError: there is no room for the stacks.
        KeyboardInterrupt: Ctrl-C.
    """
    checker = _Checker()
    checker.prepare(module, context)
    return checker.run()
