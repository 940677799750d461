"""Verifies receipts in surroundings of its own; see test_proof_programs.py.

    python proof_child.py SPEC SEED

SPEC is a JSON list of objects with ``receipt``, ``program``, ``inputs``, ``modules``, ``stdin`` and
``engine``. Directories are listed in an order that SEED shuffles. Prints a JSON list of
[id, differences].
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any

from wattest import verify


def main(spec: str, seed: str) -> None:
    """See the module."""
    shuffle = random.Random(seed).shuffle
    listdir = os.listdir

    def shuffled(*args: Any) -> Any:
        names = sorted(listdir(*args))
        shuffle(names)
        return names

    os.listdir = shuffled
    found = []
    with open(spec) as file:
        jobs = json.load(file)
    for job in jobs:
        verdict = verify(
            job["receipt"],
            program=job["program"],
            inputs=job["inputs"],
            modules=job["modules"],
            stdin=job["stdin"].encode(),
            engine=job["engine"],
            use_store=False,
        )
        (check,) = verdict.checks
        found.append([check.receipt.id, [str(item) for item in check.differences]])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
