"""Handlers of typed references, exceptions, structures and arrays (see ``heap.h``)."""

from __future__ import annotations

from wattest.accel.generator.control import (
    ENTER,
    ENTER_LOCALS,
    PAY_ELEMS,
    TAIL,
    TAIL_LOCALS,
    go,
)

__all__ = ["REFERENCES"]

REFERENCES: list[tuple[str, list[str], str]] = []


def _add(name: str, locals_: list[str], body: str) -> None:
    REFERENCES.append((name, locals_, body.strip("\n")))


def _pair(name: str, locals_: list[str], body: str, text: str, dst: int, size: int) -> None:
    """Into a slot, and into the register."""
    body = body.strip("\n") + "\n"
    _add(name, locals_, body + f"fp[pc[{dst}]] = {text}\n" + go(size))
    _add(f"{name}_r", locals_, body + f"r = {text}\n" + go(size))


# Tests: [reference][destination][what is asked, plus 256 if null will do][][type]; casts
# [reference][what is asked][type]
_IS = "is_a(fp[pc[2]], pc[{0}], (<cell_type*>(pc + {1}))[0])"
_pair("is_a", [], "", f"<uint32_t>{_IS.format(4, 6)}", 3, 8)
_add("cast", [], f"if unlikely(not {_IS.format(3, 4)}):\n    TRAP(TRAP_CAST)\n" + go(6))
_add("non_null", [], "if unlikely(fp[pc[2]] == 0):\n    TRAP(TRAP_NULL)\n" + go(4))

# Calls through references: laid out as call_indirect's cells
_CALLEE = """
f = <Func*>fp[pc[8]]
if unlikely(f == NULL):
    TRAP(TRAP_NULL_FUNC)
"""
_add(
    "call_ref",
    ENTER_LOCALS,
    _CALLEE
    + "if unlikely(f.inst != c.inst and f.inst != NULL):\n    c.func = f\n"
    + "    return h_call_indirect_cross(pc, fp, mem, c, fuel, r, d, s)\n"
    + ENTER.format(size=10).strip("\n"),
)
_add(
    "return_call_ref",
    TAIL_LOCALS,
    _CALLEE
    + "if f.inst != c.inst:\n"
    + "    if f.inst != NULL:\n"
    + "        c.func = f\n"
    + "        return h_return_call_indirect_cross(pc, fp, mem, c, fuel, r, d, s)\n"
    + "\n".join("    " + line for line in ENTER.format(size=10).strip("\n").splitlines())
    + "\n"
    + TAIL.format(own=9).strip("\n"),
)

# i31: [operand][destination]
_add("i31_new", [], "fp[pc[3]] = <uint32_t>(fp[pc[2]] << 1 | 1)\n" + go(4))
_I31 = "if unlikely(fp[pc[2]] == 0):\n    TRAP(TRAP_NULL_I31)"
_pair("i31_get_s", [], _I31, "<uint32_t>(<int32_t>fp[pc[2]] >> 1)", 3, 4)
_pair("i31_get_u", [], _I31, "<uint32_t>fp[pc[2]] >> 1", 3, 4)

# Exceptions: [first operand][tag]
_add("throw", [], "return leave(pc, fp, mem, c, fuel, STATUS_THROW)")
_add(
    "throw_ref",
    [],
    "if unlikely(fp[pc[2]] == 0):\n    TRAP(TRAP_NULL_EXN)\n"
    "return leave(pc, fp, mem, c, fuel, STATUS_THROW_REF)",
)

_ROOM = "return leave(pc, fp, mem, c, fuel, STATUS_ROOM)"

# Structures: [first operand][destination][type]; access [reference][other][slot in it]
_NEW = f"""
t = (<cell_type*>(pc + 4))[0]
o = heap_take(c.heap, HEADER + 8 * <uint64_t>t.slots, t.fields)
if unlikely(o == NULL):
    {_ROOM}
o.type = t
o.length = 0
o.mark = 0
"""
_NEW_LOCALS = ["RType* t", "Object* o"]
_DONE = "\nfp[pc[3]] = <uint64_t>o\n"
_add("struct_new", _NEW_LOCALS, _NEW + "put_slots(o, fp + pc[2])" + _DONE + go(6))
_add("struct_new_default", _NEW_LOCALS, _NEW + "memset(o.slots, 0, 8 * t.slots)" + _DONE + go(6))
_STRUCT = """
o = <Object*>fp[pc[2]]
if unlikely(o == NULL):
    TRAP(TRAP_NULL_STRUCT)
"""
_pair("struct_get", ["Object* o"], _STRUCT, "o.slots[pc[4]]", 3, 6)
_pair("struct_get_8s", ["Object* o"], _STRUCT, "<uint32_t><int32_t><int8_t>o.slots[pc[4]]", 3, 6)
_pair("struct_get_16s", ["Object* o"], _STRUCT, "<uint32_t><int32_t><int16_t>o.slots[pc[4]]", 3, 6)
_add("struct_get_v", ["Object* o"], _STRUCT + "v_put(fp + pc[3], v_get(o.slots + pc[4]))\n" + go(6))
for _name, _text in (
    ("", "o.slots[pc[4]] = fp[pc[3]]"),
    ("_8", "o.slots[pc[4]] = fp[pc[3]] & 0xff"),
    ("_16", "o.slots[pc[4]] = fp[pc[3]] & 0xffff"),
    ("_v", "v_put(o.slots + pc[4], v_get(fp + pc[3]))"),
):
    _add(f"struct_set{_name}", ["Object* o"], _STRUCT + _text + "\n" + go(6))

# Arrays: [first operand][destination][type][count or segment]
_LOCALS = ["RType* t", "Object* o", "uint64_t n", "uint64_t size", "uint64_t paid"]
_SIZED = f"""
size = object_size(t, n)
if unlikely(not heap_has(c.heap, size, n)):
    {_ROOM}
"""
_TAKE = """
o = heap_take(c.heap, size, n)
o.type = t
o.length = <uint32_t>n
o.mark = 0
"""
_TYPE = "t = (<cell_type*>(pc + 4))[0]\n"
_add(
    "array_new",
    _LOCALS,
    _TYPE
    + "n = <uint32_t>fp[pc[2] + (2 if t.size == 16 else 1)]"
    + _SIZED
    + PAY_ELEMS.strip("\n")
    + _TAKE
    + "fill_elements(o, 0, n, fp + pc[2])"
    + _DONE
    + go(6),
)
_add(
    "array_new_default",
    _LOCALS,
    _TYPE
    + "n = <uint32_t>fp[pc[2]]"
    + _SIZED
    + PAY_ELEMS.strip("\n")
    + _TAKE
    + "memset(o.slots, 0, size - HEADER)"
    + _DONE
    + go(6),
)
_add(
    "array_new_fixed",
    ["RType* t", "Object* o", "uint64_t n", "uint64_t size", "uint64_t i", "uint64_t* p"],
    _TYPE
    + "n = <uint32_t>pc[6]"
    + _SIZED
    + _TAKE.strip("\n")
    + """
p = fp + pc[2]
i = 0
while i < n:
    put_element(o, i, p)
    p += 2 if t.size == 16 else 1
    i += 1
"""
    + _DONE.strip("\n")
    + "\n"
    + go(8),
)
_SEGMENT = "start = <uint32_t>fp[pc[2]]\nn = <uint32_t>fp[pc[2] + 1]\n"
_add(
    "array_new_data",
    [*_LOCALS, "DataRec* g", "uint64_t start"],
    _TYPE
    + _SEGMENT
    + "g = c.inst.datas + pc[6]\n"
    + "if unlikely(start + n * t.size > g.size):\n    TRAP(TRAP_MEMORY)"
    + _SIZED
    + PAY_ELEMS.strip("\n")
    + _TAKE
    + "if n:\n    memcpy(o.slots, g.data + start, n * t.size)"
    + _DONE
    + go(8),
)
_add(
    "array_new_elem",
    [*_LOCALS, "ElemRec* g", "uint64_t start"],
    _TYPE
    + _SEGMENT
    + "g = c.inst.elems + pc[6]\n"
    + "if unlikely(start + n > g.size):\n    TRAP(TRAP_TABLE)"
    + _SIZED
    + PAY_ELEMS.strip("\n")
    + _TAKE
    + "if n:\n    memcpy(o.slots, g.elems + start, n * 8)"
    + _DONE
    + go(8),
)

# Access to elements: [reference][index][other]
_ARRAY = """
o = <Object*>fp[pc[2]]
if unlikely(o == NULL):
    TRAP(TRAP_NULL_ARRAY)
"""
_ELEMENT = (
    _ARRAY
    + """
i = <uint32_t>fp[pc[3]]
if unlikely(i >= o.length):
    TRAP(TRAP_ARRAY)
""".lstrip("\n")
)
_ACCESS = ["Object* o", "uint64_t i"]
for _name, _text in (
    ("8u", "(<uint8_t*>o.slots)[i]"),
    ("8s", "<uint32_t><int32_t>(<int8_t*>o.slots)[i]"),
    ("16u", "(<uint16_t*>o.slots)[i]"),
    ("16s", "<uint32_t><int32_t>(<int16_t*>o.slots)[i]"),
    ("32", "(<uint32_t*>o.slots)[i]"),
    ("64", "o.slots[i]"),
):
    _pair(f"array_get_{_name}", _ACCESS, _ELEMENT, _text, 4, 6)
_add("array_get_v", _ACCESS, _ELEMENT + "v_put(fp + pc[4], v_get(o.slots + 2 * i))\n" + go(6))
for _name, _text in (
    ("8", "(<uint8_t*>o.slots)[i] = <uint8_t>fp[pc[4]]"),
    ("16", "(<uint16_t*>o.slots)[i] = <uint16_t>fp[pc[4]]"),
    ("32", "(<uint32_t*>o.slots)[i] = <uint32_t>fp[pc[4]]"),
    ("64", "o.slots[i] = fp[pc[4]]"),
    ("v", "v_put(o.slots + 2 * i, v_get(fp + pc[4]))"),
):
    _add(f"array_set_{_name}", _ACCESS, _ELEMENT + _text + "\n" + go(6))
_pair("array_len", ["Object* o"], _ARRAY, "o.length", 3, 4)

# Elements in bulk: [first operand][segment]
_BULK = ["Object* o", "uint64_t to", "uint64_t start", "uint64_t n", "uint64_t paid"]
_TARGET = _ARRAY.strip("\n") + "\nto = <uint32_t>fp[pc[2] + 1]\n"
_FITS = "if unlikely(to + n > o.length):\n    TRAP(TRAP_ARRAY)\n"
_add(
    "array_fill",
    _BULK,
    _TARGET
    + "n = <uint32_t>fp[pc[2] + (4 if o.type.size == 16 else 3)]\n"
    + _FITS.strip("\n")
    + PAY_ELEMS
    + "fill_elements(o, to, n, fp + pc[2] + 2)\n"
    + go(4),
)
_add(
    "array_copy",
    [*_BULK, "Object* g"],
    _TARGET
    + "g = <Object*>fp[pc[2] + 2]\n"
    + "if unlikely(g == NULL):\n    TRAP(TRAP_NULL_ARRAY)\n"
    + "start = <uint32_t>fp[pc[2] + 3]\nn = <uint32_t>fp[pc[2] + 4]\n"
    + _FITS
    + "if unlikely(start + n > g.length):\n    TRAP(TRAP_ARRAY)"
    + PAY_ELEMS
    + "if n:\n    memmove(<uint8_t*>o.slots + to * o.type.size, "
    + "<uint8_t*>g.slots + start * o.type.size, n * o.type.size)\n"
    + go(4),
)
for _name, _kind, _trap, _data in (
    ("data", "DataRec", "MEMORY", "<uint8_t*>g.data + start"),
    ("elem", "ElemRec", "TABLE", "g.elems + start"),
):
    _many = "n * o.type.size" if _name == "data" else "n"
    _add(
        f"array_init_{_name}",
        [*_BULK, f"{_kind}* g"],
        _TARGET
        + f"g = c.inst.{_name}s + pc[3]\n"
        + "start = <uint32_t>fp[pc[2] + 2]\nn = <uint32_t>fp[pc[2] + 3]\n"
        + _FITS
        + f"if unlikely(start + {_many} > g.size):\n    TRAP(TRAP_{_trap})"
        + PAY_ELEMS
        + f"if n:\n    memcpy(<uint8_t*>o.slots + to * o.type.size, {_data}, n * o.type.size)\n"
        + go(4),
    )
