"""What the kernels with vectors and with structures answer, computed in Python in another way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import wattest
from benchmarks.kernel_table import FOLDER
from spec_tests.programs.test_kernels import answer_of, generator, signed

MASK = 0xFFFFFFFF


def mixed(numbers: list[int]) -> int:
    """As the kernels mix what they find."""
    total = 0
    for number in numbers:
        total = (total * 31 + number) & MASK
    return signed(total)


def test_blend_is_drawn_pixel_by_pixel() -> None:
    n, answer = answer_of("blend")
    pixels = 2048
    source = [state >> 24 for state in generator(7, 2 * pixels * 4)]
    target = [i % 256 for i in range(pixels * 4)]
    done = turn = 0
    while done < n:
        first = turn * 17 % pixels
        for pixel in range(min(n - done, pixels)):
            over = source[(first + pixel) * 4 : (first + pixel) * 4 + 4]
            for at, colour in enumerate(over, pixel * 4):
                exact = (colour * over[3] + target[at] * (255 - over[3])) / 255
                target[at] = round(exact)
        done += min(n - done, pixels)
        turn += 1
    assert answer == mixed(target)


def test_dot_is_numpys() -> None:
    n, answer = answer_of("dot")
    length = 4096
    numbers = np.array(
        [((state >> 16) - 32768) / 32768 for state in generator(99, 2 * length)], np.float32
    )
    left, right = numbers[:length], np.tile(numbers[length:], 2)
    total = done = turn = 0
    while done < n // 16 * 16:
        count = min(n // 16 * 16 - done, length)
        first = turn * 5 % length
        sums = np.zeros(16, np.float32)
        for product in (left[:count] * right[first : first + count]).reshape(-1, 16):
            sums += product
        a, b, c, d = sums.reshape(4, 4)
        lanes = (a + b) + (c + d)
        total += float(lanes[0] + lanes[1] + lanes[2] + lanes[3])
        done, turn = done + count, turn + 1
    assert answer == total


def test_mandelbrot4_is_numpys() -> None:
    n, answer = answer_of("mandelbrot4")
    f32 = np.float32
    rows, columns = np.mgrid[0:n, 0:n].astype(f32)
    cy = f32(2.5) * rows / f32(n) - f32(1.25)
    cx = columns * f32(3) / f32(n) - f32(2.25)
    x, y, xx, yy = np.zeros((4, n, n), f32)
    rounds = np.zeros((n, n), int)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(64):
            rounds += xx + yy <= 4
            x, y = xx - yy + cx, (x * y + x * y) + cy
            xx, yy = x * x, y * y
    assert 0 < rounds.min() < 3
    assert rounds.max() == 64
    assert answer == mixed(rounds.flatten().tolist())


def utf8_text() -> bytes:
    text = b""
    for state in generator(5, 4096):
        kind, c = state >> 28, state >> 7
        if len(text) + 4 > 4096:
            return text.ljust(4096)
        if kind < 8:
            text += bytes([0x20 + c % 0x5F])
        elif kind < 11:
            text += chr(0x80 + c % 0x780).encode()
        elif kind < 14:
            text += chr(0x800 + c % 0xD000).encode()
        else:
            text += chr(0x10000 + c % 0x100000).encode()
    raise AssertionError("the text is too short")


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def utf8_answer(n: int) -> tuple[int, int]:
    """The answer, and how many texts were UTF-8."""
    text, found, good = utf8_text(), [], 0
    assert is_utf8(text)
    for i, state in enumerate(generator(1, n)):
        place, byte = (state >> 8) % 4096, state >> 24
        was = text[place]
        now = (was ^ byte & 7, was ^ 1 << byte % 8, byte)[i % 3]
        changed = text[:place] + bytes([now]) + text[place + 1 :]
        good += is_utf8(changed)
        found.append(1 + (byte & 1) if is_utf8(changed) else 0)
    return mixed(found), good


@pytest.mark.parametrize("engine", wattest.available_engines())
def test_utf8_is_pythons(engine: str) -> None:
    n, answer = answer_of("utf8")
    assert answer == utf8_answer(n)[0]
    if engine == "accel":
        # Many more changes: every kind of mistake.
        n = 3000
    run = wattest.Instance(
        wattest.Module.from_file(FOLDER / "utf8.wasm"), engine=engine
    ).exports.run
    wanted, good = utf8_answer(n)
    assert n / 4 < good < n * 3 / 4
    assert run(n) == wanted


def test_trees_have_so_many_nodes() -> None:
    n, answer = answer_of("trees")
    depths = range(4, n + 1, 2)
    counts = [2 ** (n - depth + 4) * (2 ** (depth + 1) - 1) for depth in depths]
    assert answer == mixed([*counts, 2 ** (n + 1) - 1])


def test_churn_is_its_stacks() -> None:
    n, answer = answer_of("churn")
    stacks: list[list[int]] = [[] for _ in range(64)]
    dropped, turned = [], 0
    for state in generator(17, n):
        stack, other, do = stacks[state >> 26], stacks[state >> 20 & 63], state >> 12 & 255
        if do == 0:
            stack.reverse()
            turned += 1
        elif do < 128 and sum(map(len, stacks)) < 4096:
            stack.append(state)
        elif stack and do < 224:
            other.append(stack.pop())
        elif stack:
            dropped.append(stack.pop())
    assert turned > 10
    assert len(dropped) > 500
    assert answer == mixed(dropped + [value for stack in stacks for value in reversed(stack)])


def test_arraysort_is_sorted() -> None:
    n, answer = answer_of("arraysort")
    keys = [signed(state) >> 16 for state in generator(4, n)]
    order = sorted(range(n), key=keys.__getitem__)
    # Equal keys tell a sort that keeps their order from one that does not.
    assert any(keys[one] == keys[two] for one, two in pairwise(order))
    assert answer == mixed([number for at in order for number in (keys[at], at)])


def test_subtypes_are_told_apart() -> None:
    n, answer = answer_of("subtypes")
    values, kinds = [], set()
    for state in generator(31, 1024):
        kind, a, b = (state >> 8) % 7, state >> 24, state >> 16 & 255
        sizes = (a, 1, 3 * a * a, b, a * b - 4, a * b, a * a)
        # A small integer answers with itself.
        values.append((kind or a, sizes[kind]))
        kinds.add(kind)
    assert kinds == set(range(7))
    assert answer == mixed([number for i in range(n) for number in values[i % 1024]])


def test_alloc_keeps_the_last_sixteen() -> None:
    n, answer = answer_of("alloc")
    assert answer == sum(range((n - 1) // 16 * 16, n))
