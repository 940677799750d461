# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Which pages of a memory have changed, for the tree over it (docs/commitments.md)."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

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
