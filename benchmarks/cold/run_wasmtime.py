"""What a user writes to run a WASI command with wasmtime-py: import, compile, run, nothing more.

python run_wasmtime.py PROGRAM [ARGS]...
"""

import sys

import wasmtime

path, arguments = sys.argv[1], sys.argv[2:]
engine = wasmtime.Engine()
module = wasmtime.Module.from_file(engine, path)
linker = wasmtime.Linker(engine)
linker.define_wasi()
store = wasmtime.Store(engine)
config = wasmtime.WasiConfig()
config.argv = [path, *arguments]
config.inherit_stdout()
config.inherit_stderr()
store.set_wasi(config)
start = linker.instantiate(store, module).exports(store)["_start"]
assert isinstance(start, wasmtime.Func)
try:
    start(store)
except wasmtime.ExitTrap as left:
    sys.exit(left.code)
