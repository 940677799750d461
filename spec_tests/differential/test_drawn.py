"""Our own generators with hypothesis as their source of chance: what fails is shrunk by it.

``wattest fuzz`` and `test_equality` take modules by seed. Here hypothesis draws each choice, so
that a failure ends in the module with the simplest choices that still fails; it is printed.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from spec_tests.equality.runs import needs_accel
from spec_tests.tools import NO_WASM_TOOLS, wasm_tools
from wattest.conformance.tools import text_to_binary
from wattest.fuzzing.aimed import THEMES
from wattest.fuzzing.campaign import HEAP, features
from wattest.fuzzing.equality import Figures, Setting, compare
from wattest.fuzzing.expressions import expressions
from wattest.fuzzing.linked import linked
from wattest.fuzzing.targeted import targeted
from wattest.fuzzing.writing import HASH, Pen

pytestmark = [
    needs_accel,
    pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS),
]

OPEN = [name for name, (_, _, needs) in THEMES.items() if needs <= features()]


def of_theme(name: str) -> Callable[[random.Random], str]:
    def write(rng: random.Random) -> str:
        fields = THEMES[name][0](Pen(rng, features()))
        return "\n".join(['(module (memory (export "memory") 2 5)', HASH, *fields, ")"])

    return write


GENERATORS: dict[str, Callable[[random.Random], str]] = {
    "expressions": expressions,
    "targeted": lambda rng: targeted(rng, features(), rng.randrange(40)),
    **{name: of_theme(name) for name in OPEN},
}

slice_of_ci = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


@pytest.mark.parametrize("name", GENERATORS)
def test_drawn_modules(name: str) -> None:
    figures = Figures()

    @slice_of_ci
    @given(st.randoms(use_true_random=False))
    def drawn(rng: random.Random) -> None:
        text = GENERATORS[name](rng)
        note(text)
        compare(text_to_binary(text), 1, figures, setting=Setting(heap=HEAP))

    drawn()
    # It means nothing when every call stops at once.
    assert figures.ended["returned"] >= 4


def test_drawn_pairs() -> None:
    figures = Figures()

    @slice_of_ci
    @given(st.randoms(use_true_random=False))
    def drawn(rng: random.Random) -> None:
        partner, text = linked(rng, features())
        note(partner)
        note(text)
        compare(text_to_binary(text), 1, figures, setting=Setting(text_to_binary(partner)))

    drawn()
    assert figures.ended["returned"] >= 4


def test_what_fails_is_made_simpler() -> None:
    """What fails wherever memory is copied ends in a module of few choices."""
    failed: list[str] = []

    @settings(slice_of_ci, max_examples=30)
    @given(st.randoms(use_true_random=False))
    def drawn(rng: random.Random) -> None:
        text = GENERATORS["segments"](rng)
        if "memory.copy" in text:
            failed.append(text)
            raise ValueError("copied")

    with pytest.raises(ValueError, match="copied"):
        drawn()
    # What hypothesis reports last is the simplest, and a module still.
    assert len(failed[-1]) < 0.85 * max(map(len, failed))
    assert "memory.copy" in failed[-1]
    text_to_binary(failed[-1])
