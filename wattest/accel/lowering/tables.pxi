# What the generator tells of each instruction, and which cells are fused.

cdef OpInfo OPS[512]
cdef VectorInfo VECTORS[0x120]
cdef enum:
    WIDE_CODES = 32
    ATOMIC_CODES = 0x4F
    ATOMIC_FENCE = 3
cdef WideInfo WIDE_OPS[WIDE_CODES]
cdef AtomicInfo ATOMICS[ATOMIC_CODES]

# Fused cells: by first opcode's and second opcode's place among those that can be fused.
cdef enum:
    PLACES = 64
cdef int8_t PLACE_FIRST[512]
cdef int8_t PLACE_SECOND[512]
cdef int16_t PAIRS[PLACES * PLACES * 6]
cdef int16_t SELECTS[512 * 2]
cdef int16_t BRANCHES[4096 * 8]

def _fill_pairs():
    cdef int i
    for i in range(512):
        PLACE_FIRST[i] = PLACE_SECOND[i] = -1
    for i in range(PLACES * PLACES * 6):
        PAIRS[i] = -1
    for i in range(1024):
        SELECTS[i] = -1
    for i in range(4096 * 8):
        BRANCHES[i] = -1
    firsts = sorted({row[0] for row in PAIRTABLE})
    seconds = sorted({row[2] for row in PAIRTABLE})
    assert max(len(firsts), len(seconds)) <= PLACES
    for first, combo_, second, mode, number in PAIRTABLE:
        PLACE_FIRST[<int>first] = <int8_t>firsts.index(first)
        PLACE_SECOND[<int>second] = <int8_t>seconds.index(second)
        i = (firsts.index(first) * PLACES + seconds.index(second)) * 6 + combo_ * 3 + mode
        PAIRS[i] = number
    for key, kind, immediate, number in FUSEDTABLE:
        if kind == 0:
            SELECTS[<int>(2 * key + immediate)] = number
        else:
            BRANCHES[<int>(8 * key + 2 * (kind - 1) + immediate)] = number

def _fill_ops():
    cdef int i
    cdef VectorInfo* v
    memset(VECTORS, 0, sizeof(VECTORS))
    for row in VECTORTABLE:
        v = &VECTORS[<int>row[0]]
        v.operands, v.mask, v.result, v.lanes, v.family, v.far, v.width = row[1:]
    memset(WIDE_OPS, 0, sizeof(WIDE_OPS))
    for row in WIDETABLE:
        WIDE_OPS[<int>row[0]].operands, WIDE_OPS[<int>row[0]].family = row[1:]
    memset(ATOMICS, 0, sizeof(ATOMICS))
    for row in ATOMICTABLE:
        i = row[0]
        ATOMICS[i].operands, ATOMICS[i].results, ATOMICS[i].family = row[1:]
    for i in range(512):
        OPS[i].shape = 0
    for row in OPTABLE:
        i = row[0]
        OPS[i].shape, OPS[i].family, OPS[i].operand, OPS[i].result = row[1], row[2], row[3], row[4]
        OPS[i].commutative, OPS[i].wide, OPS[i].yes, OPS[i].no = row[5], row[6], row[7], row[8]
        OPS[i].other, OPS[i].inverse, OPS[i].width = row[9], row[10], row[11]

_fill_ops()
_fill_pairs()
