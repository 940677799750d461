"""Build script: all metadata is in pyproject.toml; here are the accelerator's extension modules.

They are optional. Without Cython or a C compiler, or with ``WATTEST_PURE=1`` in the environment,
a pure package is built and one line says so. ``WATTEST_REQUIRE_ACCEL=1`` makes that an error.
Where the compiler does not make jumps of the handlers' tail calls (a test run of the built
handlers tells), they are built again to return to a loop; ``WATTEST_LOOP=1`` asks for that.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
ACCEL = Path("wattest") / "accel"


def flags() -> list[str]:
    """Compiler flags: what the handlers' meaning needs, then what makes them tail jumps."""
    if sys.platform == "win32":
        return ["/O2", "/fp:strict", "/DWATTEST_LOOP"]
    found = ["-O2", "-fno-strict-aliasing", "-fwrapv", "-ffp-contract=off", "-fno-math-errno"]
    found += ["-fomit-frame-pointer", "-foptimize-sibling-calls", "-w"]
    # Python's own flags often ask for debugging information, which takes a third of the time.
    found += ["-fno-tree-loop-distribute-patterns", "-fno-stack-protector", "-g0"]
    found += os.environ.get("WATTEST_CFLAGS", "").split()
    if os.environ.get("WATTEST_LOOP"):
        found.append("-DWATTEST_LOOP")
    return found


def pure(reason: object) -> None:
    """Say in one line why the accelerator is left out."""
    text = str(reason)
    line = text.splitlines()[0] if text else type(reason).__name__
    if line.startswith("Command ") or line.startswith("command "):
        line = f"the C compiler failed: {line[:60]}..."
    print(f"wattest: building without the accelerator ({line})", file=sys.stderr)


def extensions() -> list[Extension]:
    """The extension modules, or none where they are not wanted or cannot be built."""
    if os.environ.get("WATTEST_PURE"):
        pure("WATTEST_PURE is set")
        return []
    if sys.maxsize < 2**32:
        pure("it needs a 64-bit Python")
        return []
    try:
        import Cython  # noqa: F401
    except ImportError:
        pure("Cython is missing")
        return []
    return [
        Extension(
            f"wattest.accel.{path.stem}",
            [str(ACCEL / path.name)],
            include_dirs=[str(ACCEL)],
            extra_compile_args=flags(),
            depends=[
                str(ACCEL / name)
                for name in ("native.h", "heap.h", "vectors.h", "cells.h", "pages.h")
            ],
        )
        for path in sorted({*(ROOT / ACCEL).glob("*.pyx"), ROOT / ACCEL / "_handlers.pyx"})
    ]


def generate() -> None:
    """Write the generated sources.

    The generator needs the instruction table only: a bare package stands for wattest meanwhile,
    whose own ``__init__`` imports what need not be installed yet.
    """
    package = ModuleType("wattest")
    package.__path__ = [str(ROOT / "wattest")]
    sys.modules["wattest"] = package
    from wattest.accel.generator.handlers import generate

    generate(ROOT / ACCEL)


class OptionalBuild(build_ext):
    """Generates, translates and compiles; a failure is one line, not an error."""

    def run(self) -> None:
        if not self.extensions:
            return
        # The largest of the files takes half of the time: two at once are as fast as many.
        self.parallel = self.parallel or 2
        compiler = self.compiler
        try:
            from Cython.Build import cythonize
            from Cython.Compiler import Options

            generate()
            # Nobody reads the C sources, and the source repeated in them is half of their size.
            Options.emit_code_comments = False
            # Millions of live objects: looking for dead ones takes half of the time.
            gc.disable()
            try:
                translated = cythonize(self.extensions, language_level=3, quiet=True, nthreads=2)
            finally:
                gc.enable()
            for extension, made in zip(self.extensions, translated):
                extension.sources = made.sources
            super().run()
            if not jumps(Path(self.build_lib) / ACCEL, ROOT / ACCEL):
                print("wattest: no tail jumps: building with dispatch by a loop", file=sys.stderr)
                for extension in self.extensions:
                    extension.extra_compile_args.append("-DWATTEST_LOOP")
                self.force = True
                self.compiler = compiler
                super().run()
        except Exception as error:
            if os.environ.get("WATTEST_REQUIRE_ACCEL"):
                raise
            pure(error)
            # Nothing was built: nothing is to be copied or listed either.
            self.extensions = []


def jumps(*folders: Path) -> bool:
    """Whether the handlers just built survive their test (see generator/selftest.py)."""
    for folder in folders:
        if list(folder.glob("_handlers.*.so")):
            script = str(ROOT / ACCEL / "generator" / "selftest.py")
            done = subprocess.run(
                [sys.executable, script, str(folder), str(ROOT / ACCEL / "ids.pxi")],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=300,
            )
            # Killed by a signal: the native stack overflowed.
            return done.returncode >= 0
    return True


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
