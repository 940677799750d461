"""Checks that handlers end in jumps: ``python -m wattest.accel.selftest``, run on every wheel.

Were a handler to call the next one, a few thousand cells would overflow the C stack. The
program below runs millions of cells of many kinds on a stack of 256 KiB.
"""

from __future__ import annotations

import sys
import threading

__all__ = ["BINARY", "main"]

BINARY = bytes.fromhex(
    "0061736d0100000001060160017f017f030302000005030100010707010372756e00000a6d026002017f017c03"
    "40200041ff07714103742101200120012903002000ac7c370300200244000000000000e03fa22000b7a0210220"
    "004101710440200010011a0541022000200041054a1b1a0b200041016b22000d000b41082802002002fc026a0b"
    "0a00200041036c4105730b000d046e616d65010601000372756e"
)
"""The binary of:

(module (type (func (param i32) (result i32)))
 (memory 1)
 (func $run (export "run") (type 0) (local i32) (local f64)
  (loop
    (local.set 1 (i32.shl (i32.and (local.get 0) (i32.const 1023)) (i32.const 3)))
    (i64.store (local.get 1) (i64.add (i64.load (local.get 1)) (i64.extend_i32_s (local.get 0))))
    (local.set 2
      (f64.add (f64.mul (local.get 2) (f64.const 0.5)) (f64.convert_i32_s (local.get 0))))
    (if (i32.and (local.get 0) (i32.const 1))
      (then (drop (call 1 (local.get 0))))
      (else (drop (select (i32.const 2) (local.get 0) (i32.gt_s (local.get 0) (i32.const 5))))))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (i32.add (i32.load (i32.const 8)) (i32.trunc_sat_f64_s (local.get 2))))
 (func (type 0) (i32.xor (i32.mul (local.get 0) (i32.const 3)) (i32.const 5))))
"""


def run(count: int) -> int:
    """The program's answer after ``count`` rounds."""
    import wattest

    module = wattest.Module(BINARY)
    answer: int = wattest.Instance(module, engine="accel").exports.run(count)
    return answer


def main() -> int:
    """Run it in a thread with a small stack; returns 0, or does not return at all."""
    answers: list[int] = []
    threading.stack_size(256 * 1024)
    thread = threading.Thread(target=lambda: answers.append(run(300_000)))
    thread.start()
    thread.join()
    return 0 if answers else 1


if __name__ == "__main__":
    sys.exit(main())
