"""Validation for the accelerator: sections as the reference does it, bodies natively.

Native code only accepts. What it does not accept goes to the reference, which has the last word,
so that verdicts and messages are the same on both engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from wattest.accel import bodies
from wattest.accel.bodies import check_bodies
from wattest.accel.features import SUPPORTED
from wattest.errors import ValidationError
from wattest.interp.features import OPTIONAL
from wattest.interp.module import FuncFacts, Module
from wattest.interp.validate import validate_module
from wattest.interp.validate.context import Context

__all__ = ["stack_types", "unsupported", "validate"]


def validate(module: Module) -> None:
    """Check the whole module; sets ``types`` and ``facts`` as the reference does.

    Sets ``executable`` too: whether the accelerator can run it.

    Raises:
        DecodeError, ValidationError: as `wattest.interp.validate.validate_module`.
    """
    if _obstacle(module) is not None:
        # It is invalid, or needs features that only the reference executes.
        validate_module(module, check_bodies=check_bodies)


def unsupported(module: Module) -> ValidationError | None:
    """Why a valid module cannot be executed here, or None."""
    if module.executable:
        return None
    error = _obstacle(module)
    if error is not None and error.message.startswith("unsupported feature"):
        error.message += ' (the accelerator does not run it yet; engine="reference" does)'
    return error


def stack_types(module: Module) -> Any:
    """What tells the types on the operand stack in the bodies of a validated module natively: its
    ``types_at(position, offsets)``. The sections before the code are gone through once more."""
    found: list[Any] = []

    def check(module: Module, context: Context) -> tuple[Sequence[FuncFacts], Sequence[int]]:
        found.append(bodies.stack_types(module, context))
        raise _Enough

    # A copy: validation fills in what the module has been given already. It may have been valid for
    # its store only.
    with suppress(_Enough):
        validate_module(replace(module), features=SUPPORTED, check_bodies=check)
    return found[0]


def _features(module: Module) -> frozenset[str]:
    """What is executed here of what the module may use."""
    return SUPPORTED - (OPTIONAL - module.enabled)


class _Enough(Exception):
    """What comes behind the code, data segments by the thousand perhaps, tells no types."""


def _obstacle(module: Module) -> ValidationError | None:
    """Validate with what is executed here only; the first error that is met.

    Raises:
        DecodeError: a function body is malformed.
    """
    module.executable = False
    try:
        validate_module(module, features=_features(module), check_bodies=check_bodies)
    except ValidationError as error:
        return error
    module.executable = True
    return None
