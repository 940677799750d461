"""The judge for ``wasm-tools shrink``: succeeds when an engine still differs on a module."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wattest.fuzzing.equality import Difference, Setting, compare


def main() -> int:
    """0 when that engine still differs on that module."""
    parser = argparse.ArgumentParser(prog="python -m wattest.fuzzing", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--who", required=True)
    parser.add_argument("--engines", default="reference,accel,wasmtime")
    parser.add_argument("--features", default="")
    parser.add_argument("--partner", type=Path)
    parser.add_argument("--heap", type=int)
    parser.add_argument("module", type=Path)
    options = parser.parse_args()
    optional = frozenset(filter(None, options.features.split(",")))
    engines = tuple(options.engines.split(","))
    partner = None if options.partner is None else options.partner.read_bytes()
    setting = Setting(partner, options.heap)
    try:
        compare(options.module.read_bytes(), options.seed, None, engines, optional, setting)
    except Difference as difference:
        return 0 if str(difference).startswith(f"{options.who}:") else 1
    except Exception:
        return 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
