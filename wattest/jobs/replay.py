"""Repeating the run of a bundle."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from wattest.audit.bundle import Bundle, BundleError
from wattest.audit.receipt import Receipt
from wattest.audit.tape import TapeReader
from wattest.errors import OutputError
from wattest.jobs.capture import LiveInput
from wattest.jobs.companions import Companions, PlayedInput, TraceSink
from wattest.jobs.compare import Difference, compare_claims
from wattest.jobs.execute import run_job
from wattest.jobs.job import Job
from wattest.jobs.material import lay_out
from wattest.jobs.rebuild import Wanted, rebuild_job
from wattest.jobs.results import RunResult

__all__ = ["Replay", "Unpacked", "replay", "unpacked"]

StrPath = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Unpacked:
    """A bundle that is ready to run.

    Attributes:
        bundle: the bundle, open.
        receipt: its receipt.
        job: what was run, over the bundle's files.
        tape: what came from outside, or None.
    """

    bundle: Bundle
    receipt: Receipt
    job: Job
    tape: TapeReader | None

    def companions(self, trace: TraceSink | None = None) -> Companions:
        """For `run_job`: the tape in place of the outside."""
        live = None
        external = self.receipt.claim.get("external")
        if self.tape is not None and external is not None and external.get("liveStdin"):
            live = LiveInput(PlayedInput(self.tape))
        return Companions(trace=trace, tape=self.tape, live_stdin=live, timed=False)


@contextlib.contextmanager
def unpacked(path: StrPath, *, engine: str = "auto") -> Iterator[Unpacked]:
    """Open a bundle and lay out what its run needs in a temporary folder.

    Args:
        path: of the bundle.
        engine: what is to run it.

    Raises:
        BundleError, ReceiptError, TapeError: it is malformed, or its parts do not belong together.
        OSError: it cannot be read.
        OutputError: the temporary folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        bundle = stack.enter_context(Bundle(Path(path)))
        receipt = bundle.receipt()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wattest-replay-")))
        try:
            job = _lay_out(bundle, receipt, folder, engine)
        except OSError as error:
            raise OutputError(f"{error.filename}: {error.strerror or error}") from error
        tape = stack.enter_context(bundle.tape())
        yield Unpacked(bundle, receipt, job, tape)


def _lay_out(bundle: Bundle, receipt: Receipt, folder: Path, engine: str) -> Job:
    wanted = Wanted(receipt)
    _agree("the program", [bundle.program[1]], [wanted.program])
    _agree("the modules", bundle.modules, wanted.modules)
    if not wanted.live_stdin:
        _agree("standard input", [bundle.stdin], [wanted.stdin])
    flat = sorted(
        (entry for _, entries in bundle.inputs for entry in entries),
        key=lambda entry: str(entry.get("path")),
    )
    _agree("the inputs", flat, receipt.claim["inputs"])
    if wanted.external and not bundle.has("tape.jsonl"):
        raise BundleError("the run took something from outside, and the bundle has no tape")
    program = folder / "program.wasm"
    bundle.extract_object(wanted.program, program)
    modules = []
    for number, (_, content) in enumerate(wanted.modules):
        modules.append(folder / f"module-{number}.wasm")
        bundle.extract_object(content, modules[-1])
    inputs = []
    for number, (place, entries) in enumerate(bundle.inputs):
        target = folder / f"input-{number}"
        lay_out(place, entries, target, bundle.extract_object)
        inputs.append((place, target))
    return rebuild_job(
        wanted,
        program=program,
        modules=modules,
        stdin=b"" if wanted.live_stdin else bundle.object_bytes(bundle.stdin.sha256),
        inputs=inputs,
        engine=engine,
    )


def _agree(what: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise BundleError(f"bundle.json and the receipt differ about {what}")


@dataclass(frozen=True)
class Replay:
    """What came of repeating a run.

    Attributes:
        recorded: the receipt of the recorded run.
        result: the new one's result.
        differences: between both claims; none when the run was repeated.
    """

    recorded: Receipt
    result: RunResult
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether both runs have the same receipt id."""
        return not self.differences and self.recorded.id == self.result.receipt.id


def replay(
    bundle: StrPath,
    *,
    engine: str = "auto",
    result_dir: StrPath | None = None,
    stdout: Callable[[bytes], object] | None = None,
    stderr: Callable[[bytes], object] | None = None,
) -> Replay:
    """Repeat the run of a bundle, without the files or the outside that it had.

    Args:
        bundle: the file that ``wattest run --record`` wrote.
        engine: ``"auto"``, ``"accel"`` or ``"reference"``.
        result_dir: a missing or empty directory for the results; a temporary one when None.
        stdout, stderr: called with what the program writes, as it writes.

    Returns:
        The new result, and where its claim differs from the recorded one.

    Raises:
        EvidenceError: the bundle is malformed, or its parts do not belong together.
        ReplayDiverged: the run asks for something that the recorded one did not.
        OSError: the bundle cannot be read.
        JobError, ModuleError, LinkError, EngineUnavailable: as `wattest.run`.
    """
    with unpacked(bundle, engine=engine) as ready:
        result = run_job(
            ready.job,
            target=None if result_dir is None else Path(result_dir),
            stdout=stdout,
            stderr=stderr,
            companions=ready.companions(),
        )
        found = compare_claims(ready.receipt.claim, result.receipt.claim)
        return Replay(ready.receipt, result, tuple(found))
