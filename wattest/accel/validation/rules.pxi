# What each instruction needs, from the instruction table.

cdef Op PLAIN[256]
cdef Op PREFIXED[SUB_OPCODES]
cdef Op VECTORS[VECTOR_OPCODES]
cdef Op ATOMICS[ATOMIC_OPCODES]

cdef enum:
    PREFIX = 0xFC
    VECTOR_PREFIX = 0xFD
    ATOMIC_PREFIX = 0xFE

cdef uint32_t MAX_HEIGHT = MAXIMUM["operand stack slots"]
cdef uint32_t MAX_LOCALS = MAXIMUM["locals"]
cdef uint32_t MAX_LIST = max(MAXIMUM["parameters"], MAXIMUM["results"])

_CODES = {I32: T_I32, I64: T_I64, F32: T_F32, F64: T_F64, FUNCREF: T_FUNC, EXTERNREF: T_EXTERN, V128: T_V128, ADDRESS: T_ADDRESS}
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
    "memory.copy": K_MEMORY_COPY,
    "ref.null": K_REF_NULL,
    "ref.is_null": K_REF_IS_NULL,
    "ref.func": K_REF_FUNC,
}

_IMMEDIATES = {
    "i32": M_I32,
    "i64": M_I64,
    "f32": M_F32,
    "f64": M_F64,
    "memarg": M_MEMARG,
    "memory": M_MEMORY,
    "data": M_DATA,
    "elem": M_ELEM,
    "lane": M_LANE,
    "lanes": M_LANES,
    "v128": M_V128,
    "zero": M_ZERO,
}


cdef bint _fixed(Op* op, object row) except -1:
    """Fill in a row whose type is fixed and whose immediates stand for themselves."""
    params, results = row.params, row.results
    if params is None or results is None:
        return False
    params = [item for item in params for _ in range(2 if item is V128 else 1)]
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
    op.least = op.natural if row.feature == "threads" else 0
    op.lanes = row.lanes
    op.kind = K_FIXED
    return True


cdef Op* _place(object row) except? NULL:
    """Where a row's facts stand, or NULL for an instruction that has no place."""
    if row.prefix is None:
        return &PLAIN[<int>row.code]
    if row.prefix == PREFIX and row.code < SUB_OPCODES:
        return &PREFIXED[<int>row.code]
    if row.prefix == VECTOR_PREFIX and row.code < VECTOR_OPCODES:
        return &VECTORS[<int>row.code]
    if row.prefix == ATOMIC_PREFIX and row.code < ATOMIC_OPCODES:
        return &ATOMICS[<int>row.code]
    return NULL


def _fill():
    cdef Op* op
    memset(PLAIN, 0, sizeof(PLAIN))
    memset(PREFIXED, 0, sizeof(PREFIXED))
    memset(VECTORS, 0, sizeof(VECTORS))
    memset(ATOMICS, 0, sizeof(ATOMICS))
    PLAIN[PREFIX].kind = PLAIN[VECTOR_PREFIX].kind = PLAIN[ATOMIC_PREFIX].kind = K_PREFIX
    from wattest.accel.features import NATIVELY_VALIDATED

    for row in OPCODES:
        if row.feature not in NATIVELY_VALIDATED:
            continue
        op = _place(row)
        if op == NULL:
            continue
        if row.name in _NAMED:
            op.kind = _NAMED[row.name]
        elif row.feature == "wide_arithmetic":
            op.kind = K_WIDE
            op.count = <uint8_t>len(row.params)
        else:
            _fixed(op, row)


_fill()


def rules():
    """Names of the instructions that are checked here; the others are refused."""
    cdef Op* op
    found = []
    for row in OPCODES:
        op = _place(row)
        if op != NULL and op.kind != K_REFUSED:
            found.append(row.name)
    return frozenset(found)
