"""The kernels' expected answers, held against wasmtime and against Python's library."""

from __future__ import annotations

import hashlib
import zlib

import pytest
import wasmtime

import wattest
from benchmarks.kernel_table import FOLDER, KERNELS, Kernel


def run_on_wasmtime(kernel: Kernel, n: int) -> int | float:
    store = wasmtime.Store()
    module = wasmtime.Module.from_file(store.engine, str(kernel.path))
    run = wasmtime.Instance(store, module, []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    answer: int | float = run(store, n)
    return answer


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: str(kernel.name))
def test_answers_are_wasmtimes(kernel: Kernel) -> None:
    assert run_on_wasmtime(kernel, kernel.small) == kernel.small_answer
    assert run_on_wasmtime(kernel, kernel.large) == kernel.large_answer


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: str(kernel.name))
def test_the_reference_answers(kernel: Kernel) -> None:
    module = wattest.Module.from_file(kernel.path)
    instance = wattest.Instance(module, engine="reference")
    assert instance.exports.run(kernel.small) == kernel.small_answer
    first = instance.store.fuel_used
    assert instance.exports.run(kernel.small) == kernel.small_answer
    assert instance.store.fuel_used == 2 * first


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: str(kernel.name))
def test_a_second_run_answers_the_same(kernel: Kernel) -> None:
    """Each run starts over: no state in memory leaks into the next."""
    store = wasmtime.Store()
    module = wasmtime.Module.from_file(store.engine, str(kernel.path))
    run = wasmtime.Instance(store, module, []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    assert run(store, kernel.small) == run(store, kernel.small) == kernel.small_answer


def test_every_kernel_is_in_the_table() -> None:
    names = {kernel.name for kernel in KERNELS}
    assert names == {path.stem for path in FOLDER.glob("*.c")}
    assert names == {path.stem for path in FOLDER.glob("*.wasm")}


def answer_of(name: str) -> tuple[int, int | float]:
    (kernel,) = (kernel for kernel in KERNELS if kernel.name == name)
    return kernel.small, kernel.small_answer


def signed(value: int) -> int:
    return (value & 0xFFFFFFFF) - (value >> 31 << 32 & 0x1_0000_0000)


def generator(seed: int, count: int) -> list[int]:
    """The kernels' linear congruential generator."""
    states = []
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        states.append(seed)
    return states


def test_sha256_is_hashlibs() -> None:
    n, answer = answer_of("sha256")
    digest = hashlib.sha256(bytes(i % 251 for i in range(n))).digest()
    assert answer == int.from_bytes(digest[:4], "big", signed=True)


def test_crc32_is_zlibs() -> None:
    n, answer = answer_of("crc32")
    assert answer == signed(zlib.crc32(bytes(state >> 24 for state in generator(1, n))))


def test_quicksort_is_sorted() -> None:
    n, answer = answer_of("quicksort")
    total = 0
    for number in sorted(signed(state ^ state >> 15) for state in generator(12345, n)):
        total = (total * 31 + number) & 0xFFFFFFFF
    assert answer == total & 0x7FFFFFFF


def test_sieve_finds_the_primes() -> None:
    n, answer = answer_of("sieve")
    primes = [i for i in range(2, n) if all(i % d for d in range(2, int(i**0.5) + 1))]
    assert answer == signed((len(primes) ^ sum(primes) << 8) & 0xFFFFFFFF)


def test_fib_is_fibonacci() -> None:
    n, answer = answer_of("fib")
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    assert answer == a


def test_matmul_is_a_matrix_product() -> None:
    n, answer = answer_of("matmul")
    a = [[(i - j) / n for j in range(n)] for i in range(n)]
    b = [[(i * 3 + j) / (n + 1) for j in range(n)] for i in range(n)]
    total = 0.0
    for i in range(n):
        for j in range(n):
            cell = 0.0
            for k in range(n):
                cell += a[i][k] * b[k][j]
            total += cell * ((i * n + j) % 7 + 1)
    assert answer == total


def test_dispatch_is_its_program() -> None:
    """The byte-code's loop in Python: what the machine should have computed."""
    n, answer = answer_of("dispatch")
    seed, first, second = 2463534242, 0, 0
    for _ in range(n):
        seed = (seed * 109 + 57) & 0xFFFFFFFF
        if seed >> 7 & 1:
            first = ((first ^ seed) + 3) & 0xFFFFFFFF
        else:
            second = (seed - second) & 0xFFFFFFFF
    assert answer == signed(first ^ second)
