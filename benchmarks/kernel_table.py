"""The kernels: what each exercises, how large a run is, and what it must answer.

Every kernel is a module without imports that exports `run(n)`; source and program stand beside each
other in `benchmarks/kernels/`. `KERNELS` are plain WebAssembly 1.0 (`bulk`: with the bulk memory
instructions), `SIMD_KERNELS` have vectors, `GC_KERNELS` structures and arrays and no memory. The
answers were computed by wasmtime 50.0.1; `spec_tests/programs/test_kernels.py` checks them again
there and, where Python can compute the same in another way, against that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "kernels"


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    `small` is an argument that takes 0.3 to 0.7 million instructions, about one second on
    pywasm; `large` one that takes wasm3 (which has neither vectors nor structures: the accelerator)
    25 to 200 ms, for engines that run native code. The answers are what `run` returns: a signed
    integer or an f64.
    """

    name: str
    exercises: str
    small: int
    small_answer: int | float
    large: int
    large_answer: int | float

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.wasm"


KERNELS: tuple[Kernel, ...] = (
    Kernel("fib", "calls", 20, 6765, 32, 2178309),
    Kernel("sieve", "bytes and tight loops", 10000, 1468516557, 2000000, 1408925637),
    Kernel("matmul", "f64 and strided loads", 24, -13151.060000000009, 200, -7959208.965174163),
    Kernel("sha256", "i32 rotations and additions", 2048, -1297606906, 1000000, 738397513),
    Kernel("quicksort", "compares, swaps, recursion", 1000, 415958012, 300000, 855402218),
    Kernel("dispatch", "br_table", 600, -322803071, 300000, 108174320),
    Kernel("indirect", "call_indirect", 12000, -1183019794, 5000000, 482956810),
    Kernel(
        "nbody",
        "f64, division, square root",
        200,
        -3.3195131229399935,
        100000,
        -3.4406861648195277,
    ),
    Kernel("mandelbrot", "f64 with an early exit", 20, -119922125, 500, 2031527851),
    Kernel("crc32", "table lookups by byte", 15000, -1023974997, 5000000, -2094416480),
    Kernel("hashtable", "scattered loads and stores", 3000, 3425211, 2000000, -1123962896),
    Kernel("strsearch", "byte compares, skips", 1500, 1562187514, 500000, 1095056296),
    Kernel("list", "pointer chasing", 1000, 1052468707, 65536, 42161280),
    Kernel("lz", "LZ77 there and back", 4000, 2125166707, 262144, 846327119),
    Kernel(
        "bits64",
        "i64 bit operations, division",
        4000,
        -1974251837242074082,
        2000000,
        -7088723918580991108,
    ),
    Kernel(
        "convert",
        "conversions and rounding",
        4000,
        -77329354951703862,
        2000000,
        -1823178051501418745,
    ),
    Kernel("json", "recursive descent, a tree", 50, 1242165238, 10000, -1515665216),
    Kernel("bulk", "memory.copy, memory.fill", 3000, -1757090003, 1000000, -1418070649),
    Kernel("recursion", "calls 20,000 deep", 20000, 1126702592, 4000000, 2026372281),
)

SIMD_KERNELS: tuple[Kernel, ...] = (
    Kernel("blend", "bytes widened, mixed, narrowed", 12000, -1158726472, 4000000, 1277507212),
    Kernel("dot", "f32x4 sums", 60000, 66.06438827514648, 40000000, 439.0713975429535),
    Kernel("mandelbrot4", "f32x4 with masks", 40, 617463281, 800, -136995241),
    Kernel("utf8", "bytes shifted, compared, looked up", 20, 1942372417, 3000, 290929052),
)

GC_KERNELS: tuple[Kernel, ...] = (
    Kernel("trees", "trees made, counted, dropped", 8, 244486351, 14, 131267279),
    Kernel("churn", "lists that change all the time", 8000, 193198258, 3000000, -1185887743),
    Kernel("arraysort", "an array of structures, sorted", 1000, 1608511797, 150000, 251401537),
    Kernel("subtypes", "casts and methods", 8000, 1270088706, 2000000, 1359006637),
    Kernel("alloc", "structures made and dropped", 20000, 319864, 4000000, 63999864),
)

ALL_KERNELS = KERNELS + SIMD_KERNELS + GC_KERNELS
