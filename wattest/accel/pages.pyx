# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The pages of a memory that were written, for the tree over it (docs/commitments.md)."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from "pages.h" nogil:
    ctypedef struct Crypto:
        void* (*make)()
        void (*end)(void*)

    Crypto crypto
    int crypto_open(const char* path)
    int crypto_hash(void* context, const uint8_t* data, size_t size, uint8_t* digest)

cdef enum:
    LEAF = 4096


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


def copy_pages(const uint8_t[::1] data, size_t length, list numbers, uint8_t[::1] room, size_t place):
    """Copy leaves of a memory, one behind the other.

    Args:
        data: the memory's mapping.
        length: the memory's size in bytes.
        numbers: of the leaves.
        room: takes them: a number of whole leaves; behind its end comes its beginning.
        place: of the first of them, in leaves.

    Raises:
        ValueError: the memory has no such leaf, or ``room`` no place for them.
    """
    cdef size_t places = <size_t>room.shape[0] // LEAF
    cdef size_t page
    if length > <size_t>data.shape[0]:
        raise ValueError("a memory is no longer than its mapping")
    if place >= max(places, <size_t>1) or <size_t>len(numbers) > places:
        raise ValueError(f"there is no room for {len(numbers)} leaves")
    for number in numbers:
        page = number
        if page >= (length + LEAF - 1) // LEAF:
            raise ValueError(f"there is no leaf {page}")
        memcpy(&room[place * LEAF], &data[page * LEAF], min(<size_t>LEAF, length - page * LEAF))
        place += 1
        if place == places:
            place = 0


def open_crypto(path):
    """Find the functions that `hash_pieces` and `hash_copies` call.

    Args:
        path: of the library that has them, or that needs the one that has them.

    Returns:
        Whether they are there.
    """
    return crypto_open(path) != 0


def hash_pieces(const uint8_t[::1] data, size_t size, size_t length, numbers, uint8_t[::1] digests):
    """See `wattest.interp.pages.hash_pieces`. `open_crypto` comes first."""
    cdef list places = list(numbers)
    cdef size_t place
    if length > <size_t>data.shape[0] or not 0 < size <= 1 << 20:
        raise ValueError("a piece is of the bytes that there are")
    for number in places:
        place = number
        if place >= (length + size - 1) // size or (place + 1) * 32 > <size_t>digests.shape[0]:
            raise ValueError(f"there is no piece {place}")
    _hash(data, size, length, places, -1, 0, digests)


def hash_copies(
    const uint8_t[::1] room, size_t place, size_t length, list numbers, uint8_t[::1] digests
):
    """See `wattest.interp.pages.hash_copies`. `open_crypto` comes first."""
    cdef size_t places = <size_t>room.shape[0] // LEAF
    cdef size_t page
    if place >= max(places, <size_t>1) or <size_t>len(numbers) > places:
        raise ValueError(f"there is no room for {len(numbers)} leaves")
    for number in numbers:
        page = number
        if page >= (length + LEAF - 1) // LEAF or (page + 1) * 32 > <size_t>digests.shape[0]:
            raise ValueError(f"there is no leaf {page}")
    _hash(room, LEAF, length, numbers, <int64_t>place, places, digests)


cdef int _hash(
    const uint8_t[::1] data, size_t size, size_t length, list numbers,
    int64_t place, int64_t places, uint8_t[::1] digests,
) except -1:
    """Hash pieces, which stand where their numbers say, or one behind the other from a place on."""
    cdef Py_ssize_t count = len(numbers)
    cdef size_t* wanted = <size_t*>malloc(<size_t>(count + 1) * sizeof(size_t))
    cdef void* context = crypto.make() if crypto.make != NULL else NULL
    cdef Py_ssize_t i
    cdef size_t page
    cdef bint good = True
    if wanted == NULL or context == NULL:
        free(wanted)
        raise MemoryError("no room to hash pages")
    for i in range(count):
        wanted[i] = numbers[i]
    if count:
        with nogil:
            for i in range(count):
                page = wanted[i]
                good = good and crypto_hash(
                    context,
                    &data[<size_t>place * size if place >= 0 else page * size],
                    min(size, length - page * size),
                    &digests[page * 32],
                )
                if place >= 0:
                    place = place + 1 if place + 1 < places else 0
    crypto.end(context)
    free(wanted)
    if not good:
        raise RuntimeError("OpenSSL cannot hash")
    return 0
