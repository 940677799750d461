"""Which sequences of cells get a handler of their own: the ones that are run most.

    WATTEST_CFLAGS=-DWATTEST_CELLS python setup.py build_ext --inplace --force
    python -m benchmarks.sequences [--count N] [--longest N]
    python setup.py build_ext --inplace --force

The first command builds an accelerator that writes down the cells it runs, each by itself
(`wattest/accel/cells.h`). The second runs all kernels at their small size and the whole programs
that are installed, and writes `wattest/accel/generator/chosen.py`. Every kernel weighs the same; a
program weighs as much as `PROGRAM_WEIGHT` kernels.

Sequences are found as byte-pair encoding finds words: the two that most often stand together become
one, again and again. Only cells that stand behind each other in the code count as neighbours.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.kernel_table import ALL_KERNELS
from benchmarks.programs import PROGRAMS, find, program_named, run_on_wattest

PROGRAM_WEIGHT = 3.0
LONGEST_RUN = 48
CHOSEN = Path(__file__).parents[1] / "wattest" / "accel" / "generator" / "chosen.py"
HEAD = '''"""The sequences of cells that have one handler; written by ``benchmarks/sequences.py``.

Each is the names of its cells' handlers. The most frequent stand first.
"""

# ruff: noqa: E501  (a sequence on each line)

from __future__ import annotations

__all__ = ["CHOSEN"]

'''

Sequence = tuple[int, ...]


def child(kind: str, name: str) -> None:
    """Run a kernel or a program; prints where each handler stands."""
    import wattest
    from wattest.accel import _handlers

    table = (ctypes.c_uint64 * _handlers.COUNT).from_address(_handlers.table())
    print(json.dumps(list(table)))
    if kind == "kernel":
        (kernel,) = (kernel for kernel in ALL_KERNELS if kernel.name == name)
        module = wattest.Module.from_file(kernel.path)
        wattest.Instance(module, {}, engine="accel").exports["run"](kernel.small)
    else:
        program, path = program_named(name)
        run_on_wattest(program, path.name, wattest.Module.from_file(path), "accel")


def runs_of(kind: str, name: str, sizes: dict[int, int]) -> Counter[Sequence]:
    """The stretches of cells that were run one behind the other, and how often each."""
    with tempfile.NamedTemporaryFile() as file:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.sequences", "--child", kind, name],
            env={**os.environ, "WATTEST_CELLS_OUT": file.name},
            check=True,
            capture_output=True,
            text=True,
        )
        table = {address: number for number, address in enumerate(json.loads(done.stdout))}
        cells = np.fromfile(file.name, dtype=np.uint64).reshape(-1, 2)
    if not len(cells):
        sys.exit("no cells were written down: build with -DWATTEST_CELLS")
    addresses, places = np.unique(cells[:, 0], return_inverse=True)
    numbers = np.array([table.get(int(address), -1) for address in addresses])[places]
    steps = np.array([sizes.get(int(number), 0) for number in range(-1, len(table))])
    step = 4 * steps[numbers + 1]
    cell = cells[:, 1].astype(np.int64)
    breaks = np.nonzero((cell[1:] - cell[:-1] != step[:-1]) | (step[:-1] == 0))[0] + 1
    found: Counter[Sequence] = Counter()
    for run in np.split(numbers, breaks):
        for begin in range(0, len(run), LONGEST_RUN):
            found[tuple(run[begin : begin + LONGEST_RUN].tolist())] += 1
    return found


def choose(runs: dict[Sequence, float], count: int, longest: int) -> list[tuple[Sequence, float]]:
    """The sequences, and how much of all cells each takes in; the runs' weights are given."""
    words = [[(cell,) for cell in run] for run in runs]
    weights = list(runs.values())
    pairs: Counter[tuple[Sequence, Sequence]] = Counter()
    where: defaultdict[tuple[Sequence, Sequence], set[int]] = defaultdict(set)

    def note(index: int, sign: float) -> None:
        word = words[index]
        for pair in pairwise(word):
            if len(pair[0]) + len(pair[1]) <= longest:
                pairs[pair] += sign * weights[index]
                where[pair].add(index)

    for index in range(len(words)):
        note(index, 1)
    made: set[Sequence] = set()
    while len(made) < count:
        best = max(pairs.items(), key=lambda item: (item[1], item[0]), default=None)
        if best is None or best[1] <= 0:
            break
        (first, second), _ = best
        made.add(first + second)
        for index in list(where[first, second]):
            note(index, -1)
            old, new = words[index], []
            at = 0
            while at < len(old):
                if old[at] == first and at + 1 < len(old) and old[at + 1] == second:
                    new.append(first + second)
                    at += 2
                else:
                    new.append(old[at])
                    at += 1
            words[index] = new
            note(index, 1)
        pairs.pop((first, second), None)
    used: Counter[Sequence] = Counter()
    for index, word in enumerate(words):
        for item in word:
            used[item] += weights[index]
    return [(item, weight) for item, weight in used.most_common() if item in made]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="how many to look for")
    parser.add_argument("--longest", type=int, default=4, help="cells in one")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    from wattest.accel.generator.handlers import Generator

    generator = Generator()
    generator.run()
    names = [name.removeprefix("h_") for name in generator.names]
    sizes = {number: generator.handlers[name].goes_on for number, name in enumerate(names)}
    work = [("kernel", kernel.name, 1.0) for kernel in ALL_KERNELS]
    work += [
        ("program", program.name, PROGRAM_WEIGHT) for program in PROGRAMS if find(program.module)
    ]
    runs: defaultdict[Sequence, float] = defaultdict(float)
    for kind, name, weight in work:
        found = runs_of(kind, name, sizes)
        cells = sum(len(run) * times for run, times in found.items())
        for run, times in found.items():
            runs[run] += weight * times / cells
        print(f"{kind} {name}: {cells} cells, {len(found)} different runs", file=sys.stderr)
    whole = sum(weight for _, _, weight in work)
    chosen = choose(dict(runs), options.count, options.longest)
    saved = sum((len(item) - 1) * weight for item, weight in chosen)
    print(f"{len(chosen)} sequences save {saved / whole:.1%} of the handlers run", file=sys.stderr)
    lines = [f'    "{" ".join(names[cell] for cell in item)}",\n' for item, _ in chosen]
    CHOSEN.write_text(HEAD + "CHOSEN: tuple[str, ...] = (\n" + "".join(lines) + ")\n")


if __name__ == "__main__":
    main()
