"""``wattest inspect``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from wattest.cli.messages import printable
from wattest.interp.features import DESCRIPTIONS
from wattest.jobs.inspection import Inspection, inspect_file

__all__ = ["inspect"]


@click.command(short_help="Show what a module is, imports, exports and needs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("program", type=click.Path(path_type=Path))
def inspect(program: Path, as_json: bool) -> None:
    """Show what PROGRAM is: sections, imports, exports, memories, features, producers.

    It is not run. A module that is not valid is shown as far as it can be.
    """
    found = inspect_file(program)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(program, found)


def _show(program: Path, found: Inspection) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)

    def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        rows = list(rows)
        if not rows:
            return
        shown = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
        for column in columns:
            shown.add_column(
                column,
                justify="right" if column in ("offset", "size") else "left",
                overflow="fold",
            )
        for row in rows:
            shown.add_row(*(Text(printable(str(cell))) for cell in row))
        console.print()
        console.print(Text(title, style="bold"))
        console.print(shown)

    features = [
        f"{name} ({DESCRIPTIONS[name]})" + (": not supported" if name in found.unsupported else "")
        for name in found.features
    ]
    facts = [
        ("module", str(program) if found.name is None else f"{program} (named {found.name})"),
        (
            "kind",
            {
                "command": "command: runs by its _start",
                "reactor": "reactor: its functions are invoked after _initialize",
                "library": "library: neither _start nor _initialize",
            }[found.kind],
        ),
        ("size", f"{found.size:,} bytes"),
        ("sha256", found.sha256),
        ("valid", "yes" if found.error is None else f"no: {found.error}"),
        ("functions", f"{found.functions[0]} imported, {found.functions[1]} defined"),
        *(("memory", memory) for memory in found.memories),
        *(("table", shown) for shown in found.tables),
        *([("start", found.start)] if found.start is not None else []),
        *(("feature", feature) for feature in features or ["WebAssembly 1.0 only"]),
    ]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.print(Text.assemble((name.ljust(width), "dim"), "  ", printable(value)))
    table(
        "sections",
        ("offset", "size", "name"),
        ((f"0x{offset:x}", f"{size:,}", name) for name, offset, size in found.sections),
    )
    table("imports", ("module", "name", "kind", "type"), found.imports)
    table("exports", ("name", "kind", "type"), found.exports)
    table("producers", ("field", "name", "version"), found.producers)
