# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Function bodies validated straight from their bytes (spec appendix "Validation Algorithm").

The answer is only "valid, with these facts" or "not shown to be valid". Whatever is refused here
goes to `wattest.interp.validate`, which finds the error or accepts, so that verdicts and messages
are the reference's by construction. What is accepted here must be valid, as lowering trusts it.

A type is one byte. Only number types, ``v128``, ``funcref`` and ``externref`` are known; a body that meets
another type, or an instruction that the accelerator does not execute, is refused.
The ``(ref $t)`` of ``ref.func`` stands on the stack as ``funcref``: nothing that is known here
tells them apart.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from array import array
from collections.abc import Sequence

from wattest.interp.module import FuncFacts
from wattest.interp.opcodes import ADDRESS, OPCODES
from wattest.interp.types import (
    EXTERN, EXTERNREF, F32, F64, FUNC, FUNCREF, I32, I64, V128, FuncType,
)
from wattest.interp.validate.limits import MAXIMUM

__all__ = ["check_bodies", "rules", "stack_types"]

include "validation/structs.pxi"
include "validation/rules.pxi"
include "validation/immediates.pxi"
include "validation/operands.pxi"
include "validation/control.pxi"
include "validation/body.pxi"
include "validation/module.pxi"


CODES = bytes.maketrans(
    bytes([T_I32, T_I64, T_F32, T_F64, T_FUNC, T_EXTERN, T_V128]), b"ilfdrev"
)
"""The letters that `wattest.accel.core` has for types."""


def stack_types(module, context):
    """What tells the types on the operand stack (`_Checker.types_at`) in a module's bodies.

    Args:
        module: a valid module.
        context: its index spaces.
    """
    checker = _Checker()
    checker.prepare(module, context)
    return checker


def check_bodies(module, context):
    """Check the bodies of a module whose other sections have been checked.

    Args:
        module: as `wattest.interp.decode.decode_module` gives it.
        context: its index spaces (`wattest.interp.validate.context.Context`).

    Returns:
        The `FuncFacts` of each function of the module, and the positions of those that were
        not shown to be valid, whose facts mean nothing.

    Raises:
        MemoryError: there is no room for the stacks.
        KeyboardInterrupt: Ctrl-C.
    """
    checker = _Checker()
    checker.prepare(module, context)
    return checker.run()
