"""Source lines of a module's code, from the DWARF in its custom sections.

Addresses in a module's DWARF count from the contents of its code section. pyelftools reads the
line programs; without it, or where a module has none or broken ones, there are no lines.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from wattest.errors import JobError
from wattest.interp.module import Module

__all__ = ["Line", "LineTable", "has_dwarf", "read_lines"]

_SECTIONS = (
    "info", "abbrev", "str", "line", "ranges", "addr", "str_offsets", "line_str", "rnglists",
)  # fmt: skip
_MOST_ROWS = 5_000_000


@dataclass(frozen=True)
class Line:
    """A place in a source.

    Attributes:
        file: as the compiler wrote it, directory included where that is known.
        line: from 1; 0 where the compiler made code for no line.
        column: from 1, or 0.
    """

    file: str
    line: int
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LineTable:
    """The lines of a module's code.

    Args:
        rows: (byte offset in the module, line) in ascending order; None ends a sequence.
    """

    def __init__(self, rows: list[tuple[int, Line | None]]) -> None:
        self._offsets = [offset for offset, _ in rows]
        self._lines = [line for _, line in rows]

    def __len__(self) -> int:
        return len(self._offsets)

    def at(self, offset: int) -> Line | None:
        """The line of the instruction at a byte offset of the module, or None."""
        index = bisect_right(self._offsets, offset) - 1
        return self._lines[index] if index >= 0 else None

    def of(self, file: str, line: int) -> list[int]:
        """Byte offsets at which code of a source line begins, ascending.

        Args:
            file: the file's whole name or the end of it, cut at a slash.
            line: from 1.
        """
        found: list[int] = []
        before: Line | None = None
        for offset, row in zip(self._offsets, self._lines):
            begins = row is not None and row.line == line and row != before
            if begins and row is not None and (row.file == file or row.file.endswith("/" + file)):
                found.append(offset)
            before = row
        return found


def has_dwarf(module: Module) -> bool:
    """Whether a module brings line programs at all."""
    return any(custom.name == ".debug_line" for custom in module.customs)


def read_lines(module: Module, *, required: bool = False) -> LineTable:
    """Read the line programs of a module.

    Args:
        module: a decoded module.
        required: whether to raise where pyelftools is missing and would be needed.

    Raises:
        JobError: pyelftools is missing.
    """
    if not has_dwarf(module):
        return LineTable([])
    try:
        from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
    except ImportError:
        if not required:
            return LineTable([])
        raise JobError(
            "source lines need pyelftools: pip install 'wattest[dwarf]' or pip install pyelftools"
        ) from None
    found = {
        custom.name: module.binary[custom.start : custom.end]
        for custom in reversed(module.customs)
        if custom.name.startswith(".debug_")
    }
    sections: dict[str, Any] = dict.fromkeys(_parameters(DWARFInfo))
    for name in _SECTIONS:
        data = found.get(f".debug_{name}")
        if data is not None:
            sections[f"debug_{name}_sec"] = DebugSectionDescriptor(
                io.BytesIO(data), f".debug_{name}", 0, len(data), 0
            )
    code = next((section.start for section in module.sections if section.name == "code"), 0)
    try:
        dwarf = DWARFInfo(config=DwarfConfig(True, "wasm32", 4), **sections)
        return LineTable(_rows(dwarf, code))
    except Exception:  # whatever a broken section makes of the reader: there are no lines then
        return LineTable([])


def _parameters(kind: Any) -> list[str]:
    import inspect

    return [name for name in inspect.signature(kind).parameters if name.endswith("_sec")]


def _rows(dwarf: Any, code: int) -> list[tuple[int, Line | None]]:
    sequences: list[list[tuple[int, Line | None]]] = []
    count = 0
    for unit in dwarf.iter_CUs():
        try:
            program = dwarf.line_program_for_CU(unit)
            if program is None:
                continue
            files = _Files(program, unit)
            current: list[tuple[int, Line | None]] = []
            for entry in program.get_entries():
                state = entry.state
                if state is None:
                    continue
                count += 1
                if count > _MOST_ROWS:
                    break
                offset = code + state.address
                if state.end_sequence:
                    current.append((offset, None))
                    # The linker leaves what it threw away at address 0 (or -1 and -2).
                    if 0 < current[0][0] - code < 0xFFFF_FFF0:
                        sequences.append(current)
                    current = []
                else:
                    current.append((offset, Line(files[state.file], state.line, state.column)))
        except Exception:  # one broken unit does not take the others away
            continue
    sequences.sort(key=lambda rows: rows[0][0])
    rows: list[tuple[int, Line | None]] = []
    for sequence in sequences:
        if rows and sequence[0][0] < rows[-1][0]:
            continue  # sequences that overlap say nothing reliable
        rows += sequence
    return rows


class _Files:
    """Names of the files of a line program."""

    def __init__(self, program: Any, unit: Any) -> None:
        header = program.header
        self._version = header["version"]
        self._files = header["file_entry"]
        self._directories = header["include_directory"]
        attributes = unit.get_top_DIE().attributes
        home = attributes.get("DW_AT_comp_dir")
        self._home = home.value.decode("utf-8", "replace") if home is not None else ""
        self._names: dict[int, str] = {}

    def __getitem__(self, number: int) -> str:
        name = self._names.get(number)
        if name is None:
            name = self._names[number] = self._name(number)
        return name

    def _name(self, number: int) -> str:
        # DWARF 5 counts files and directories from 0, with the unit's own first.
        index = number if self._version >= 5 else number - 1
        if not 0 <= index < len(self._files):
            return "?"
        entry = self._files[index]
        name: str = entry.name.decode("utf-8", "replace")
        if name.startswith("/"):
            return name
        directory = entry.dir_index if self._version >= 5 else entry.dir_index - 1
        parts = [name]
        if 0 <= directory < len(self._directories):
            parts.insert(0, self._directories[directory].decode("utf-8", "replace"))
        elif self._home:
            parts.insert(0, self._home)
        if not parts[0].startswith("/") and self._home and parts[0] != self._home:
            parts.insert(0, self._home)
        return "/".join(part.rstrip("/") for part in parts if part not in ("", "."))
