"""Run by CPython inside WebAssembly: a little of everything that scripts do."""

import collections
import hashlib
import json
import re


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def mandelbrot(size: int) -> int:
    inside = 0
    for row in range(size):
        for column in range(size):
            c, z = complex(3 * column / size - 2, 2 * row / size - 1), 0j
            for _ in range(40):
                z = z * z + c
                if abs(z) > 2:
                    break
            else:
                inside += 1
    return inside


def main() -> None:
    seed = 1
    words: list[str] = []
    for _ in range(20000):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        words.append(f"w{seed % 5003:x}")
    common = collections.Counter(words).most_common(5)
    text = re.sub(r"w(\w)(\w*)", r"\2\1", " ".join(words))
    copy = json.loads(json.dumps({"words": sorted(set(words)), "common": common}))
    digest = hashlib.sha256(text.encode())
    for word in copy["words"]:
        digest.update(word.encode())
    print(fib(19), mandelbrot(60), common, digest.hexdigest())


main()
