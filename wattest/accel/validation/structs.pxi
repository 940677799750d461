# What validation keeps in mind of a module and of a body.

# A type is a number: one of these, or a reference: IS_REF, NULLABLE or not, and its heap type,
# which is one of HT_... or HT_DEFINED and the first index of a defined type.
cdef enum:
    NOTHING = 0
    T_I32 = 1
    T_I64 = 2
    T_F32 = 3
    T_F64 = 4
    T_V128 = 5                   # stands on the stack twice
    T_UNKNOWN = 6
    T_ADDRESS = 7                # the address type of the memory that is named
    T_I8 = 8                     # of fields only
    T_I16 = 9
    NUMBERS = 7                  # the pool begins with these types, T_V128 twice

    IS_REF = 1 << 30
    NULLABLE = 1 << 29
    HEAP = NULLABLE - 1

    HT_BOT = 0                    # of a reference that is not there, in dead code
    HT_ANY
    HT_EQ
    HT_I31
    HT_STRUCT
    HT_ARRAY
    HT_NONE
    HT_FUNC
    HT_NOFUNC
    HT_EXTERN
    HT_NOEXTERN
    HT_EXN
    HT_NOEXN
    HT_DEFINED = 16

    D_FUNC = 1
    D_STRUCT = 2
    D_ARRAY = 3

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
    K_TRY_TABLE
    K_THROW
    K_THROW_REF
    K_TRY                        # the older instructions, where they are turned on
    K_CATCH
    K_CATCH_ALL
    K_DELEGATE
    K_RETHROW
    K_REFERENCES                 # from here on: validation/references.pxi
    K_CALL_REF
    K_RETURN_CALL_REF
    K_AS_NON_NULL
    K_BR_ON_NULL
    K_BR_ON_NON_NULL
    K_BR_ON_CAST
    K_BR_ON_CAST_FAIL
    K_TEST
    K_CAST
    K_CAST_NULL
    K_FROM_EXTERN
    K_TO_EXTERN
    K_AGGREGATES                 # from here on: validation/aggregates.pxi
    K_STRUCT_NEW
    K_STRUCT_NEW_DEFAULT
    K_STRUCT_GET
    K_STRUCT_GET_PACKED
    K_STRUCT_SET
    K_ARRAY_NEW
    K_ARRAY_NEW_DEFAULT
    K_ARRAY_NEW_FIXED
    K_ARRAY_NEW_DATA
    K_ARRAY_NEW_ELEM
    K_ARRAY_GET
    K_ARRAY_GET_PACKED
    K_ARRAY_SET
    K_ARRAY_FILL
    K_ARRAY_COPY
    K_ARRAY_INIT_DATA
    K_ARRAY_INIT_ELEM

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
    AGGREGATE_OPCODES = 0x20
    SLACK = 8
    MAX_COMPARED = 20000         # what a structure of vectors can have
    NO_HEAP = HEAP               # no heap type
    EXPANDED = 1024              # locals whose types are written out
    MANY = 16                    # types that are worth remembering as compared
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
    uint32_t operands[MAX_OPERANDS]
    uint32_t result              # or NOTHING

cdef struct Types:               # a list of types in the pool
    uint32_t at
    uint32_t count

cdef struct Field:
    uint32_t storage             # T_I8, T_I16 or a type
    uint32_t held                # the type of its value
    uint8_t mutable

cdef struct Defined:             # what a type index stands for
    uint8_t kind                 # D_..., or NOTHING where its types are not known
    uint8_t defaultable          # a structure of which all fields are
    uint32_t first               # the first index that stands for the same
    uint32_t depth               # how many supertypes it has
    uint32_t supers              # in the list of these, from the top on, by first index; itself last
    Types params                 # of a function; what the fields of a structure hold
    Types results
    uint32_t fields              # where they begin; an array has one
    uint32_t count

cdef struct Control:             # a control frame
    Types start
    Types end
    uint32_t height
    uint32_t checked             # the br_table that last looked at its label
    uint32_t inits               # locals that had been set before
    uint8_t kind                 # the instruction that opened it; K_RETURN for the body
    uint8_t unreachable

cdef struct Global:
    uint32_t type
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
    uint32_t type
    uint32_t end                 # the local behind it

cdef struct Check:
    # The module.
    const uint8_t* binary
    uint32_t* pool               # numbers, each reference type that is nothing else, other lists
    Defined* types
    uint32_t ntypes
    uint32_t* supers
    Field* fields
    uint32_t* tags               # the type of each tag
    uint32_t ntags
    uint32_t* funcs              # the type of each function
    uint8_t* refs                # whether ref.func may name it
    uint32_t nfuncs
    uint32_t* tables             # element types, NOTHING where not known
    uint32_t* indices            # their address types
    uint32_t ntables
    uint32_t* mems               # address types
    uint32_t nmems
    Global* globals
    uint32_t nglobals
    uint32_t* elems
    uint32_t nelems
    uint32_t ndatas
    bint data_count
    bint wide, atomic            # whether the module may use these instructions
    bint legacy                  # whether the older exceptions are turned on
    # The body.
    const uint8_t* p
    const uint8_t* end
    Types results
    uint32_t address             # of the memory that was named last
    uint32_t* locals             # types of the first `EXPANDED`
    uint32_t nlocals
    uint32_t nparams
    const Run* runs
    uint32_t nruns
    uint32_t slots               # that they take
    uint8_t* set_                # whether a local without a default value has been set
    uint32_t* inits              # those that have been, in order
    uint32_t ninits
    uint32_t* stack
    uint32_t sp
    uint32_t height
    uint32_t peak
    bint unreachable
    Control* frames
    uint32_t depth
    uint32_t room
    uint32_t serial
    # What compared well last, of the types in the pool from a place on.
    uint32_t* compared
    uint32_t compared_at
    uint32_t ncompared
    # Where to note the types on the stack (ascending offsets, the last one 2**32 - 1), or NULL.
    const uint32_t* watch
    uint8_t* seen                # for each: how many, then the types' letters
    size_t nseen
    size_t seen_room
