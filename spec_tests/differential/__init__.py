"""The same modules on wattest and on wasmtime: results must agree bit for bit."""
