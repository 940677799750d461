"""The official suite of WebAssembly, run from a checkout of its own repository."""
