# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What the tree over a memory needs (docs/commitments.md): changed pages, and many hashes at once."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

cdef extern from "sha256.h" nogil:
    bint sha256_native() noexcept
    void sha256_digest(const uint8_t*, size_t, uint8_t*) noexcept

cdef enum:
    LEAF = 4096
    DIGEST = 32
    BRIEF = 1 << 15     # bytes that are hashed sooner than the lock is given back and taken

cdef bint NATIVE = sha256_native()


def hashes() -> bool:
    """Whether `hash_pieces` works: the processor has instructions for it."""
    return NATIVE


def digest(bytes data not None):
    """The sha256 of some bytes, where `hashes` says so.

    Raises:
        RuntimeError: the processor cannot do it.
    """
    cdef uint8_t found[DIGEST]
    cdef const uint8_t* start = data
    cdef size_t size = len(data)
    if not NATIVE:
        raise RuntimeError("the processor has no instructions for SHA-256")
    if size < BRIEF:
        sha256_digest(start, size, found)
    else:
        with nogil:
            sha256_digest(start, size, found)
    return (<char*>found)[:DIGEST]


def take_written(uint8_t[::1] dirty, size_t count):
    """The numbers of the bytes that are 1 among the first ``count``, which become 0.

    Args:
        dirty: a byte for each page (`wattest.interp.runtime.MemInst.dirty`).
        count: how many of them are asked for.

    Raises:
        ValueError: there are fewer.
    """
    cdef list found = []
    cdef size_t at = 0
    cdef size_t end
    cdef uint64_t word
    cdef uint8_t* notes
    if count > <size_t>dirty.shape[0]:
        raise ValueError("there are not so many pages")
    if count == 0:
        return found
    notes = &dirty[0]
    while at < count:
        end = min(at + 8, count)
        if end - at == 8:
            memcpy(&word, notes + at, 8)
            if word == 0:
                at = end
                continue
        while at < end:
            if notes[at]:
                notes[at] = 0
                found.append(at)
            at += 1
    return found


def take_changed(const uint8_t[::1] data, uint8_t[::1] copy, size_t length, pages):
    """The leaves of a memory that are not what they were.

    Args:
        data: the memory's mapping.
        copy: what it was; becomes what it is.
        length: the memory's size in bytes.
        pages: numbers of the leaves that may have changed; those beyond its end are left out.

    Returns:
        The numbers of those that have.

    Raises:
        ValueError: ``data`` or ``copy`` is shorter than ``length``.
    """
    cdef list found = []
    cdef size_t page
    cdef size_t size
    if length > <size_t>data.shape[0] or length > <size_t>copy.shape[0]:
        raise ValueError("a memory is no longer than its mapping")
    for number in pages:
        page = number
        if page >= (length + LEAF - 1) // LEAF:
            continue
        size = min(<size_t>LEAF, length - page * LEAF)
        if memcmp(&data[page * LEAF], &copy[page * LEAF], size):
            memcpy(&copy[page * LEAF], &data[page * LEAF], size)
            found.append(number)
    return found


def hash_pieces(const uint8_t[::1] data, size_t size, size_t length, numbers, uint8_t[::1] digests):
    """Hash pieces of some bytes, without the interpreter's lock.

    Args:
        data: the bytes.
        size: of a piece.
        length: how many of the bytes count; the last piece may be shorter for that.
        numbers: which pieces.
        digests: 32 bytes for each piece; takes the sha256 of those.

    Raises:
        ValueError: ``data`` has no such piece, or ``digests`` no room for it.
        RuntimeError: the processor cannot do it.
    """
    cdef size_t count = len(numbers)
    cdef size_t* places
    cdef size_t i
    cdef size_t place
    if not NATIVE:
        raise RuntimeError("the processor has no instructions for SHA-256")
    if length > <size_t>data.shape[0] or not 0 < size <= 1 << 20:
        raise ValueError("a piece is of the bytes that there are")
    if count == 0:
        return
    places = <size_t*>malloc(count * sizeof(size_t))
    if places == NULL:
        raise MemoryError("no room for the numbers of pieces")
    try:
        for i in range(count):
            place = numbers[i]
            if place >= (length + size - 1) // size or place >= <size_t>digests.shape[0] // DIGEST:
                raise ValueError(f"there is no piece {place}")
            places[i] = place
        with nogil:
            for i in range(count):
                place = places[i]
                sha256_digest(
                    &data[place * size], min(size, length - place * size), &digests[place * DIGEST]
                )
    finally:
        free(places)
