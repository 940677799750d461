"""The guest's structures and arrays, as users see them: opaque handles with fields."""

from __future__ import annotations

from typing import Any

from wattest.api.values import lifter
from wattest.interp.runtime import ArrayInst, StructInst
from wattest.interp.types import ArrayType, FieldType, PackedType, StructType

__all__ = ["fields"]


def fields(reference: Any) -> tuple[Any, ...]:
    """The fields of a structure, or the elements of an array, as they are now.

    Args:
        reference: what a guest's function, global or table gave for a structure or an array.
            Such a handle is opaque: it equals itself only, and can be passed back to the guest.

    Returns:
        Values as in `wattest.api.values`; a packed field as an unsigned int.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(reference, StructInst):
        comp = reference.type.comp
        assert isinstance(comp, StructType)
        return tuple(map(_lifted, comp.fields, reference.fields))
    if isinstance(reference, ArrayInst):
        comp = reference.type.comp
        assert isinstance(comp, ArrayType)
        return tuple(_lifted(comp.field, value) for value in reference.elems)
    raise TypeError(f"expected a structure or an array of a guest, got {type(reference).__name__}")


def _lifted(field: FieldType, value: Any) -> Any:
    storage = field.storage
    return value if isinstance(storage, PackedType) else lifter(storage)(value)
