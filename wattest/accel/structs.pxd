"""What handlers, lowering and driver share: the machine's data in C."""

from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)

cdef extern from "native.h" nogil:
    cdef struct RType:
        RType** display
        uint32_t depth
        uint32_t kind
        uint32_t slots
        uint32_t fields
        uint32_t size
        uint32_t refs
        uint32_t packed
        uint8_t* map
        uint32_t* places
        void* origin

    cdef struct Object:
        RType* type
        uint32_t length
        uint32_t mark
        uint64_t* slots

    cdef struct Heap:
        uint64_t used
        uint64_t limit
        uint64_t bytes
        uint64_t trigger
        uint64_t want_size
        uint64_t want_fields
        int failed
        const uint64_t* externs
        uint8_t* seen
        uint64_t nexterns

    enum:
        KIND_FUNC_TYPE
        KIND_STRUCT
        KIND_ARRAY
        KIND_EXN
        SLOT_PLAIN
        SLOT_REF
        SLOT_8
        SLOT_16
        SLOT_WIDE
        SLOT_FLOAT
        IS_TOP
        IS_EQ
        IS_I31
        IS_STRUCT
        IS_ARRAY
        IS_NONE
        IS_TYPE
        IS_FUNC_TYPE
        HEADER
        OBJECT_FIELDS

    bint is_sub(const RType*, const RType*) noexcept
    bint is_a(uint64_t, int32_t, const RType*) noexcept
    uint64_t object_size(const RType*, uint64_t) noexcept
    Object* heap_take(Heap*, uint64_t, uint64_t) noexcept
    bint heap_has(Heap*, uint64_t, uint64_t) noexcept
    int heap_room(Heap*, uint64_t) noexcept
    Object* find_object(const Heap*, uint64_t) noexcept
    void mark_word(Heap*, uint64_t) noexcept
    void mark_all(Heap*) noexcept
    void heap_sweep(Heap*, int) noexcept
    void heap_clear(Heap*) noexcept
    void put_element(Object*, uint64_t, const uint64_t*) noexcept
    void fill_elements(Object*, uint64_t, uint64_t, const uint64_t*) noexcept
    void put_slots(Object*, const uint64_t*) noexcept

    cdef struct MemRec:
        uint8_t* base
        uint64_t length
        uint8_t* dirty

    cdef struct TableRec:
        uint64_t* elems
        uint64_t size

    cdef struct ElemRec:
        uint64_t* elems
        uint64_t size

    cdef struct DataRec:
        const uint8_t* data
        uint64_t size

    cdef struct Func:
        int32_t* code
        uint64_t pack
        int64_t cost
        uint32_t params
        uint32_t locals
        uint32_t link
        uint32_t results
        Inst* inst
        RType* type
        void* obj
        uint32_t index
        uint32_t slots
        uint32_t kind
        uint32_t type_index
        uint32_t start
        uint32_t end
        int32_t* stub
        void* lowered
        void* sig

    cdef struct Inst:
        MemRec** mems
        TableRec** tables
        uint64_t** globals
        Func** funcs
        ElemRec* elems
        DataRec* datas
        RType** tags
        void* state
        void* owner
        uint32_t tracked

    cdef struct Ctx:
        uint64_t memlen
        uint8_t* dirty
        Inst* inst
        int32_t* pc
        uint64_t* fp
        int64_t fuel
        int32_t* edge
        int64_t owed
        int32_t status
        int32_t trap
        uint64_t detail
        Func* func
        int32_t* cross
        uint64_t r
        double d
        float s
        Heap* heap

    ctypedef int (*handler_t)(
        int32_t*, uint64_t*, uint8_t*, Ctx*, int64_t, uint64_t, double, float
    ) noexcept nogil

    ctypedef uint64_t cell_u64
    ctypedef int64_t cell_i64
    ctypedef double cell_f64
    ctypedef uint64_t* cell_slot
    ctypedef Func* cell_func
    ctypedef TableRec* cell_table
    ctypedef RType* cell_type
    ctypedef handler_t cell_handler

    enum:
        FUNC_WASM
        FUNC_HOST
        STATUS_DONE
        STATUS_TRAP
        STATUS_FUEL
        STATUS_RETRY
        STATUS_HOST
        STATUS_LOWER
        STATUS_GROW_MEMORY
        STATUS_GROW_TABLE
        STATUS_FOREIGN
        STATUS_NEXT
        STATUS_ROOM
        STATUS_THROW
        STATUS_THROW_REF
        TRAP_UNREACHABLE
        TRAP_DIVIDE
        TRAP_OVERFLOW
        TRAP_CONVERSION
        TRAP_MEMORY
        TRAP_TABLE
        TRAP_UNDEFINED
        TRAP_UNINITIALIZED
        TRAP_TYPE
        TRAP_STACK
        TRAP_ARRAY
        TRAP_NULL
        TRAP_NULL_FUNC
        TRAP_NULL_STRUCT
        TRAP_NULL_ARRAY
        TRAP_NULL_I31
        TRAP_NULL_EXN
        TRAP_CAST
        TRAP_UNALIGNED
        TRAP_NOT_SHARED
        TRAP_ENDLESS
        SEQUENCES

    uint64_t GUARDS
    int NEXT(int32_t*, uint64_t*, uint8_t*, Ctx*, int64_t, uint64_t, double, float) noexcept
    int trap(int32_t*, uint64_t*, uint8_t*, Ctx*, int64_t, int64_t) noexcept
    int stop(int32_t*, uint64_t*, uint8_t*, Ctx*, int64_t, int32_t*) noexcept
    int stop_entry(int32_t*, uint64_t*, uint8_t*, Ctx*, int64_t, int64_t) noexcept
    int leave(int32_t*, uint64_t*, uint8_t*, Ctx*, int64_t, int64_t) noexcept
    int run_handlers(Ctx*, uint8_t*) noexcept
    bint unlikely(bint) noexcept

    uint16_t ld16(const uint8_t*) noexcept
    uint32_t ld32(const uint8_t*) noexcept
    uint64_t ld64(const uint8_t*) noexcept
    void st16(uint8_t*, uint16_t) noexcept
    void st32(uint8_t*, uint32_t) noexcept
    void st64(uint8_t*, uint64_t) noexcept
    void note_store(uint8_t*, uint64_t, uint64_t) noexcept
    void mark_written(MemRec*, uint64_t, uint64_t) noexcept
    float u2f(uint32_t) noexcept
    uint32_t f2u(float) noexcept
    double u2d(uint64_t) noexcept
    uint64_t d2u(double) noexcept
    double nand(double) noexcept
    float nanf_(float) noexcept
    uint32_t clz32(uint32_t) noexcept
    uint32_t ctz32(uint32_t) noexcept
    uint32_t popcnt32(uint32_t) noexcept
    uint64_t clz64(uint64_t) noexcept
    uint64_t ctz64(uint64_t) noexcept
    uint64_t popcnt64(uint64_t) noexcept
    uint32_t rotl32(uint32_t, uint32_t) noexcept
    uint32_t rotr32(uint32_t, uint32_t) noexcept
    uint64_t rotl64(uint64_t, uint64_t) noexcept
    uint64_t rotr64(uint64_t, uint64_t) noexcept
    uint64_t mul_high_u(uint64_t, uint64_t) noexcept
    uint64_t mul_high_s(uint64_t, uint64_t) noexcept
    double fmind(double, double) noexcept
    double fmaxd(double, double) noexcept
    float fminf_(float, float) noexcept
    float fmaxf_(float, float) noexcept
    double nearestd(double) noexcept
    float nearestf(float) noexcept
