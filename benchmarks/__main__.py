"""Run the kernels on every engine, keep the raw numbers, write the table.

    python -m benchmarks [--kernels fib,sieve] [--page docs/benchmarks.md] [--raw FILE]

With --kernels, only these run, and nothing is written unless --page or --raw says where.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kernel_table import KERNELS
from benchmarks.programs import measure_all
from benchmarks.report import markdown

ROOT = Path(__file__).parent.parent


MACHINE = ("machine", "python_compiler", "python_implementation", "python_version", "system")
PROCESSOR = ("arch", "bits", "brand_raw", "count", "hz_advertised_friendly", "vendor_id_raw")


def run(kernels: list[str], output: Path) -> int:
    """pytest's exit status; the timings as JSON in `output`."""
    selection = ["-k", " or ".join(f"{name}-" for name in kernels)] if kernels else []
    return int(
        pytest.main(
            [
                str(ROOT / "benchmarks" / "bench_kernels.py"),
                "-q",
                "-p",
                "no:cacheprovider",
                "--benchmark-columns=min,median,rounds",
                "--benchmark-sort=min",
                # Processor time: other work on the machine then disturbs least.
                "--benchmark-timer=time.process_time",
                f"--benchmark-json={output}",
                *selection,
            ]
        )
    )


def tidy(results: dict[str, Any]) -> dict[str, Any]:
    """Without what names the machine or the checkout, and what nobody reads."""
    machine = results["machine_info"]
    machine = {key: machine[key] for key in MACHINE if key in machine} | {
        "cpu": {key: machine["cpu"][key] for key in PROCESSOR if key in machine["cpu"]}
    }
    results["machine_info"] = machine
    results.pop("commit_info", None)
    for entry in results["benchmarks"]:
        entry.pop("fullname", None)
        entry.pop("options", None)
        entry.pop("param", None)
        # The adapters' objects; kernel and engine are in extra_info.
        entry.pop("params", None)
    return results


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--kernels", default="", help="names, separated by commas")
    parser.add_argument("--page", type=Path, help="the page to write (docs/benchmarks.md)")
    parser.add_argument("--raw", type=Path, help="the JSON to write (below benchmarks/results)")
    options = parser.parse_args(arguments)
    kernels = [name for name in options.kernels.split(",") if name]
    unknown = set(kernels) - {kernel.name for kernel in KERNELS}
    if unknown:
        parser.error(f"no such kernel: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "results.json")
        status = run(kernels, output)
        if status != 0:
            return status
        results = tidy(json.loads(output.read_text(encoding="utf-8")))
    if not kernels:
        results["programs"] = measure_all()
    page, raw = options.page, options.raw
    if not kernels:
        page = page or ROOT / "docs" / "benchmarks.md"
        raw = raw or ROOT / "benchmarks" / "results" / f"kernels-{results['datetime'][:10]}.json"
    text = markdown(results, "make bench" if not arguments else "python -m benchmarks ...")
    if page:
        page.write_text(text, encoding="utf-8")
    if raw:
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
