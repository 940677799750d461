"""The kernels' ratios as a picture: docs/benchmarks.svg."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.kernel_table import KERNELS
from benchmarks.report import ACCEL, REFERENCE, geometric_mean, kernel_times, ratios

COLOURS = {
    ACCEL: "#1f5fa8",
    "wasm3": "#888888",
    "wasmtime": "#d08a1d",
    REFERENCE: "#1f5fa8",
    "pwasm": "#5a9a4a",
}


def _speeds(results: Mapping[str, Any], size: str, base: str) -> dict[str, dict[str, float]]:
    """engine -> kernel -> how many times as fast as `base`."""
    times = kernel_times(results, size)
    engines = {engine for found in times.values() for engine in found} - {base}
    return {engine: ratios(times, base, engine, times) for engine in COLOURS if engine in engines}


def draw(results: Mapping[str, Any], path: Path) -> bool:
    """Writes the SVG, the same bytes for the same results; False when matplotlib is not
    installed or there is nothing to compare."""
    try:
        mpl: Any = import_module("matplotlib")
    except ImportError:
        return False
    panels = [
        (f"times as fast as {base}, logarithmic", found)
        for size, base in (("large", "wasm3"), ("small", "pywasm"))
        if (found := _speeds(results, size, base))
    ]
    if not panels:
        return False
    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "wattest", "svg.fonttype": "none", "font.size": 9, "font.family": "sans"}
    )
    plt: Any = import_module("matplotlib.pyplot")
    ticker: Any = import_module("matplotlib.ticker")
    names = [kernel.name for kernel in KERNELS]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.2 * len(panels), 0.29 * len(names) + 1.6), squeeze=False
    )
    for axis, (title, speeds) in zip(axes[0], panels):
        rows = [*names, "geometric mean"]
        height = 0.8 / len(speeds)
        for number, (engine, by_kernel) in enumerate(speeds.items()):
            values = dict(by_kernel)
            if values:
                values["geometric mean"] = geometric_mean(by_kernel.values())
            places = [row + height * (number - (len(speeds) - 1) / 2) for row in range(len(rows))]
            shown = [(place, values[row]) for place, row in zip(places, rows) if row in values]
            axis.barh(
                [place for place, _ in shown],
                [value - 1 for _, value in shown],
                height,
                left=1,  # bars grow from the engine that the others are compared with
                label=engine,
                color=COLOURS[engine],
            )
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(ticker.NullLocator())
        axis.set_yticks(range(len(rows)), rows)
        axis.invert_yaxis()
        axis.margins(y=0.01)
        axis.set_xlabel(title)
        axis.grid(axis="x", linewidth=0.3)
        axis.set_axisbelow(True)
        axis.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True
