"""Imports point downwards only: a layer never knows the ones above it (see docs/rationale.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "wattest"

LAYERS = (
    "version", "errors", "page", "engine", "interp", "accel", "api", "wasi", "audit", "jobs",
    "explain", "conformance", "fuzzing", "cli",
)  # fmt: skip
"""From the bottom to the top; each may import those before it."""

# The interface of engines names the structures that it passes around, for type checkers only.
FOR_TYPES_ONLY = {("engine", "interp")}

TOP = {"__init__", "__main__"}
"""The package's own front doors see everything."""


def layer_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(source: str, package: str) -> list[tuple[str, bool]]:
    """The layers that a module imports, and whether for type checkers only.

    Args:
        source: text of the module.
        package: dotted name of the package that it lies in.
    """
    tree = ast.parse(source)
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            typing_only.update(ast.walk(node))
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            # "from wattest import api" names the layer behind the import.
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "wattest":
                found.append((parts[1] if len(parts) > 1 else "", node in typing_only))
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if layer_of(path) not in TOP)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = layer_of(path)
    package = ".".join(("wattest", *path.relative_to(PACKAGE).parts[:-1]))
    for layer, typing_only in imports_of(path.read_text(encoding="utf-8"), package):
        if layer == own or (typing_only and (own, layer) in FOR_TYPES_ONLY):
            continue
        assert layer in LAYERS, f"{path} imports wattest.{layer}, which is no layer"
        assert LAYERS.index(layer) < LAYERS.index(own), f"{own} must not import {layer}"


def test_every_layer_has_a_place() -> None:
    assert {layer_of(path) for path in MODULES} <= set(LAYERS)


def test_the_api_alone_names_the_engines() -> None:
    for path in MODULES:
        if layer_of(path) in ("wasi", "audit", "jobs", "explain", "conformance", "fuzzing", "cli"):
            layers = {layer for layer, _ in imports_of(path.read_text(encoding="utf-8"), "wattest")}
            assert "accel" not in layers, path
            assert "ReferenceEngine" not in path.read_text(encoding="utf-8"), path


def test_the_check_sees_every_form_of_import() -> None:
    source = """
import wattest.cli.main
from wattest import jobs
from wattest.audit.trace import Trace
from ..wasi import shim
from . import reader
if TYPE_CHECKING:
    from wattest.api import Module
def f():
    from wattest.accel.engine import AccelEngine
"""
    assert sorted(imports_of(source, "wattest.interp")) == [
        ("accel", False),
        ("api", True),
        ("audit", False),
        ("cli", False),
        ("interp", False),
        ("jobs", False),
        ("wasi", False),
    ]
