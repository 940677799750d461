# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The leaves of a memory's tree (docs/commitments.md): which have changed, and their hashes."""

from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    LEAF = 4096
    DIGEST = 32


def take_written(uint8_t[::1] dirty, size_t count):
    """The numbers of the bytes that are not 0 among the first ``count``, which become 0.

    Args:
        dirty: a byte for each page (`wattest.interp.runtime.MemInst.dirty`).
        count: how many of them are asked for, at most all.
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


def hash_changed(const uint8_t[::1] data, uint8_t[::1] copy, size_t length, pages, uint8_t[::1] leaves, sha256):
    """Hash the leaves of a memory that are not what they were.

    Args:
        data: the memory's mapping.
        copy: as long; what it was. Becomes what it is.
        length: the memory's size in bytes.
        pages: numbers of the leaves that may have changed; those beyond its end are left out.
        leaves: 32 bytes for each leaf, the sha256 of ``copy``'s; is brought up to date.
        sha256: `hashlib.sha256`.

    Returns:
        The numbers of those that were hashed.
    """
    cdef list found = []
    cdef size_t page
    cdef size_t size
    cdef const uint8_t* now
    cdef uint8_t* before
    cdef bytes digest
    if length > <size_t>data.shape[0] or length > <size_t>copy.shape[0]:
        raise ValueError("a memory is no longer than its mapping")
    if (length + LEAF - 1) // LEAF > <size_t>leaves.shape[0] // DIGEST:
        raise ValueError("there are not so many leaves")
    for number in pages:
        page = number
        if page >= (length + LEAF - 1) // LEAF:
            continue
        size = min(<size_t>LEAF, length - page * LEAF)
        now = &data[page * LEAF]
        before = &copy[page * LEAF]
        if memcmp(now, before, size) == 0:
            continue
        memcpy(before, now, size)
        digest = sha256(PyMemoryView_FromMemory(<char*>before, size, PyBUF_READ)).digest()
        memcpy(&leaves[page * DIGEST], <char*>digest, DIGEST)
        found.append(number)
    return found
