"""``wattest disassemble``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from wattest.cli.messages import put
from wattest.errors import JobError, ModuleError
from wattest.interp.disassemble import disassemble_function, disassemble_lines
from wattest.interp.module import Module
from wattest.jobs.modules import decode_file

__all__ = ["disassemble"]


@click.command(short_help="Show a module's instructions as text.")
@click.argument("program", type=click.Path(path_type=Path))
@click.argument("function", metavar="[FUNC]", required=False)
def disassemble(program: Path, function: str | None) -> None:
    """Print PROGRAM, or one function of it, in the text format with byte offsets.

    FUNC is an index, a name of the name section or the name of an export.
    """
    module = decode_file(program)
    try:
        for line in _lines(module, program, function):
            put(line)
    except ModuleError as error:
        error.source = str(program)
        raise


def _lines(module: Module, program: Path, function: str | None) -> Iterator[str]:
    if function is None:
        return disassemble_lines(module)
    return iter(disassemble_function(module, _index(module, program, function)).splitlines())


def _index(module: Module, program: Path, function: str) -> int:
    for export in module.exports:
        if export.kind == "func" and export.name == function:
            return export.index
    for index, name in sorted(module.names.functions.items()):
        if name == function and index < len(module.func_types):
            return index
    if function.isascii() and function.isdigit() and len(function) < 10:
        index = int(function)
        if index < len(module.func_types):
            return index
        count = len(module.func_types)
        raise JobError(f"{program} has no function {index}: it has {count}, from 0")
    raise JobError(f"{program} has no function named {function!r}")
