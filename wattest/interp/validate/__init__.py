"""Validation (spec chapter 3 and appendix "Validation Algorithm").

- `limits`: implementation limits.
- `context`: what the rules see of a module: closed types, index spaces, features.
- `deftypes`: the type section and the well-formedness of types.
- `checker`: the value, control and initialisation stacks of the algorithm.
- one module a chapter of instructions, each rule a small function; `rules` collects them.
- `body`: one function body or constant expression.
- `module`: the whole module.
"""

from __future__ import annotations

from wattest.interp.validate.module import function_facts, validate_module

__all__ = ["function_facts", "validate_module"]
