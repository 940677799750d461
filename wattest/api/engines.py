"""The engines that exist; nothing above this package names one."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from wattest.engine import Engine
from wattest.errors import EngineUnavailable

__all__ = ["ENGINES", "available_engines", "get_engine"]

ENGINES = ("auto", "accel", "reference")
"""The names that ``engine=`` takes; ``"auto"`` is the accelerator where it was built."""

_PLACES = {
    "accel": ("wattest.accel.engine", "AccelEngine"),
    "reference": ("wattest.interp.reference", "ReferenceEngine"),
}


@cache
def _load(name: str) -> Engine:
    module, attribute = _PLACES[name]
    try:
        engine: Engine = getattr(import_module(module), attribute)()
    except ImportError as error:
        if name == "reference":  # always there: something is broken, and should say what
            raise
        raise EngineUnavailable(
            f'the engine "{name}" is not part of this build of wattest '
            '(engine="reference" always is)'
        ) from error
    return engine


def get_engine(name: str = "auto") -> Engine:
    """The engine of that name.

    Raises:
        ValueError: there is no engine of that name.
        EngineUnavailable: it exists, but was not built here.
    """
    if name not in ENGINES:
        raise ValueError(f"unknown engine {name!r}: choose from {', '.join(ENGINES)}")
    return _load(available_engines()[0] if name == "auto" else name)


@cache
def available_engines() -> tuple[str, ...]:
    """Names of the engines that this build has, the one that ``"auto"`` means first."""
    try:
        _load("accel")
    except EngineUnavailable:
        return ("reference",)
    return ("accel", "reference")
