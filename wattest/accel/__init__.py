"""The accelerator: validated functions as threaded code, run without the GIL.

Optional: without it `wattest` runs on the reference alone. The parts, from the bytes on:

- ``bodies.pyx`` and ``validation/``: function bodies validated natively;
- ``lowering.pxi`` and ``lowering/``: a body to cells, each a handler and its operands;
- ``generator``: writes the handlers from the instruction table, at build time;
- ``native.h``, ``structs.pxd``: the machine's data in C;
- ``core.pyx`` and ``runtime/``: native values and instances, and the driver that runs the handlers;
- `engine`, `instantiate`, `validate`: the engine as the rest of wattest sees it.
"""
