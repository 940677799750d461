"""Handlers that are not numeric: moves, control, calls, tables, globals, bulk instructions."""

from __future__ import annotations

__all__ = ["ENTER", "ENTER_LOCALS", "PAY_ELEMS", "SPECIAL", "TAIL", "TAIL_LOCALS", "go"]

_GO = "return NEXT(pc + {}, fp, mem, c, fuel, r, d, s)"


def go(size: int) -> str:
    """On to the next cell."""
    return _GO.format(size)


SPECIAL: list[tuple[str, list[str], str]] = []


def _add(name: str, locals_: list[str], body: str) -> None:
    SPECIAL.append((name, locals_, body))


_add("done", [], "return leave(pc, fp, mem, c, fuel, STATUS_DONE)")
_add("unreachable", [], "TRAP(TRAP_UNREACHABLE)")
_add("copy", [], "fp[pc[3]] = fp[pc[2]]\n" + go(4))
_add("copy2", [], "fp[pc[3]] = fp[pc[2]]\nfp[pc[5]] = fp[pc[4]]\n" + go(6))
_add("const32", [], "fp[pc[3]] = <uint32_t>pc[2]\n" + go(4))
_add("const64", [], "fp[pc[2]] = (<cell_u64*>(pc + 4))[0]\n" + go(6))
_add("move_many", [], "memmove(fp + pc[3], fp + pc[2], <size_t><uint32_t>pc[4] * 8)\n" + go(6))
_add(
    "select",
    [],
    "fp[pc[5]] = fp[pc[2]] if <uint32_t>fp[pc[4]] else fp[pc[3]]\n" + go(6),
)
_add(
    "select_r",
    [],
    "fp[pc[5]] = fp[pc[2]] if <uint32_t>r else fp[pc[3]]\n" + go(6),
)

# Globals: [cell address][slot]
_add("global_get", [], "fp[pc[4]] = (<cell_slot*>(pc + 2))[0][0]\n" + go(6))
_add("global_get_i", [], "r = (<cell_slot*>(pc + 2))[0][0]\n" + go(6))
_add("global_get_d", [], "d = u2d((<cell_slot*>(pc + 2))[0][0])\n" + go(6))
_add("global_get_f", [], "s = u2f(<uint32_t>(<cell_slot*>(pc + 2))[0][0])\n" + go(6))
_add("global_set", [], "(<cell_slot*>(pc + 2))[0][0] = fp[pc[4]]\n" + go(6))
_add("global_set_i", [], "(<cell_slot*>(pc + 2))[0][0] = r\n" + go(6))
_add("global_set_d", [], "(<cell_slot*>(pc + 2))[0][0] = d2u(d)\n" + go(6))
_add("global_set_f", [], "(<cell_slot*>(pc + 2))[0][0] = f2u(s)\n" + go(6))

# Vectors, in two slots: [destination][][the two words]; the others as for one slot
_add(
    "const_v",
    [],
    "fp[pc[2]] = (<cell_u64*>(pc + 4))[0]\nfp[pc[2] + 1] = (<cell_u64*>(pc + 6))[0]\n" + go(8),
)
_add(
    "select_v",
    [],
    "v_put(fp + pc[5], v_get(fp + (pc[2] if <uint32_t>fp[pc[4]] else pc[3])))\n" + go(6),
)
_add("global_get_v", [], "v_put(fp + pc[4], v_get((<cell_slot*>(pc + 2))[0]))\n" + go(6))
_add("global_set_v", [], "v_put((<cell_slot*>(pc + 2))[0], v_get(fp + pc[4]))\n" + go(6))

# Branches: an edge is [distance][cost]
_TAKE = """
e = pc + {}
pc = e + e[0]
fuel -= e[1]
if unlikely(fuel < 0):
    return stop(pc, fp, mem, c, fuel, e)
return NEXT(pc, fp, mem, c, fuel, r, d, s)
"""
_add("br", ["int32_t* e"], _TAKE.format(2))
for _mode, _text in (("s", "<uint32_t>fp[pc[2]]"), ("r", "<uint32_t>r")):
    _add(
        f"br_table_{_mode}",
        ["int32_t* e", "uint32_t i"],
        f"""
i = {_text}
if i > <uint32_t>pc[3]:
    i = <uint32_t>pc[3]
e = pc + 4 + 2 * <size_t>i
pc = e + e[0]
fuel -= e[1]
if unlikely(fuel < 0):
    return stop(pc, fp, mem, c, fuel, e)
return NEXT(pc, fp, mem, c, fuel, r, d, s)
""",
    )

# Returns: [link slot][source]
_RETURN = """
l = fp + pc[2]
r = <uint64_t>fp
pc = <int32_t*>l[0]
fp = fp - l[1]
return NEXT(pc, fp, mem, c, fuel, r, d, s)
"""
_add("return0", ["uint64_t* l"], _RETURN)
_add("return1", ["uint64_t* l"], "fp[0] = fp[pc[3]]\n" + _RETURN.strip("\n"))
# The link may stand where the first result goes only when there are no results, so writing
# results first is safe.
_add("return1_i", ["uint64_t* l"], "fp[0] = r\n" + _RETURN.strip("\n"))
_add("return1_d", ["uint64_t* l"], "fp[0] = d2u(d)\n" + _RETURN.strip("\n"))
_add("return1_f", ["uint64_t* l"], "fp[0] = f2u(s)\n" + _RETURN.strip("\n"))
_add("return1_c", ["uint64_t* l"], "fp[0] = <uint32_t>pc[3]\n" + _RETURN.strip("\n"))

# Calls: [link slot of the caller][distance of the callee's frame][function]
ENTER = """
left = fp[pc[2]  + 2] - f.pack
if unlikely(left & GUARDS != GUARDS):
    TRAP(TRAP_STACK)
fuel -= f.cost
delta = <uint32_t>pc[3]
fp = fp + delta
l = fp + f.link
l[0] = <uint64_t>(pc + {size})
l[1] = delta
l[2] = left
i = f.params
n = f.locals
while i < n:
    fp[i] = 0
    i += 1
pc = f.code
if unlikely(fuel < 0):
    return stop_entry(pc, fp, mem, c, fuel, f.cost)
return NEXT(pc, fp, mem, c, fuel, <uint64_t>n, 0.0, 0.0)
"""
ENTER_LOCALS = [
    "Func* f",
    "uint64_t left",
    "uint64_t delta",
    "uint64_t* l",
    "uint32_t i",
    "uint32_t n",
]
_add("call", ENTER_LOCALS, "f = (<cell_func*>(pc + 4))[0]\n" + ENTER.format(size=6).strip("\n"))

# The end of a call into another instance: its function's locals, its memory, its code.
_ENTER_INSTANCE = """\
i = f.params
n = f.locals
while i < n:
    fp[i] = 0
    i += 1
c.inst = f.inst
mem = NULL
c.memlen = 0
if c.inst.mems != NULL:
    mem = c.inst.mems[0].base
    c.memlen = c.inst.mems[0].length
    c.dirty = c.inst.mems[0].dirty
pc = f.code
if unlikely(fuel < 0):
    return stop_entry(pc, fp, mem, c, fuel, f.cost)
return NEXT(pc, fp, mem, c, fuel, r, d, s)
"""

# Into another instance: the arguments go up by three slots, and a cell that leads back is
# what the callee returns to. [link slot][distance][function]
_CROSS = (
    """
left = fp[pc[2] + 2] - f.pack
if unlikely(left & GUARDS != GUARDS):
    TRAP(TRAP_STACK)
if unlikely(f.inst.state != c.inst.state):
    return leave(pc, fp, mem, c, fuel, STATUS_FOREIGN)
fuel -= f.cost
delta = <uint32_t>pc[3]
fp = fp + delta
memmove(fp + 3, fp, <size_t>f.params * 8)
fp[0] = <uint64_t>(pc + {size})
fp[1] = <uint64_t>c.inst
fp[2] = f.results
fp = fp + 3
l = fp + f.link
l[0] = <uint64_t>c.cross
l[1] = delta + 3
l[2] = left
"""
    + _ENTER_INSTANCE
)
_add(
    "call_cross",
    ENTER_LOCALS,
    "f = (<cell_func*>(pc + 4))[0]\n" + _CROSS.format(size=6).strip("\n"),
)
_add(
    "return_cross",
    ["uint64_t* l"],
    """
l = <uint64_t*>r - 3
pc = <int32_t*>l[0]
c.inst = <Inst*>l[1]
memmove(l, l + 3, <size_t>l[2] * 8)
mem = NULL
c.memlen = 0
if c.inst.mems != NULL:
    mem = c.inst.mems[0].base
    c.memlen = c.inst.mems[0].length
    c.dirty = c.inst.mems[0].dirty
return NEXT(pc, fp, mem, c, fuel, r, d, s)
""",
)

# [link slot][distance][table][type][index slot]
_FIND = """
t = (<cell_table*>(pc + 4))[0]
x = {index}
if unlikely(x >= t.size):
    TRAP(TRAP_UNDEFINED)
f = <Func*>t.elems[x]
if unlikely(f == NULL):
    c.detail = x
    TRAP(TRAP_UNINITIALIZED)
if unlikely(f.type != (<cell_type*>(pc + 6))[0] and not is_sub(f.type, (<cell_type*>(pc + 6))[0])):
    TRAP(TRAP_TYPE)
"""
_FIND_LOCALS = ["TableRec* t", "uint64_t x"]
for _mode, _text in (("s", "fp[pc[8]]"), ("r", "r")):
    _add(
        f"call_indirect_{_mode}",
        ENTER_LOCALS + _FIND_LOCALS,
        _FIND.format(index=_text).strip("\n")
        + "\nif unlikely(f.inst != c.inst and f.inst != NULL):\n    c.func = f\n"
        + "    return h_call_indirect_cross(pc, fp, mem, c, fuel, r, d, s)\n"
        + ENTER.format(size=10).strip("\n"),
    )
_add(
    "call_indirect_cross",
    ENTER_LOCALS,
    "f = c.func\n" + _CROSS.format(size=10).strip("\n"),
)

# Tail calls: [link slot][first argument][function][slots of this frame]; what follows the
# cell returns the results of a host function.
TAIL = """
l = fp + pc[2]
left = l[2] + <uint32_t>pc[{own}] - f.slots
if unlikely(left & GUARDS != GUARDS):
    TRAP(TRAP_STACK)
fuel -= f.cost
back = l[0]
delta = l[1]
memmove(fp, fp + pc[3], <size_t>f.params * 8)
l = fp + f.link
l[0] = back
l[1] = delta
l[2] = left
i = f.params
n = f.locals
while i < n:
    fp[i] = 0
    i += 1
pc = f.code
if unlikely(fuel < 0):
    return stop_entry(pc, fp, mem, c, fuel, f.cost)
return NEXT(pc, fp, mem, c, fuel, <uint64_t>n, 0.0, 0.0)
"""
TAIL_LOCALS = [*ENTER_LOCALS, "uint64_t back"]
_add("return_call", TAIL_LOCALS, "f = (<cell_func*>(pc + 4))[0]\n" + TAIL.format(own=6).strip("\n"))
# Into another instance. A frame that was itself entered from another instance has below it
# what leads back there, and hands it on; so a chain of such calls takes no more than the first.
TAIL_CROSS = (
    """
l = fp + pc[2]
left = l[2] + <uint32_t>pc[{own}] - f.slots
if unlikely(left & GUARDS != GUARDS):
    TRAP(TRAP_STACK)
if unlikely(f.inst.state != c.inst.state):
    return leave(pc, fp, mem, c, fuel, STATUS_FOREIGN)
fuel -= f.cost
back = l[0]
delta = l[1]
if back == <uint64_t>c.cross:
    memmove(fp, fp + pc[3], <size_t>f.params * 8)
else:
    memmove(fp + 3, fp + pc[3], <size_t>f.params * 8)
    fp[0] = back
    fp[1] = <uint64_t>c.inst
    fp[2] = f.results
    fp = fp + 3
    back = <uint64_t>c.cross
    delta += 3
l = fp + f.link
l[0] = back
l[1] = delta
l[2] = left
"""
    + _ENTER_INSTANCE
)
_add(
    "return_call_cross",
    TAIL_LOCALS,
    "f = (<cell_func*>(pc + 4))[0]\n" + TAIL_CROSS.format(own=6).strip("\n"),
)
_add(
    "return_call_indirect_cross",
    TAIL_LOCALS,
    "f = c.func\n" + TAIL_CROSS.format(own=9).strip("\n"),
)
for _mode, _text in (("s", "fp[pc[8]]"), ("r", "r")):
    _add(
        f"return_call_indirect_{_mode}",
        TAIL_LOCALS + _FIND_LOCALS,
        _FIND.format(index=_text).strip("\n")
        + "\nif f.inst != c.inst:\n"
        + "    if f.inst != NULL:\n"
        + "        c.func = f\n"
        + "        return h_return_call_indirect_cross(pc, fp, mem, c, fuel, r, d, s)\n"
        + "\n".join("    " + line for line in ENTER.format(size=10).strip("\n").splitlines())
        + "\n"
        + TAIL.format(own=9).strip("\n"),
    )
# Stubs that a function's calls lead to: [function]
_add(
    "lower",
    [],
    "c.func = (<cell_func*>(pc + 2))[0]\nreturn leave(pc, fp, mem, c, fuel, STATUS_LOWER)",
)
_add(
    "host",
    [],
    "c.func = (<cell_func*>(pc + 2))[0]\nreturn leave(pc, fp, mem, c, fuel, STATUS_HOST)",
)

# Tables: [table][index][slot]. A slot with an i32 has zeros above it, so that the whole of it is
# the index, whether the table's addresses have 32 bits or 64; of memories below likewise.
_add(
    "table_get",
    ["TableRec* t", "uint64_t x"],
    """
t = (<cell_table*>(pc + 2))[0]
x = fp[pc[4]]
if unlikely(x >= t.size):
    TRAP(TRAP_TABLE)
fp[pc[5]] = t.elems[x]
"""
    + go(6),
)
_add(
    "table_set",
    ["TableRec* t", "uint64_t x"],
    """
t = (<cell_table*>(pc + 2))[0]
x = fp[pc[4]]
if unlikely(x >= t.size):
    TRAP(TRAP_TABLE)
t.elems[x] = fp[pc[5]]
"""
    + go(6),
)
_add("table_size", [], "fp[pc[4]] = (<cell_table*>(pc + 2))[0].size\n" + go(6))
_add("table_grow", [], "return leave(pc, fp, mem, c, fuel, STATUS_GROW_TABLE)")
_PAY = """
paid = (n + {less}) >> {shift}
fuel -= <int64_t>paid
if unlikely(fuel < 0):
    c.owed = <int64_t>paid
    return leave(pc, fp, mem, c, fuel + <int64_t>paid, STATUS_RETRY)
"""
PAY_ELEMS = _PAY.format(less=7, shift=3)
_PAY_BYTES = _PAY.format(less=63, shift=6)
_BULK = ["uint64_t to", "uint64_t start", "uint64_t n", "uint64_t paid"]
_OPERANDS = """
to = fp[pc[2]]
start = fp[pc[2] + 1]
n = fp[pc[2] + 2]
"""
_WITHIN = """
if unlikely(n > {0} or start > {0} - n or n > {1} or to > {1} - n):
    TRAP(TRAP_{2})
""".strip("\n")
# [first operand][number of elements, memory or table][...]
_add(
    "table_fill",
    ["TableRec* t", "uint64_t i", *_BULK],
    "t = c.inst.tables[pc[3]]\n"
    + _OPERANDS.strip("\n")
    + "\nif unlikely(n > t.size or to > t.size - n):\n    TRAP(TRAP_TABLE)"
    + PAY_ELEMS
    + "i = 0\nwhile i < n:\n    t.elems[to + i] = start\n    i += 1\n"
    + go(4),
)
_add(
    "table_copy",
    ["TableRec* t", "TableRec* u", *_BULK],
    "t = c.inst.tables[pc[3]]\nu = c.inst.tables[pc[4]]"
    + _OPERANDS
    + _WITHIN.format("u.size", "t.size", "TABLE")
    + PAY_ELEMS
    + "if n:\n    memmove(t.elems + to, u.elems + start, n * 8)\n"
    + go(6),
)
_add(
    "table_init",
    ["TableRec* t", "ElemRec* u", *_BULK],
    "t = c.inst.tables[pc[4]]\nu = c.inst.elems + pc[3]"
    + _OPERANDS
    + _WITHIN.format("u.size", "t.size", "TABLE")
    + PAY_ELEMS
    + "if n:\n    memmove(t.elems + to, u.elems + start, n * 8)\n"
    + go(6),
)
_add("elem_drop", [], "c.inst.elems[pc[2]].size = 0\n" + go(4))

# The size in pages: [slot][memory][log2 of the size of its pages]
_add("memory_size", [], "fp[pc[2]] = c.inst.mems[pc[3]].length >> pc[4]\n" + go(6))
# Memories: [first operand][memory]...
_add("memory_grow", [], "return leave(pc, fp, mem, c, fuel, STATUS_GROW_MEMORY)")
_add(
    "memory_fill",
    ["MemRec* m", *_BULK],
    "m = c.inst.mems[pc[3]]"
    + _OPERANDS
    + "if unlikely(n > m.length or to > m.length - n):\n    TRAP(TRAP_MEMORY)"
    + _PAY_BYTES
    + "if n:\n    memset(m.base + to, <int>(start & 0xff), n)\n    mark_written(m, to, n)\n"
    + go(4),
)
_add(
    "memory_copy",
    ["MemRec* m", "MemRec* o", *_BULK],
    "m = c.inst.mems[pc[3]]\no = c.inst.mems[pc[4]]"
    + _OPERANDS
    + _WITHIN.format("o.length", "m.length", "MEMORY")
    + _PAY_BYTES
    + "if n:\n    memmove(m.base + to, o.base + start, n)\n    mark_written(m, to, n)\n"
    + go(6),
)
_add(
    "memory_init",
    ["MemRec* m", "DataRec* o", *_BULK],
    "m = c.inst.mems[pc[4]]\no = c.inst.datas + pc[3]"
    + _OPERANDS
    + _WITHIN.format("o.size", "m.length", "MEMORY")
    + _PAY_BYTES
    + "if n:\n    memmove(m.base + to, o.data + start, n)\n    mark_written(m, to, n)\n"
    + go(6),
)
# Before a store that does not note what it writes itself: note it.
# [address slot][memory][width, and 256 for an address of 64 bits][-][offset]
_add(
    "mark",
    ["MemRec* m", "uint64_t e", "uint64_t o", "uint64_t n"],
    """
m = c.inst.mems[pc[3]]
e = fp[pc[2]]
if not pc[4] & 256:
    e = <uint32_t>e
o = (<cell_u64*>(pc + 6))[0]
n = pc[4] & 255
if o <= m.length and e <= m.length - o and e + o + n <= m.length:
    e = e + o
    note_store(m.dirty, e, n)
"""
    + go(8),
)
_add("data_drop", [], "c.inst.datas[pc[2]].size = 0\n" + go(4))
