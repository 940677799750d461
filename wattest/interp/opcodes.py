"""THE table of instructions (spec chapters 2.4, 3.4, 5.4).

Every instruction of WebAssembly 3.0, and of the proposals beyond it that wattest knows, is stated
here once: opcode bytes, name, immediates, type and the feature that brought it. The decoder, the
validator, both engines, the disassembler and the documentation read this table; none repeats it.

Columns of a row:

- opcode: hexadecimal; after a prefix byte, the number that follows it as LEB128.
- name: the text format's name, made unique (``select_t``, ``ref.test_null`` ...: see
  `Opcode.text`).
- immediates, in binary order, as a decoder reads them:

  ==================================  =====================================================
  ``blocktype``                       ``None``, a `ValType`, or a type index (int)
  ``label`` ``func`` ``type`` ...     an index (int)
  ``labels``                          ``(tuple of labels, default label)``
  ``memarg:W``                        a `MemArg`; W is the width of the access in bytes
  ``lane:N``                          a lane index; N is the number of lanes
  ``lanes``                           16 lane indices (bytes)
  ``i32`` ``i64``                     an unsigned int of that width
  ``f32`` ``f64``                     a value (see `wattest.interp.values`)
  ``v128``                            16 bytes
  ``heaptype``                        a heap type, a concrete one as its type index
  ``valtypes``                        a tuple of value types
  ``castop``                          ``(label, source RefType, target RefType)``
  ``catches``                         a tuple of `Catch`
  ``u32``                             an unsigned int
  ``zero``                            None; a byte that must be zero
  ==================================  =====================================================

  An instruction with one immediate carries it bare, with several as a tuple, with none ``None``.
- type: ``operands -> results`` where it is fixed; ``A`` is the address type of the memory that
  the immediates name. ``*`` means that the validator has a rule for this instruction.
- feature: the proposal that brought it, or ``mvp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from wattest.interp import types as T

__all__ = ["ADDRESS", "BY_CODE", "BY_NAME", "OPCODES", "PREFIXES", "Address", "Opcode", "Operand"]


class Address:
    """Stands in an instruction's type for the address type of the memory it names."""

    def __repr__(self) -> str:
        return "A"


ADDRESS = Address()
Operand = Union[T.NumType, T.VecType, T.RefType, Address]

_TABLE = """

# Control instructions (spec 3.4.2, 4.6.2-4.6.5)
00     | unreachable                         | -                 | *                       | mvp
01     | nop                                 | -                 | ->                      | mvp
02     | block                               | blocktype         | *                       | mvp
03     | loop                                | blocktype         | *                       | mvp
04     | if                                  | blocktype         | *                       | mvp
05     | else                                | -                 | *                       | mvp
08     | throw                               | tag               | *                       | exceptions
0a     | throw_ref                           | -                 | *                       | exceptions
0b     | end                                 | -                 | *                       | mvp
0c     | br                                  | label             | *                       | mvp
0d     | br_if                               | label             | *                       | mvp
0e     | br_table                            | labels            | *                       | mvp
0f     | return                              | -                 | *                       | mvp
10     | call                                | func              | *                       | mvp
11     | call_indirect                       | type,table        | *                       | mvp
12     | return_call                         | func              | *                       | tail_call
13     | return_call_indirect                | type,table        | *                       | tail_call
14     | call_ref                            | type              | *                       | function_references
15     | return_call_ref                     | type              | *                       | function_references
1f     | try_table                           | blocktype,catches | *                       | exceptions
d5     | br_on_null                          | label             | *                       | function_references
d6     | br_on_non_null                      | label             | *                       | function_references
fb 18  | br_on_cast                          | castop            | *                       | gc
fb 19  | br_on_cast_fail                     | castop            | *                       | gc

# The older exception instructions (the proposal's first version, left out of the standard)
06     | try                                 | blocktype         | *                       | legacy_exceptions
07     | catch                               | tag               | *                       | legacy_exceptions
09     | rethrow                             | label             | *                       | legacy_exceptions
18     | delegate                            | label             | *                       | legacy_exceptions
19     | catch_all                           | -                 | *                       | legacy_exceptions

# Parametric instructions (spec 3.4.1, 4.6.1)
1a     | drop                                | -                 | *                       | mvp
1b     | select                              | -                 | *                       | mvp
1c     | select_t                            | valtypes          | *                       | reference_types

# Variable instructions (spec 3.4.3, 4.6.6)
20     | local.get                           | local             | *                       | mvp
21     | local.set                           | local             | *                       | mvp
22     | local.tee                           | local             | *                       | mvp
23     | global.get                          | global            | *                       | mvp
24     | global.set                          | global            | *                       | mvp

# Table instructions (spec 3.4.4, 4.6.7)
25     | table.get                           | table             | *                       | reference_types
26     | table.set                           | table             | *                       | reference_types
fc 0c  | table.init                          | elem,table        | *                       | bulk_memory
fc 0d  | elem.drop                           | elem              | ->                      | bulk_memory
fc 0e  | table.copy                          | table,table       | *                       | bulk_memory
fc 0f  | table.grow                          | table             | *                       | reference_types
fc 10  | table.size                          | table             | *                       | reference_types
fc 11  | table.fill                          | table             | *                       | reference_types

# Memory instructions (spec 3.4.5, 4.6.8); A is the address type of the memory
28     | i32.load                            | memarg:4          | A -> i32                | mvp
29     | i64.load                            | memarg:8          | A -> i64                | mvp
2a     | f32.load                            | memarg:4          | A -> f32                | mvp
2b     | f64.load                            | memarg:8          | A -> f64                | mvp
2c     | i32.load8_s                         | memarg:1          | A -> i32                | mvp
2d     | i32.load8_u                         | memarg:1          | A -> i32                | mvp
2e     | i32.load16_s                        | memarg:2          | A -> i32                | mvp
2f     | i32.load16_u                        | memarg:2          | A -> i32                | mvp
30     | i64.load8_s                         | memarg:1          | A -> i64                | mvp
31     | i64.load8_u                         | memarg:1          | A -> i64                | mvp
32     | i64.load16_s                        | memarg:2          | A -> i64                | mvp
33     | i64.load16_u                        | memarg:2          | A -> i64                | mvp
34     | i64.load32_s                        | memarg:4          | A -> i64                | mvp
35     | i64.load32_u                        | memarg:4          | A -> i64                | mvp
36     | i32.store                           | memarg:4          | A i32 ->                | mvp
37     | i64.store                           | memarg:8          | A i64 ->                | mvp
38     | f32.store                           | memarg:4          | A f32 ->                | mvp
39     | f64.store                           | memarg:8          | A f64 ->                | mvp
3a     | i32.store8                          | memarg:1          | A i32 ->                | mvp
3b     | i32.store16                         | memarg:2          | A i32 ->                | mvp
3c     | i64.store8                          | memarg:1          | A i64 ->                | mvp
3d     | i64.store16                         | memarg:2          | A i64 ->                | mvp
3e     | i64.store32                         | memarg:4          | A i64 ->                | mvp
3f     | memory.size                         | memory            | -> A                    | mvp
40     | memory.grow                         | memory            | A -> A                  | mvp
fc 08  | memory.init                         | data,memory       | A i32 i32 ->            | bulk_memory
fc 09  | data.drop                           | data              | ->                      | bulk_memory
fc 0a  | memory.copy                         | memory,memory     | *                       | bulk_memory
fc 0b  | memory.fill                         | memory            | A i32 A ->              | bulk_memory

# Numeric instructions (spec 3.4.10, 4.6.10, 4.3)
41     | i32.const                           | i32               | -> i32                  | mvp
42     | i64.const                           | i64               | -> i64                  | mvp
43     | f32.const                           | f32               | -> f32                  | mvp
44     | f64.const                           | f64               | -> f64                  | mvp
45     | i32.eqz                             | -                 | i32 -> i32              | mvp
46     | i32.eq                              | -                 | i32 i32 -> i32          | mvp
47     | i32.ne                              | -                 | i32 i32 -> i32          | mvp
48     | i32.lt_s                            | -                 | i32 i32 -> i32          | mvp
49     | i32.lt_u                            | -                 | i32 i32 -> i32          | mvp
4a     | i32.gt_s                            | -                 | i32 i32 -> i32          | mvp
4b     | i32.gt_u                            | -                 | i32 i32 -> i32          | mvp
4c     | i32.le_s                            | -                 | i32 i32 -> i32          | mvp
4d     | i32.le_u                            | -                 | i32 i32 -> i32          | mvp
4e     | i32.ge_s                            | -                 | i32 i32 -> i32          | mvp
4f     | i32.ge_u                            | -                 | i32 i32 -> i32          | mvp
50     | i64.eqz                             | -                 | i64 -> i32              | mvp
51     | i64.eq                              | -                 | i64 i64 -> i32          | mvp
52     | i64.ne                              | -                 | i64 i64 -> i32          | mvp
53     | i64.lt_s                            | -                 | i64 i64 -> i32          | mvp
54     | i64.lt_u                            | -                 | i64 i64 -> i32          | mvp
55     | i64.gt_s                            | -                 | i64 i64 -> i32          | mvp
56     | i64.gt_u                            | -                 | i64 i64 -> i32          | mvp
57     | i64.le_s                            | -                 | i64 i64 -> i32          | mvp
58     | i64.le_u                            | -                 | i64 i64 -> i32          | mvp
59     | i64.ge_s                            | -                 | i64 i64 -> i32          | mvp
5a     | i64.ge_u                            | -                 | i64 i64 -> i32          | mvp
5b     | f32.eq                              | -                 | f32 f32 -> i32          | mvp
5c     | f32.ne                              | -                 | f32 f32 -> i32          | mvp
5d     | f32.lt                              | -                 | f32 f32 -> i32          | mvp
5e     | f32.gt                              | -                 | f32 f32 -> i32          | mvp
5f     | f32.le                              | -                 | f32 f32 -> i32          | mvp
60     | f32.ge                              | -                 | f32 f32 -> i32          | mvp
61     | f64.eq                              | -                 | f64 f64 -> i32          | mvp
62     | f64.ne                              | -                 | f64 f64 -> i32          | mvp
63     | f64.lt                              | -                 | f64 f64 -> i32          | mvp
64     | f64.gt                              | -                 | f64 f64 -> i32          | mvp
65     | f64.le                              | -                 | f64 f64 -> i32          | mvp
66     | f64.ge                              | -                 | f64 f64 -> i32          | mvp
67     | i32.clz                             | -                 | i32 -> i32              | mvp
68     | i32.ctz                             | -                 | i32 -> i32              | mvp
69     | i32.popcnt                          | -                 | i32 -> i32              | mvp
6a     | i32.add                             | -                 | i32 i32 -> i32          | mvp
6b     | i32.sub                             | -                 | i32 i32 -> i32          | mvp
6c     | i32.mul                             | -                 | i32 i32 -> i32          | mvp
6d     | i32.div_s                           | -                 | i32 i32 -> i32          | mvp
6e     | i32.div_u                           | -                 | i32 i32 -> i32          | mvp
6f     | i32.rem_s                           | -                 | i32 i32 -> i32          | mvp
70     | i32.rem_u                           | -                 | i32 i32 -> i32          | mvp
71     | i32.and                             | -                 | i32 i32 -> i32          | mvp
72     | i32.or                              | -                 | i32 i32 -> i32          | mvp
73     | i32.xor                             | -                 | i32 i32 -> i32          | mvp
74     | i32.shl                             | -                 | i32 i32 -> i32          | mvp
75     | i32.shr_s                           | -                 | i32 i32 -> i32          | mvp
76     | i32.shr_u                           | -                 | i32 i32 -> i32          | mvp
77     | i32.rotl                            | -                 | i32 i32 -> i32          | mvp
78     | i32.rotr                            | -                 | i32 i32 -> i32          | mvp
79     | i64.clz                             | -                 | i64 -> i64              | mvp
7a     | i64.ctz                             | -                 | i64 -> i64              | mvp
7b     | i64.popcnt                          | -                 | i64 -> i64              | mvp
7c     | i64.add                             | -                 | i64 i64 -> i64          | mvp
7d     | i64.sub                             | -                 | i64 i64 -> i64          | mvp
7e     | i64.mul                             | -                 | i64 i64 -> i64          | mvp
7f     | i64.div_s                           | -                 | i64 i64 -> i64          | mvp
80     | i64.div_u                           | -                 | i64 i64 -> i64          | mvp
81     | i64.rem_s                           | -                 | i64 i64 -> i64          | mvp
82     | i64.rem_u                           | -                 | i64 i64 -> i64          | mvp
83     | i64.and                             | -                 | i64 i64 -> i64          | mvp
84     | i64.or                              | -                 | i64 i64 -> i64          | mvp
85     | i64.xor                             | -                 | i64 i64 -> i64          | mvp
86     | i64.shl                             | -                 | i64 i64 -> i64          | mvp
87     | i64.shr_s                           | -                 | i64 i64 -> i64          | mvp
88     | i64.shr_u                           | -                 | i64 i64 -> i64          | mvp
89     | i64.rotl                            | -                 | i64 i64 -> i64          | mvp
8a     | i64.rotr                            | -                 | i64 i64 -> i64          | mvp
8b     | f32.abs                             | -                 | f32 -> f32              | mvp
8c     | f32.neg                             | -                 | f32 -> f32              | mvp
8d     | f32.ceil                            | -                 | f32 -> f32              | mvp
8e     | f32.floor                           | -                 | f32 -> f32              | mvp
8f     | f32.trunc                           | -                 | f32 -> f32              | mvp
90     | f32.nearest                         | -                 | f32 -> f32              | mvp
91     | f32.sqrt                            | -                 | f32 -> f32              | mvp
92     | f32.add                             | -                 | f32 f32 -> f32          | mvp
93     | f32.sub                             | -                 | f32 f32 -> f32          | mvp
94     | f32.mul                             | -                 | f32 f32 -> f32          | mvp
95     | f32.div                             | -                 | f32 f32 -> f32          | mvp
96     | f32.min                             | -                 | f32 f32 -> f32          | mvp
97     | f32.max                             | -                 | f32 f32 -> f32          | mvp
98     | f32.copysign                        | -                 | f32 f32 -> f32          | mvp
99     | f64.abs                             | -                 | f64 -> f64              | mvp
9a     | f64.neg                             | -                 | f64 -> f64              | mvp
9b     | f64.ceil                            | -                 | f64 -> f64              | mvp
9c     | f64.floor                           | -                 | f64 -> f64              | mvp
9d     | f64.trunc                           | -                 | f64 -> f64              | mvp
9e     | f64.nearest                         | -                 | f64 -> f64              | mvp
9f     | f64.sqrt                            | -                 | f64 -> f64              | mvp
a0     | f64.add                             | -                 | f64 f64 -> f64          | mvp
a1     | f64.sub                             | -                 | f64 f64 -> f64          | mvp
a2     | f64.mul                             | -                 | f64 f64 -> f64          | mvp
a3     | f64.div                             | -                 | f64 f64 -> f64          | mvp
a4     | f64.min                             | -                 | f64 f64 -> f64          | mvp
a5     | f64.max                             | -                 | f64 f64 -> f64          | mvp
a6     | f64.copysign                        | -                 | f64 f64 -> f64          | mvp
a7     | i32.wrap_i64                        | -                 | i64 -> i32              | mvp
a8     | i32.trunc_f32_s                     | -                 | f32 -> i32              | mvp
a9     | i32.trunc_f32_u                     | -                 | f32 -> i32              | mvp
aa     | i32.trunc_f64_s                     | -                 | f64 -> i32              | mvp
ab     | i32.trunc_f64_u                     | -                 | f64 -> i32              | mvp
ac     | i64.extend_i32_s                    | -                 | i32 -> i64              | mvp
ad     | i64.extend_i32_u                    | -                 | i32 -> i64              | mvp
ae     | i64.trunc_f32_s                     | -                 | f32 -> i64              | mvp
af     | i64.trunc_f32_u                     | -                 | f32 -> i64              | mvp
b0     | i64.trunc_f64_s                     | -                 | f64 -> i64              | mvp
b1     | i64.trunc_f64_u                     | -                 | f64 -> i64              | mvp
b2     | f32.convert_i32_s                   | -                 | i32 -> f32              | mvp
b3     | f32.convert_i32_u                   | -                 | i32 -> f32              | mvp
b4     | f32.convert_i64_s                   | -                 | i64 -> f32              | mvp
b5     | f32.convert_i64_u                   | -                 | i64 -> f32              | mvp
b6     | f32.demote_f64                      | -                 | f64 -> f32              | mvp
b7     | f64.convert_i32_s                   | -                 | i32 -> f64              | mvp
b8     | f64.convert_i32_u                   | -                 | i32 -> f64              | mvp
b9     | f64.convert_i64_s                   | -                 | i64 -> f64              | mvp
ba     | f64.convert_i64_u                   | -                 | i64 -> f64              | mvp
bb     | f64.promote_f32                     | -                 | f32 -> f64              | mvp
bc     | i32.reinterpret_f32                 | -                 | f32 -> i32              | mvp
bd     | i64.reinterpret_f64                 | -                 | f64 -> i64              | mvp
be     | f32.reinterpret_i32                 | -                 | i32 -> f32              | mvp
bf     | f64.reinterpret_i64                 | -                 | i64 -> f64              | mvp
c0     | i32.extend8_s                       | -                 | i32 -> i32              | sign_extension
c1     | i32.extend16_s                      | -                 | i32 -> i32              | sign_extension
c2     | i64.extend8_s                       | -                 | i64 -> i64              | sign_extension
c3     | i64.extend16_s                      | -                 | i64 -> i64              | sign_extension
c4     | i64.extend32_s                      | -                 | i64 -> i64              | sign_extension
fc 00  | i32.trunc_sat_f32_s                 | -                 | f32 -> i32              | saturating_float_to_int
fc 01  | i32.trunc_sat_f32_u                 | -                 | f32 -> i32              | saturating_float_to_int
fc 02  | i32.trunc_sat_f64_s                 | -                 | f64 -> i32              | saturating_float_to_int
fc 03  | i32.trunc_sat_f64_u                 | -                 | f64 -> i32              | saturating_float_to_int
fc 04  | i64.trunc_sat_f32_s                 | -                 | f32 -> i64              | saturating_float_to_int
fc 05  | i64.trunc_sat_f32_u                 | -                 | f32 -> i64              | saturating_float_to_int
fc 06  | i64.trunc_sat_f64_s                 | -                 | f64 -> i64              | saturating_float_to_int
fc 07  | i64.trunc_sat_f64_u                 | -                 | f64 -> i64              | saturating_float_to_int

# Reference instructions (spec 3.4.6, 4.6.9)
d0     | ref.null                            | heaptype          | *                       | reference_types
d1     | ref.is_null                         | -                 | *                       | reference_types
d2     | ref.func                            | func              | *                       | reference_types
d3     | ref.eq                              | -                 | eqref eqref -> i32      | gc
d4     | ref.as_non_null                     | -                 | *                       | function_references
fb 14  | ref.test                            | heaptype          | *                       | gc
fb 15  | ref.test_null                       | heaptype          | *                       | gc
fb 16  | ref.cast                            | heaptype          | *                       | gc
fb 17  | ref.cast_null                       | heaptype          | *                       | gc

# Aggregate, scalar and external reference instructions (spec 3.4.7-3.4.9, 4.6.9)
fb 00  | struct.new                          | type              | *                       | gc
fb 01  | struct.new_default                  | type              | *                       | gc
fb 02  | struct.get                          | type,field        | *                       | gc
fb 03  | struct.get_s                        | type,field        | *                       | gc
fb 04  | struct.get_u                        | type,field        | *                       | gc
fb 05  | struct.set                          | type,field        | *                       | gc
fb 06  | array.new                           | type              | *                       | gc
fb 07  | array.new_default                   | type              | *                       | gc
fb 08  | array.new_fixed                     | type,u32          | *                       | gc
fb 09  | array.new_data                      | type,data         | *                       | gc
fb 0a  | array.new_elem                      | type,elem         | *                       | gc
fb 0b  | array.get                           | type              | *                       | gc
fb 0c  | array.get_s                         | type              | *                       | gc
fb 0d  | array.get_u                         | type              | *                       | gc
fb 0e  | array.set                           | type              | *                       | gc
fb 0f  | array.len                           | -                 | arrayref -> i32         | gc
fb 10  | array.fill                          | type              | *                       | gc
fb 11  | array.copy                          | type,type         | *                       | gc
fb 12  | array.init_data                     | type,data         | *                       | gc
fb 13  | array.init_elem                     | type,elem         | *                       | gc
fb 1a  | any.convert_extern                  | -                 | *                       | gc
fb 1b  | extern.convert_any                  | -                 | *                       | gc
fb 1c  | ref.i31                             | -                 | i32 -> i31              | gc
fb 1d  | i31.get_s                           | -                 | i31ref -> i32           | gc
fb 1e  | i31.get_u                           | -                 | i31ref -> i32           | gc

# Vector instructions (spec 3.4.11, 4.6.11, 4.3.5)
fd 00  | v128.load                           | memarg:16         | A -> v128               | simd
fd 01  | v128.load8x8_s                      | memarg:8          | A -> v128               | simd
fd 02  | v128.load8x8_u                      | memarg:8          | A -> v128               | simd
fd 03  | v128.load16x4_s                     | memarg:8          | A -> v128               | simd
fd 04  | v128.load16x4_u                     | memarg:8          | A -> v128               | simd
fd 05  | v128.load32x2_s                     | memarg:8          | A -> v128               | simd
fd 06  | v128.load32x2_u                     | memarg:8          | A -> v128               | simd
fd 07  | v128.load8_splat                    | memarg:1          | A -> v128               | simd
fd 08  | v128.load16_splat                   | memarg:2          | A -> v128               | simd
fd 09  | v128.load32_splat                   | memarg:4          | A -> v128               | simd
fd 0a  | v128.load64_splat                   | memarg:8          | A -> v128               | simd
fd 0b  | v128.store                          | memarg:16         | A v128 ->               | simd
fd 0c  | v128.const                          | v128              | -> v128                 | simd
fd 0d  | i8x16.shuffle                       | lanes             | v128 v128 -> v128       | simd
fd 0e  | i8x16.swizzle                       | -                 | v128 v128 -> v128       | simd
fd 0f  | i8x16.splat                         | -                 | i32 -> v128             | simd
fd 10  | i16x8.splat                         | -                 | i32 -> v128             | simd
fd 11  | i32x4.splat                         | -                 | i32 -> v128             | simd
fd 12  | i64x2.splat                         | -                 | i64 -> v128             | simd
fd 13  | f32x4.splat                         | -                 | f32 -> v128             | simd
fd 14  | f64x2.splat                         | -                 | f64 -> v128             | simd
fd 15  | i8x16.extract_lane_s                | lane:16           | v128 -> i32             | simd
fd 16  | i8x16.extract_lane_u                | lane:16           | v128 -> i32             | simd
fd 17  | i8x16.replace_lane                  | lane:16           | v128 i32 -> v128        | simd
fd 18  | i16x8.extract_lane_s                | lane:8            | v128 -> i32             | simd
fd 19  | i16x8.extract_lane_u                | lane:8            | v128 -> i32             | simd
fd 1a  | i16x8.replace_lane                  | lane:8            | v128 i32 -> v128        | simd
fd 1b  | i32x4.extract_lane                  | lane:4            | v128 -> i32             | simd
fd 1c  | i32x4.replace_lane                  | lane:4            | v128 i32 -> v128        | simd
fd 1d  | i64x2.extract_lane                  | lane:2            | v128 -> i64             | simd
fd 1e  | i64x2.replace_lane                  | lane:2            | v128 i64 -> v128        | simd
fd 1f  | f32x4.extract_lane                  | lane:4            | v128 -> f32             | simd
fd 20  | f32x4.replace_lane                  | lane:4            | v128 f32 -> v128        | simd
fd 21  | f64x2.extract_lane                  | lane:2            | v128 -> f64             | simd
fd 22  | f64x2.replace_lane                  | lane:2            | v128 f64 -> v128        | simd
fd 23  | i8x16.eq                            | -                 | v128 v128 -> v128       | simd
fd 24  | i8x16.ne                            | -                 | v128 v128 -> v128       | simd
fd 25  | i8x16.lt_s                          | -                 | v128 v128 -> v128       | simd
fd 26  | i8x16.lt_u                          | -                 | v128 v128 -> v128       | simd
fd 27  | i8x16.gt_s                          | -                 | v128 v128 -> v128       | simd
fd 28  | i8x16.gt_u                          | -                 | v128 v128 -> v128       | simd
fd 29  | i8x16.le_s                          | -                 | v128 v128 -> v128       | simd
fd 2a  | i8x16.le_u                          | -                 | v128 v128 -> v128       | simd
fd 2b  | i8x16.ge_s                          | -                 | v128 v128 -> v128       | simd
fd 2c  | i8x16.ge_u                          | -                 | v128 v128 -> v128       | simd
fd 2d  | i16x8.eq                            | -                 | v128 v128 -> v128       | simd
fd 2e  | i16x8.ne                            | -                 | v128 v128 -> v128       | simd
fd 2f  | i16x8.lt_s                          | -                 | v128 v128 -> v128       | simd
fd 30  | i16x8.lt_u                          | -                 | v128 v128 -> v128       | simd
fd 31  | i16x8.gt_s                          | -                 | v128 v128 -> v128       | simd
fd 32  | i16x8.gt_u                          | -                 | v128 v128 -> v128       | simd
fd 33  | i16x8.le_s                          | -                 | v128 v128 -> v128       | simd
fd 34  | i16x8.le_u                          | -                 | v128 v128 -> v128       | simd
fd 35  | i16x8.ge_s                          | -                 | v128 v128 -> v128       | simd
fd 36  | i16x8.ge_u                          | -                 | v128 v128 -> v128       | simd
fd 37  | i32x4.eq                            | -                 | v128 v128 -> v128       | simd
fd 38  | i32x4.ne                            | -                 | v128 v128 -> v128       | simd
fd 39  | i32x4.lt_s                          | -                 | v128 v128 -> v128       | simd
fd 3a  | i32x4.lt_u                          | -                 | v128 v128 -> v128       | simd
fd 3b  | i32x4.gt_s                          | -                 | v128 v128 -> v128       | simd
fd 3c  | i32x4.gt_u                          | -                 | v128 v128 -> v128       | simd
fd 3d  | i32x4.le_s                          | -                 | v128 v128 -> v128       | simd
fd 3e  | i32x4.le_u                          | -                 | v128 v128 -> v128       | simd
fd 3f  | i32x4.ge_s                          | -                 | v128 v128 -> v128       | simd
fd 40  | i32x4.ge_u                          | -                 | v128 v128 -> v128       | simd
fd 41  | f32x4.eq                            | -                 | v128 v128 -> v128       | simd
fd 42  | f32x4.ne                            | -                 | v128 v128 -> v128       | simd
fd 43  | f32x4.lt                            | -                 | v128 v128 -> v128       | simd
fd 44  | f32x4.gt                            | -                 | v128 v128 -> v128       | simd
fd 45  | f32x4.le                            | -                 | v128 v128 -> v128       | simd
fd 46  | f32x4.ge                            | -                 | v128 v128 -> v128       | simd
fd 47  | f64x2.eq                            | -                 | v128 v128 -> v128       | simd
fd 48  | f64x2.ne                            | -                 | v128 v128 -> v128       | simd
fd 49  | f64x2.lt                            | -                 | v128 v128 -> v128       | simd
fd 4a  | f64x2.gt                            | -                 | v128 v128 -> v128       | simd
fd 4b  | f64x2.le                            | -                 | v128 v128 -> v128       | simd
fd 4c  | f64x2.ge                            | -                 | v128 v128 -> v128       | simd
fd 4d  | v128.not                            | -                 | v128 -> v128            | simd
fd 4e  | v128.and                            | -                 | v128 v128 -> v128       | simd
fd 4f  | v128.andnot                         | -                 | v128 v128 -> v128       | simd
fd 50  | v128.or                             | -                 | v128 v128 -> v128       | simd
fd 51  | v128.xor                            | -                 | v128 v128 -> v128       | simd
fd 52  | v128.bitselect                      | -                 | v128 v128 v128 -> v128  | simd
fd 53  | v128.any_true                       | -                 | v128 -> i32             | simd
fd 54  | v128.load8_lane                     | memarg:1,lane:16  | A v128 -> v128          | simd
fd 55  | v128.load16_lane                    | memarg:2,lane:8   | A v128 -> v128          | simd
fd 56  | v128.load32_lane                    | memarg:4,lane:4   | A v128 -> v128          | simd
fd 57  | v128.load64_lane                    | memarg:8,lane:2   | A v128 -> v128          | simd
fd 58  | v128.store8_lane                    | memarg:1,lane:16  | A v128 ->               | simd
fd 59  | v128.store16_lane                   | memarg:2,lane:8   | A v128 ->               | simd
fd 5a  | v128.store32_lane                   | memarg:4,lane:4   | A v128 ->               | simd
fd 5b  | v128.store64_lane                   | memarg:8,lane:2   | A v128 ->               | simd
fd 5c  | v128.load32_zero                    | memarg:4          | A -> v128               | simd
fd 5d  | v128.load64_zero                    | memarg:8          | A -> v128               | simd
fd 5e  | f32x4.demote_f64x2_zero             | -                 | v128 -> v128            | simd
fd 5f  | f64x2.promote_low_f32x4             | -                 | v128 -> v128            | simd
fd 60  | i8x16.abs                           | -                 | v128 -> v128            | simd
fd 61  | i8x16.neg                           | -                 | v128 -> v128            | simd
fd 62  | i8x16.popcnt                        | -                 | v128 -> v128            | simd
fd 63  | i8x16.all_true                      | -                 | v128 -> i32             | simd
fd 64  | i8x16.bitmask                       | -                 | v128 -> i32             | simd
fd 65  | i8x16.narrow_i16x8_s                | -                 | v128 v128 -> v128       | simd
fd 66  | i8x16.narrow_i16x8_u                | -                 | v128 v128 -> v128       | simd
fd 67  | f32x4.ceil                          | -                 | v128 -> v128            | simd
fd 68  | f32x4.floor                         | -                 | v128 -> v128            | simd
fd 69  | f32x4.trunc                         | -                 | v128 -> v128            | simd
fd 6a  | f32x4.nearest                       | -                 | v128 -> v128            | simd
fd 6b  | i8x16.shl                           | -                 | v128 i32 -> v128        | simd
fd 6c  | i8x16.shr_s                         | -                 | v128 i32 -> v128        | simd
fd 6d  | i8x16.shr_u                         | -                 | v128 i32 -> v128        | simd
fd 6e  | i8x16.add                           | -                 | v128 v128 -> v128       | simd
fd 6f  | i8x16.add_sat_s                     | -                 | v128 v128 -> v128       | simd
fd 70  | i8x16.add_sat_u                     | -                 | v128 v128 -> v128       | simd
fd 71  | i8x16.sub                           | -                 | v128 v128 -> v128       | simd
fd 72  | i8x16.sub_sat_s                     | -                 | v128 v128 -> v128       | simd
fd 73  | i8x16.sub_sat_u                     | -                 | v128 v128 -> v128       | simd
fd 74  | f64x2.ceil                          | -                 | v128 -> v128            | simd
fd 75  | f64x2.floor                         | -                 | v128 -> v128            | simd
fd 76  | i8x16.min_s                         | -                 | v128 v128 -> v128       | simd
fd 77  | i8x16.min_u                         | -                 | v128 v128 -> v128       | simd
fd 78  | i8x16.max_s                         | -                 | v128 v128 -> v128       | simd
fd 79  | i8x16.max_u                         | -                 | v128 v128 -> v128       | simd
fd 7a  | f64x2.trunc                         | -                 | v128 -> v128            | simd
fd 7b  | i8x16.avgr_u                        | -                 | v128 v128 -> v128       | simd
fd 7c  | i16x8.extadd_pairwise_i8x16_s       | -                 | v128 -> v128            | simd
fd 7d  | i16x8.extadd_pairwise_i8x16_u       | -                 | v128 -> v128            | simd
fd 7e  | i32x4.extadd_pairwise_i16x8_s       | -                 | v128 -> v128            | simd
fd 7f  | i32x4.extadd_pairwise_i16x8_u       | -                 | v128 -> v128            | simd
fd 80  | i16x8.abs                           | -                 | v128 -> v128            | simd
fd 81  | i16x8.neg                           | -                 | v128 -> v128            | simd
fd 82  | i16x8.q15mulr_sat_s                 | -                 | v128 v128 -> v128       | simd
fd 83  | i16x8.all_true                      | -                 | v128 -> i32             | simd
fd 84  | i16x8.bitmask                       | -                 | v128 -> i32             | simd
fd 85  | i16x8.narrow_i32x4_s                | -                 | v128 v128 -> v128       | simd
fd 86  | i16x8.narrow_i32x4_u                | -                 | v128 v128 -> v128       | simd
fd 87  | i16x8.extend_low_i8x16_s            | -                 | v128 -> v128            | simd
fd 88  | i16x8.extend_high_i8x16_s           | -                 | v128 -> v128            | simd
fd 89  | i16x8.extend_low_i8x16_u            | -                 | v128 -> v128            | simd
fd 8a  | i16x8.extend_high_i8x16_u           | -                 | v128 -> v128            | simd
fd 8b  | i16x8.shl                           | -                 | v128 i32 -> v128        | simd
fd 8c  | i16x8.shr_s                         | -                 | v128 i32 -> v128        | simd
fd 8d  | i16x8.shr_u                         | -                 | v128 i32 -> v128        | simd
fd 8e  | i16x8.add                           | -                 | v128 v128 -> v128       | simd
fd 8f  | i16x8.add_sat_s                     | -                 | v128 v128 -> v128       | simd
fd 90  | i16x8.add_sat_u                     | -                 | v128 v128 -> v128       | simd
fd 91  | i16x8.sub                           | -                 | v128 v128 -> v128       | simd
fd 92  | i16x8.sub_sat_s                     | -                 | v128 v128 -> v128       | simd
fd 93  | i16x8.sub_sat_u                     | -                 | v128 v128 -> v128       | simd
fd 94  | f64x2.nearest                       | -                 | v128 -> v128            | simd
fd 95  | i16x8.mul                           | -                 | v128 v128 -> v128       | simd
fd 96  | i16x8.min_s                         | -                 | v128 v128 -> v128       | simd
fd 97  | i16x8.min_u                         | -                 | v128 v128 -> v128       | simd
fd 98  | i16x8.max_s                         | -                 | v128 v128 -> v128       | simd
fd 99  | i16x8.max_u                         | -                 | v128 v128 -> v128       | simd
fd 9b  | i16x8.avgr_u                        | -                 | v128 v128 -> v128       | simd
fd 9c  | i16x8.extmul_low_i8x16_s            | -                 | v128 v128 -> v128       | simd
fd 9d  | i16x8.extmul_high_i8x16_s           | -                 | v128 v128 -> v128       | simd
fd 9e  | i16x8.extmul_low_i8x16_u            | -                 | v128 v128 -> v128       | simd
fd 9f  | i16x8.extmul_high_i8x16_u           | -                 | v128 v128 -> v128       | simd
fd a0  | i32x4.abs                           | -                 | v128 -> v128            | simd
fd a1  | i32x4.neg                           | -                 | v128 -> v128            | simd
fd a3  | i32x4.all_true                      | -                 | v128 -> i32             | simd
fd a4  | i32x4.bitmask                       | -                 | v128 -> i32             | simd
fd a7  | i32x4.extend_low_i16x8_s            | -                 | v128 -> v128            | simd
fd a8  | i32x4.extend_high_i16x8_s           | -                 | v128 -> v128            | simd
fd a9  | i32x4.extend_low_i16x8_u            | -                 | v128 -> v128            | simd
fd aa  | i32x4.extend_high_i16x8_u           | -                 | v128 -> v128            | simd
fd ab  | i32x4.shl                           | -                 | v128 i32 -> v128        | simd
fd ac  | i32x4.shr_s                         | -                 | v128 i32 -> v128        | simd
fd ad  | i32x4.shr_u                         | -                 | v128 i32 -> v128        | simd
fd ae  | i32x4.add                           | -                 | v128 v128 -> v128       | simd
fd b1  | i32x4.sub                           | -                 | v128 v128 -> v128       | simd
fd b5  | i32x4.mul                           | -                 | v128 v128 -> v128       | simd
fd b6  | i32x4.min_s                         | -                 | v128 v128 -> v128       | simd
fd b7  | i32x4.min_u                         | -                 | v128 v128 -> v128       | simd
fd b8  | i32x4.max_s                         | -                 | v128 v128 -> v128       | simd
fd b9  | i32x4.max_u                         | -                 | v128 v128 -> v128       | simd
fd ba  | i32x4.dot_i16x8_s                   | -                 | v128 v128 -> v128       | simd
fd bc  | i32x4.extmul_low_i16x8_s            | -                 | v128 v128 -> v128       | simd
fd bd  | i32x4.extmul_high_i16x8_s           | -                 | v128 v128 -> v128       | simd
fd be  | i32x4.extmul_low_i16x8_u            | -                 | v128 v128 -> v128       | simd
fd bf  | i32x4.extmul_high_i16x8_u           | -                 | v128 v128 -> v128       | simd
fd c0  | i64x2.abs                           | -                 | v128 -> v128            | simd
fd c1  | i64x2.neg                           | -                 | v128 -> v128            | simd
fd c3  | i64x2.all_true                      | -                 | v128 -> i32             | simd
fd c4  | i64x2.bitmask                       | -                 | v128 -> i32             | simd
fd c7  | i64x2.extend_low_i32x4_s            | -                 | v128 -> v128            | simd
fd c8  | i64x2.extend_high_i32x4_s           | -                 | v128 -> v128            | simd
fd c9  | i64x2.extend_low_i32x4_u            | -                 | v128 -> v128            | simd
fd ca  | i64x2.extend_high_i32x4_u           | -                 | v128 -> v128            | simd
fd cb  | i64x2.shl                           | -                 | v128 i32 -> v128        | simd
fd cc  | i64x2.shr_s                         | -                 | v128 i32 -> v128        | simd
fd cd  | i64x2.shr_u                         | -                 | v128 i32 -> v128        | simd
fd ce  | i64x2.add                           | -                 | v128 v128 -> v128       | simd
fd d1  | i64x2.sub                           | -                 | v128 v128 -> v128       | simd
fd d5  | i64x2.mul                           | -                 | v128 v128 -> v128       | simd
fd d6  | i64x2.eq                            | -                 | v128 v128 -> v128       | simd
fd d7  | i64x2.ne                            | -                 | v128 v128 -> v128       | simd
fd d8  | i64x2.lt_s                          | -                 | v128 v128 -> v128       | simd
fd d9  | i64x2.gt_s                          | -                 | v128 v128 -> v128       | simd
fd da  | i64x2.le_s                          | -                 | v128 v128 -> v128       | simd
fd db  | i64x2.ge_s                          | -                 | v128 v128 -> v128       | simd
fd dc  | i64x2.extmul_low_i32x4_s            | -                 | v128 v128 -> v128       | simd
fd dd  | i64x2.extmul_high_i32x4_s           | -                 | v128 v128 -> v128       | simd
fd de  | i64x2.extmul_low_i32x4_u            | -                 | v128 v128 -> v128       | simd
fd df  | i64x2.extmul_high_i32x4_u           | -                 | v128 v128 -> v128       | simd
fd e0  | f32x4.abs                           | -                 | v128 -> v128            | simd
fd e1  | f32x4.neg                           | -                 | v128 -> v128            | simd
fd e3  | f32x4.sqrt                          | -                 | v128 -> v128            | simd
fd e4  | f32x4.add                           | -                 | v128 v128 -> v128       | simd
fd e5  | f32x4.sub                           | -                 | v128 v128 -> v128       | simd
fd e6  | f32x4.mul                           | -                 | v128 v128 -> v128       | simd
fd e7  | f32x4.div                           | -                 | v128 v128 -> v128       | simd
fd e8  | f32x4.min                           | -                 | v128 v128 -> v128       | simd
fd e9  | f32x4.max                           | -                 | v128 v128 -> v128       | simd
fd ea  | f32x4.pmin                          | -                 | v128 v128 -> v128       | simd
fd eb  | f32x4.pmax                          | -                 | v128 v128 -> v128       | simd
fd ec  | f64x2.abs                           | -                 | v128 -> v128            | simd
fd ed  | f64x2.neg                           | -                 | v128 -> v128            | simd
fd ef  | f64x2.sqrt                          | -                 | v128 -> v128            | simd
fd f0  | f64x2.add                           | -                 | v128 v128 -> v128       | simd
fd f1  | f64x2.sub                           | -                 | v128 v128 -> v128       | simd
fd f2  | f64x2.mul                           | -                 | v128 v128 -> v128       | simd
fd f3  | f64x2.div                           | -                 | v128 v128 -> v128       | simd
fd f4  | f64x2.min                           | -                 | v128 v128 -> v128       | simd
fd f5  | f64x2.max                           | -                 | v128 v128 -> v128       | simd
fd f6  | f64x2.pmin                          | -                 | v128 v128 -> v128       | simd
fd f7  | f64x2.pmax                          | -                 | v128 v128 -> v128       | simd
fd f8  | i32x4.trunc_sat_f32x4_s             | -                 | v128 -> v128            | simd
fd f9  | i32x4.trunc_sat_f32x4_u             | -                 | v128 -> v128            | simd
fd fa  | f32x4.convert_i32x4_s               | -                 | v128 -> v128            | simd
fd fb  | f32x4.convert_i32x4_u               | -                 | v128 -> v128            | simd
fd fc  | i32x4.trunc_sat_f64x2_s_zero        | -                 | v128 -> v128            | simd
fd fd  | i32x4.trunc_sat_f64x2_u_zero        | -                 | v128 -> v128            | simd
fd fe  | f64x2.convert_low_i32x4_s           | -                 | v128 -> v128            | simd
fd ff  | f64x2.convert_low_i32x4_u           | -                 | v128 -> v128            | simd

# Relaxed vector instructions (spec 3.4.11, 4.3.6; their choices are those of the deterministic profile)
fd 100 | i8x16.relaxed_swizzle               | -                 | v128 v128 -> v128       | relaxed_simd
fd 101 | i32x4.relaxed_trunc_f32x4_s         | -                 | v128 -> v128            | relaxed_simd
fd 102 | i32x4.relaxed_trunc_f32x4_u         | -                 | v128 -> v128            | relaxed_simd
fd 103 | i32x4.relaxed_trunc_f64x2_s_zero    | -                 | v128 -> v128            | relaxed_simd
fd 104 | i32x4.relaxed_trunc_f64x2_u_zero    | -                 | v128 -> v128            | relaxed_simd
fd 105 | f32x4.relaxed_madd                  | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 106 | f32x4.relaxed_nmadd                 | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 107 | f64x2.relaxed_madd                  | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 108 | f64x2.relaxed_nmadd                 | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 109 | i8x16.relaxed_laneselect            | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 10a | i16x8.relaxed_laneselect            | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 10b | i32x4.relaxed_laneselect            | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 10c | i64x2.relaxed_laneselect            | -                 | v128 v128 v128 -> v128  | relaxed_simd
fd 10d | f32x4.relaxed_min                   | -                 | v128 v128 -> v128       | relaxed_simd
fd 10e | f32x4.relaxed_max                   | -                 | v128 v128 -> v128       | relaxed_simd
fd 10f | f64x2.relaxed_min                   | -                 | v128 v128 -> v128       | relaxed_simd
fd 110 | f64x2.relaxed_max                   | -                 | v128 v128 -> v128       | relaxed_simd
fd 111 | i16x8.relaxed_q15mulr_s             | -                 | v128 v128 -> v128       | relaxed_simd
fd 112 | i16x8.relaxed_dot_i8x16_i7x16_s     | -                 | v128 v128 -> v128       | relaxed_simd
fd 113 | i32x4.relaxed_dot_i8x16_i7x16_add_s | -                 | v128 v128 v128 -> v128  | relaxed_simd

# Wide arithmetic (the proposal of that name)
fc 13  | i64.add128                          | -                 | i64 i64 i64 i64 -> i64 i64 | wide_arithmetic
fc 14  | i64.sub128                          | -                 | i64 i64 i64 i64 -> i64 i64 | wide_arithmetic
fc 15  | i64.mul_wide_s                      | -                 | i64 i64 -> i64 i64      | wide_arithmetic
fc 16  | i64.mul_wide_u                      | -                 | i64 i64 -> i64 i64      | wide_arithmetic

# Atomic instructions (the threads proposal)
fe 00  | memory.atomic.notify                | memarg:4          | A i32 -> i32            | threads
fe 01  | memory.atomic.wait32                | memarg:4          | A i32 i64 -> i32        | threads
fe 02  | memory.atomic.wait64                | memarg:8          | A i64 i64 -> i32        | threads
fe 03  | atomic.fence                        | zero              | ->                      | threads
fe 10  | i32.atomic.load                     | memarg:4          | A -> i32                | threads
fe 11  | i64.atomic.load                     | memarg:8          | A -> i64                | threads
fe 12  | i32.atomic.load8_u                  | memarg:1          | A -> i32                | threads
fe 13  | i32.atomic.load16_u                 | memarg:2          | A -> i32                | threads
fe 14  | i64.atomic.load8_u                  | memarg:1          | A -> i64                | threads
fe 15  | i64.atomic.load16_u                 | memarg:2          | A -> i64                | threads
fe 16  | i64.atomic.load32_u                 | memarg:4          | A -> i64                | threads
fe 17  | i32.atomic.store                    | memarg:4          | A i32 ->                | threads
fe 18  | i64.atomic.store                    | memarg:8          | A i64 ->                | threads
fe 19  | i32.atomic.store8                   | memarg:1          | A i32 ->                | threads
fe 1a  | i32.atomic.store16                  | memarg:2          | A i32 ->                | threads
fe 1b  | i64.atomic.store8                   | memarg:1          | A i64 ->                | threads
fe 1c  | i64.atomic.store16                  | memarg:2          | A i64 ->                | threads
fe 1d  | i64.atomic.store32                  | memarg:4          | A i64 ->                | threads
fe 1e  | i32.atomic.rmw.add                  | memarg:4          | A i32 -> i32            | threads
fe 1f  | i64.atomic.rmw.add                  | memarg:8          | A i64 -> i64            | threads
fe 20  | i32.atomic.rmw8.add_u               | memarg:1          | A i32 -> i32            | threads
fe 21  | i32.atomic.rmw16.add_u              | memarg:2          | A i32 -> i32            | threads
fe 22  | i64.atomic.rmw8.add_u               | memarg:1          | A i64 -> i64            | threads
fe 23  | i64.atomic.rmw16.add_u              | memarg:2          | A i64 -> i64            | threads
fe 24  | i64.atomic.rmw32.add_u              | memarg:4          | A i64 -> i64            | threads
fe 25  | i32.atomic.rmw.sub                  | memarg:4          | A i32 -> i32            | threads
fe 26  | i64.atomic.rmw.sub                  | memarg:8          | A i64 -> i64            | threads
fe 27  | i32.atomic.rmw8.sub_u               | memarg:1          | A i32 -> i32            | threads
fe 28  | i32.atomic.rmw16.sub_u              | memarg:2          | A i32 -> i32            | threads
fe 29  | i64.atomic.rmw8.sub_u               | memarg:1          | A i64 -> i64            | threads
fe 2a  | i64.atomic.rmw16.sub_u              | memarg:2          | A i64 -> i64            | threads
fe 2b  | i64.atomic.rmw32.sub_u              | memarg:4          | A i64 -> i64            | threads
fe 2c  | i32.atomic.rmw.and                  | memarg:4          | A i32 -> i32            | threads
fe 2d  | i64.atomic.rmw.and                  | memarg:8          | A i64 -> i64            | threads
fe 2e  | i32.atomic.rmw8.and_u               | memarg:1          | A i32 -> i32            | threads
fe 2f  | i32.atomic.rmw16.and_u              | memarg:2          | A i32 -> i32            | threads
fe 30  | i64.atomic.rmw8.and_u               | memarg:1          | A i64 -> i64            | threads
fe 31  | i64.atomic.rmw16.and_u              | memarg:2          | A i64 -> i64            | threads
fe 32  | i64.atomic.rmw32.and_u              | memarg:4          | A i64 -> i64            | threads
fe 33  | i32.atomic.rmw.or                   | memarg:4          | A i32 -> i32            | threads
fe 34  | i64.atomic.rmw.or                   | memarg:8          | A i64 -> i64            | threads
fe 35  | i32.atomic.rmw8.or_u                | memarg:1          | A i32 -> i32            | threads
fe 36  | i32.atomic.rmw16.or_u               | memarg:2          | A i32 -> i32            | threads
fe 37  | i64.atomic.rmw8.or_u                | memarg:1          | A i64 -> i64            | threads
fe 38  | i64.atomic.rmw16.or_u               | memarg:2          | A i64 -> i64            | threads
fe 39  | i64.atomic.rmw32.or_u               | memarg:4          | A i64 -> i64            | threads
fe 3a  | i32.atomic.rmw.xor                  | memarg:4          | A i32 -> i32            | threads
fe 3b  | i64.atomic.rmw.xor                  | memarg:8          | A i64 -> i64            | threads
fe 3c  | i32.atomic.rmw8.xor_u               | memarg:1          | A i32 -> i32            | threads
fe 3d  | i32.atomic.rmw16.xor_u              | memarg:2          | A i32 -> i32            | threads
fe 3e  | i64.atomic.rmw8.xor_u               | memarg:1          | A i64 -> i64            | threads
fe 3f  | i64.atomic.rmw16.xor_u              | memarg:2          | A i64 -> i64            | threads
fe 40  | i64.atomic.rmw32.xor_u              | memarg:4          | A i64 -> i64            | threads
fe 41  | i32.atomic.rmw.xchg                 | memarg:4          | A i32 -> i32            | threads
fe 42  | i64.atomic.rmw.xchg                 | memarg:8          | A i64 -> i64            | threads
fe 43  | i32.atomic.rmw8.xchg_u              | memarg:1          | A i32 -> i32            | threads
fe 44  | i32.atomic.rmw16.xchg_u             | memarg:2          | A i32 -> i32            | threads
fe 45  | i64.atomic.rmw8.xchg_u              | memarg:1          | A i64 -> i64            | threads
fe 46  | i64.atomic.rmw16.xchg_u             | memarg:2          | A i64 -> i64            | threads
fe 47  | i64.atomic.rmw32.xchg_u             | memarg:4          | A i64 -> i64            | threads
fe 48  | i32.atomic.rmw.cmpxchg              | memarg:4          | A i32 i32 -> i32        | threads
fe 49  | i64.atomic.rmw.cmpxchg              | memarg:8          | A i64 i64 -> i64        | threads
fe 4a  | i32.atomic.rmw8.cmpxchg_u           | memarg:1          | A i32 i32 -> i32        | threads
fe 4b  | i32.atomic.rmw16.cmpxchg_u          | memarg:2          | A i32 i32 -> i32        | threads
fe 4c  | i64.atomic.rmw8.cmpxchg_u           | memarg:1          | A i64 i64 -> i64        | threads
fe 4d  | i64.atomic.rmw16.cmpxchg_u          | memarg:2          | A i64 i64 -> i64        | threads
fe 4e  | i64.atomic.rmw32.cmpxchg_u          | memarg:4          | A i64 i64 -> i64        | threads
"""

_OPERANDS: dict[str, Operand] = {
    "A": ADDRESS,
    "i32": T.I32,
    "i64": T.I64,
    "f32": T.F32,
    "f64": T.F64,
    "v128": T.V128,
    "eqref": T.EQREF,
    "arrayref": T.ARRAYREF,
    "i31ref": T.I31REF,
    "i31": T.RefType(False, T.I31),
}

_TEXT_NAMES = {"select_t": "select", "ref.test_null": "ref.test", "ref.cast_null": "ref.cast"}

# Instructions that may stand in a constant expression (spec 3.4.13); global.get has a
# condition of its own.
_CONSTANT = frozenset(
    """
    i32.const i64.const f32.const f64.const v128.const ref.null ref.func global.get
    i32.add i32.sub i32.mul i64.add i64.sub i64.mul
    struct.new struct.new_default array.new array.new_default array.new_fixed ref.i31
    any.convert_extern extern.convert_any
    """.split()
)


@dataclass(frozen=True, eq=False)
class Opcode:
    """One row of the table.

    Attributes:
        name: unique name.
        prefix: the prefix byte, or None.
        code: the opcode byte, or the number after the prefix.
        immediates: kinds of the immediates, in binary order, without their parameters.
        width: bytes accessed in memory, or 0.
        lanes: number of lanes a lane immediate selects from, or 0.
        params: operand types when fixed, else None.
        results: result types when fixed, else None.
        feature: the proposal it came with, or ``"mvp"``.
        constant: whether it may stand in a constant expression.
    """

    name: str
    prefix: int | None
    code: int
    immediates: tuple[str, ...]
    width: int
    lanes: int
    params: tuple[Operand, ...] | None
    results: tuple[Operand, ...] | None
    feature: str
    constant: bool

    @property
    def text(self) -> str:
        """The name in the text format."""
        return _TEXT_NAMES.get(self.name, self.name)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...]:
        return (BY_NAME.__getitem__, (self.name,))


def _parse_row(line: str) -> Opcode:
    opcode, name, immediates, signature, feature = (part.strip() for part in line.split("|"))
    code = [int(part, 16) for part in opcode.split()]
    kinds: list[str] = []
    numbers = {"memarg": 0, "lane": 0}
    for part in () if immediates == "-" else immediates.split(","):
        kind, _, number = part.partition(":")
        kinds.append(kind)
        if number:
            numbers[kind] = int(number)
    params: tuple[Operand, ...] | None = None
    results: tuple[Operand, ...] | None = None
    if signature != "*":
        before, _, after = signature.partition("->")
        params = tuple(_OPERANDS[word] for word in before.split())
        results = tuple(_OPERANDS[word] for word in after.split())
    return Opcode(
        name=name,
        prefix=code[0] if len(code) == 2 else None,
        code=code[-1],
        immediates=tuple(kinds),
        width=numbers["memarg"],
        lanes=numbers["lane"],
        params=params,
        results=results,
        feature=feature,
        constant=name in _CONSTANT,
    )


OPCODES: tuple[Opcode, ...] = tuple(
    _parse_row(line) for line in _TABLE.splitlines() if line and not line.startswith("#")
)
"""Every instruction, grouped as in the spec."""

BY_NAME: dict[str, Opcode] = {row.name: row for row in OPCODES}
"""Rows by unique name."""

BY_CODE: dict[int, Opcode] = {row.code: row for row in OPCODES if row.prefix is None}
"""Rows without a prefix, by opcode byte."""

PREFIXES: dict[int, dict[int, Opcode]] = {
    prefix: {row.code: row for row in OPCODES if row.prefix == prefix}
    for prefix in sorted({row.prefix for row in OPCODES if row.prefix is not None})
}
"""For each prefix byte, its rows by the number that follows."""
