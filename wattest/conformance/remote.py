"""Any engine, as a process that answers lines of JSON (docs/conformance.md has the protocol)."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from wattest.conformance.adapter import KINDS, Failure
from wattest.conformance.values import Number, Reference, Value

__all__ = ["PROTOCOL", "ProcessAdapter", "value_from_json", "value_to_json"]

PROTOCOL = 1
"""Version of the protocol."""

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that are read at most."""

_WIDTHS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128}
_REFERENCES = ("null", "func", "extern", "host", "i31", "struct", "array", "exn")


def value_to_json(value: Value) -> dict[str, Any]:
    """A value as the protocol writes it."""
    if isinstance(value, Number):
        return {"type": value.type, "bits": f"0x{value.bits:x}"}
    shown: dict[str, Any] = {"type": "ref", "kind": value.kind}
    if value.number is not None:
        shown["number"] = value.number
    return shown


def value_from_json(shown: Any) -> Value:
    """The value that the protocol wrote.

    Raises:
        ValueError: it is none.
    """
    try:
        if shown["type"] == "ref":
            number = shown.get("number")
            if shown["kind"] in _REFERENCES and (number is None or type(number) is int):
                return Reference(shown["kind"], number)
        elif isinstance(shown["bits"], str) and len(shown["bits"]) <= 34:
            bits = int(shown["bits"], 16)
            if 0 <= bits < 1 << _WIDTHS[shown["type"]]:
                return Number(shown["type"], bits)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise ValueError(f"not a value of the protocol: {str(shown)[:200]}")


class ProcessAdapter:
    """An engine behind a pipe, in a process of its own for each script.

    Args:
        name: what reports call it.
        command: the program and its arguments.
        timeout: seconds that an answer may take.
    """

    def __init__(self, name: str, command: Sequence[str], timeout: float = 60) -> None:
        self.name = name
        self._timeout = timeout
        self._pending = b""
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise Failure("other", f"cannot start {command[0]}: {error.strerror}") from error
        try:
            hello = self._ask(op="hello", protocol=PROTOCOL)
            if hello.get("protocol") != PROTOCOL:
                raise Failure("other", f"the engine speaks another protocol: {str(hello)[:200]}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        stream = self._process.stdin
        assert stream is not None
        line = json.dumps(request, separators=(",", ":")).encode() + b"\n"
        try:
            view = memoryview(line)
            while view:
                view = view[stream.write(view) or 0 :]
        except OSError as error:
            raise Failure("other", self._ended()) from error
        try:
            answer = json.loads(self._read_line())
        except (ValueError, RecursionError) as error:
            raise Failure("other", f"the engine's answer is not JSON: {error}") from error
        if not isinstance(answer, dict):
            raise Failure("other", "the engine's answer is not an object")
        failure = answer.get("failure")
        if failure is not None:
            raise _failure(failure)
        return answer

    def _read_line(self) -> bytes:
        stream = self._process.stdout
        assert stream is not None
        end = time.monotonic() + self._timeout
        while b"\n" not in self._pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                self._process.kill()
                raise Failure("other", f"the engine gave no answer within {self._timeout:g} s")
            piece = os.read(stream.fileno(), 1 << 16)
            if not piece:
                raise Failure("other", self._ended())
            self._pending += piece
            if len(self._pending) > LARGEST_ANSWER:
                self._process.kill()
                raise Failure("other", f"an answer of more than {LARGEST_ANSWER} bytes")
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _ended(self) -> str:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the engine closed its end of the pipe"
        if status < 0:
            return f"the engine's process was ended by signal {-status}"
        return f"the engine's process ended with status {status}"

    def _handle(self, what: str, **request: Any) -> int:
        found = self._ask(**request).get(what)
        if type(found) is not int:
            raise Failure("other", f'the engine\'s answer has no number "{what}"')
        return found

    def spectest(self) -> Any:
        """Handle of the suite's host module, which the engine makes itself."""
        return self._handle("instance", op="spectest")

    def load(self, binary: bytes) -> Any:
        """Decode and validate a module."""
        return self._handle("module", op="load", binary=base64.b64encode(binary).decode())

    def instantiate(self, module: Any, imports: Mapping[str, Any]) -> Any:
        """Instantiate a module."""
        return self._handle("instance", op="instantiate", module=module, imports=dict(imports))

    def exports(self, instance: Any) -> Any:
        """What can be imported from it: its handle."""
        return instance

    def invoke(self, instance: Any, name: str, args: Sequence[Value]) -> list[Value]:
        """Call an exported function."""
        given = list(map(value_to_json, args))
        answer = self._ask(op="invoke", instance=instance, name=name, args=given)
        values = answer.get("values")
        if not isinstance(values, list):
            raise Failure("other", 'the engine\'s answer has no list "values"')
        try:
            return list(map(value_from_json, values))
        except ValueError as error:
            raise Failure("other", str(error)) from error

    def get(self, instance: Any, name: str) -> Value:
        """The value of an exported global."""
        answer = self._ask(op="get", instance=instance, name=name)
        try:
            return value_from_json(answer.get("value"))
        except ValueError as error:
            raise Failure("other", str(error)) from error


def _failure(shown: Any) -> Failure:
    """The failure that an answer states."""
    if isinstance(shown, dict) and shown.get("kind") in KINDS:
        message, words = shown.get("message", ""), shown.get("words", [])
        if isinstance(message, str) and (
            words is None or (isinstance(words, list) and all(isinstance(w, str) for w in words))
        ):
            return Failure(shown["kind"], message, words)
    return Failure("other", f"not a failure of the protocol: {str(shown)[:200]}")
