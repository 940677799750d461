# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Function bodies validated straight from their bytes (spec appendix "Validation Algorithm").

The answer is only "valid, with these facts" or "not shown to be valid". Whatever is refused here
goes to `wattest.interp.validate`, which finds the error or accepts, so that verdicts and messages
are the reference's by construction. What is accepted here must be valid, as lowering trusts it.

A type is a number of 32 bits (validation/structs.pxi): equal types are equal numbers, as defined
types go by the first index of their equals in the module. Supertypes of a defined type are listed
from the top on, so that subtyping is one comparison. A body with an instruction that the
accelerator does not execute is refused.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from array import array
from collections.abc import Sequence

from wattest.interp.module import FuncFacts
from wattest.interp.opcodes import ADDRESS, OPCODES
from wattest.interp.matching import match_heaptype, top_heaptype
from wattest.interp.types import (
    ANY, ARRAY, EQ, EXN, EXTERN, F32, F64, FUNC, I8, I16, I31, I32, I64, NOEXN, NOEXTERN, NOFUNC,
    NONE, STRUCT, V128, FuncType, RefType, StructType,
)
from wattest.interp.validate.context import Invalid
from wattest.interp.validate.limits import MAXIMUM

__all__ = ["check_bodies", "rules", "stack_types"]

include "validation/structs.pxi"
include "validation/types.pxi"
include "validation/rules.pxi"
include "validation/immediates.pxi"
include "validation/operands.pxi"
include "validation/control.pxi"
include "validation/references.pxi"
include "validation/aggregates.pxi"
include "validation/body.pxi"
include "validation/module.pxi"


_PACKED = (I8, I16)


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
