"""Profiles: weights, and the forms that other tools read."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from wattest.explain.profile import Place, Profile

A, B, C = (Place("m", index, name) for index, name in enumerate(("a", "b;x", "c")))
UNNAMED = Place(None, 7, None)


def made() -> Profile:
    profile = Profile()
    for stack, fuel in (
        ((A,), 5), ((A, B), 10), ((A, B), 1), ((A, B, A), 100), ((A,), 2), ((A, UNNAMED), 1000),
    ):  # fmt: skip
        profile.add(profile.node(stack), fuel)
    return profile


def test_functions_count_recursion_once() -> None:
    assert made().functions() == [
        (UNNAMED, 1000, 1000),
        (A, 107, 1118),
        (B, 11, 111),
    ]


def test_folded_stacks_are_sorted_and_sum_to_the_fuel() -> None:
    lines = list(made().folded())
    assert lines == ["a 7", "a;b:x 11", "a;b:x;a 100", "a;func[7] 1000"]
    assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == made().total == 1118


def test_speedscope_keeps_the_order_of_logical_time() -> None:
    made_json = json.loads(json.dumps(made().speedscope("run")))
    names = [frame["name"] for frame in made_json["shared"]["frames"]]
    profile = made_json["profiles"][0]
    assert profile["weights"] == [5, 11, 100, 2, 1000]
    assert [[names[i] for i in stack] for stack in profile["samples"]] == [
        ["a"], ["a", "b;x"], ["a", "b;x", "a"], ["a"], ["a", "func[7]"],
    ]  # fmt: skip
    assert profile["endValue"] == sum(profile["weights"])


def test_a_flame_graph_leaves_out_what_nobody_would_see() -> None:
    name, own, whole, children = made().flame(least=0.05)
    assert (name, own, whole) == ("all", 0, 1118)
    assert [(child[0], child[1], child[2]) for child in children] == [("a", 7, 1118)]
    assert [(child[0], child[2]) for child in children[0][3]] == [("b;x", 111), ("func[7]", 1000)]


@given(st.lists(st.tuples(st.lists(st.sampled_from((A, B, C)), max_size=6), st.integers(0, 99))))
def test_every_form_sums_to_the_same(rows: list[tuple[list[Place], int]]) -> None:
    profile = Profile()
    for stack, fuel in rows:
        profile.add(profile.node(stack), fuel)
    total = sum(fuel for _, fuel in rows)
    assert profile.total == total
    assert sum(int(line.rsplit(" ", 1)[1]) for line in profile.folded()) == total
    assert sum(profile.speedscope("x")["profiles"][0]["weights"]) == total
    assert sum(own for _, own, _ in profile.functions()) + profile.root.own == total
    assert profile.flame()[2] == total
