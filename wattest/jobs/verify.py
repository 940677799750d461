"""Verification: run again what a receipt is of, and compare every field of its claim."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from wattest.audit.bundle import Bundle, BundleError
from wattest.audit.dsse import PublicKey
from wattest.audit.receipt import Receipt
from wattest.audit.records import Content
from wattest.errors import (
    EvidenceError,
    InputError,
    JobError,
    NotReproducible,
    OtherProgram,
    Unsigned,
    one_line,
)
from wattest.jobs.capture import LiveInput
from wattest.jobs.companions import Companions, PlayedInput
from wattest.jobs.compare import Difference, compare_claims
from wattest.jobs.execute import Progress, run_job
from wattest.jobs.finder import Finder, MissingMaterial
from wattest.jobs.job import Job
from wattest.jobs.material import content_of_entry, lay_out
from wattest.jobs.modules import read_at_most
from wattest.jobs.rebuild import Wanted, rebuild_job
from wattest.jobs.spec import pinned_policies
from wattest.jobs.store import ContentStore

__all__ = ["ENGINES", "Check", "Verdict", "read_public_key", "verify"]

ENGINES = ("auto", "accel", "reference", "both", "wasmtime")
"""What a receipt can be verified on."""

StrPath = Union[str, "os.PathLike[str]"]

_STDIN_LIMIT = 1 << 30


@dataclass(frozen=True)
class Check:
    """One run for comparison.

    Attributes:
        engine: that ran it.
        differences: fields of the claim that differ.
        receipt: of this run.
        left_out: fields that were not compared, with the reason.
    """

    engine: str
    differences: tuple[Difference, ...]
    receipt: Receipt
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every field that was compared is equal."""
        return not self.differences


@dataclass(frozen=True)
class Verdict:
    """What came of verifying a receipt.

    Attributes:
        receipt: the receipt.
        signer: keyid of the trusted key that signed it; None when no key was to be trusted.
        checks: one for each run.
    """

    receipt: Receipt
    signer: str | None
    checks: tuple[Check, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every run was equal."""
        return bool(self.checks) and all(check.equal for check in self.checks)


def verify(
    receipt: StrPath | Receipt,
    *,
    program: StrPath | None = None,
    inputs: Mapping[str, StrPath] | None = None,
    modules: Mapping[str, StrPath] | None = None,
    stdin: bytes | None = None,
    bundle: StrPath | None = None,
    search: Iterable[StrPath] = (),
    use_store: bool = True,
    engine: str = "auto",
    trust: Sequence[PublicKey | StrPath] = (),
    any_limits: bool = False,
    timeout: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Verdict:
    """Check a receipt's signature, run again what it is of, and compare the claims.

    What is not given by name is looked for by its digest: in ``search``, the bundle, the local
    store.

    Args:
        receipt: a receipt, its file, or the file of a bundle.
        program: the program; it must have the claim's digest.
        inputs: host files and directories by the guest path where they lay.
        modules: linked modules by name.
        stdin: what the program could read on standard input.
        bundle: a bundle of the run: it has all parts, and what came from outside.
        search: files, and folders to look through, for contents by their digest.
        use_store: whether to look in the local store.
        engine: ``"auto"``, ``"accel"``, ``"reference"``, ``"both"`` (of ours) or
            ``"wasmtime"``.
        trust: keys, or files of keys in PEM, of which one must have signed the receipt; none
            to take it as it is.
        any_limits: run it even when the claim's limits are larger than the defaults of
            `wattest.Limits`, which protect this host from a stranger's program.
        timeout: seconds that each run on an engine of ours may take, or None.
        progress: is told how far each run is; what it raises ends the run.

    Returns:
        The verdict; its `ok` is whether all is equal.

    Raises:
        ReceiptError, BundleError, TapeError: the receipt or the bundle is malformed.
        KeyFileError: a key is.
        Unsigned, BadSignature, UntrustedKey: no trusted key signed the receipt.
        OtherProgram: the program is another one.
        MissingMaterial: something was found nowhere.
        InputError: a file is missing or cannot be read.
        NotReproducible: the claim depends on more than its job, and no bundle is there; or the
            timeout was reached.
        JobError: the claim's limits are too large; an input or module has an unknown name.
        Forbidden: the policy that WATTEST_POLICY names does not allow its limits or modules.
        ReplayDiverged: the bundle's recording is not of this run.
        EngineUnavailable, MissingPackage: an engine is not there.
    """
    if engine not in ENGINES:
        raise ValueError(f"no engine {engine!r}: {', '.join(ENGINES)}")
    with contextlib.ExitStack() as stack:
        opened = None if bundle is None else stack.enter_context(_open(Path(bundle)))
        if not isinstance(receipt, Receipt):
            receipt, whole = _load(Path(receipt), stack)
            opened = opened or whole
        signer = _check_signature(receipt, trust)
        wanted = Wanted(receipt)
        _check_reproducible(wanted, opened)
        if not any_limits:
            wanted.check_limits()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wattest-verify-")))
        store = ContentStore() if use_store else None
        material = _Material(wanted, folder, opened, store, [Path(place) for place in search])
        job = material.job(
            program=None if program is None else Path(program),
            inputs={place: Path(path) for place, path in (inputs or {}).items()},
            modules={name: Path(path) for name, path in (modules or {}).items()},
            stdin=stdin,
        )
        policies = pinned_policies()
        if policies is not None:
            policies.allow_repeated(job)
        checks = _Checks(job, receipt, wanted, opened, _timed(progress, timeout)).on(engine)
        return Verdict(receipt, signer, tuple(checks))


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Bundle]:
    """A bundle whose trace is known to be that of its receipt's run."""
    try:
        bundle = Bundle(path)
        try:
            bundle.check_trace()
        except BaseException:
            bundle.close()
            raise
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    with bundle:
        yield bundle


def _load(path: Path, stack: contextlib.ExitStack) -> tuple[Receipt, Bundle | None]:
    """A receipt from its file, or from a bundle, which then has the material, too."""
    try:
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\3\4"
        if not packed:
            return Receipt.load(path), None
    except EvidenceError as error:
        raise type(error)(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    bundle = stack.enter_context(_open(path))
    return bundle.receipt(), bundle


def _check_signature(receipt: Receipt, trust: Sequence[PublicKey | StrPath]) -> str | None:
    if not trust:
        return None
    keys = [key if isinstance(key, PublicKey) else read_public_key(Path(key)) for key in trust]
    if receipt.envelope is None:
        raise Unsigned("the receipt is not signed")
    return receipt.envelope.check(keys).id


def read_public_key(path: Path) -> PublicKey:
    """A key file; raises InputError, KeyFileError."""
    try:
        with path.open("rb") as file:
            text = read_at_most(file, 1 << 16)
        return PublicKey.from_pem(text)
    except EvidenceError as error:
        raise type(error)(f"{path}: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _timed(
    progress: Callable[[Progress], None] | None, timeout: float | None
) -> Callable[[Progress], None] | None:
    """A progress callback that also ends a run which takes too long."""
    if timeout is None:
        return progress

    def check(state: Progress) -> None:
        if state.seconds > timeout:
            raise NotReproducible(f"the run did not end within {timeout:g} s")
        if progress is not None:
            progress(state)

    return check


def _check_reproducible(wanted: Wanted, bundle: Bundle | None) -> None:
    wanted.check_ending()
    if wanted.changed:
        raise NotReproducible(
            f"inputs changed while the run could read them: {one_line(wanted.changed[0])}"
        )
    if wanted.external and (bundle is None or not bundle.has("tape.jsonl")):
        raise NotReproducible(
            "the run took something from outside of its job (clock, random bytes, a live "
            "directory ...): it takes the bundle of its recording"
        )


class _Material:
    """All parts of a job, from wherever they are."""

    def __init__(
        self,
        wanted: Wanted,
        folder: Path,
        bundle: Bundle | None,
        store: ContentStore | None,
        places: Sequence[Path],
    ) -> None:
        self._wanted = wanted
        self._folder = folder
        contents = [wanted.program, *(content for _, content in wanted.modules), wanted.stdin]
        for _, entries in wanted.inputs:
            contents += [
                content_of_entry(entry) for entry in entries if entry.get("kind") == "file"
            ]
        self._finder = Finder(contents, places, bundle, store)

    def job(
        self,
        program: Path | None,
        inputs: Mapping[str, Path],
        modules: Mapping[str, Path],
        stdin: bytes | None,
    ) -> Job:
        wanted = self._wanted
        for kind, given, known in (
            ("input", inputs, [place for place, _ in wanted.inputs]),
            ("module", modules, [name for name, _ in wanted.modules]),
        ):
            for name in given:
                if name not in known:
                    shown = ", ".join(map(one_line, known)) or "none"
                    raise JobError(f"the claim has no {kind} {name}; it has {shown}")
        missing: list[tuple[str, str]] = []
        if program is not None:
            self._check_program(program)
        parts: list[tuple[str, Content]] = []
        if program is None:
            parts.append(("the program", wanted.program))
        parts += [
            (f"the module {one_line(name)}", content)
            for name, content in wanted.modules
            if name not in modules
        ]
        if stdin is None and not wanted.live_stdin:
            parts.append(("standard input", wanted.stdin))
        for place, entries in wanted.inputs:
            if place not in inputs:
                parts += [
                    (f"the input {one_line(str(entry.get('path')))}", content_of_entry(entry))
                    for entry in entries
                    if entry.get("kind") == "file"
                ]
        missing = [(what, item.sha256) for what, item in parts if not self._finder.has(item)]
        if missing:
            raise MissingMaterial(missing)
        if stdin is None:
            stdin = b"" if wanted.live_stdin else self._bytes(wanted.stdin)
        return rebuild_job(
            wanted,
            program=program or self._file(wanted.program, "program.wasm"),
            modules=[
                modules.get(name) or self._file(content, f"module-{number}.wasm")
                for number, (name, content) in enumerate(wanted.modules)
            ],
            stdin=stdin,
            inputs=[
                (place, inputs.get(place) or self._tree(place, entries, f"input-{number}"))
                for number, (place, entries) in enumerate(wanted.inputs)
            ],
        )

    def _check_program(self, path: Path) -> None:
        wanted = self._wanted.program
        if path.is_dir():
            raise InputError(f"{path}: is a directory")
        if not Finder([wanted], [path]).has(wanted):
            raise OtherProgram(
                f"the receipt is not of {path}: it is of a program with sha256 {wanted.sha256}"
            )

    def _file(self, content: Content, name: str) -> Path:
        target = self._folder / name
        self._finder.fetch(content, target)
        return target

    def _bytes(self, content: Content) -> bytes:
        if content.size > _STDIN_LIMIT:
            raise InputError(f"standard input is larger than {_STDIN_LIMIT >> 20} MiB")
        return self._file(content, "stdin").read_bytes()

    def _tree(self, place: str, entries: list[dict[str, Any]], name: str) -> Path:
        target = self._folder / name
        lay_out(place, entries, target, self._finder.fetch)
        return target


class _Checks:
    """Runs a job and compares."""

    def __init__(
        self,
        job: Job,
        receipt: Receipt,
        wanted: Wanted,
        bundle: Bundle | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._job = job
        self._receipt = receipt
        self._wanted = wanted
        self._bundle = bundle
        self._progress = progress

    def on(self, engine: str) -> list[Check]:
        if engine == "wasmtime":
            return self._on_wasmtime()
        names = ("reference", "accel") if engine == "both" else (engine,)
        return [self._run(name) for name in names]

    @contextlib.contextmanager
    def _companions(self) -> Iterator[Companions]:
        """The tape in place of the outside, from its beginning; no deadline."""
        if self._bundle is None or not self._wanted.external:
            yield Companions(timed=False)
            return
        with self._bundle.tape() as tape:
            live = None
            if self._wanted.live_stdin and tape is not None:
                live = LiveInput(PlayedInput(tape))
            yield Companions(tape=tape, live_stdin=live, timed=False)

    def _run(self, engine: str) -> Check:
        job = Job(**{**vars(self._job), "engine": engine})
        with self._companions() as companions:
            again = run_job(job, progress=self._progress, companions=companions).receipt
            found = compare_claims(self._receipt.claim, again.claim)
            if not found and companions.playing is not None:
                companions.playing.check_end()
        return Check(again.environment["engine"], tuple(found), again)

    def _on_wasmtime(self) -> list[Check]:
        from wattest.jobs.third import left_out, run_on_wasmtime, without_left_out

        with self._companions() as first, self._companions() as second:
            ours, theirs = run_on_wasmtime(self._job, first, second, self._progress)
        claim = self._receipt.claim
        found = compare_claims(claim, ours.claim)
        other = compare_claims(without_left_out(claim), without_left_out(theirs.claim))
        return [
            Check(ours.environment["engine"], tuple(found), ours),
            Check("wasmtime", tuple(other), theirs, left_out(claim)),
        ]
