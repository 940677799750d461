"""Engines by the names that ``--engine`` takes."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass

from wattest.api import available_engines
from wattest.conformance.adapter import Adapter
from wattest.conformance.own import WattestAdapter
from wattest.conformance.peer import WasmtimeAdapter, load_wasmtime
from wattest.conformance.remote import ProcessAdapter
from wattest.conformance.tools import ToolMissing
from wattest.errors import EngineUnavailable, JobError

__all__ = ["OWN", "EngineSpec", "make_adapter", "parse_engine"]

OWN = ("reference", "accel")
"""wattest's own engines."""


@dataclass(frozen=True)
class EngineSpec:
    """An engine to judge.

    Attributes:
        name: what reports call it.
        command: program and arguments of an engine in a process; empty for the built-in ones.
    """

    name: str
    command: tuple[str, ...] = ()


def parse_engine(text: str) -> EngineSpec:
    """An engine from ``reference``, ``accel``, ``wasmtime`` or ``NAME=COMMAND``.

    Raises:
        JobError: no such engine, or no command.
        EngineUnavailable: an engine of wattest that is not part of this build.
        ToolMissing: its package or program is not installed.
    """
    name, equals, command = text.partition("=")
    if equals:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise JobError(f"engine {name!r}: {error}: {command}") from error
        if not name or not words or name in (*OWN, "wasmtime"):
            raise JobError(f"{text!r} is not of the form NAME=COMMAND, with a name of its own")
        if shutil.which(words[0]) is None:
            raise ToolMissing(f"engine {name!r}: no program {words[0]!r}")
        return EngineSpec(name, tuple(words))
    if name in OWN:
        if name not in available_engines():
            raise EngineUnavailable(f'the engine "{name}" is not part of this build of wattest')
    elif name == "wasmtime":
        load_wasmtime()
    else:
        raise JobError(
            f"unknown engine {name!r}: choose from {', '.join((*OWN, 'wasmtime'))}, "
            "or give NAME=COMMAND"
        )
    return EngineSpec(name)


def make_adapter(spec: EngineSpec, features: frozenset[str], timeout: float) -> Adapter:
    """The engine, fresh for one script.

    Args:
        features: those beyond WebAssembly 3.0 that are on.
        timeout: seconds that an answer of an engine in a process may take.
    """
    if spec.command:
        return ProcessAdapter(spec.name, spec.command, timeout)
    if spec.name == "wasmtime":
        return WasmtimeAdapter(features)
    return WattestAdapter(spec.name, features=features)
