"""Control instructions (spec 3.4.2), each with its type where it has one."""

from __future__ import annotations

from wattest.interp.matching import diff_reftype, match_reftype, match_valtype
from wattest.interp.module import BlockType, Catch
from wattest.interp.types import EXNREF, FUNCREF, RefType, ValType
from wattest.interp.validate.checker import Checker, Frame, arity, show
from wattest.interp.validate.context import Invalid, Signature


def block(c: Checker, blocktype: BlockType) -> None:
    """``[t1*] -> [t2*]`` of the block type."""
    params, results = c.context.blocktype(blocktype)
    c.pop_many(params)
    c.push_frame("block", params, results)


def loop(c: Checker, blocktype: BlockType) -> None:
    """``[t1*] -> [t2*]`` of the block type; its label carries ``t1*``."""
    params, results = c.context.blocktype(blocktype)
    c.pop_many(params)
    c.push_frame("loop", params, results)


def if_(c: Checker, blocktype: BlockType) -> None:
    """``[t1* i32] -> [t2*]`` of the block type."""
    params, results = c.context.blocktype(blocktype)
    c.pop_i32()
    c.pop_many(params)
    c.push_frame("if", params, results)


def else_(c: Checker, imm: None) -> None:
    """The then-branch must end with ``t2*``; the else-branch starts with ``t1*``."""
    frame = c.pop_frame()
    c.push_frame("else", frame.start, frame.end)


def end(c: Checker, imm: None) -> None:
    """The block must end with ``t2*``, and nothing else above its start."""
    frame = _leave(c)
    if frame.opcode == "if" and frame.start != frame.end:
        # A missing else-branch is an empty one: its operands are the results.
        c.push_frame("else", frame.start, frame.end)
        c.pop_frame()
    if frame.end:
        c.push_many(frame.end)


_HANDLERS = ("catch", "catch_all")


def _leave(c: Checker) -> Frame:
    """Leave a block; under the operands of an older handler lies the exception it has caught."""
    frame = c.pop_frame()
    if frame.opcode in _HANDLERS:
        c.stack.pop()
    return frame


def _handle(c: Checker, opcode: str, types: tuple[ValType, ...]) -> None:
    if c.frames[-1].opcode not in ("try", "catch"):
        raise Invalid(f"{opcode} found outside of a try block")
    frame = _leave(c)
    c.push(EXNREF)
    c.push_frame(opcode, types, frame.end)


def try_(c: Checker, blocktype: BlockType) -> None:
    """``[t1*] -> [t2*]`` of the block type."""
    params, results = c.context.blocktype(blocktype)
    c.pop_many(params)
    c.push_frame("try", params, results)


def catch(c: Checker, index: int) -> None:
    """What is before must end with ``t2*``; the handler starts with the tag's parameters."""
    params, _ = c.context.tag(index)
    _handle(c, "catch", params)


def catch_all(c: Checker, imm: None) -> None:
    """As ``catch``; the handler starts with nothing."""
    _handle(c, "catch_all", ())


def delegate(c: Checker, index: int) -> None:
    """The body must end with ``t2*``; the label, seen from around the block, must exist."""
    if c.frames[-1].opcode != "try":
        raise Invalid("delegate found outside of a try block")
    frame = c.pop_frame()
    c.label(index)
    c.push_many(frame.end)


def rethrow(c: Checker, index: int) -> None:
    """``[t1*] -> [t2*]`` where the label is that of a handler."""
    c.label(index)
    if c.frames[-1 - index].opcode not in _HANDLERS:
        raise Invalid(f"invalid rethrow label {index}")
    c.unreachable()


def try_table(c: Checker, imm: tuple[BlockType, tuple[Catch, ...]]) -> None:
    """``[t1*] -> [t2*]`` of the block type; each catch clause must fit its label."""
    blocktype, catches = imm
    params, results = c.context.blocktype(blocktype)
    c.pop_many(params)
    for catch in catches:
        _catch(c, catch)
    c.push_frame("try_table", params, results)


def _catch(c: Checker, catch: Catch) -> None:
    """What a clause hands over must match the label's types."""
    tag, ref, index = catch
    types = c.context.catch_types(tag, ref)
    label = c.label(index)
    if not c.context.matching(types, label):
        raise Invalid(
            f"type mismatch: label requires {show(label)} but catch handler has {show(types)}"
        )


def br(c: Checker, index: int) -> None:
    """``[t1* t*] -> [t2*]`` where the label carries ``t*``."""
    c.pop_many(c.label(index))
    c.unreachable()


def br_if(c: Checker, index: int) -> None:
    """``[t* i32] -> [t*]`` where the label carries ``t*``."""
    c.pop_i32()
    types = c.label(index)
    if types:
        c.pop_many(types)
        c.push_many(types)


def br_table(c: Checker, imm: tuple[tuple[int, ...], int]) -> None:
    """``[t1* t* i32] -> [t2*]`` where ``t*`` matches what every label carries."""
    indices, default = imm
    c.pop_i32()
    types = c.label(default)
    count = arity(types)
    checked: set[int] = set()
    # Each distinct list of types is checked once: a table may have a million entries.
    for index in dict.fromkeys(indices):
        label = c.label(index)
        if id(label) in checked:
            continue
        checked.add(id(label))
        if arity(label) != count:
            raise Invalid(
                f"type mismatch: label {index} has {show(label)} but label {default} has "
                f"{show(types)}"
            )
        here = c.check_top(label)
        # The appendix pops and pushes them, which adds height where operands are unknown.
        c.reach(len(c.stack) - here + len(label))
    c.pop_many(types)
    c.unreachable()


def br_on_null(c: Checker, index: int) -> None:
    """``[t* (ref null ht)] -> [t* (ref ht)]`` where the label carries ``t*``."""
    operand = c.pop_reference()
    types = c.label(index)
    c.pop_many(types)
    c.push_many(types)
    c.push(c.context.reference(False, operand.heap))


def br_on_non_null(c: Checker, index: int) -> None:
    """``[t* (ref null ht)] -> [t*]`` where the label carries ``t* (ref ht)``."""
    types = c.label(index)
    last = types[-1] if types else None
    if not isinstance(last, RefType):
        raise Invalid(
            f"type mismatch: instruction requires reference type but label has {show(types)}"
        )
    c.pop(c.context.reference(True, last.heap))
    c.pop_many(types[:-1])
    c.push_many(types[:-1])


def _cast(
    c: Checker, imm: tuple[int, RefType, RefType]
) -> tuple[RefType, RefType, tuple[ValType, ...]]:
    index, before, after = imm
    source, target = c.context.reftype(before), c.context.reftype(after)
    types = c.label(index)
    if not match_reftype(target, source):
        raise Invalid(f"type mismatch on cast: type {target!r} does not match {source!r}")
    return source, target, types


def _branch_on_cast(
    c: Checker, source: RefType, taken: RefType, rest: RefType, types: tuple[ValType, ...]
) -> None:
    if not types or not match_valtype(taken, types[-1]):
        raise Invalid(
            f"type mismatch: instruction requires type {taken!r} but label has {show(types)}"
        )
    c.pop(source)
    c.pop_many(types[:-1])
    c.push_many(types[:-1])
    c.push(c.context.interned(rest))


def br_on_cast(c: Checker, imm: tuple[int, RefType, RefType]) -> None:
    """``[t* rt1] -> [t* (rt1 - rt2)]`` where ``rt2 <= rt1`` and the label takes ``t* rt2``."""
    source, target, types = _cast(c, imm)
    _branch_on_cast(c, source, target, diff_reftype(source, target), types)


def br_on_cast_fail(c: Checker, imm: tuple[int, RefType, RefType]) -> None:
    """``[t* rt1] -> [t* rt2]`` where ``rt2 <= rt1`` and the label takes ``t* (rt1 - rt2)``."""
    source, target, types = _cast(c, imm)
    _branch_on_cast(c, source, diff_reftype(source, target), target, types)


def return_(c: Checker, imm: None) -> None:
    """``[t1* t*] -> [t2*]`` where ``t*`` are the function's results."""
    c.pop_many(c.results)
    c.unreachable()


def call(c: Checker, index: int) -> None:
    """``[t1*] -> [t2*]`` of the function's type."""
    context = c.context
    params, results = context.signature(context.func(index))
    c.pop_many(params)
    if results:
        c.push_many(results)


def call_ref(c: Checker, index: int) -> None:
    """``[t1* (ref null x)] -> [t2*]`` where ``x`` is ``t1* -> t2*``."""
    params, results = c.context.functype(index)
    c.pop(c.context.reference(True, c.context.deftype(index)))
    c.pop_many(params)
    c.push_many(results)


def _indirect(c: Checker, imm: tuple[int, int]) -> Signature:
    index, table = imm
    tabletype = c.context.table(table)
    signature = c.context.functype(index)
    if tabletype.elem is not FUNCREF and not match_reftype(tabletype.elem, FUNCREF):
        raise Invalid(
            "type mismatch: instruction requires table of function type but table has element "
            f"type {tabletype.elem!r}"
        )
    c.pop(tabletype.address)
    c.pop_many(signature[0])
    return signature


def call_indirect(c: Checker, imm: tuple[int, int]) -> None:
    """``[t1* at] -> [t2*]``, from a table of functions with addresses ``at``."""
    _, results = _indirect(c, imm)
    c.push_many(results)


def _tail(c: Checker, results: tuple[ValType, ...]) -> None:
    """A tail call's results are the function's."""
    if not c.context.matching(results, c.results):
        raise Invalid(
            f"type mismatch: current function requires result type {show(c.results)} but callee "
            f"returns {show(results)}"
        )
    c.unreachable()


def return_call(c: Checker, index: int) -> None:
    """``[t3* t1*] -> [t4*]`` where the callee's results are the function's."""
    params, results = c.context.signature(c.context.func(index))
    c.pop_many(params)
    _tail(c, results)


def return_call_ref(c: Checker, index: int) -> None:
    """``[t3* t1* (ref null x)] -> [t4*]``, results as for ``return_call``."""
    params, results = c.context.functype(index)
    c.pop(c.context.reference(True, c.context.deftype(index)))
    c.pop_many(params)
    _tail(c, results)


def return_call_indirect(c: Checker, imm: tuple[int, int]) -> None:
    """``[t3* t1* at] -> [t4*]``, results as for ``return_call``."""
    _, results = _indirect(c, imm)
    _tail(c, results)


def throw(c: Checker, index: int) -> None:
    """``[t1* t*] -> [t2*]`` where the tag has parameters ``t*``."""
    params, _ = c.context.tag(index)
    c.pop_many(params)
    c.unreachable()


def throw_ref(c: Checker, imm: None) -> None:
    """``[t1* exnref] -> [t2*]``."""
    c.pop(EXNREF)
    c.unreachable()
