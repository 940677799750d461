"""The binary interface of WASI preview1 and of its predecessor ``wasi_unstable``.

One table (`_SIGNATURES`) names every function with the kinds of its parameters and results;
Wasm function types, argument checks, traces and the writing of results are all derived from it.
Source: ``wasi_snapshot_preview1.witx``, ``wasi_unstable.witx`` and their ``typenames.witx``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "PREVIEW1",
    "SNAPSHOTS",
    "UNSTABLE",
    "Clock",
    "Errno",
    "EventType",
    "FdFlags",
    "FileType",
    "FstFlags",
    "Function",
    "Kind",
    "Layout",
    "LookupFlags",
    "OFlags",
    "Parameter",
    "Result",
    "Rights",
    "Snapshot",
    "WasiError",
    "Whence",
    "errno_name",
]


class Errno(IntEnum):
    """witx ``$errno``: what a function returns."""

    SUCCESS = 0
    TOOBIG = 1
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76


def errno_name(errno: int) -> str:
    """Name of an errno in the witx's spelling, such as ``"noent"``; a number it lacks as digits."""
    if errno == Errno.TOOBIG:
        return "2big"
    try:
        return Errno(errno).name.lower()
    except ValueError:
        return str(errno)


class WasiError(Exception):
    """A WASI function fails with this errno. Never leaves the shim.

    Attributes:
        errno: what the guest is told.
    """

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno


class Rights:
    """witx ``$rights``, one bit each (plain ints: enum arithmetic is slow on every call)."""

    FD_DATASYNC = 1 << 0
    FD_READ = 1 << 1
    FD_SEEK = 1 << 2
    FD_FDSTAT_SET_FLAGS = 1 << 3
    FD_SYNC = 1 << 4
    FD_TELL = 1 << 5
    FD_WRITE = 1 << 6
    FD_ADVISE = 1 << 7
    FD_ALLOCATE = 1 << 8
    PATH_CREATE_DIRECTORY = 1 << 9
    PATH_CREATE_FILE = 1 << 10
    PATH_LINK_SOURCE = 1 << 11
    PATH_LINK_TARGET = 1 << 12
    PATH_OPEN = 1 << 13
    FD_READDIR = 1 << 14
    PATH_READLINK = 1 << 15
    PATH_RENAME_SOURCE = 1 << 16
    PATH_RENAME_TARGET = 1 << 17
    PATH_FILESTAT_GET = 1 << 18
    PATH_FILESTAT_SET_SIZE = 1 << 19
    PATH_FILESTAT_SET_TIMES = 1 << 20
    FD_FILESTAT_GET = 1 << 21
    FD_FILESTAT_SET_SIZE = 1 << 22
    FD_FILESTAT_SET_TIMES = 1 << 23
    PATH_SYMLINK = 1 << 24
    PATH_REMOVE_DIRECTORY = 1 << 25
    PATH_UNLINK_FILE = 1 << 26
    POLL_FD_READWRITE = 1 << 27
    SOCK_SHUTDOWN = 1 << 28
    SOCK_ACCEPT = 1 << 29

    REGULAR_FILE = (
        FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE
    )
    """All that apply to a regular file."""

    CHANGES_FILE = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE
    """Those that need a file to be open for writing."""

    DIRECTORY = (
        FD_DATASYNC
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | FD_READDIR
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | POLL_FD_READWRITE
    )
    """All that apply to a directory."""

    STREAM = FD_SEEK | FD_TELL | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE
    """Those of a standard stream, besides reading or writing.

    The rights to seek and tell are there although both answer ESPIPE: wasi-libc takes a
    character device without them for a terminal.
    """


class FileType:
    """witx ``$filetype``."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class FdFlags:
    """witx ``$fdflags``."""

    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


class FstFlags:
    """witx ``$fstflags``."""

    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


class LookupFlags:
    """witx ``$lookupflags``."""

    SYMLINK_FOLLOW = 1


class OFlags:
    """witx ``$oflags``."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class Clock:
    """witx ``$clockid``."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME = 2
    THREAD_CPUTIME = 3


class Whence:
    """witx ``$whence`` of preview1."""

    SET = 0
    CUR = 1
    END = 2


class EventType:
    """witx ``$eventtype``."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


@dataclass(frozen=True)
class Kind:
    """How a parameter travels.

    Attributes:
        name: the witx type, or ``"string"``, ``"iovec_array"``, ``"ciovec_array"``, ``"pointer"``.
        wasm: the Wasm value types that carry it.
        allowed: for flags, the bits that have a meaning; others give EINVAL.
        count: for enumerations, how many values there are; others give EINVAL.
        signed: whether the number is signed.
    """

    name: str
    wasm: tuple[str, ...]
    allowed: int | None = None
    count: int | None = None
    signed: bool = False


_I32 = ("i32",)
_I64 = ("i64",)
_PAIR = ("i32", "i32")

_KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("fd", _I32),
        Kind("size", _I32),
        Kind("pointer", _I32),
        Kind("exitcode", _I32),
        Kind("timestamp", _I64),
        Kind("filesize", _I64),
        Kind("filedelta", _I64, signed=True),
        Kind("dircookie", _I64),
        Kind("rights", _I64),  # bits without a meaning are dropped: guests ask for all of them
        Kind("clockid", _I32, count=4),
        Kind("advice", _I32, count=6),
        Kind("whence", _I32, count=3),
        Kind("signal", _I32, count=31),
        Kind("fdflags", _I32, allowed=0x1F),
        Kind("fstflags", _I32, allowed=0xF),
        Kind("lookupflags", _I32, allowed=0x1),
        Kind("oflags", _I32, allowed=0xF),
        Kind("riflags", _I32, allowed=0x3),
        Kind("siflags", _I32, allowed=0xFFFF),
        Kind("sdflags", _I32, allowed=0x3),
        Kind("string", _PAIR),
        Kind("iovec_array", _PAIR),
        Kind("ciovec_array", _PAIR),
    )
}


@dataclass(frozen=True)
class Layout:
    """Where the fields of a structure lie in guest memory.

    Attributes:
        name: the witx type.
        packing: the little-endian `struct.Struct`, padding included.
        fields: names of the fields in order; empty for a plain number.
    """

    name: str
    packing: struct.Struct
    fields: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in guest memory."""
        return self.packing.size


def _layout(name: str, code: str, fields: str = "") -> Layout:
    return Layout(name, struct.Struct("<" + code), tuple(fields.split()))


_FILESTAT_FIELDS = "dev ino filetype nlink size atim mtim ctim"

_LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        _layout("size", "I"),
        _layout("fd", "I"),
        _layout("timestamp", "Q"),
        _layout("filesize", "Q"),
        _layout("roflags", "H"),
        _layout("fdstat", "BxH4xQQ", "fs_filetype fs_flags fs_rights_base fs_rights_inheriting"),
        _layout("filestat", "QQB7xQQQQQ", _FILESTAT_FIELDS),
        _layout("prestat", "B3xI", "tag pr_name_len"),
    )
}

# wasi_unstable counts links in 32 bits, which moves the fields after it.
_LAYOUTS_UNSTABLE: Mapping[str, Layout] = {
    **_LAYOUTS,
    "filestat": _layout("filestat", "QQB3xIQQQQ", _FILESTAT_FIELDS),
}

DIRENT = _layout("dirent", "QQIB3x", "d_next d_ino d_namlen d_type")
EVENT = _layout("event", "QHB5xQH6x", "userdata error type nbytes flags")
IOVEC = _layout("iovec", "II", "buf buf_len")
POINTER = _layout("pointer", "I")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a WASI function, by its witx name."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Result:
    """One result, stored through a pointer that follows the parameters."""

    name: str
    layout: Layout


@dataclass(frozen=True)
class Function:
    """One WASI function.

    Attributes:
        name: its field name in the import module.
        parameters: in order.
        results: what success stores in guest memory, in order.
        returns: whether it gives an errno (all do but ``proc_exit``).
    """

    name: str
    parameters: tuple[Parameter, ...]
    results: tuple[Result, ...]
    returns: bool = True

    @property
    def wasm_params(self) -> tuple[str, ...]:
        """Wasm parameter types: those of the parameters, then a pointer for each result."""
        types = [wasm for parameter in self.parameters for wasm in parameter.kind.wasm]
        return (*types, *("i32" for _ in self.results))

    @property
    def wasm_results(self) -> tuple[str, ...]:
        """Wasm result types: the errno, or nothing."""
        return _I32 if self.returns else ()


# Name, parameters and results of every function, in the witx's order. Result names are the
# roles that the witx's comments give them.
_SIGNATURES = """
args_get(argv: pointer, argv_buf: pointer)
args_sizes_get() -> argc: size, argv_buf_size: size
environ_get(environ: pointer, environ_buf: pointer)
environ_sizes_get() -> environc: size, environ_buf_size: size
clock_res_get(id: clockid) -> resolution: timestamp
clock_time_get(id: clockid, precision: timestamp) -> time: timestamp
fd_advise(fd: fd, offset: filesize, len: filesize, advice: advice)
fd_allocate(fd: fd, offset: filesize, len: filesize)
fd_close(fd: fd)
fd_datasync(fd: fd)
fd_fdstat_get(fd: fd) -> stat: fdstat
fd_fdstat_set_flags(fd: fd, flags: fdflags)
fd_fdstat_set_rights(fd: fd, fs_rights_base: rights, fs_rights_inheriting: rights)
fd_filestat_get(fd: fd) -> stat: filestat
fd_filestat_set_size(fd: fd, size: filesize)
fd_filestat_set_times(fd: fd, atim: timestamp, mtim: timestamp, fst_flags: fstflags)
fd_pread(fd: fd, iovs: iovec_array, offset: filesize) -> nread: size
fd_prestat_get(fd: fd) -> prestat: prestat
fd_prestat_dir_name(fd: fd, path: pointer, path_len: size)
fd_pwrite(fd: fd, iovs: ciovec_array, offset: filesize) -> nwritten: size
fd_read(fd: fd, iovs: iovec_array) -> nread: size
fd_readdir(fd: fd, buf: pointer, buf_len: size, cookie: dircookie) -> bufused: size
fd_renumber(fd: fd, to: fd)
fd_seek(fd: fd, offset: filedelta, whence: whence) -> newoffset: filesize
fd_sync(fd: fd)
fd_tell(fd: fd) -> offset: filesize
fd_write(fd: fd, iovs: ciovec_array) -> nwritten: size
path_create_directory(fd: fd, path: string)
path_filestat_get(fd: fd, flags: lookupflags, path: string) -> stat: filestat
path_filestat_set_times(fd: fd, flags: lookupflags, path: string, atim: timestamp,
    mtim: timestamp, fst_flags: fstflags)
path_link(old_fd: fd, old_flags: lookupflags, old_path: string, new_fd: fd, new_path: string)
path_open(fd: fd, dirflags: lookupflags, path: string, oflags: oflags, fs_rights_base: rights,
    fs_rights_inheriting: rights, fdflags: fdflags) -> opened_fd: fd
path_readlink(fd: fd, path: string, buf: pointer, buf_len: size) -> bufused: size
path_remove_directory(fd: fd, path: string)
path_rename(fd: fd, old_path: string, new_fd: fd, new_path: string)
path_symlink(old_path: string, fd: fd, new_path: string)
path_unlink_file(fd: fd, path: string)
poll_oneoff(in: pointer, out: pointer, nsubscriptions: size) -> nevents: size
proc_exit(rval: exitcode) -> noreturn
proc_raise(sig: signal)
sched_yield()
random_get(buf: pointer, buf_len: size)
sock_accept(fd: fd, flags: fdflags) -> accepted_fd: fd
sock_recv(fd: fd, ri_data: iovec_array, ri_flags: riflags) -> ro_datalen: size, ro_flags: roflags
sock_send(fd: fd, si_data: ciovec_array, si_flags: siflags) -> so_datalen: size
sock_shutdown(fd: fd, how: sdflags)
"""


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, kind = item.partition(": ")
        pairs.append((name, kind))
    return pairs


def _parse(layouts: Mapping[str, Layout]) -> dict[str, Function]:
    functions = {}
    for match in re.finditer(r"(\w+)\(([^)]*)\)(?: -> ([^\n]*))?", _SIGNATURES):
        name, parameters, results = match[1], match[2], match[3] or ""
        returns = results != "noreturn"
        functions[name] = Function(
            name,
            tuple(Parameter(key, _KINDS[kind]) for key, kind in _pairs(parameters)),
            tuple(Result(key, layouts[kind]) for key, kind in _pairs(results if returns else "")),
            returns,
        )
    return functions


@dataclass(frozen=True)
class Snapshot:
    """One version of the interface.

    Attributes:
        module: the import module's name.
        functions: by name, in the witx's order.
        filestat: layout of ``$filestat``.
        nlink_max: greatest link count that ``$filestat`` holds.
        whence: from this snapshot's ``$whence`` to `Whence`.
        rights: all bits of ``$rights``.
        subscription_size: bytes of one ``$subscription``.
        subscription_clock: packing of ``$subscription_clock``'s id, timeout, precision and flags,
            from the union's start at byte 16.
    """

    module: str
    functions: Mapping[str, Function]
    filestat: Layout
    nlink_max: int
    whence: tuple[int, int, int]
    rights: int
    subscription_size: int
    subscription_clock: struct.Struct


PREVIEW1 = Snapshot(
    module="wasi_snapshot_preview1",
    functions=_parse(_LAYOUTS),
    filestat=_LAYOUTS["filestat"],
    nlink_max=2**64 - 1,
    whence=(Whence.SET, Whence.CUR, Whence.END),
    rights=(1 << 30) - 1,
    subscription_size=48,
    subscription_clock=struct.Struct("<I4xQQH6x"),
)
"""``wasi_snapshot_preview1``."""

UNSTABLE = Snapshot(
    module="wasi_unstable",
    functions={
        name: function
        for name, function in _parse(_LAYOUTS_UNSTABLE).items()
        if name != "sock_accept"
    },
    filestat=_LAYOUTS_UNSTABLE["filestat"],
    nlink_max=2**32 - 1,
    whence=(Whence.CUR, Whence.END, Whence.SET),
    rights=(1 << 29) - 1,
    subscription_size=56,
    # The clock's identifier, a u64 that nothing reads, comes before the others.
    subscription_clock=struct.Struct("<8xI4xQQH6x"),
)
"""``wasi_unstable``, also called snapshot 0."""

SNAPSHOTS = (PREVIEW1, UNSTABLE)
"""Every snapshot that the shim answers."""
