"""Validation for the accelerator: sections as the reference does it, bodies natively.

Native code only says yes or no. On "no" the reference validates the module again and raises the
error, so that verdicts and words are the same on both engines.
"""

from __future__ import annotations

from wattest.accel.core import Bodies
from wattest.errors import ModuleError, ValidationError
from wattest.interp.features import SUPPORTED as REFERENCE
from wattest.interp.module import FuncFacts, Module
from wattest.interp.validate import validate_module
from wattest.interp.validate.context import Invalid
from wattest.interp.validate.module import _ModuleValidator

__all__ = ["SUPPORTED", "unsupported", "validate"]

SUPPORTED = REFERENCE & frozenset(
    """
    mvp sign_extension saturating_float_to_int multi_value bulk_memory reference_types tail_call
    multi_memory extended_const
    """.split()
)
"""Features (`wattest.interp.features`) that the accelerator executes."""


def validate(module: Module) -> None:
    """Check the whole module; sets ``types`` and ``facts`` as the reference does.

    Raises:
        DecodeError, ValidationError: as `wattest.interp.validate.validate_module`.
    """
    if not _natively(module):
        validate_module(module)


def _natively(module: Module) -> bool:
    """Whether the module is valid and uses only what is executed here."""
    checker = _ModuleValidator(module, SUPPORTED)
    try:
        checker._before_code()
        facts = Bodies(module, checker._context).run()
        if facts is None:
            return False
        checker._after_code()
    except (Invalid, ModuleError):
        return False
    module.types = tuple(checker._context.types)
    module.facts = tuple(FuncFacts(*item) for item in facts)
    module.executable = True
    return True


def unsupported(module: Module) -> ValidationError | None:
    """Why a validated module cannot be executed here, or None."""
    if module.executable or (module.executable is None and _natively(module)):
        return None
    module.executable = False
    try:
        validate_module(module, features=SUPPORTED)
    except ValidationError as error:
        return error
    raise AssertionError("native validation refuses what the reference accepts")
