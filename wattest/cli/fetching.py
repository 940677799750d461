"""Options about fetching, and how far a download is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wattest.cli.messages import places, stderr_is_terminal
from wattest.cli.units import parse_size
from wattest.jobs.spec import Resolver, pinned_policies

if TYPE_CHECKING:
    from wattest.jobs.fetch.fetcher import Fetcher

__all__ = ["FetchProgress", "fetch_options", "make_resolver"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--policy",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Allow only what this policy does, besides that of WATTEST_POLICY.",
    ),
    click.option(
        "--lock",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write down what was fetched; if FILE is there, refuse anything else.",
    ),
    click.option(
        "--fetch-limit",
        default="4GiB",
        show_default=True,
        callback=lambda _context, _option, text: parse_size(text),
        metavar="SIZE",
        help="Fetch at most so much for one program or input.",
    ),
    click.option(
        "--ipfs-gateway",
        metavar="URL",
        help="Trustless gateway for IPFS.  [default: IPFS_GATEWAY, or a public one]",
    ),
)


def fetch_options(command: Command) -> Command:
    """Give a command the options that `make_resolver` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_resolver(
    lock: Path | None,
    fetch_limit: int,
    ipfs_gateway: str | None,
    quiet: bool,
    policy: Path | None = None,
) -> Resolver:
    """What fetches programs and inputs for a command; nothing is imported before it is needed.

    Args:
        lock, fetch_limit, ipfs_gateway: the options.
        quiet: whether no progress is shown.
        policy: another policy than that of the environment.

    Raises:
        InputError: the lock file or a policy cannot be read.
        JobError: one is malformed.
    """
    policies = pinned_policies(policy)
    if policies is not None:
        fetch_limit = policies.fetch_limit(fetch_limit)
    locked = None
    if lock is not None:
        from wattest.jobs.fetch.lockfile import LockFile

        locked = LockFile(lock)

    def open_fetcher() -> Fetcher:
        from wattest.jobs.fetch.fetcher import Fetcher

        report = FetchProgress() if not quiet and stderr_is_terminal() else None
        return Fetcher(
            limit=fetch_limit,
            lock=locked,
            gateway=ipfs_gateway,
            allow=None if policies is None else policies.allow,
            report=report,
        )

    return Resolver(open_fetcher, locked, places, policies)


class FetchProgress:
    """A bar on the terminal for each download that takes a while; it vanishes at its end."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, label: str, have: int, total: int | None) -> None:
        """Show how far a download is."""
        if self._bars is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label[-60:], total=total)
        self._bars.update(self._tasks[label], completed=have, total=total)
        if total is not None and have >= total:
            self.close()

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()
