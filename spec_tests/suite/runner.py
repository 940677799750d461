"""Runs a script's commands on an engine and judges every assertion.

The oracles are strict: an assertion passes only for the kind of failure it names, with a message
that begins with the suite's words, and for results that agree bit for bit (floats: or are in the
NaN class that is named). A command that is no assertion must succeed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec_tests.suite.adapter import Adapter, Failure
from spec_tests.suite.values import expectation_met, parse_argument

__all__ = ["Outcome", "run_script"]

TEXT_FORMAT = "text format"
"""Why assertions about the text format are not applicable: wattest reads binaries only."""


@dataclass
class Outcome:
    """What came of a script.

    Attributes:
        passed: number of assertions that hold, by kind.
        failed: a line for each command that went wrong.
        not_applicable: number of assertions that do not concern the engine, by reason.
        blocked: number of commands that need a feature the engine says it has not, by feature.
    """

    passed: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    not_applicable: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)


class _Wrong(Exception):
    """An assertion does not hold."""


def run_script(
    adapter: Adapter, commands: list[dict[str, Any]], folder: Path, name: str
) -> Outcome:
    """Run all commands of a script.

    Args:
        adapter: the engine, fresh for this script.
        commands: as wasm-tools json-from-wast writes them.
        folder: where the binaries lie.
        name: of the script, for messages.
    """
    return _Script(adapter, folder).run(commands, name)


class _Script:
    def __init__(self, adapter: Adapter, folder: Path) -> None:
        self.adapter = adapter
        self.folder = folder
        self.outcome = Outcome()
        self.registered: dict[str, Mapping[str, Any]] = {"spectest": adapter.spectest()}
        # Registered names whose module needs a feature that the engine has not.
        self.missing: dict[str, Failure] = {}
        # What a name stands for: what was made, or why it could not be.
        self.instances: dict[str | None, Any] = {}
        self.definitions: dict[str | None, Any] = {}

    def run(self, commands: list[dict[str, Any]], name: str) -> Outcome:
        for command in commands:
            kind = command["type"]
            handler = _HANDLERS.get(kind)
            place = f"{name}.wast:{command.get('line', '?')}: {kind}"
            try:
                if handler is None:
                    raise _Wrong("unknown command")
                done = handler(self, command)
            except Failure as failure:
                if failure.kind == "unsupported":
                    self.outcome.blocked[failure.message] += 1
                else:
                    self.outcome.failed.append(f"{place}: {failure}")
            except _Wrong as wrong:
                self.outcome.failed.append(f"{place}: {wrong}")
            else:
                if done is not None:
                    self.outcome.not_applicable[done] += 1
                elif kind.startswith("assert_"):
                    self.outcome.passed[kind] += 1
        return self.outcome

    # Modules

    def _binary(self, command: dict[str, Any]) -> bytes:
        key = "binary_filename" if command["module_type"] == "text" else "filename"
        name: str = command[key]
        return (self.folder / name).read_bytes()

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
            # Only a missing feature excuses what follows from it.
            if found.kind == "unsupported":
                raise found
            raise _Wrong(f"its module failed ({found})")
        return found

    def module(self, command: dict[str, Any]) -> str | None:
        if command["module_type"] == "text" and "binary_filename" not in command:
            # The suite's quoted modules test the text parser; this one has no binary form.
            self.instances[None] = Failure("other", "quoted module")
            return TEXT_FORMAT
        binary = self._binary(command)

        self._remember(
            self.instances,
            command.get("name"),
            lambda: self._instantiate(self.adapter.load(binary)),
        )
        return None

    def module_definition(self, command: dict[str, Any]) -> None:
        binary = self._binary(command)
        self._remember(self.definitions, command.get("name"), lambda: self.adapter.load(binary))

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
                    if f'"{name}"' in failure.message:
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
            raise _Wrong(f"{command['action']['field']}: expected {wanted}, got {actual}")

    # Failures

    def _expect(self, kind: str, text: str, run: Callable[[], object]) -> None:
        try:
            run()
        except Failure as failure:
            if failure.kind == "unsupported":
                raise
            if failure.kind != kind or not failure.message.startswith(text):
                raise _Wrong(f'expected {kind} "{text}", got {failure}') from failure
        else:
            raise _Wrong(f'expected {kind} "{text}", nothing happened')

    def assert_trap(self, command: dict[str, Any]) -> None:
        self._expect("trap", command["text"], lambda: self._act(command["action"]))

    def assert_exhaustion(self, command: dict[str, Any]) -> None:
        self._expect("exhaustion", command["text"], lambda: self._act(command["action"]))

    def assert_exception(self, command: dict[str, Any]) -> None:
        self._expect("exception", "", lambda: self._act(command["action"]))

    def assert_malformed(self, command: dict[str, Any]) -> str | None:
        if command["module_type"] == "text":
            return TEXT_FORMAT
        binary = self._binary(command)
        self._expect("malformed", command["text"], lambda: self.adapter.load(binary))
        return None

    def assert_invalid(self, command: dict[str, Any]) -> str | None:
        if command["module_type"] == "text" and "binary_filename" not in command:
            return TEXT_FORMAT
        binary = self._binary(command)
        self._expect("invalid", command["text"], lambda: self.adapter.load(binary))
        return None

    def _assert_instantiation(self, kind: str, command: dict[str, Any]) -> None:
        module = self.adapter.load(self._binary(command))
        self._expect(kind, command["text"], lambda: self._instantiate(module))

    def assert_unlinkable(self, command: dict[str, Any]) -> None:
        self._assert_instantiation("unlinkable", command)

    def assert_uninstantiable(self, command: dict[str, Any]) -> None:
        self._assert_instantiation("trap", command)

    def custom_annotation(self, command: dict[str, Any]) -> str:
        return "custom annotations"


_HANDLERS: dict[str, Callable[[_Script, dict[str, Any]], str | None]] = {
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
