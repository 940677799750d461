"""Instructions (spec 4.6), one function each, grouped as in the spec.

The function of ``i32.load`` is named ``i32_load``. Its parameters are, in this order:

1. what its immediates name: a `MemInst` and the offset for a memory access, a `GlobalInst`,
   `TableInst` ... for an index; ``store`` is the store, ``instance`` the module instance,
   ``charge`` takes the extra fuel of a bulk instruction (docs/fuel.md);
2. its operands, the one pushed first at the left.

It returns the value to push, or None when its annotation says so. A Python IndexError,
ZeroDivisionError or AttributeError that comes out is a trap; `functions.trap_kind` says which.
Control instructions are in `wattest.interp.execute.control`.
"""
