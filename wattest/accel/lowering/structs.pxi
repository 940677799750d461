# What lowering keeps in mind: operands, labels, sites of fuel, the code made so far.

cdef enum:
    IN_SLOT = 0
    IN_LOCAL = 1
    IN_CONST = 2

    KIND_BLOCK = 0
    KIND_LOOP = 1
    KIND_IF = 2
    KIND_ELSE = 3
    KIND_FUNC = 4
    KIND_TRY = 5                 # the body of an older try
    KIND_HANDLER = 6             # its catch or catch_all

    CLAUSE_UNDER = 4             # kind of an older clause: the exception lies under its values
    PAST_HERE = -1               # instead of a number of clauses: the frame is gone
    DELEGATES = -2               # the exception goes on as if thrown in another block

    SITE_ENTRY = -2
    SITE_LOOPS = -3

    ENTER_LINK = 3

cdef struct OpInfo:
    int32_t shape, family, operand, result, commutative, wide, yes, no, other, inverse, width

cdef struct VectorInfo:
    int32_t operands, mask, result, lanes, family, far, width

cdef struct WideInfo:
    int32_t operands, family

cdef struct AtomicInfo:
    int32_t operands, results, family

cdef struct Entry:
    int32_t kind
    uint32_t local
    uint64_t value
    int32_t chain
    bint wide                    # the second half of a vector

cdef struct Label:
    int32_t kind
    int32_t params, results
    const uint8_t* wide_params
    const uint8_t* wide_results
    int32_t height
    int32_t fixups
    int32_t other
    int32_t jump                 # the last jump to the end from one of its parts, or -1
    int32_t aside                # the fuel sites open at these jumps
    int32_t loop
    int32_t target               # of a loop, or where the body of a try begins
    int32_t ended                # where the body of an older try ends, or -1
    uint32_t offset
    uint32_t opened              # byte offset of its instruction, 0 of a function
    int32_t first, final, clauses  # of a try_table or try

cdef struct BlockType:
    int32_t params, results
    const uint8_t* wide_params
    const uint8_t* wide_results

cdef struct Node:
    int32_t next
    int32_t child
    int32_t pos
    int64_t open
    int64_t ended

cdef struct Place:
    int32_t pos
    uint32_t offset

# What of the code the clauses of a try_table or try cover, the innermost ones first
cdef struct Try:
    int32_t start, end
    int32_t first, count
    uint32_t opened              # byte offset of its instruction, 0 with PAST_HERE
    uint32_t target              # with DELEGATES: that of the block to go on from

cdef struct Clause:
    int32_t kind                 # of the binary format: 1 and 3 hand the exception on; or CLAUSE_UNDER
    int32_t next
    RType* tag                   # NULL: all
    int32_t pos                  # the cell that leads to its label
    int32_t slot                 # where the label's values begin

cdef struct Lowered:
    int32_t* code
    size_t length
    Place* traps
    size_t ntraps
    Place* edges
    size_t nedges
    Try* tries
    size_t ntries
    Clause* clauses

cdef struct Module_:
    const uint8_t* binary
    uint64_t size
    uint32_t ntypes
    # Parameters and results in slots; which slots are second halves, or NULL where none is
    uint32_t* type_params
    uint32_t* type_results
    const uint8_t** wide_params
    const uint8_t** wide_results
    uint8_t* mem64
    uint8_t* page_bits
    uint8_t* shared
    uint8_t* table64
    RType** types
    uint32_t* func_types
    uint8_t* global_class
    uint32_t nfuncs


cdef struct Notes


cdef struct Low:
    # What is lowered, and into what
    Module_* m
    Inst* inst
    Func* func
    const uint8_t* p
    const uint8_t* start
    uint32_t at
    int32_t* code
    size_t length, room
    Place* traps
    size_t ntraps, traps_room
    Place* edges
    size_t nedges, edges_room
    Try* tries
    size_t ntries, tries_room
    Clause* clauses
    size_t nclauses, clauses_room
    bint failed
    # Frame
    int32_t link
    int32_t first
    # Operands
    Entry* stack
    int32_t height, mark, capacity
    const int32_t* places        # slot of each local, twice, plus one for vectors; or NULL
    int32_t* chains
    # The cell before
    int32_t last, last_id, last_dst, last_slot, last_class, last_op
    # The cell before that one, where nothing can come in between
    int32_t before, before_id, before_op
    # Control
    Label* labels
    int32_t nlabels, labels_room
    # Fuel
    Node* nodes
    int32_t nnodes, nodes_room
    int32_t sites
    int64_t count
    # What each loop's first segment costs; while that is open -1, or -2 less the node of the last
    # place that waits for it
    int64_t* loops
    int32_t nloops, loops_room
    # Where operands are (lowering/notes.pxi), or NULL: not wanted
    Notes* notes
