"""Tests against the specification: the official suite, other engines, WASI programs."""
