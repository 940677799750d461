# What each instruction needs, from the instruction table.

cdef Op PLAIN[256]
cdef Op PREFIXED[SUB_OPCODES]
cdef Op VECTORS[VECTOR_OPCODES]
cdef Op ATOMICS[ATOMIC_OPCODES]
cdef Op AGGREGATES[AGGREGATE_OPCODES]

cdef enum:
    PREFIX = 0xFC
    VECTOR_PREFIX = 0xFD
    ATOMIC_PREFIX = 0xFE
    AGGREGATE_PREFIX = 0xFB

cdef uint32_t MAX_HEIGHT = MAXIMUM["operand stack slots"]
cdef uint32_t MAX_LOCALS = MAXIMUM["locals"]
cdef uint32_t MAX_LIST = max(MAXIMUM["parameters"], MAXIMUM["results"])
cdef uint32_t MAX_FIXED = MAXIMUM["array.new_fixed operands"]

_CODES = {
    I32: T_I32, I64: T_I64, F32: T_F32, F64: T_F64, V128: T_V128, ADDRESS: T_ADDRESS,
    I8: T_I8, I16: T_I16,
}

# By the bytes of the binary format, from 0x69 on.
cdef uint32_t[12] HEAPS
HEAPS[:] = [
    HT_EXN, HT_ARRAY, HT_STRUCT, HT_I31, HT_EQ, HT_ANY, HT_EXTERN, HT_FUNC, HT_NONE, HT_NOEXTERN, HT_NOFUNC,
    HT_NOEXN,
]


cdef uint32_t code_of(object type_, dict indices) except 0xFFFFFFFF:
    """The number of a closed type, NOTHING where there is none.

    Args:
        indices: first index of each defined type.
    """
    if not isinstance(type_, RefType):
        return _CODES.get(type_, NOTHING)
    heap = _ABSTRACT.get(type_.heap)
    if heap is None:
        heap = indices.get(type_.heap)
        if heap is None:
            return NOTHING
        heap += HT_DEFINED
    return reference(type_.nullable, heap)

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
    "try_table": K_TRY_TABLE,
    "throw": K_THROW,
    "throw_ref": K_THROW_REF,
    "try": K_TRY,
    "catch": K_CATCH,
    "catch_all": K_CATCH_ALL,
    "delegate": K_DELEGATE,
    "rethrow": K_RETHROW,
    "call_ref": K_CALL_REF,
    "return_call_ref": K_RETURN_CALL_REF,
    "ref.as_non_null": K_AS_NON_NULL,
    "br_on_null": K_BR_ON_NULL,
    "br_on_non_null": K_BR_ON_NON_NULL,
    "br_on_cast": K_BR_ON_CAST,
    "br_on_cast_fail": K_BR_ON_CAST_FAIL,
    "ref.test": K_TEST,
    "ref.test_null": K_TEST,
    "ref.cast": K_CAST,
    "ref.cast_null": K_CAST_NULL,
    "any.convert_extern": K_FROM_EXTERN,
    "extern.convert_any": K_TO_EXTERN,
    "struct.new": K_STRUCT_NEW,
    "struct.new_default": K_STRUCT_NEW_DEFAULT,
    "struct.get": K_STRUCT_GET,
    "struct.get_s": K_STRUCT_GET_PACKED,
    "struct.get_u": K_STRUCT_GET_PACKED,
    "struct.set": K_STRUCT_SET,
    "array.new": K_ARRAY_NEW,
    "array.new_default": K_ARRAY_NEW_DEFAULT,
    "array.new_fixed": K_ARRAY_NEW_FIXED,
    "array.new_data": K_ARRAY_NEW_DATA,
    "array.new_elem": K_ARRAY_NEW_ELEM,
    "array.get": K_ARRAY_GET,
    "array.get_s": K_ARRAY_GET_PACKED,
    "array.get_u": K_ARRAY_GET_PACKED,
    "array.set": K_ARRAY_SET,
    "array.fill": K_ARRAY_FILL,
    "array.copy": K_ARRAY_COPY,
    "array.init_data": K_ARRAY_INIT_DATA,
    "array.init_elem": K_ARRAY_INIT_ELEM,
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
    if not all(code_of(item, {}) for item in (*params, *results)):
        return False
    if not all(kind in _IMMEDIATES for kind in row.immediates):
        return False
    op.count = <uint8_t>len(params)
    for i, item in enumerate(params):
        op.operands[<int>i] = code_of(item, {})
    op.result = code_of(results[0], {}) if results else NOTHING
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
    if row.prefix == AGGREGATE_PREFIX and row.code < AGGREGATE_OPCODES:
        return &AGGREGATES[<int>row.code]
    return NULL


def _fill():
    cdef Op* op
    memset(PLAIN, 0, sizeof(PLAIN))
    memset(PREFIXED, 0, sizeof(PREFIXED))
    memset(VECTORS, 0, sizeof(VECTORS))
    memset(ATOMICS, 0, sizeof(ATOMICS))
    memset(AGGREGATES, 0, sizeof(AGGREGATES))
    for prefix in (PREFIX, VECTOR_PREFIX, ATOMIC_PREFIX, AGGREGATE_PREFIX):
        PLAIN[<int>prefix].kind = K_PREFIX
    from wattest.accel.features import SUPPORTED

    for row in OPCODES:
        if row.feature not in SUPPORTED:
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
