"""Directories and files in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Union

from wattest.wasi.abi import Errno, FileType, WasiError
from wattest.wasi.vfs.node import Context, Directory, File, FileSystem, Inode, Stat

__all__ = ["Content", "MemoryFileSystem", "MemorySymlink", "MemoryTree"]


Content = Union[bytes, "MemorySymlink", Mapping[str, "Content"]]
"""What an entry of a `MemoryTree` is made from: a file's bytes, a link, or a directory."""


class MemorySymlink:
    """A symbolic link in a `MemoryTree`.

    Args:
        target: its content.
    """

    filetype = FileType.SYMBOLIC_LINK

    def __init__(self, target: str | bytes) -> None:
        self.target = target.encode() if isinstance(target, str) else target
        self.inode = Inode(0, 0)


class _FileNode:
    filetype = FileType.REGULAR_FILE

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.inode = Inode(0, 0)


class _DirectoryNode:
    filetype = FileType.DIRECTORY

    def __init__(self, parent: _DirectoryNode | None) -> None:
        self.entries: dict[bytes, _Node] = {}
        self.parent = parent
        self.removed = False
        self.inode = Inode(0, 0)


_Node = Union[_FileNode, _DirectoryNode, MemorySymlink]


class MemoryTree:
    """A tree of files in memory, to be mounted, filled by the guest, and read afterwards.

    Args:
        content: what it holds at first: names to bytes (a file), a mapping (a directory) or a
            `MemorySymlink`. Raises ValueError for a name that no directory can hold.
    """

    def __init__(self, content: Mapping[str, Content] | None = None) -> None:
        self.root = _DirectoryNode(None)
        self._fill(self.root, content or {})

    def _fill(self, directory: _DirectoryNode, content: Mapping[str, Content]) -> None:
        for text, item in content.items():
            name = text.encode()
            if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
                raise ValueError(f"{text!r} can't be the name of a file")
            if len(name) > 255:
                raise ValueError(f"the name {text[:40]!r}... is longer than 255 bytes")
            if isinstance(item, MemorySymlink):
                directory.entries[name] = item
            elif isinstance(item, Mapping):
                child = _DirectoryNode(directory)
                directory.entries[name] = child
                self._fill(child, item)
            else:
                directory.entries[name] = _FileNode(item)

    def walk(self) -> Iterator[tuple[str, int, bytes]]:
        """Every entry below the root as (path, `FileType`, content), parents first, sorted.

        The content is the file's bytes or the link's target; empty for a directory.
        """
        pending: list[tuple[str, _Node]] = _children("", self.root)
        while pending:
            path, node = pending.pop()
            if isinstance(node, _DirectoryNode):
                yield path, node.filetype, b""
                pending.extend(_children(path + "/", node))
            elif isinstance(node, MemorySymlink):
                yield path, node.filetype, node.target
            else:
                yield path, node.filetype, bytes(node.data)

    def files(self) -> dict[str, bytes]:
        """Content of every regular file by its path below the root."""
        return {path: data for path, kind, data in self.walk() if kind == FileType.REGULAR_FILE}


def _is_below(place: _DirectoryNode | None, node: _DirectoryNode) -> bool:
    """Whether a directory is ``node`` or lies in it."""
    while place is not None:
        if place is node:
            return True
        place = place.parent
    return False


def _children(prefix: str, directory: _DirectoryNode) -> list[tuple[str, _Node]]:
    names = sorted(directory.entries, reverse=True)
    return [(prefix + name.decode(), directory.entries[name]) for name in names]


class MemoryFileSystem(FileSystem):
    """A `MemoryTree` mounted for one run.

    Args:
        tree: the tree; a run changes it in place.
        context: what the run's file systems share.
        read_only: refuse every change with EROFS.
    """

    def __init__(self, tree: MemoryTree, context: Context, *, read_only: bool) -> None:
        super().__init__(context, read_only=read_only)
        # Identities and times are this run's: numbered in the order of the sorted walk.
        numbered: set[int] = set()
        pending: list[_Node] = [tree.root]
        while pending:
            node = pending.pop()
            if id(node) in numbered:
                node.inode.nlink += 1
                continue
            numbered.add(id(node))
            node.inode = self.new_inode()
            if isinstance(node, _DirectoryNode):
                pending.extend(node.entries[name] for name in sorted(node.entries, reverse=True))
        directories = [tree.root]
        while directories:
            above = directories.pop()
            for name, node in above.entries.items():
                if isinstance(node, _DirectoryNode):
                    node.inode.place(above.inode, name)
                    directories.append(node)
        self.root = MemoryDirectory(self, tree.root)

    def stat(self, node: _Node) -> Stat:
        """Attributes of a node."""
        size = 0
        if isinstance(node, _FileNode):
            size = len(node.data)
        elif isinstance(node, MemorySymlink):
            size = len(node.target)
        inode = node.inode
        return Stat(
            self.device,
            inode.number,
            node.filetype,
            inode.nlink,
            size,
            inode.atim,
            inode.mtim,
            inode.ctim,
        )


class MemoryFile(File):
    """An open file of a `MemoryFileSystem`; it lives on after its last name is gone."""

    def __init__(self, fs: MemoryFileSystem, node: _FileNode) -> None:
        self.fs: MemoryFileSystem = fs
        self._node = node

    def stat(self) -> Stat:
        return self.fs.stat(self._node)

    def size(self) -> int:
        return len(self._node.data)

    def pread(self, offset: int, length: int) -> bytes:
        return bytes(self._node.data[offset : offset + length])

    def pwrite(self, offset: int, data: bytes) -> int:
        content = self._node.data
        if not data:
            return 0
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
        self._node.inode.modified(self.fs.context.now())
        return len(data)

    def resize(self, size: int) -> None:
        content = self._node.data
        if size < len(content):
            del content[size:]
        else:
            content.extend(bytes(size - len(content)))
        self._node.inode.modified(self.fs.context.now())

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self.fs.check_writable()
        self._node.inode.set_times(atim, mtim, self.fs.context.now())

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


class MemoryDirectory(Directory):
    """A directory of a `MemoryFileSystem`."""

    def __init__(self, fs: MemoryFileSystem, node: _DirectoryNode) -> None:
        self.fs: MemoryFileSystem = fs
        self._node = node

    def _find(self, name: bytes) -> _Node:
        node = self._node.entries.get(name)
        if node is None:
            raise WasiError(Errno.NOENT)
        return node

    def _add(self, name: bytes, node: _Node) -> None:
        """Enter a new node, after the checks that every creation needs."""
        if name in self._node.entries:
            raise WasiError(Errno.EXIST)
        self.fs.check_writable()
        if self._node.removed:
            raise WasiError(Errno.NOENT)
        if isinstance(node, _DirectoryNode):
            self._node.inode.check_room(name)
        self.fs.context.add_entry()
        now = self.fs.context.now()
        if node.inode.number == 0:
            node.inode = self.fs.new_inode()
            node.inode.atim = now
            node.inode.modified(now)
        if isinstance(node, _DirectoryNode):
            node.inode.place(self._node.inode, name)
        self._node.entries[name] = node
        self._node.inode.modified(now)

    def _drop(self, name: bytes) -> None:
        node = self._node.entries.pop(name)
        now = self.fs.context.now()
        node.inode.nlink -= 1
        node.inode.changed(now)
        if isinstance(node, _DirectoryNode):
            node.removed = True
        self._node.inode.modified(now)
        self.fs.context.drop_entry()

    def stat(self) -> Stat:
        return self.fs.stat(self._node)

    def parent_number(self) -> int:
        return (self._node.parent or self._node).inode.number

    def names(self) -> list[bytes]:
        return sorted(self._node.entries)

    def kind(self, name: bytes) -> int | None:
        node = self._node.entries.get(name)
        return None if node is None else node.filetype

    def stat_at(self, name: bytes) -> Stat:
        return self.fs.stat(self._find(name))

    def open_directory(self, name: bytes) -> Directory:
        node = self._find(name)
        if isinstance(node, _DirectoryNode):
            return MemoryDirectory(self.fs, node)
        raise WasiError(Errno.LOOP if isinstance(node, MemorySymlink) else Errno.NOTDIR)

    def open_file(
        self, name: bytes, *, read: bool, write: bool, create: bool, exclusive: bool, truncate: bool
    ) -> File:
        node = self._node.entries.get(name)
        if node is None:
            if not create:
                raise WasiError(Errno.NOENT)
            node = _FileNode()
            self._add(name, node)
        elif create and exclusive:
            raise WasiError(Errno.EXIST)
        elif isinstance(node, MemorySymlink):
            raise WasiError(Errno.LOOP)
        elif isinstance(node, _DirectoryNode):
            raise WasiError(Errno.ISDIR)
        elif write or truncate:
            self.fs.check_writable()
        file = MemoryFile(self.fs, node)
        if truncate:
            file.resize(0)
        return file

    def readlink(self, name: bytes) -> bytes:
        node = self._find(name)
        if not isinstance(node, MemorySymlink):
            raise WasiError(Errno.INVAL)
        return node.target

    def set_times_at(self, name: bytes, atim: int | None, mtim: int | None) -> None:
        node = self._find(name)
        self.fs.check_writable()
        node.inode.set_times(atim, mtim, self.fs.context.now())

    def set_times(self, atim: int | None, mtim: int | None) -> None:
        self.fs.check_writable()
        self._node.inode.set_times(atim, mtim, self.fs.context.now())

    def make_directory(self, name: bytes) -> None:
        self._add(name, _DirectoryNode(self._node))

    def make_symlink(self, name: bytes, target: bytes) -> None:
        self._add(name, MemorySymlink(target))

    def remove_file(self, name: bytes) -> None:
        self.fs.check_writable()
        if isinstance(self._find(name), _DirectoryNode):
            raise WasiError(Errno.ISDIR)
        self._drop(name)

    def remove_directory(self, name: bytes) -> None:
        self.fs.check_writable()
        node = self._find(name)
        if not isinstance(node, _DirectoryNode):
            raise WasiError(Errno.NOTDIR)
        if node.entries:
            raise WasiError(Errno.NOTEMPTY)
        self._drop(name)

    def link(self, name: bytes, target: Directory, new_name: bytes) -> None:
        assert isinstance(target, MemoryDirectory)
        node = self._find(name)
        if new_name in target._node.entries:
            raise WasiError(Errno.EXIST)
        self.fs.check_writable()
        if isinstance(node, _DirectoryNode):
            raise WasiError(Errno.PERM)
        target._add(new_name, node)
        node.inode.nlink += 1
        node.inode.changed(self.fs.context.now())

    def rename(self, name: bytes, target: Directory, new_name: bytes) -> None:
        assert isinstance(target, MemoryDirectory)
        self.fs.check_writable()
        node = self._find(name)
        if target._node.removed:
            raise WasiError(Errno.NOENT)
        old = target._node.entries.get(new_name)
        if old is node:
            return
        if isinstance(node, _DirectoryNode):
            if _is_below(target._node, node):
                raise WasiError(Errno.INVAL)
            target._node.inode.check_room(new_name, node.inode)
            if old is not None and not isinstance(old, _DirectoryNode):
                raise WasiError(Errno.NOTDIR)
        if isinstance(old, _DirectoryNode):
            if _is_below(self._node, old):
                raise WasiError(Errno.NOTEMPTY)
            if not isinstance(node, _DirectoryNode):
                raise WasiError(Errno.ISDIR)
            if old.entries:
                raise WasiError(Errno.NOTEMPTY)
        if old is not None:
            target._drop(new_name)
        now = self.fs.context.now()
        del self._node.entries[name]
        target._node.entries[new_name] = node
        self._node.inode.modified(now)
        target._node.inode.modified(now)
        node.inode.changed(now)
        if isinstance(node, _DirectoryNode):
            node.parent = target._node
            node.inode.place(target._node.inode, new_name)

    def sync(self) -> None:
        pass

    def duplicate(self) -> Directory:
        return self

    def close(self) -> None:
        pass
