"""Where the tests find wasm-tools: as `wattest conform` does."""

from wattest.conformance.tools import NO_WASM_TOOLS, run_wasm_tools, wasm_tools, wasm_tools_version

__all__ = ["NO_WASM_TOOLS", "run_wasm_tools", "wasm_tools", "wasm_tools_version"]
