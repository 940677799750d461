"""The kernels' expected answers, held against wasmtime and against Python's library."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import wasmtime

import wattest
from benchmarks.kernel_table import ALL_KERNELS, FOLDER, GC_KERNELS, KERNELS, SIMD_KERNELS, Kernel
from wattest.interp.decode import decode_module
from wattest.interp.inspect import features_used


def on_wasmtime(kernel: Kernel) -> Callable[[int], int | float]:
    config = wasmtime.Config()
    config.max_wasm_stack = 2 << 20  # for the deep recursion; the default is a quarter of it
    store = wasmtime.Store(wasmtime.Engine(config))
    module = wasmtime.Module.from_file(store.engine, str(kernel.path))
    run = wasmtime.Instance(store, module, []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    return partial(run, store)


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_answers_are_wasmtimes(kernel: Kernel) -> None:
    run = on_wasmtime(kernel)
    assert run(kernel.small) == kernel.small_answer
    assert run(kernel.large) == kernel.large_answer


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_the_reference_answers(kernel: Kernel) -> None:
    module = wattest.Module.from_file(kernel.path)
    instance = wattest.Instance(module, engine="reference")
    assert instance.exports.run(kernel.small) == kernel.small_answer
    first = instance.store.fuel_used
    assert instance.exports.run(kernel.small) == kernel.small_answer
    assert instance.store.fuel_used == 2 * first


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_a_second_run_answers_the_same(kernel: Kernel) -> None:
    """Each run starts over: no state in memory leaks into the next."""
    run = on_wasmtime(kernel)
    assert run(kernel.small) == run(kernel.small) == kernel.small_answer


def test_every_kernel_is_in_the_table() -> None:
    names = sorted(kernel.name for kernel in ALL_KERNELS)
    sources = [path.stem for ending in ("c", "wat") for path in FOLDER.glob(f"*.{ending}")]
    assert names == sorted(sources)
    assert names == sorted(path.stem for path in FOLDER.glob("*.wasm"))
    written = [kernel.name for kernel in GC_KERNELS]
    assert sorted(written) == sorted(path.stem for path in FOLDER.glob("*.wat"))


@pytest.mark.parametrize("kernel", ALL_KERNELS, ids=lambda kernel: str(kernel.name))
def test_a_kernel_needs_what_its_table_says(kernel: Kernel) -> None:
    """Vectors and structures stay out of the kernels whose mean is compared with engines that have
    neither."""
    needed = set(features_used(decode_module(kernel.path.read_bytes())))
    assert ("simd" in needed) == (kernel in SIMD_KERNELS)
    assert ("gc" in needed) == (kernel in GC_KERNELS)
    if kernel in KERNELS:
        assert needed <= {"mvp", "bulk_memory"}


def answer_of(name: str) -> tuple[int, int | float]:
    (kernel,) = (kernel for kernel in ALL_KERNELS if kernel.name == name)
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


def json_document(records: int) -> str:
    """The text that the kernel writes for itself."""
    items = []
    for i, seed in enumerate(generator(7, records)):
        item = f'{{"id": {i}, "name": "station {seed >> 20}'
        item += ' \\"north\\" \\u00e9' if seed >> 31 else " south\\n"
        values = [
            ("-" if seed >> (j + 3) & 1 else "")
            + f"{seed >> (j + 12)}.{seed % 97 + j}"
            + ("e-2" if seed >> (j + 5) & 1 else "")
            for j in range((seed >> 8 & 3) + 1)
        ]
        item += f'", "values": [{", ".join(values)}], "active": '
        item += "true" if seed >> 30 & 1 else "false"
        items.append(item + (', "note": null}' if seed >> 29 & 1 else "}"))
    return '{"version": 1, "records": [' + ",".join("\n  " + item for item in items) + "\n]}"


def test_json_is_jsons() -> None:
    n, answer = answer_of("json")
    used, kept = 1, 1

    def walk(values: list[tuple[str, Any]]) -> int:
        """What the kernel computes of its tree, of a list of (name, value)."""
        nonlocal used, kept
        total = 0
        for name, value in values:
            used += 1
            kept += len(name.encode())
            kinds = {type(None): 0, bool: 1, float: 3, str: 4, list: 5, dict: 6}
            total = total * 31 + kinds[type(value)] + (value is True)
            text, inner = b"", 0
            if name:
                total += name.encode()[0]
            if isinstance(value, float):
                total += int(value * 8)
            elif isinstance(value, str):
                text = value.encode()
            elif isinstance(value, dict):
                inner = walk(list(value.items()))
            elif isinstance(value, list):
                inner = walk([("", item) for item in value])
            kept += len(text)
            for byte in text:
                total = (total * 33 ^ byte) & 0xFFFFFFFF
            total = (total ^ inner * 7) & 0xFFFFFFFF
        return total

    total = walk([("", json.loads(json_document(n), parse_int=float))])
    assert answer == signed((total ^ used << 16 ^ kept) & 0xFFFFFFFF)


def test_bulk_is_an_edited_text() -> None:
    n, answer = answer_of("bulk")
    capacity = 16384
    text, saved = bytearray(capacity), bytearray(capacity)
    length = total = 0
    for i, seed in enumerate(generator(1, n)):
        count = 1 + (seed >> 10) % 64
        back = (seed >> 16) % (256 if seed >> 29 else capacity)
        at = length - back if back < length else 0
        if seed >> 28 < 9 and length + count <= capacity:
            text[at + count : length + count] = text[at:length]
            text[at : at + count] = bytes([seed >> 20 & 255]) * count
            length += count
        elif at + count <= length:
            text[at : length - count] = text[at + count : length]
            length -= count
        total = (total * 31 + text[at % capacity] + length) & 0xFFFFFFFF
        if i % 64 == 63:
            saved[:length] = text[:length]
            total ^= saved[seed % capacity] + saved[length // 2]
    assert answer == signed(total)


def test_recursion_comes_back() -> None:
    n, answer = answer_of("recursion")
    assert n == 20000  # one dive
    mask = 0xFFFFFFFF
    seed, path, way = 1, 0, []
    for level in range(n, 0, -1):
        way.append((level, seed, path))
        if level % 2 == 0:
            seed, path = (seed * 1664525 + 1013904223) & mask, seed << 32 | level
        else:
            seed ^= path >> 32
    below = seed
    for level, seed, path in reversed(way):
        if level % 2 == 0:
            below = (below << 5 | below >> 27) & mask ^ seed
        else:
            below = (below + (path * level % 2**64 >> 16)) & mask
    assert answer == signed((31 + below) & mask)
