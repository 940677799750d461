"""The ``wattest`` command and how its failures become a message and an exit status."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from wattest.api import available_engines, get_engine
from wattest.cli.messages import (
    BROKEN_PIPE,
    CANNOT_WRITE,
    INTERNAL,
    INTERRUPTED,
    describe,
    say,
)
from wattest.errors import WattestError
from wattest.version import __version__

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = (
    "run",
    "trace",
    "replay",
    "map",
    "batch",
    "verify",
    "sign",
    "keygen",
    "job",
    "store",
    "inspect",
    "validate",
    "disassemble",
    "profile",
    "report",
    "determinism",
    "debug",
    "diff",
    "conform",
    "fuzz",
)
"""The commands, as the help lists them. ``name`` is the click command of that name in
``wattest/cli/name.py`` (``-`` is ``_`` there), which is imported when it is asked for."""

_EPILOG = """\b
Exit statuses of wattest run: the guest's own code after an exit, 134 after a trap,
124 at a limit, 65 for a module that cannot run here, 66 for a missing input, 73 when
results cannot be written, 77 when a policy forbids it, 2 for wrong usage, 130 after Ctrl-C.
"""


class _Application(click.Group):
    """A group whose every failure ends in one readable message, never in a traceback."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        return [*COMMANDS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"wattest.cli.{name.replace('-', '_')}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """As `click.Command.main`, with the exit statuses of docs/cli.md."""

        def go() -> Any:
            return super(_Application, self).main(
                args, prog_name, complete_var, standalone_mode=False, **extra
            )

        if not standalone_mode:
            return go()
        status = _guarded(go)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            status = status or BROKEN_PIPE
        except (AttributeError, ValueError):  # closed from the start
            pass
        except OSError as error:
            _forget_stdout()
            if error.errno != errno.EBADF and not status:
                say(f"cannot write to standard output: {error.strerror or error}")
                status = CANNOT_WRITE
        sys.exit(status)


def _guarded(go: Callable[[], Any]) -> int:
    """Run a command; returns its exit status, having said why it failed."""
    try:
        result = go()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The one reason for which click ends the process itself is a broken pipe.
        _forget_stdout()
        return BROKEN_PIPE
    except WattestError as error:
        message, status = describe(error)
        say(message)
        return status
    except MemoryError:
        say("the host has no memory left")
        return INTERNAL
    except Exception as error:
        if os.environ.get("WATTEST_DEBUG"):
            traceback.print_exc()
        say(
            f"internal error: {type(error).__name__}: {error}\n"
            "This is a bug in wattest. Please report it with the output of the same command "
            "under WATTEST_DEBUG=1."
        )
        return INTERNAL


def _forget_stdout() -> None:
    """Nobody reads any more: what is still buffered must not fail again at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _version_text() -> str:
    engines = available_engines()
    python = f"{sys.implementation.name} {sys.version.split()[0]}"
    lines = [f"wattest {__version__}", f"engines: {', '.join(engines)} (auto means {engines[0]})"]
    if "accel" in engines:
        lines.append(f"accel: {getattr(get_engine('accel'), 'build', 'unknown build')}")
    else:
        lines.append("the accelerator was not built: programs run in pure Python")
    lines.append(f"python: {python} on {sys.platform}")
    return "\n".join(lines)


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(_version_text())
        context.exit()


@click.group(
    cls=_Application,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show version, engines and Python, and exit.",
)
def cli() -> None:
    """Run WebAssembly programs in a sandbox, and prove afterwards what they did.

    A program sees the files, arguments and variables that it is given and nothing else of this
    machine. Time and randomness are deterministic unless asked otherwise, so that a run can be
    repeated; its receipt says what went in, what came out and what happened in between.
    """
    if any(name.startswith(("OTEL_", "WATTEST_OTEL")) for name in os.environ):
        from wattest.jobs.exporting import enable_from_environment

        enable_from_environment(say)


def main() -> NoReturn:
    """Entry point of the ``wattest`` command."""
    # A decoded module is a hundred thousand objects that live to the end: looking through them at
    # every 700 new ones is a twentieth of CPython's start-up.
    gc.set_threshold(100_000, 20, 20)
    cli.main(prog_name="wattest")
    raise AssertionError("click ends the process")
