"""python -m spec_tests.differential --count 20000 [--first SEED]: a campaign, with its figures."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from spec_tests.differential.campaign import report, run_all
from spec_tests.differential.equality import Difference, Figures, compare

PIECE = 200


def main() -> int:
    """0: no difference; 1: there are some."""
    parser = argparse.ArgumentParser(prog="python -m spec_tests.differential", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="number of modules")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--who", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge is not None:
        return judge(options.judge, options.first, options.who)
    figures, different = Figures(), []
    began = time.monotonic()
    end = options.first + options.count
    for first in range(options.first, end, PIECE):
        _, found = run_all(range(first, min(first + PIECE, end)), figures)
        different += found
        rate = figures.modules / (time.monotonic() - began)
        print(f"{rate:.1f}/s, {report(figures, different)}", flush=True)
    return 1 if different else 0


def judge(path: Path, seed: int, who: str) -> int:
    """0 when that engine still differs on that module."""
    try:
        compare(path.read_bytes(), seed)
    except Difference as difference:
        return 0 if str(difference).startswith(f"{who}:") else 1
    except Exception:
        return 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
