"""``wattest replay``."""

from __future__ import annotations

from pathlib import Path

import click

from wattest.cli.messages import DIFFERENT, printable, put, say
from wattest.cli.options import any_limits_option, engine_option, result_dir_option
from wattest.cli.terminal import open_tee
from wattest.cli.units import parse_fuel
from wattest.errors import EvidenceError, InputError, one_line
from wattest.jobs.replay import Point, Stopped, replay_until
from wattest.jobs.replay import replay as repeat
from wattest.wasi.abi import SNAPSHOTS

__all__ = ["replay"]

_SHOWN = 20
_FRAMES = 50
_VALUES = 40
_FUNCTIONS = frozenset(name for snapshot in SNAPSHOTS for name in snapshot.functions)


def parse_point(text: str) -> Point:
    """A point from ``call:N``, ``NAME``, ``NAME:N`` or an amount of fuel.

    Raises:
        click.BadParameter: it is none of them.
    """
    name, colon, number = text.partition(":")
    if colon and not (number.isascii() and number.isdigit() and len(number) < 19):
        raise click.BadParameter(f"{number!r} is no number")
    if name == "call" and colon:
        return Point(call=int(number))
    if name in _FUNCTIONS:
        if colon and int(number) == 0:
            raise click.BadParameter("calls of a function are counted from 1")
        return Point(function=name, occurrence=int(number) if colon else 1)
    fuel = parse_fuel(text)
    if fuel is None:
        raise click.BadParameter("the run ends by itself then")
    return Point(fuel=fuel)


@click.command(short_help="Repeat a recorded run, without what it was given.")
@engine_option("What executes it.")
@result_dir_option("Keep the results here, as wattest run does.")
@click.option(
    "--until",
    metavar="CALL|FUEL",
    callback=lambda _context, _option, text: None if text is None else parse_point(text),
    help="Stop there and show the guest: call:N (as wattest trace counts, from 0), NAME or NAME:N "
    "(the N-th call of a function), or an amount of fuel.",
)
@any_limits_option
@click.option("--quiet", is_flag=True, help="Do not pass on what the program writes.")
@click.argument("bundle", type=click.Path(path_type=Path))
def replay(
    engine: str,
    result_dir: Path | None,
    until: Point | None,
    any_limits: bool,
    quiet: bool,
    bundle: Path,
) -> int:
    """Repeat the run in BUNDLE, which wattest run --record wrote.

    Its program, inputs, clock, random bytes and live directories come from the bundle. The exit
    status is 0 when the run came to the same receipt, and 1 when it did not.
    """
    if until is not None and result_dir is not None:
        raise click.UsageError("a run that stops on its way has no results: no --result-dir")
    try:
        if until is not None:
            return _show(replay_until(bundle, until, engine=engine, any_limits=any_limits), until)
        again = repeat(
            bundle,
            engine=engine,
            result_dir=result_dir,
            any_limits=any_limits,
            stdout=None if quiet else open_tee("stdout", None),
            stderr=None if quiet else open_tee("stderr", None),
        )
    except EvidenceError as error:
        raise EvidenceError(f"{bundle}: {error}") from error
    except OSError as error:
        raise InputError(f"{bundle}: {error.strerror or error}") from error
    engine_used = again.result.receipt.environment["engine"]
    if again.equal:
        say(f"the same run on {engine_used}: receipt {again.recorded.id}")
        return 0
    for difference in again.differences[:_SHOWN]:
        say(f"differs: {difference}")
    if len(again.differences) > _SHOWN:
        say(f"... and {len(again.differences) - _SHOWN} more fields")
    say(
        f"not the same run on {one_line(engine_used)}: recorded {again.recorded.id}, "
        f"now {again.result.receipt.id}"
    )
    return DIFFERENT


def _show(stopped: Stopped | None, point: Point) -> int:
    """Print where a run stands; exit status 1 when it ended before."""
    if stopped is None:
        say(f"the run ended before {point}")
        return DIFFERENT
    where = (
        f"before host call {stopped.calls:,}, {stopped.function}"
        if stopped.function
        else (f"at a segment border, after {stopped.calls:,} host calls")
    )
    lines = [f"stopped {where}; fuel used {stopped.fuel:,}"]
    frames = stopped.machine.frames
    names = stopped.machine.backtrace()
    for number, (frame, info) in enumerate(zip(frames[:_FRAMES], names)):
        lines.append(f"{number}: {info}: {frame.instr.op.name}")
        for kind, values in (("local", frame.locals), ("operand", frame.operands)):
            lines += [
                f"     {kind} {place}: {_value(value)}"
                for place, value in enumerate(values[:_VALUES])
            ]
            if len(values) > _VALUES:
                lines.append(f"     ... {len(values) - _VALUES:,} more {kind}s")
    if len(frames) > _FRAMES:
        lines.append(f"... {len(frames) - _FRAMES:,} more frames")
    for number, instance in enumerate(stopped.instances):
        sizes = ", ".join(f"{memory.pages:,} pages" for memory in instance.mems)
        lines.append(f"instance {number}: memories: {sizes or 'none'}")
    put(printable("\n".join(lines)))
    return 0


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, bytes)):
        return "null" if value is None else f"<{type(value).__name__}>"
    if isinstance(value, bytes):
        return f"0x{int.from_bytes(value, 'little'):032x}"
    return f"{value} (0x{value:x})" if isinstance(value, int) and value > 9 else repr(value)
