"""``wattest inspect``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from wattest.audit import readable_json
from wattest.cli.messages import printable, put, writing
from wattest.cli.options import features_option
from wattest.cli.tables import make_console
from wattest.interp.features import DESCRIPTIONS, OPTIONAL
from wattest.jobs.modules import inspect_module

__all__ = ["inspect"]

_KINDS = {
    "command": "command: runs by its _start",
    "reactor": "reactor: its functions are invoked",
    "library": "library: imports no WASI and has no _start",
}


@click.command(short_help="Show what a module is, imports, exports and needs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@features_option
@click.argument("program", type=click.Path(path_type=Path))
def inspect(program: Path, as_json: bool, features: frozenset[str]) -> None:
    """Show what PROGRAM is: sections, imports, exports, memories, features, producers.

    It is not run. A module that is not valid is shown as far as it can be.
    """
    found = inspect_module(program, features)
    if as_json:
        put(readable_json(found), newline=False)
    else:
        with writing():
            _show(program, found)


def _show(program: Path, found: dict[str, Any]) -> None:
    console = make_console()
    facts = list(_facts(program, found))
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.print(Text.assemble((name.ljust(width), "dim"), "  ", printable(value)))

    def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        rows = list(rows)
        if not rows:
            return
        shown = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
        for column in columns:
            right = column in ("offset", "size")
            shown.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in rows:
            shown.add_row(*(Text(printable(str(cell))) for cell in row))
        console.print()
        console.print(Text(title, style="bold"))
        console.print(shown)

    table(
        "sections",
        ("offset", "size", "name"),
        (
            (f"0x{item['offset']:x}", f"{item['size']:,}", _section_name(item))
            for item in found["sections"]
        ),
    )
    table(
        "imports",
        ("module", "name", "kind", "type"),
        ((item["module"], item["name"], item["kind"], item["type"]) for item in found["imports"]),
    )
    table(
        "exports",
        ("name", "kind", "type"),
        ((item["name"], item["kind"], item["type"]) for item in found["exports"]),
    )
    table(
        "producers",
        ("field", "name", "version"),
        (
            (field, name, version)
            for field, values in found["producers"].items()
            for name, version in values
        ),
    )


def _section_name(item: dict[str, Any]) -> str:
    name: str = item["name"]
    return name if item["id"] else f"custom {name!r}"


def _facts(program: Path, found: dict[str, Any]) -> Iterable[tuple[str, str]]:
    name, functions, start = found["name"], found["functions"], found["start"]
    yield "module", str(program) if name is None else f"{program} (named {name})"
    wasi = {None: "", "preview1": " (WASI preview1)", "unstable": " (WASI unstable, snapshot 0)"}
    yield "kind", _KINDS[found["kind"]] + wasi[found["wasi"]]
    yield "size", f"{found['size']:,} bytes"
    yield "sha256", found["sha256"]
    yield "cid", found["cid"]
    yield "valid", "yes" if found["valid"] else f"no: {found['error']}"
    yield "functions", f"{functions['imported']} imported, {functions['defined']} defined"
    for memory in found["memories"]:
        yield "memory", f"{_range(memory, 'pages')}{', shared' if memory['shared'] else ''}"
    for table in found["tables"]:
        yield "table", f"{_range(table, table['element'])}"
    if start is not None:
        shown = f"function {start['index']}"
        yield "start", shown if start["name"] is None else f"{start['name']} ({shown})"
    for feature in found["features"]:
        missing = ""
        if feature in found["unsupported"]:
            missing = ": not supported here"
            if feature in OPTIONAL:
                missing = f": off, --features {feature} turns it on"
        yield "feature", f"{feature}: {DESCRIPTIONS.get(feature, feature)}{missing}"


def _range(limits: dict[str, Any], what: str) -> str:
    top = "" if limits["maximum"] is None else f" to {limits['maximum']:,}"
    address = "" if limits["address"] == "i32" else ", 64-bit addresses"
    imported = ", imported" if limits["imported"] else ""
    return f"{limits['minimum']:,}{top} {what}{address}{imported}"
