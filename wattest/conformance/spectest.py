"""The suite's host module "spectest", as a module: for engines that are given no host functions.

Its functions print in the suite's own interpreter; nothing that a script can see depends on that.
"""

from __future__ import annotations

__all__ = ["GLOBALS", "PRINTERS", "SPECTEST"]

PRINTERS: dict[str, tuple[str, ...]] = {
    "print": (),
    "print_i32": ("i32",),
    "print_i64": ("i64",),
    "print_f32": ("f32",),
    "print_f64": ("f64",),
    "print_i32_f32": ("i32", "f32"),
    "print_f64_f64": ("f64", "f64"),
}
"""Names and parameters of its functions; none has a result."""

GLOBALS: dict[str, float] = {"i32": 666, "i64": 666, "f32": 666.6, "f64": 666.6}
"""Values of its globals ``global_TYPE``."""

_FUNCTIONS = "\n".join(
    f'(func (export "{name}") (param {" ".join(params)}))' for name, params in PRINTERS.items()
)
_GLOBALS = "\n".join(
    f'(global (export "global_{name}") {name} ({name}.const {value}))'
    for name, value in GLOBALS.items()
)

SPECTEST = f"""(module
{_FUNCTIONS}
{_GLOBALS}
(table (export "table") 10 20 funcref)
(table (export "table64") i64 10 20 funcref)
(memory (export "memory") 1 2)
(memory (export "shared_memory") 1 2 shared))
"""
"""The module in the text format."""
