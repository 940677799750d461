"""A run's global state, as users see it."""

from __future__ import annotations

from wattest.api.engines import get_engine
from wattest.engine import Engine, Limits
from wattest.interp.module import Module
from wattest.interp.runtime import Store as _Store

__all__ = ["Store"]


class Store(_Store):
    """Global state of a run: an engine, limits, and what has been used of them.

    Instances that share functions live in one store and draw on the same fuel and call depth.

    Args:
        engine: ``"auto"``, ``"accel"`` or ``"reference"``; ``"auto"`` is the accelerator where it
            was built and can run the first module that is instantiated.
        limits: what the run may use; the defaults of `wattest.Limits` protect the host.

    Attributes:
        limits: as given.
        fuel_used: units of fuel consumed so far (docs/fuel.md).
        fuel_limit: `FuelExhausted` is raised before ``fuel_used`` would exceed it, None for no
            bound; ``limits.fuel`` at first, may be set between calls.
        on_slice: None, or a callable without arguments that is called every so often while the
            guest runs; whatever it raises ends the run.
        host_calls: calls of host functions so far.
        peak_pages: largest number of pages that any memory has had.

    Raises:
        ValueError: there is no engine of that name.
        EngineUnavailable: that engine was not built.
    """

    def __init__(self, engine: str = "auto", limits: Limits | None = None) -> None:
        self._engine = get_engine(engine)
        self._auto = engine == "auto"
        super().__init__(limits if limits is not None else Limits())

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def engine(self) -> Engine:
        """The engine that runs this store's code."""
        return self._engine

    def _suit(self, module: Module) -> None:
        """Before the first instance of a store of engine ``"auto"``: choose one that can run it."""
        if self._auto and not self._engine.supports(module):
            self._engine = get_engine("reference")
        self._auto = False

    @property
    def fuel_left(self) -> int | None:
        """Units that may still be consumed, or None when there is no bound."""
        return None if self.fuel_limit is None else max(self.fuel_limit - self.fuel_used, 0)

    def __repr__(self) -> str:
        bound = "" if self.fuel_limit is None else f" of {self.fuel_limit}"
        return f"<wattest.Store engine={self._engine.name!r} fuel_used={self.fuel_used}{bound}>"
