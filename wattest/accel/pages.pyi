from collections.abc import Callable, Iterable
from typing import Any

def take_written(dirty: bytearray, count: int) -> list[int]: ...
def hash_changed(
    data: Any,
    copy: Any,
    length: int,
    pages: Iterable[int],
    leaves: bytearray,
    sha256: Callable[[Any], Any],
) -> list[int]: ...
