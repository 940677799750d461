"""Profiles in logical time: which function stacks a run's fuel went to.

Weights are units of fuel and sum exactly to the fuel of the run. An exact profile gives every
unit to the stack that paid it; a sampled one gives each interval whole to the stack seen at its
end. Both are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattest.errors import FrameInfo, one_line
from wattest.version import __version__

__all__ = ["Node", "Place", "Profile", "place_of", "stack_of"]

_MOST_SPANS = 200_000


@dataclass(frozen=True, slots=True)
class Place:
    """A function as a profile knows it.

    Attributes:
        module: the module's own name, or None.
        function: index in its module; None for a host function.
        name: from the name section or an export, or None.
    """

    module: str | None
    function: int | None
    name: str | None

    def __str__(self) -> str:
        if self.name is not None:
            return one_line(self.name)
        return "host function" if self.function is None else f"func[{self.function}]"


def place_of(frame: FrameInfo) -> Place:
    """The function of a frame."""
    return Place(frame.module, frame.function, frame.name)


@dataclass(eq=False)
class Node:
    """A stack, as a node of the tree of all stacks.

    Attributes:
        place: its innermost function; None for the root, which stands for the run.
        parent: the stack without it.
        own: fuel paid by this very stack.
        children: stacks with one function more.
    """

    place: Place | None
    parent: Node | None
    own: int = 0
    children: dict[Place, Node] = field(default_factory=dict)

    def stack(self) -> list[Place]:
        """Its functions, outermost first."""
        found: list[Place] = []
        node: Node | None = self
        while node is not None and node.place is not None:
            found.append(node.place)
            node = node.parent
        found.reverse()
        return found


class Profile:
    """Fuel by function stack.

    Attributes:
        root: of the tree of stacks.
        total: all fuel so far.
        spans: (stack, fuel) one after the other in logical time; neighbours with one stack are
            joined. None once there were too many to keep.
    """

    def __init__(self) -> None:
        self.root = Node(None, None)
        self.total = 0
        self.spans: list[tuple[Node, int]] | None = []

    def node(self, stack: Iterable[Place]) -> Node:
        """The node of a stack, given outermost first."""
        node = self.root
        for place in stack:
            child = node.children.get(place)
            if child is None:
                child = node.children[place] = Node(place, node)
            node = child
        return node

    def add(self, node: Node, fuel: int) -> None:
        """Give fuel to a stack."""
        if not fuel:
            return
        node.own += fuel
        self.total += fuel
        spans = self.spans
        if spans is not None:
            if spans and spans[-1][0] is node:
                spans[-1] = (node, spans[-1][1] + fuel)
            elif len(spans) < _MOST_SPANS:
                spans.append((node, fuel))
            else:
                self.spans = None

    def walk(self) -> Iterator[Node]:
        """Every stack that paid something, in the order of the tree: children by name."""
        pending = [self.root]
        while pending:
            node = pending.pop()
            if node.own:
                yield node
            pending += reversed(_ordered(node.children.values()))

    def totals(self) -> dict[int, int]:
        """Fuel of each node and all below it, by ``id(node)``."""
        order: list[Node] = []
        pending = [self.root]
        while pending:
            node = pending.pop()
            order.append(node)
            pending += node.children.values()
        totals: dict[int, int] = {}
        for node in reversed(order):
            totals[id(node)] = node.own + sum(totals[id(c)] for c in node.children.values())
        return totals

    def functions(self) -> list[tuple[Place, int, int]]:
        """(function, fuel paid by itself, fuel paid while it was on the stack), the most
        expensive first; recursion counts once."""
        own: dict[Place, int] = {}
        whole: dict[Place, int] = {}
        totals = self.totals()
        # Depth first, with the places above each node.
        pending: list[tuple[Node, bool]] = [(self.root, False)]
        above: dict[Place, int] = {}
        while pending:
            node, done = pending.pop()
            place = node.place
            if done:
                assert place is not None
                above[place] -= 1
                continue
            if place is not None:
                own[place] = own.get(place, 0) + node.own
                if not above.get(place):
                    whole[place] = whole.get(place, 0) + totals[id(node)]
                above[place] = above.get(place, 0) + 1
                pending.append((node, True))
            pending += [(child, False) for child in node.children.values()]
        rows = [(place, own[place], whole.get(place, 0)) for place in own]
        return sorted(rows, key=lambda row: (-row[1], -row[2], _key(row[0])))

    # Other tools' formats

    def folded(self) -> Iterator[str]:
        """Lines ``outer;inner fuel`` as flamegraph.pl and inferno read them."""
        texts: dict[str, int] = {}
        for node in self.walk():
            # A semicolon ends a name in this format.
            text = ";".join(str(place).replace(";", ":") for place in node.stack()) or "(run)"
            texts[text] = texts.get(text, 0) + node.own
        for text in sorted(texts):
            yield f"{text} {texts[text]}"

    def speedscope(self, name: str) -> dict[str, Any]:
        """The profile in speedscope's file format: in logical time where all spans were kept,
        else by stack.

        Args:
            name: what to call it.
        """
        spans = self.spans
        if spans is None:
            spans = [(node, node.own) for node in self.walk()]
        numbers: dict[Place, int] = {}
        frames: list[dict[str, Any]] = []
        stacks: dict[int, list[int]] = {}
        samples: list[list[int]] = []
        weights: list[int] = []
        for node, fuel in spans:
            stack = stacks.get(id(node))
            if stack is None:
                stack = stacks[id(node)] = []
                for place in node.stack():
                    number = numbers.get(place)
                    if number is None:
                        number = numbers[place] = len(frames)
                        frame: dict[str, Any] = {"name": str(place)}
                        if place.module is not None:
                            frame["file"] = one_line(place.module)
                        frames.append(frame)
                    stack.append(number)
            samples.append(stack)
            weights.append(fuel)
        return {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": f"wattest {__version__}",
            "name": name,
            "activeProfileIndex": 0,
            "shared": {"frames": frames},
            "profiles": [
                {
                    "type": "sampled",
                    "name": name,
                    "unit": "none",
                    "startValue": 0,
                    "endValue": self.total,
                    "samples": samples,
                    "weights": weights,
                }
            ],
        }

    def flame(self, *, least: float = 0.0002, deepest: int = 200) -> list[Any]:
        """The tree for drawing: ``[name, own, whole, children]``; what is too small or too deep
        to be seen is left out, its fuel still counted above it.

        Args:
            least: smallest share of the whole that is kept.
            deepest: most functions of a stack.
        """
        totals = self.totals()
        bound = max(self.total * least, 1)
        made: list[Any] = ["all", self.root.own, self.total, []]
        pending: list[tuple[Node, list[Any], int]] = [(self.root, made, 0)]
        while pending:
            node, shown, depth = pending.pop()
            if depth >= deepest:
                continue
            for child in _ordered(node.children.values()):
                whole = totals[id(child)]
                if whole >= bound:
                    entry: list[Any] = [str(child.place), child.own, whole, []]
                    shown[3].append(entry)
                    pending.append((child, entry, depth + 1))
        return made


def _key(place: Place | None) -> tuple[str, str, int]:
    assert place is not None
    number = -1 if place.function is None else place.function
    return (str(place), place.module or "", number)


def _ordered(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: _key(node.place))


def stack_of(frames: Sequence[FrameInfo]) -> list[Place]:
    """A backtrace (innermost first) as a stack (outermost first)."""
    return [place_of(frame) for frame in reversed(frames)]
