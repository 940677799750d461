"""Build script: all metadata is in pyproject.toml; here are the accelerator's extension modules.

They are optional. Without Cython or a C compiler, or with ``WATTEST_PURE=1`` in the environment,
a pure package is built and one line says so.
"""

from __future__ import annotations

import os
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
    found += ["-fno-tree-loop-distribute-patterns", "-fno-stack-protector"]
    found += os.environ.get("WATTEST_CFLAGS", "").split()
    if os.environ.get("WATTEST_LOOP"):
        found.append("-DWATTEST_LOOP")
    return found


def extensions() -> list[Extension]:
    """The extension modules, or none where they are not wanted or cannot be built."""
    if os.environ.get("WATTEST_PURE"):
        print("wattest: building without the accelerator (WATTEST_PURE is set)", file=sys.stderr)
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        print("wattest: building without the accelerator (Cython is missing)", file=sys.stderr)
        return []
    # The generator needs the instruction table only: a bare package stands for wattest, whose
    # own __init__ imports what need not be installed yet.
    package = ModuleType("wattest")
    package.__path__ = [str(ROOT / "wattest")]
    sys.modules["wattest"] = package
    from wattest.accel.generator.handlers import generate

    generate(ROOT / ACCEL)
    return cythonize(  # type: ignore[no-any-return]
        [
            Extension(
                f"wattest.accel.{name}",
                [str(ACCEL / f"{name}.pyx")],
                include_dirs=[str(ACCEL)],
                extra_compile_args=flags(),
                depends=[str(ACCEL / "native.h")],
                optional=not os.environ.get("WATTEST_REQUIRE_ACCEL"),
            )
            for name in ("_handlers", "core")
            if (ROOT / ACCEL / f"{name}.pyx").exists()
        ],
        language_level=3,
        quiet=True,
    )


class OptionalBuild(build_ext):
    """Builds what can be built; a failure is one line, not an error."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            if os.environ.get("WATTEST_REQUIRE_ACCEL"):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            print(f"wattest: building without the accelerator ({reason})", file=sys.stderr)


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
