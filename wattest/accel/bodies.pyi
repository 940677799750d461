from collections.abc import Sequence

from wattest.interp.module import FuncFacts, Module
from wattest.interp.validate.context import Context

__all__ = ["check_bodies", "rules"]

def check_bodies(module: Module, context: Context) -> tuple[Sequence[FuncFacts], list[int]]: ...
def rules() -> frozenset[str]: ...
