"""Writes docs/instructions.md, the instruction reference, from the instruction table.

``python docs/make_instructions.py`` rewrites the file; ``--print`` prints it instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wattest.interp import opcodes
from wattest.interp.features import DESCRIPTIONS, SUPPORTED
from wattest.interp.opcodes import OPCODES, Opcode

TARGET = Path(__file__).with_name("instructions.md")

HEADER = """\
# Instructions

Every instruction of WebAssembly 3.0, as `wattest/interp/opcodes.py` states it. This page is made
by `docs/make_instructions.py` (`make docs`); change the table, not the page.

- **opcode**: in hexadecimal; after a prefix byte, the number that follows it as LEB128.
- **immediates**: as they follow in the binary; `memarg:4` accesses 4 bytes, `lane:8` chooses one
  of 8 lanes.
- **type**: operands and results where they are fixed. `A` is the address type of the memory
  named. `*` stands for a rule of its own in `wattest/interp/validate/`.
- **feature**: what brought it into the standard. *constant* marks the instructions that may stand
  in constant expressions.
"""


def features() -> str:
    """The table of features."""
    lines = ["| feature | brings | instructions | reference engine |", "|---|---|--:|---|"]
    for name, brings in DESCRIPTIONS.items():
        count = sum(op.feature == name for op in OPCODES)
        lines.append(f"| {name} | {brings} | {count} | {'yes' if name in SUPPORTED else 'no'} |")
    return "\n".join(lines)


def chapters() -> list[tuple[str, list[Opcode]]]:
    """The table's headings, each with its rows."""
    found: list[tuple[str, list[Opcode]]] = []
    rows = iter(OPCODES)
    for line in opcodes._TABLE.splitlines():
        if line.startswith("#"):
            found.append((line.lstrip("# "), []))
        elif line:
            found[-1][1].append(next(rows))
    return found


def row(op: Opcode) -> str:
    """One instruction."""
    code = f"{op.code:02x}" if op.prefix is None else f"{op.prefix:02x} {op.code:02x}"
    kinds = []
    for kind in op.immediates:
        number = {"memarg": op.width, "lane": op.lanes}.get(kind)
        kinds.append(kind if number is None else f"{kind}:{number}")
    if op.params is None or op.results is None:
        type_ = "*"
    else:
        params = " ".join(map(repr, op.params))
        results = " ".join(map(repr, op.results))
        type_ = f"[{params}] -> [{results}]"
    note = f"{op.feature}, constant" if op.constant else op.feature
    return f"| `{code}` | `{op.text}` | {', '.join(kinds)} | {type_} | {note} |"


def page() -> str:
    """The whole page."""
    parts = [HEADER, features()]
    for heading, rows in chapters():
        title, _, rest = heading.partition(" (")
        note = f"\n({rest}\n" if rest else ""
        table = ["| opcode | name | immediates | type | feature |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"\n## {title}\n{note}", *table, *map(row, rows)]))
    total = len(OPCODES)
    parts.append(f"\n{total} instructions.")
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write or print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="print instead of writing")
    if parser.parse_args().print:
        print(page(), end="")
    else:
        TARGET.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
