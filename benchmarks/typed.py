"""How fast bodies with typed references, structures, arrays and exceptions are validated.

``python -m benchmarks.typed`` makes a module of them, validates it on both engines in turns, and
prints megabytes of code section a second of processor time, the best of a few times.
"""

from __future__ import annotations

import argparse
import random
import time

from wattest.api.engines import available_engines, get_engine
from wattest.conformance.tools import text_to_binary
from wattest.interp.decode import decode_module

__all__ = ["main", "module"]

_TYPES = """
  (rec (type $node (sub (struct (field $key (mut i32)) (field $next (mut (ref null $node))))))
    (type $leaf (sub $node (struct (field (mut i32)) (field (mut (ref null $node)))
      (field $text (ref null $bytes)))))
    (type $bytes (array (mut i8))) (type $list (array (mut (ref null $node)))))
  (type $step (func (param (ref null $node) i32) (result (ref null $node))))
  (tag $lost (param (ref $node) i32))
  (table $steps {count} {count} (ref null $step))
"""

_FUNCTION = """
  (func $f{n} (type $step) (local $made (ref $leaf)) (local $all (ref null $list)) (local $k i32)
    (local.set $made (struct.new $leaf (local.get 1) (local.get 0)
      (array.new_fixed $bytes 3 (i32.const {a}) (i32.const {b}) (local.get 1))))
    (local.set $all (array.new $list (local.get $made) (i32.const {c})))
    (loop $again
      (array.set $list (local.get $all) (local.get $k)
        (select (result (ref null $node)) (local.get $made) (local.get 0)
          (i32.and (local.get $k) (i32.const {b}))))
      (br_if $again (i32.lt_u
        (local.tee $k (i32.add (local.get $k) (i32.const 1)))
        (array.len (local.get $all)))))
    (block $caught (result (ref $node) i32)
      (block $other
        (try_table (catch $lost $caught) (catch_all $other)
          (block $null
            (block $isleaf (result (ref $leaf))
              (br_on_cast $isleaf (ref null $node) (ref $leaf)
                (call $f{m} (local.get $made) (local.get $k)))
              (br_on_null $null)
              (struct.set $node $key (i32.const {a}))
              (br $other))
            (local.set $k (i32.add
              (array.get_u $bytes (ref.as_non_null (struct.get $leaf $text)) (i32.const 1))
              (local.get $k))))
          (if (ref.test (ref $leaf) (local.get 0))
            (then (return (call_ref $step (ref.cast (ref $leaf) (local.get 0)) (local.get $k)
              (table.get $steps (i32.const {m}))))))
          (throw $lost (ref.as_non_null (struct.get $node $next (local.get $made)))
            (local.get $k))))
      (return (struct.get $node $next (local.get $made))))
    (drop))
"""


def module(count: int) -> bytes:
    """A module of that many functions."""
    rng = random.Random(count)
    funcs = []
    for number in range(count):
        a, b, c = (rng.randrange(1, 1 << rng.choice((6, 12, 20))) for _ in range(3))
        funcs.append(_FUNCTION.format(n=number, m=rng.randrange(count), a=a, b=b, c=c))
    return text_to_binary(f"(module {_TYPES.format(count=count)} {''.join(funcs)})")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="functions")
    options = parser.parse_args()
    binary = module(options.count)
    code = sum(func.code.end - func.code.start for func in decode_module(binary).funcs)
    best: dict[str, float] = {}
    for turn in range(5):
        for name in available_engines():
            if turn > 1 and name == "reference":
                continue
            decoded = decode_module(binary)
            began = time.process_time()
            get_engine(name).validate(decoded)
            taken = time.process_time() - began
            best[name] = min(taken, best.get(name, taken))
    print(f"{len(binary):,} bytes, {code:,} of them code, {options.count:,} functions")
    for name, taken in best.items():
        print(f"{name}: {taken:.3f} s, {code / taken / 1e6:.2f} MB/s")


if __name__ == "__main__":
    main()
