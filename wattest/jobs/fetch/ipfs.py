"""IPFS through a trustless gateway: every block is checked against its CID, so that no gateway
has to be believed (IPFS "Trustless Gateway" specification)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from wattest.errors import InputError, JobError, OutputError, one_line
from wattest.jobs.fetch import download
from wattest.jobs.fetch.download import Broken, Report
from wattest.jobs.fetch.http import Allow, NotFound, request
from wattest.jobs.fetch.manifest import MOST_ENTRIES, TreeEntry, check_path
from wattest.jobs.ipld.car import LARGEST_BLOCK, read_car
from wattest.jobs.ipld.cids import DAG_PB, RAW, Cid, parse_cid
from wattest.jobs.ipld.dagpb import (
    DIRECTORY,
    FILE,
    HAMT_SHARD,
    RAW_DATA,
    SYMLINK,
    Link,
    Node,
    decode_node,
)
from wattest.jobs.store import ContentStore, TooLarge
from wattest.jobs.trees import remove_tree

__all__ = ["DEFAULT_GATEWAY", "GATEWAY_VARIABLE", "IpfsFetch", "gateway_url"]

DEFAULT_GATEWAY = "https://trustless-gateway.link"
GATEWAY_VARIABLE = "IPFS_GATEWAY"

_DEEPEST = 64
_MOST_VISITS = 2_000_000
_RAW = "application/vnd.ipld.raw"
_CAR = "application/vnd.ipld.car"


def gateway_url(given: str | None) -> str:
    """The gateway to use: the one given, else that of ``IPFS_GATEWAY``, else a public one.

    Raises:
        JobError: it is no URL of a web server.
    """
    url = (given or os.environ.get(GATEWAY_VARIABLE) or DEFAULT_GATEWAY).rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise JobError(f"{url!r} is not the URL of an IPFS gateway")
    return url


class IpfsFetch:
    """What lies at one CID and path, fetched and checked block by block.

    Blocks that have arrived are kept until all have: another try asks only for the others.

    Args:
        store: where files go.
        gateway: URL of the gateway.
        allow: is asked before every connection.
        limit: bytes that are taken, and that files may come to, at most.
        report: is told how far it is.
        label: the address, for messages.
    """

    def __init__(
        self,
        store: ContentStore,
        gateway: str,
        allow: Allow,
        limit: int,
        report: Report | None,
        label: str,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._allow = allow
        self._limit = limit
        self._report = report
        self._label = label
        self._fetched = 0
        self._made = 0
        self._visits = 0
        self._blocks: Path | None = None

    def run(self, target: str) -> tuple[str, int] | list[TreeEntry]:
        """Fetch; the caller holds the lock of the CID.

        Args:
            target: CID, or CID/path.

        Returns:
            (sha256, size) of a file, or the names in a directory.

        Raises:
            JobError: that is no CID.
            InputError: it cannot be had, a block is not what its CID says, or it is too large.
            OutputError: it cannot be kept.
        """
        text, _, path = target.strip("/").partition("/")
        root = parse_cid(text)
        self._blocks = self._store.root / "incoming" / f"blocks-{root.key()[:80]}"
        try:
            self._blocks.mkdir(parents=True, exist_ok=True)
            self._fill(root, path)
            cid = self._resolve(root, [part for part in path.split("/") if part])
            result = self._collect(cid)
        except OSError as error:
            raise OutputError(
                f"the store {error.filename or self._blocks}: {error.strerror or error}"
            ) from error
        with contextlib.suppress(OSError):
            remove_tree(self._blocks)
        return result

    # Blocks.

    def _fill(self, root: Cid, path: str) -> None:
        """Take all blocks at once as a CAR file, if the gateway gives one; what is missing
        afterwards is asked for block by block."""
        if root.inline is not None or self._file(root).exists():
            return
        url = f"{self._gateway}/ipfs/{root}/{quote(path)}".rstrip("/")
        if root.codec == RAW:
            return
        try:
            headers = {"Accept": f"{_CAR}; version=1; order=dfs; dups=n"}
            response = request(f"{url}?format=car&dag-scope=all", self._allow, headers)
        except (NotFound, Broken):
            return
        with response:
            if _CAR not in response.headers.get("Content-Type", ""):
                return
            read: Callable[[int], bytes] = response.read
            with contextlib.suppress(ValueError, OSError, EOFError):
                for cid, block in read_car(read):
                    cid.check(block)
                    self._keep(cid, block)

    def _keep(self, cid: Cid, block: bytes) -> None:
        self._fetched += len(block)
        if self._fetched > self._limit + self._limit // 8 + LARGEST_BLOCK:
            raise self._too_large()
        place = self._file(cid)
        if not place.exists():
            temporary = place.with_name(f"{secrets.token_hex(8)}.new")
            temporary.write_bytes(block)
            os.replace(temporary, place)
        if self._report is not None:
            self._report(self._label, self._fetched, None)

    def _file(self, cid: Cid) -> Path:
        assert self._blocks is not None
        return self._blocks / cid.key()

    def _block(self, cid: Cid) -> bytes:
        self._visits += 1
        if self._visits > _MOST_VISITS:
            raise InputError(f"{one_line(self._label)}: more than {_MOST_VISITS:,} blocks")
        if cid.inline is not None:
            return cid.inline
        place = self._file(cid)
        with contextlib.suppress(FileNotFoundError):
            block = place.read_bytes()
            with contextlib.suppress(InputError):
                cid.check(block)
                return block
            place.unlink()  # half of it, or damaged
        block = self._ask(cid)
        self._keep(cid, block)
        return block

    def _ask(self, cid: Cid) -> bytes:
        url = f"{self._gateway}/ipfs/{cid}?format=raw"
        for number in range(download.TRIES):
            try:
                with request(url, self._allow, {"Accept": _RAW}) as response:
                    pieces, size = [], 0
                    while piece := response.read(1 << 16):
                        pieces.append(piece)
                        size += len(piece)
                        if size > LARGEST_BLOCK:
                            raise InputError(f"{cid}: the gateway sends more than a block can be")
                    block = b"".join(pieces)
                    length = response.headers.get("Content-Length", "")
                    if length.isdigit() and int(length) != size:
                        raise Broken("the connection broke")
                cid.check(block)
                return block
            except Broken as error:
                last: Exception = error
            except OSError as error:
                last = error
            if number + 1 < download.TRIES:
                download.sleep(download.WAITS[min(number, len(download.WAITS) - 1)])
        raise InputError(f"{one_line(self._label)}: {cid}: {one_line(str(last))}")

    # What they mean.

    def _node(self, cid: Cid) -> Node:
        if cid.codec != DAG_PB:
            raise InputError(
                f"{one_line(self._label)}: {cid} is of codec 0x{cid.codec:x}; files and "
                "directories (dag-pb, raw) are understood here"
            )
        try:
            return decode_node(self._block(cid))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{one_line(self._label)}: {cid}: {error}") from error

    def _resolve(self, cid: Cid, parts: list[str]) -> Cid:
        for part in parts:
            node = self._node(cid) if cid.codec == DAG_PB else None
            found = None
            if node is not None and node.unixfs.type in (DIRECTORY, HAMT_SHARD):
                found = next(
                    (link.cid for link in self._entries(node, 0) if link.name == part), None
                )
            if found is None:
                raise InputError(f"{one_line(self._label)}: there is no {one_line(part)!r}")
            cid = found
        return cid

    def _collect(self, cid: Cid) -> tuple[str, int] | list[TreeEntry]:
        if cid.codec == RAW or self._node(cid).unixfs.type in (FILE, RAW_DATA):
            return self._add_file(cid)
        entries: list[TreeEntry] = []
        self._directory(cid, "", entries, 0)
        return entries

    def _directory(self, cid: Cid, base: str, entries: list[TreeEntry], depth: int) -> None:
        if depth > _DEEPEST:
            raise InputError(f"{one_line(self._label)}: directories are nested too deep")
        node = self._node(cid)
        if node.unixfs.type not in (DIRECTORY, HAMT_SHARD):
            raise InputError(
                f"{one_line(self._label)}: {cid} is neither a file nor a directory "
                f"(UnixFS type {node.unixfs.type})"
            )
        for link in self._entries(node, 0):
            path = check_path(f"{base}{link.name}", self._label)
            if "/" in link.name:
                raise InputError(f"{one_line(self._label)}: a name holds a slash: {path!r}")
            if len(entries) >= MOST_ENTRIES:
                raise InputError(f"{one_line(self._label)}: more than {MOST_ENTRIES:,} names")
            inner = None if link.cid.codec == RAW else self._node(link.cid).unixfs
            if inner is None or inner.type in (FILE, RAW_DATA):
                sha256, size = self._add_file(link.cid)
                entries.append(TreeEntry(path, sha256, size))
            elif inner.type == SYMLINK:
                try:
                    target = inner.data.decode("utf-8")
                except UnicodeDecodeError:
                    target = ""
                if not target or "\0" in target or len(target) > 4096:
                    raise InputError(f"{one_line(self._label)}: {path!r} links to nothing")
                entries.append(TreeEntry(path, target=target))
            else:
                entries.append(TreeEntry(path))
                self._directory(link.cid, f"{path}/", entries, depth + 1)

    def _entries(self, node: Node, depth: int) -> Iterator[Link]:
        """The names of a directory; those of a sharded one lie in several nodes (HAMT)."""
        if node.unixfs.type == DIRECTORY:
            yield from node.links
            return
        fanout = node.unixfs.fanout
        if depth > 16 or not 8 <= fanout <= 1024 or fanout & (fanout - 1):
            raise InputError(f"{one_line(self._label)}: an impossible shard of a directory")
        prefix = len(f"{fanout - 1:X}")
        for link in node.links:
            if len(link.name) == prefix:
                child = self._node(link.cid)
                if child.unixfs.type != HAMT_SHARD:
                    raise InputError(f"{one_line(self._label)}: {link.cid} is no shard")
                yield from self._entries(child, depth + 1)
            else:
                yield Link(link.cid, link.name[prefix:], link.size)

    def _add_file(self, cid: Cid) -> tuple[str, int]:
        """Keep a file in the store."""
        reader = _Reader(self._bytes(cid, 0))
        entry = self._store.add_stream(reader, "input", label=self._label)  # type: ignore[arg-type]
        return entry.sha256, entry.size

    def _bytes(self, cid: Cid, depth: int) -> Iterator[bytes]:
        if depth > _DEEPEST:
            raise InputError(f"{one_line(self._label)}: a file is nested too deep")
        if cid.codec == RAW:
            yield self._counted(self._block(cid))
            return
        node = self._node(cid)
        message = node.unixfs
        if message.type not in (FILE, RAW_DATA):
            raise InputError(f"{one_line(self._label)}: {cid} is no part of a file")
        if len(message.block_sizes) != len(node.links):
            raise InputError(f"{one_line(self._label)}: {cid} names other parts than it has")
        begin = self._made
        if message.data:
            yield self._counted(message.data)
        for link, size in zip(node.links, message.block_sizes):
            before = self._made
            yield from self._bytes(link.cid, depth + 1)
            if self._made - before != size:
                raise InputError(f"{one_line(self._label)}: {link.cid} is of another size")
        if message.size is not None and self._made - begin != message.size:
            raise InputError(f"{one_line(self._label)}: {cid} is of another size")

    def _counted(self, data: bytes) -> bytes:
        self._made += len(data)
        if self._made > self._limit:
            raise self._too_large()
        return data

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{one_line(self._label)}: more than {self._limit:,} bytes; --fetch-limit raises it"
        )


class _Reader:
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, _size: int = -1) -> bytes:
        """The next piece, however large; none at the end."""
        return next((piece for piece in self._pieces if piece), b"")
