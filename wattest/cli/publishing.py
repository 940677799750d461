"""``--publish``: where results go besides this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattest.cli.messages import say
from wattest.errors import JobError, OutputError
from wattest.jobs import RunResult

if TYPE_CHECKING:
    from wattest.jobs.publish import Target

__all__ = ["prepare_publishing", "publish_results"]


def prepare_publishing(place: str) -> Target:
    """Read ``--publish``, and find out before a run what can be known of it then.

    Raises:
        JobError: no such place can be.
        OutputError: it is taken.
    """
    from wattest.jobs.publish import check_target, parse_target

    target = parse_target(place)
    check_target(target)
    return target


def publish_results(result: RunResult, target: Target, *, kept: bool) -> None:
    """Copy results and receipt to their place and say where they are.

    Args:
        result: of the run.
        target: where to.
        kept: whether they are kept elsewhere, too.

    Raises:
        OutputError, JobError: they cannot be; then they are kept here.
    """
    from wattest.jobs.publish import publish

    try:
        published = publish(result.folder.path, result.receipt.id, target)
    except (JobError, OutputError) as error:
        if not kept:
            result.folder.keep(f"wattest-results-{result.receipt.id.partition(':')[2][:12]}")
        raise OutputError(f"{error}; the results are in {result.folder.path}") from error
    root = "" if published.cid is None else f", root CID {published.cid}"
    say(f"published to {published.place}{root}")
