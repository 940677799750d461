"""Reading a document field by field: wrong types and unknown names are told by their path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from wattest.errors import JobError, one_line

__all__ = ["Fields", "wrong"]

T = TypeVar("T")


def wrong(path: str, problem: str) -> JobError:
    """What is wrong with the field at a path."""
    return JobError(f"{path}: {problem}")


class Fields:
    """A mapping of a document. Names are compared without regard to case, as Bacalhau does.

    Args:
        value: the mapping.
        path: where it is, for messages.

    Raises:
        JobError: it is no mapping, or has a name twice.
    """

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong(path, f"a mapping is wanted, not {_shown(value)}")
        self.path = path
        self._values: dict[str, tuple[str, Any]] = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise wrong(path, f"{_shown(name)} is no name")
            if name.lower() in self._values:
                raise wrong(path, f"has {one_line(name)} twice")
            self._values[name.lower()] = (name, item)

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str) -> Any:
        """A field's value, which counts as read; None when it is missing or null."""
        return self._values.pop(name.lower(), (name, None))[1]

    def text(self, name: str, default: str = "") -> str:
        """A field that holds text; numbers and truth values as they would be written."""
        value = self.take(name)
        return default if value is None else _text(value, self.at(name))

    def number(self, name: str, default: int = 0) -> int:
        """A field that holds a whole number that is not negative."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise wrong(self.at(name), f"a number from 0 on is wanted, not {_shown(value)}")
        return value

    def flag(self, name: str) -> bool:
        """A field that is true or false."""
        value = self.take(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise wrong(self.at(name), f"true or false is wanted, not {_shown(value)}")
        return value

    def texts(self, name: str) -> list[str]:
        """A field that holds a list of texts."""
        return [_text(item, path) for item, path in self._items(name)]

    def each(self, name: str, read: Callable[[Any, str], T]) -> list[T]:
        """A field that holds a list, each item read by a function of value and path."""
        return [read(item, path) for item, path in self._items(name)]

    def _items(self, name: str) -> Iterator[tuple[Any, str]]:
        value = self.take(name)
        if value is None:
            return
        if not isinstance(value, list):
            raise wrong(self.at(name), f"a list is wanted, not {_shown(value)}")
        for number, item in enumerate(value):
            yield item, f"{self.at(name)}[{number}]"

    def mapping(self, name: str) -> dict[str, str]:
        """A field that holds texts by name."""
        value = self.take(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise wrong(self.at(name), f"a mapping is wanted, not {_shown(value)}")
        return {
            _text(key, self.at(name)): _text(item, f"{self.at(name)}.{key}")
            for key, item in value.items()
        }

    def fields(self, name: str) -> Fields | None:
        """A field that holds a mapping, or None."""
        value = self.take(name)
        return None if value is None else Fields(value, self.at(name))

    def done(self) -> None:
        """Every field was read.

        Raises:
            JobError: naming those that nobody knows.
        """
        if self._values:
            names = ", ".join(one_line(self.at(name)) for name, _ in self._values.values())
            raise JobError(f"unknown: {names}")


def _text(value: Any, path: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise wrong(path, f"text is wanted, not {_shown(value)}")


def _shown(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(value), one_line(repr(value)))
