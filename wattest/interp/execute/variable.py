"""Variable instructions (spec 4.6.3).

``local.get``, ``local.set`` and ``local.tee`` move a value between a local and the operand
stack. Both are slots of the frame, so `wattest.interp.builder` needs no function for them.
"""

from __future__ import annotations

from typing import Any

from wattest.interp.runtime import GlobalInst


def global_get(glob: GlobalInst) -> Any:
    """Push the global's value."""
    return glob.value


def global_set(glob: GlobalInst, a: Any) -> None:
    """Pop a value into the global."""
    glob.value = a
