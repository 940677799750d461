"""A run's global state, as users see it."""

from __future__ import annotations

from collections.abc import Iterable

from wattest.api.engines import get_engine
from wattest.api.module import Module, optional_features
from wattest.engine import Engine, Limits
from wattest.interp.runtime import Store as _Store

__all__ = ["Store"]


class Store(_Store):
    """Global state of a run: an engine, limits, and what has been used of them.

    Instances that share functions live in one store and draw on the same fuel and call depth.

    Args:
        engine: ``"auto"``, ``"accel"`` or ``"reference"``; ``"auto"`` is the accelerator where it
            was built and can run the first module that is instantiated.
        limits: what the run may use; the defaults of `wattest.Limits` protect the host.
        features: what beyond WebAssembly 3.0 every module in it may use (see `Module`).

    Attributes:
        limits, features: as given.
        fuel_used: units of fuel consumed so far (docs/fuel.md).
        fuel_limit: `FuelExhausted` is raised before ``fuel_used`` would exceed it, None for no
            bound; ``limits.fuel`` at first, may be set between calls.
        on_slice: None, or a callable without arguments that is called every so often while the
            guest runs; whatever it raises ends the run.
        host_calls: calls of host functions so far.
        peak_pages: largest number of pages that any memory has had.

    Raises:
        ValueError: there is no engine, or no feature, of that name.
        EngineUnavailable: that engine was not built.
    """

    def __init__(
        self,
        engine: str = "auto",
        limits: Limits | None = None,
        *,
        features: Iterable[str] = (),
    ) -> None:
        self.features = optional_features(features)
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

    def suit(self, *modules: Module) -> None:
        """Let a store of engine ``"auto"`` choose one that can run all of these modules.

        It chooses once, at the latest for the first module that is instantiated; a store of
        another engine, or one that has chosen, stays as it is.

        Args:
            modules: what is going to be instantiated in this store; validated if need be.

        Raises:
            ValidationError, DecodeError: a module is not valid.
        """
        if not self._auto:
            return
        for module in modules:
            module._validate_in(self._engine, self.features)
        if not all(self._engine.supports(module._syntax) for module in modules):
            self._engine = get_engine("reference")
        self._auto = False

    def collect(self) -> None:
        """Let go of Python objects passed as references, and of structures and arrays, that the
        guest cannot reach any more.

        Both engines do so by themselves as more are made; this does it now. On the reference,
        Python's own collector sees to it, and there is nothing to do.

        Raises:
            RuntimeError: the store is running.
        """
        if self.nesting:
            raise RuntimeError("the store is running")
        if self.engine_state is not None:
            self.engine_state.collect()

    @property
    def fuel_left(self) -> int | None:
        """Units that may still be consumed, or None when there is no bound."""
        return None if self.fuel_limit is None else max(self.fuel_limit - self.fuel_used, 0)

    def __repr__(self) -> str:
        bound = "" if self.fuel_limit is None else f" of {self.fuel_limit}"
        return f"<wattest.Store engine={self._engine.name!r} fuel_used={self.fuel_used}{bound}>"
