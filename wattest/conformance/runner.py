"""Runs a script's commands on an engine and judges every one.

The oracles are strict: an assertion passes only for the kind of failure it names, with a message
that begins with the suite's words, and for results that agree bit for bit (floats: or are in the
NaN class that is named). A command that is no assertion must succeed. A command has passed, has
failed, or is not applicable for a reason that is stated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from wattest.conformance.adapter import Adapter, Failure
from wattest.conformance.values import expectation_met, parse_argument, show_expected, show_value

__all__ = ["FAILED", "NOT_APPLICABLE", "PASSED", "TEXT_FORMAT", "Outcome", "Verdict", "run_script"]

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"

TEXT_FORMAT = "text format"
"""Why assertions about the text format are not applicable: engines read binaries only."""

CUSTOM_ANNOTATION = "custom annotations"

_CONTRADICTED = ("multiple memories", "multiple tables")
"""What the files of an older proposal call invalid, and WebAssembly 3.0 does not."""

CONTRADICTED = "contradicts WebAssembly 3.0"

_LONGEST = 2000
"""Characters of what was expected or got that a verdict keeps."""


class Verdict(NamedTuple):
    """What came of a command.

    Attributes:
        line: line of the script, 0 when unknown.
        command: its kind, ``"assert_return"`` for instance.
        status: `PASSED`, `FAILED` or `NOT_APPLICABLE`.
        reason: why it is not applicable.
        missing: whether the reason is something that the engine says it has not.
        subject: what was called or loaded.
        expected, got: in words, of a command that failed.
    """

    line: int
    command: str
    status: str
    reason: str = ""
    missing: bool = False
    subject: str = ""
    expected: str = ""
    got: str = ""

    @property
    def message(self) -> str:
        """A failure in one line."""
        what = f"{self.subject}: " if self.subject else ""
        wanted = f"expected {self.expected}, got " if self.expected else ""
        return f"{what}{wanted}{self.got}"


@dataclass
class Outcome:
    """What came of a script: one verdict for each command, in order."""

    name: str
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def passed(self) -> Counter[str]:
        """Number of assertions that hold, by kind."""
        return Counter(
            item.command
            for item in self.verdicts
            if item.status == PASSED and item.command.startswith("assert_")
        )

    @property
    def failed(self) -> list[str]:
        """A line for each command that went wrong."""
        return [
            f"{self.name}.wast:{item.line or '?'}: {item.command}: {item.message}"
            for item in self.verdicts
            if item.status == FAILED
        ]

    @property
    def not_applicable(self) -> Counter[str]:
        """Number of commands that do not concern the engine, by reason."""
        return Counter(
            item.reason
            for item in self.verdicts
            if item.status == NOT_APPLICABLE and not item.missing
        )

    @property
    def blocked(self) -> Counter[str]:
        """Number of commands that need what the engine says it has not, by what that is."""
        return Counter(item.reason for item in self.verdicts if item.missing)

    @property
    def counts(self) -> Counter[str]:
        """Number of commands by status."""
        return Counter(item.status for item in self.verdicts)


class _Wrong(Exception):
    """An assertion does not hold."""

    def __init__(self, got: str, expected: str = "", subject: str = "") -> None:
        super().__init__(got)
        self.got, self.expected, self.subject = got, expected, subject


class _NotApplicable(Exception):
    """A command does not concern an engine."""


def run_script(
    adapter: Adapter,
    commands: list[dict[str, Any]],
    folder: Path,
    name: str,
    lacking: str | None = None,
) -> Outcome:
    """Run all commands of a script.

    Args:
        adapter: the engine, fresh for this script.
        commands: as wasm-tools json-from-wast writes them.
        folder: where the binaries lie.
        name: of the script, for messages.
        lacking: a proposal which the script is about and the engine has not: that a module is
            refused is then no failure.
    """
    return _Script(adapter, folder, lacking).run(commands, name)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class _Script:
    def __init__(self, adapter: Adapter, folder: Path, lacking: str | None) -> None:
        self.adapter = adapter
        self.lacking = lacking
        self.folder = folder
        self.registered: dict[str, Any] = {"spectest": adapter.spectest()}
        # Registered names whose module needs something that the engine has not.
        self.missing: dict[str, Failure] = {}
        # What a name stands for: what was made, or why it could not be.
        self.instances: dict[str | None, Any] = {}
        self.definitions: dict[str | None, Any] = {}

    def run(self, commands: list[dict[str, Any]], name: str) -> Outcome:
        outcome = Outcome(name)
        for command in commands:
            outcome.verdicts.append(self.judge(command))
        return outcome

    def judge(self, command: dict[str, Any]) -> Verdict:
        kind = str(command.get("type"))
        line = command.get("line")
        line = line if isinstance(line, int) else 0
        try:
            handler = _HANDLERS.get(kind)
            if handler is None:
                raise _Wrong("unknown command")
            handler(self, command)
        except _NotApplicable as error:
            return Verdict(line, kind, NOT_APPLICABLE, str(error))
        except Failure as failure:
            if failure.kind == "unsupported":
                return Verdict(line, kind, NOT_APPLICABLE, failure.message, True)
            return Verdict(line, kind, FAILED, subject=_subject(command), got=_short(str(failure)))
        except _Wrong as wrong:
            subject = wrong.subject or _subject(command)
            return Verdict(
                line,
                kind,
                FAILED,
                subject=subject,
                expected=_short(wrong.expected),
                got=_short(wrong.got),
            )
        except (KeyError, TypeError, ValueError, OSError) as error:
            # The command itself is broken, or its file is missing.
            return Verdict(line, kind, FAILED, got=f"broken command: {error!r}")
        return Verdict(line, kind, PASSED)

    # Modules

    def _binary(self, command: dict[str, Any]) -> bytes:
        key = "binary_filename" if command["module_type"] == "text" else "filename"
        return (self.folder / Path(command[key]).name).read_bytes()

    def _load(self, binary: bytes) -> Any:
        try:
            return self.adapter.load(binary)
        except Failure as failure:
            refused = failure.kind in ("malformed", "invalid", "rejected")
            if refused and self.lacking is not None:
                raise Failure("unsupported", self.lacking) from failure
            raise

    def _remember(
        self, space: dict[str | None, Any], name: str | None, make: Callable[[], Any]
    ) -> None:
        try:
            made = make()
        except Failure as failure:
            made = failure
        space[None] = made
        if name is not None:
            space[name] = made
        if isinstance(made, Failure):
            raise made

    def _recall(self, space: dict[str | None, Any], name: str | None) -> Any:
        if name not in space:
            raise _Wrong(f"no module {name or ''}")
        found = space[name]
        if isinstance(found, Failure):
            # Only what is missing excuses what follows from it.
            if found.kind == "unsupported":
                raise found
            raise _Wrong(f"its module failed ({found})")
        return found

    def module(self, command: dict[str, Any]) -> None:
        if command["module_type"] == "text" and "binary_filename" not in command:
            # The suite's quoted modules test the text parser; this one has no binary form.
            self.instances[None] = Failure("other", "quoted module")
            raise _NotApplicable(TEXT_FORMAT)
        binary = self._binary(command)

        self._remember(
            self.instances,
            command.get("name"),
            lambda: self._instantiate(self._load(binary)),
        )

    def module_definition(self, command: dict[str, Any]) -> None:
        binary = self._binary(command)
        self._remember(self.definitions, command.get("name"), lambda: self._load(binary))

    def module_instance(self, command: dict[str, Any]) -> None:
        self._remember(
            self.instances,
            command.get("instance"),
            lambda: self._instantiate(self._recall(self.definitions, command.get("module"))),
        )

    def _instantiate(self, module: Any) -> Any:
        try:
            return self.adapter.instantiate(module, self.registered)
        except Failure as failure:
            if failure.kind == "unlinkable":
                for name, cause in self.missing.items():
                    if f'"{name}"' in failure.message or f"`{name}::" in failure.message:
                        raise cause from failure
            raise

    def register(self, command: dict[str, Any]) -> None:
        name = command["as"]
        try:
            instance = self._recall(self.instances, command.get("name"))
        except Failure as failure:
            self.registered.pop(name, None)
            self.missing[name] = failure
            raise
        self.missing.pop(name, None)
        self.registered[name] = self.adapter.exports(instance)

    # Actions

    def _act(self, action: dict[str, Any]) -> list[Any]:
        instance = self._recall(self.instances, action.get("module"))
        if action["type"] == "get":
            return [self.adapter.get(instance, action["field"])]
        if action["type"] == "invoke":
            args = list(map(parse_argument, action["args"]))
            return self.adapter.invoke(instance, action["field"], args)
        raise _Wrong(f"unknown action {action['type']}")

    def action(self, command: dict[str, Any]) -> None:
        self._act(command["action"])

    def assert_return(self, command: dict[str, Any]) -> None:
        actual = self._act(command["action"])
        wanted = command["expected"]
        if len(actual) != len(wanted) or not all(map(expectation_met, wanted, actual)):
            raise _Wrong(_listed(map(show_value, actual)), _listed(map(show_expected, wanted)))

    # Failures

    def _expect(self, kind: str, text: str, run: Callable[[], object]) -> None:
        try:
            run()
        except Failure as failure:
            if failure.kind == "unsupported":
                raise
            if not _met(failure, kind, text):
                refused = failure.kind in ("malformed", "invalid", "rejected")
                if refused and self.lacking is not None:
                    raise Failure("unsupported", self.lacking) from failure
                raise _Wrong(str(failure), f'{kind} "{text}"') from failure
        else:
            raise _Wrong("nothing happened", f'{kind} "{text}"')

    def assert_trap(self, command: dict[str, Any]) -> None:
        self._expect("trap", command["text"], lambda: self._act(command["action"]))

    def assert_exhaustion(self, command: dict[str, Any]) -> None:
        self._expect("exhaustion", command["text"], lambda: self._act(command["action"]))

    def assert_exception(self, command: dict[str, Any]) -> None:
        self._expect("exception", "", lambda: self._act(command["action"]))

    def assert_malformed(self, command: dict[str, Any]) -> None:
        if command["module_type"] == "text":
            raise _NotApplicable(TEXT_FORMAT)
        binary = self._binary(command)
        self._expect("malformed", command["text"], lambda: self.adapter.load(binary))

    def assert_invalid(self, command: dict[str, Any]) -> None:
        if command["module_type"] == "text" and "binary_filename" not in command:
            raise _NotApplicable(TEXT_FORMAT)
        binary = self._binary(command)
        if command["text"] in _CONTRADICTED:
            self._not_in_3_0(binary)
        self._expect("invalid", command["text"], lambda: self.adapter.load(binary))

    def _not_in_3_0(self, binary: bytes) -> None:
        """An engine that accepts it does as the standard says now."""
        try:
            self.adapter.load(binary)
        except Failure:
            return
        raise _NotApplicable(CONTRADICTED)

    def _assert_instantiation(self, kind: str, command: dict[str, Any]) -> None:
        module = self._load(self._binary(command))
        self._expect(kind, command["text"], lambda: self._instantiate(module))

    def assert_unlinkable(self, command: dict[str, Any]) -> None:
        self._assert_instantiation("unlinkable", command)

    def assert_uninstantiable(self, command: dict[str, Any]) -> None:
        self._assert_instantiation("trap", command)

    def custom_annotation(self, command: dict[str, Any]) -> None:
        raise _NotApplicable(CUSTOM_ANNOTATION)


def _met(failure: Failure, kind: str, text: str) -> bool:
    same = failure.kind == kind or (failure.kind == "rejected" and kind in ("malformed", "invalid"))
    if not same or failure.words is None:
        return same
    if not failure.words:
        return failure.message.startswith(text)
    # An engine that does not tell some of the suite's wordings apart gives no details either.
    return any(words.startswith(text) or text.startswith(words) for words in failure.words)


def _listed(shown: Any) -> str:
    return ", ".join(shown) or "nothing"


def _subject(command: Mapping[str, Any]) -> str:
    """What a command is about."""
    action = command.get("action")
    if isinstance(action, dict) and isinstance(action.get("args", []), list):
        module = f"{action['module']} " if "module" in action else ""
        args = ", ".join(map(show_expected, action.get("args", ())))
        called = f"({args})" if action.get("type") == "invoke" else ""
        return _short(f"{module}{action.get('field')}{called}")
    return ""


_HANDLERS: dict[str, Callable[[_Script, dict[str, Any]], None]] = {
    "module": _Script.module,
    "module_definition": _Script.module_definition,
    "module_instance": _Script.module_instance,
    "register": _Script.register,
    "action": _Script.action,
    "assert_return": _Script.assert_return,
    "assert_trap": _Script.assert_trap,
    "assert_exhaustion": _Script.assert_exhaustion,
    "assert_exception": _Script.assert_exception,
    "assert_malformed": _Script.assert_malformed,
    "assert_invalid": _Script.assert_invalid,
    "assert_unlinkable": _Script.assert_unlinkable,
    "assert_uninstantiable": _Script.assert_uninstantiable,
    "assert_malformed_custom": _Script.custom_annotation,
    "assert_invalid_custom": _Script.custom_annotation,
}
