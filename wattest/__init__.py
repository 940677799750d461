"""wattest: run WebAssembly programs so that what they did can be proved later."""
