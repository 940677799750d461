"""Mutated modules against the decoder and the validator.

``python -m tests.fuzz.mutate --count 100000`` changes small real modules in many ways and hands
each to the decoder, the validator, the inspector and the disassembler. Nothing but DecodeError
and ValidationError may come out, within a second of processor time and 200 MB each. Case
``index`` of a ``seed`` is always the same module. What fails is printed, and kept as a ``.wast``
where ``--finds`` says.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wattest.errors import DecodeError, ValidationError
from wattest.interp.decode import decode_body, decode_module
from wattest.interp.disassemble import disassemble_lines
from wattest.interp.features import ALL, SUPPORTED
from wattest.interp.inspect import describe
from wattest.interp.opcodes import BY_CODE, PREFIXES
from wattest.interp.validate import validate_module

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1.0
MEGABYTES = 200
SMALL = 6 * 1024
"""Bytes of the largest fixture that is mutated: larger ones only take longer."""

_HEADER = b"\0asm\1\0\0\0"
_CODE = 10
_BYTES = [0, 1, 2, 0x0B, 0x3F, 0x40, 0x41, 0x5E, 0x60, 0x63, 0x64, 0x6F, 0x70, 0x7F, 0x80, 0xFF]
_NUMBERS = [0, 1, 2, 63, 64, 127, 128, 255, 32767, 65535, 2**31 - 1, 2**32 - 1, 2**32, 2**63 - 1]
_OPCODES = [bytes([code]) for code in sorted(BY_CODE)]


def leb(value: int, width: int = 0) -> bytes:
    """``value`` as unsigned LEB128 of at least ``width`` bytes."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


_OPCODES += [bytes([prefix]) + leb(code) for prefix, rows in PREFIXES.items() for code in rows]


def read_leb(data: bytes, pos: int) -> tuple[int, int]:
    """An unsigned LEB128 number and the position behind it; IndexError at the end."""
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, pos


@dataclass
class Parts:
    """A binary cut into sections as far as that goes, and what follows them."""

    sections: list[tuple[int, bytes]]
    tail: bytes

    @classmethod
    def of(cls, binary: bytes) -> Parts:
        sections = []
        pos = len(_HEADER)
        while pos < len(binary):
            try:
                size, start = read_leb(binary, pos + 1)
            except IndexError:
                break
            if start + size > len(binary):
                break
            sections.append((binary[pos], binary[start : start + size]))
            pos = start + size
        return cls(sections, binary[pos:])

    def binary(self) -> bytes:
        whole = [bytes([id]) + leb(len(body)) + body for id, body in self.sections]
        return _HEADER + b"".join(whole) + self.tail


def entries_of(code: bytes) -> list[bytes]:
    """The entries of a code section; IndexError where it is not one."""
    count, pos = read_leb(code, 0)
    entries = []
    for _ in range(count):
        size, pos = read_leb(code, pos)
        entries.append(code[pos : pos + size])
        pos += size
    return entries


def code_of(entries: Sequence[bytes]) -> bytes:
    """A code section of these entries."""
    return leb(len(entries)) + b"".join(leb(len(entry)) + entry for entry in entries)


# Mutations of bytes


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data) + 1)


def flip_bit(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def set_byte(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    byte = rng.choice(_BYTES) if rng.random() < 0.5 else rng.randrange(256)
    return data[:at] + bytes([byte]) + data[at + 1 :]


def insert_bytes(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + bytes(rng.choices(_BYTES, k=rng.randint(1, 4))) + data[at:]


def delete_range(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.randint(1, 8) :]


def duplicate_range(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    piece = data[at : at + rng.randint(1, 64)]
    return data[:at] + piece * rng.choice([2, 3, 50]) + data[at:]


def edit_leb(rng: random.Random, data: bytes) -> bytes:
    """Put a telling number, perhaps too long, where one may stand."""
    at = _place(rng, data)
    number = leb(rng.choice(_NUMBERS), rng.choice([0, 0, 1, 5, 6, 10, 11]))
    return data[:at] + number + data[at + 1 :]


def put_opcode(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.choice(_OPCODES) + data[at + rng.randint(0, 1) :]


ON_BYTES = [
    flip_bit,
    set_byte,
    insert_bytes,
    delete_range,
    duplicate_range,
    edit_leb,
    put_opcode,
]


# Mutations of modules


class Mutator:
    """Makes mutated modules out of a corpus."""

    def __init__(self, corpus: Sequence[bytes], seed: int) -> None:
        self.corpus = corpus
        self.seed = seed
        self.parts = [Parts.of(binary) for binary in corpus]
        self.kinds: list[Callable[[random.Random, bytes], bytes]] = [
            *ON_BYTES,
            self.truncate,
            self.drop_section,
            self.duplicate_section,
            self.swap_sections,
            self.shuffle_sections,
            self.splice_section,
            self.wrong_size,
            *[self.in_section] * 6,
            *[self.in_body] * 8,
            *[self.at_instruction] * 16,
            *[self.splice_body] * 2,
        ]

    def case(self, index: int) -> bytes:
        """The mutated module of that index."""
        rng = random.Random(f"{self.seed}:{index}")
        binary = rng.choice(self.corpus)
        for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
            binary = rng.choice(self.kinds)(rng, binary)
        return binary

    def truncate(self, rng: random.Random, binary: bytes) -> bytes:
        return binary[: _place(rng, binary)]

    def drop_section(self, rng: random.Random, binary: bytes) -> bytes:
        parts = Parts.of(binary)
        if parts.sections:
            del parts.sections[rng.randrange(len(parts.sections))]
        return parts.binary()

    def duplicate_section(self, rng: random.Random, binary: bytes) -> bytes:
        parts = Parts.of(binary)
        if parts.sections:
            section = rng.choice(parts.sections)
            parts.sections.insert(rng.randrange(len(parts.sections) + 1), section)
        return parts.binary()

    def swap_sections(self, rng: random.Random, binary: bytes) -> bytes:
        parts = Parts.of(binary)
        if len(parts.sections) > 1:
            one, two = rng.sample(range(len(parts.sections)), 2)
            sections = parts.sections
            sections[one], sections[two] = sections[two], sections[one]
        return parts.binary()

    def shuffle_sections(self, rng: random.Random, binary: bytes) -> bytes:
        parts = Parts.of(binary)
        rng.shuffle(parts.sections)
        return parts.binary()

    def splice_section(self, rng: random.Random, binary: bytes) -> bytes:
        """Another module's section, in place of the one of the same kind or anywhere."""
        parts = Parts.of(binary)
        donor = rng.choice(self.parts)
        if not donor.sections:
            return binary
        section = rng.choice(donor.sections)
        same = [at for at, (id, _) in enumerate(parts.sections) if id == section[0]]
        if same:
            parts.sections[same[0]] = section
        else:
            parts.sections.insert(rng.randrange(len(parts.sections) + 1), section)
        return parts.binary()

    def wrong_size(self, rng: random.Random, binary: bytes) -> bytes:
        parts = Parts.of(binary)
        if not parts.sections:
            return binary
        at = rng.randrange(len(parts.sections))
        id, body = parts.sections[at]
        before = Parts(parts.sections[:at], b"").binary()
        after = Parts(parts.sections[at + 1 :], parts.tail).binary()[len(_HEADER) :]
        size = max(0, len(body) + rng.choice([-2, -1, 1, 2, 100]))
        return before + bytes([id]) + leb(size, rng.choice([0, 5, 6])) + body + after

    def in_section(self, rng: random.Random, binary: bytes) -> bytes:
        """Change one section's contents; its size is set right."""
        parts = Parts.of(binary)
        if not parts.sections:
            return binary
        at = rng.randrange(len(parts.sections))
        id, body = parts.sections[at]
        parts.sections[at] = (id, rng.choice(ON_BYTES)(rng, body))
        return parts.binary()

    def with_entries(self, binary: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
        """Change the entries of the code section; all sizes are set right."""
        parts = Parts.of(binary)
        for at, (id, body) in enumerate(parts.sections):
            if id == _CODE:
                try:
                    entries = entries_of(body)
                except IndexError:
                    return binary
                if entries:
                    parts.sections[at] = (id, code_of(change(entries)))
                return parts.binary()
        return binary

    def in_body(self, rng: random.Random, binary: bytes) -> bytes:
        """Change one function's bytes."""

        def change(entries: list[bytes]) -> list[bytes]:
            at = rng.randrange(len(entries))
            entries[at] = rng.choice(ON_BYTES)(rng, entries[at])
            return entries

        return self.with_entries(binary, change)

    def at_instruction(self, rng: random.Random, binary: bytes) -> bytes:
        """Replace, repeat or drop whole instructions, so that the body still decodes."""
        try:
            module = decode_module(binary)
            codes = [func.code for func in module.funcs]
            if not codes:
                return binary
            which = rng.randrange(len(codes))
            body = decode_body(module, codes[which])
        except DecodeError:
            return binary
        starts = [instr.offset for instr in body]
        one = rng.choice(starts)
        two = rng.choice([at for at in starts if at >= one])
        piece = binary[one:two]
        new = rng.choice([b"", piece * 2, piece * 20, rng.choice(_OPCODES), b"\x00" + piece])

        def change(entries: list[bytes]) -> list[bytes]:
            entry = entries[which]
            first = codes[which].end - len(entry)
            entries[which] = entry[: one - first] + new + entry[two - first :]
            return entries

        return self.with_entries(binary, change)

    def splice_body(self, rng: random.Random, binary: bytes) -> bytes:
        """Another module's function in place of one."""
        donors = [body for parts in self.parts for id, body in parts.sections if id == _CODE]
        if not donors:
            return binary
        donor = entries_of(rng.choice(donors))

        def change(entries: list[bytes]) -> list[bytes]:
            if donor:
                entries[rng.randrange(len(entries))] = rng.choice(donor)
            return entries

        return self.with_entries(binary, change)


# Running


def corpus(extra: Path | None = None) -> list[bytes]:
    """The small modules that are committed, and those of the folder ``extra``."""
    folders = ("benchmarks/kernels", "examples", "spec_tests", "tests/fuzz/corpus")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.wasm"))]
    if extra is not None:
        paths += sorted(extra.rglob("*.wasm"))
    found = [path.read_bytes() for path in paths if path.stat().st_size <= SMALL]
    # Malformed modules of the suite are no start: nothing behind the error would be reached.
    return [binary for binary in found if _decodes(binary)]


def _decodes(binary: bytes) -> bool:
    try:
        decode_module(binary)
    except DecodeError:
        return False
    return True


def check(binary: bytes) -> str:
    """Decode and validate; returns what came of it: the kind of error, or ``"valid"``.

    Raises whatever must not come out of the decoder, validator, inspector or disassembler.
    """
    try:
        module = decode_module(binary)
    except DecodeError as error:
        str(error)
        return "malformed"
    result = "valid"
    for features in (ALL, SUPPORTED):
        try:
            validate_module(module, features=features)
        except DecodeError as error:
            str(error)
            result = "malformed"
        except ValidationError as error:
            str(error)
            result = "invalid"
    return result


def check_text(binary: bytes) -> None:
    """Describe and disassemble what can be decoded, valid or not."""
    try:
        module = decode_module(binary)
    except DecodeError:
        return
    json.dumps(describe(module))
    for _ in disassemble_lines(module):
        pass


def as_wast(binary: bytes, comment: str) -> str:
    """A script of one module."""
    lines = [binary[at : at + 24] for at in range(0, len(binary), 24)]
    text = "\n".join('  "' + "".join(f"\\{byte:02x}" for byte in line) + '"' for line in lines)
    return f";; {comment}\n(module binary\n{text})\n"


def modules_of(wast: str) -> Iterator[bytes]:
    """The binary modules of a script that `as_wast` wrote."""
    code = "\n".join(line for line in wast.splitlines() if not line.startswith(";;"))
    for piece in code.split("(module binary")[1:]:
        yield bytes.fromhex("".join(char for char in piece if char in "0123456789abcdef"))


def _limit_memory() -> None:
    """Let the process take `MEGABYTES` beyond what it has: more is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; prints a line of JSON with the figures. Status 1 when something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="number of modules")
    parser.add_argument("--first", type=int, default=0, help="index of the first one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of further modules to start from")
    parser.add_argument("--finds", type=Path, help="folder that keeps what fails")
    options = parser.parse_args(arguments)
    mutator = Mutator(corpus(options.corpus), options.seed)
    if sys.platform == "linux":
        _limit_memory()
    results: Counter[str] = Counter()
    slowest, slowest_case, failures = 0.0, -1, 0
    for index in range(options.first, options.first + options.count):
        binary = mutator.case(index)
        start = time.process_time()
        problem = None
        try:
            results[check(binary)] += 1
            elapsed = time.process_time() - start
            check_text(binary)
        except Exception as error:
            elapsed = time.process_time() - start
            problem = f"{type(error).__name__}: {error}"
        if elapsed > slowest:
            slowest, slowest_case = elapsed, index
        if problem is None and elapsed > SECONDS:
            problem = f"{elapsed:.2f} s"
        if problem is not None:
            failures += 1
            print(f"case {index} ({len(binary)} bytes): {problem}", file=sys.stderr)
            if options.finds is not None:
                options.finds.mkdir(parents=True, exist_ok=True)
                name = options.finds / f"seed{options.seed}_case{index}.wast"
                name.write_text(as_wast(binary, problem.splitlines()[0]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "corpus": len(mutator.corpus),
        "modules": options.count,
        **dict(sorted(results.items())),
        "failures": failures,
        "slowest_seconds": round(slowest, 3),
        "slowest_case": slowest_case,
        "peak_megabytes": round(peak / (1024 if sys.platform == "linux" else 2**20), 1),
    }
    print(json.dumps(figures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
