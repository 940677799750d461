# What validation keeps in mind of a module and of a body.

cdef enum:
    NOTHING = 0
    T_I32 = 1
    T_I64 = 2
    T_F32 = 3
    T_F64 = 4
    T_FUNC = 5
    T_EXTERN = 6
    T_V128 = 7                   # stands on the stack twice
    T_UNKNOWN = 8
    T_ADDRESS = 9                # the address type of the memory that is named

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
    K_MEMORY_COPY
    K_REF_NULL
    K_REF_IS_NULL
    K_REF_FUNC
    K_WIDE                       # two results

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
    M_LANE
    M_LANES
    M_V128
    M_ZERO

cdef enum:
    MAX_OPERANDS = 6             # three vectors
    SUB_OPCODES = 64
    VECTOR_OPCODES = 0x120
    ATOMIC_OPCODES = 0x50
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
    uint8_t least                # log2 of the alignment that it may state, at least
    uint8_t lanes                # how many lanes a lane immediate chooses from
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
    uint8_t* tables              # element types, NOTHING where not known
    uint8_t* indices             # their address types
    uint32_t ntables
    uint8_t* mems                # address types
    uint32_t nmems
    Global* globals
    uint32_t nglobals
    uint8_t* elems
    uint32_t nelems
    uint32_t ndatas
    bint data_count
    bint wide, atomic            # whether the module may use these instructions
    # The body.
    const uint8_t* p
    const uint8_t* end
    Types results
    uint8_t address              # of the memory that was named last
    uint8_t* locals
    uint32_t nlocals
    uint32_t slots               # that they take
    uint8_t* stack
    uint32_t sp
    uint32_t height
    uint32_t peak
    bint unreachable
    Control* frames
    uint32_t depth
    uint32_t room
    uint32_t serial
    # Where to note the types on the stack (ascending offsets, the last one 2**32 - 1), or NULL.
    const uint32_t* watch
    uint8_t* seen                # for each: how many, then the types
    size_t nseen
    size_t seen_room
