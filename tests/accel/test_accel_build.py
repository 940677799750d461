"""How the accelerator is built, what is packed, and that its handlers are tail jumps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import wattest

ROOT = Path(__file__).parents[2]
ACCEL = ROOT / "wattest" / "accel"
SELFTEST = ACCEL / "generator" / "selftest.py"

pytest.importorskip("setuptools")


def _handlers() -> Path:
    module = pytest.importorskip("wattest.accel._handlers")
    if module.build()[1] != "tail jumps":
        pytest.skip("built with dispatch by a loop")
    return Path(module.__file__)


def test_ten_million_steps_fit_a_native_stack_of_64_kilobytes():
    place = _handlers()
    command = [sys.executable, str(SELFTEST), str(place.parent), str(ACCEL / "ids.pxi")]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()


def test_handlers_that_are_compiled_to_calls_fail_the_build_time_test(tmp_path):
    """Without optimisation gcc and clang make calls of them."""
    _handlers()
    if shutil.which("cc") is None or not (ACCEL / "_handlers.c").exists():
        pytest.skip("there is no C compiler, or no generated source")
    import sysconfig

    target = tmp_path / "_handlers.so"
    command = ["cc", "-shared", "-fPIC", "-O0", "-w", f"-I{ACCEL}"]
    command += [f"-I{sysconfig.get_paths()['include']}", str(ACCEL / "_handlers.c")]
    subprocess.run([*command, "-o", str(target)], check=True, timeout=300)
    command = [sys.executable, str(SELFTEST), str(tmp_path), str(ACCEL / "ids.pxi")]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode < 0


def test_no_handler_calls_through_a_pointer():
    """In the machine code: handlers go on by jumping, every one of them."""
    place = _handlers()
    if shutil.which("objdump") is None:
        pytest.skip("there is no objdump")
    command = ["objdump", "-d", "--no-show-raw-insn", str(place)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    handlers = re.findall(r"^\w+ <(\w*_h_\w+)>:\n((?:.+\n)*)", text, re.MULTILINE)
    if not handlers:
        pytest.skip("the extension is stripped")
    assert len(handlers) > 1000
    indirect = re.compile(r"\bcall\s+\*|\bblr\s")
    assert [name for name, body in handlers if indirect.search(body)] == []


def test_the_version_names_engine_and_build():
    done = subprocess.run(
        [sys.executable, "-m", "wattest", "--version"], capture_output=True, text=True, check=True
    )
    if "accel" in wattest.available_engines():
        assert re.search(r"^accel: \S+.*, dispatch by (tail jumps|loop)$", done.stdout, re.M)
    else:
        assert "the accelerator was not built" in done.stdout


# Packages


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of what is needed to build, with the generated sources where there are some."""
    target = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, target)
    leave = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(ROOT / "wattest", target / "wattest", ignore=leave)
    return target


def _build(tree: Path, command: str, **env: str) -> tuple[int, str, list[str]]:
    """Build a wheel or sdist; returns status, what was said, and the names inside."""
    out = tree / "dist"
    for folder in (out, tree / "build"):
        shutil.rmtree(folder, ignore_errors=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WATTEST_")}
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", command, "-d", str(out)],
        cwd=tree,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    names: list[str] = []
    for path in out.glob("*") if out.exists() else ():
        if path.suffix == ".whl":
            names += zipfile.ZipFile(path).namelist()
        else:
            with tarfile.open(path) as archive:
                names += archive.getnames()
    return done.returncode, done.stderr, names


def _said(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("wattest: ")]


def _is_pure(names: list[str]) -> bool:
    assert "wattest/accel/engine.py" in names
    assert "wattest/interp/reference.py" in names
    assert not [name for name in names if name.endswith((".c", ".pyx", ".pxi", ".h", ".pxd"))]
    return not [name for name in names if name.endswith((".so", ".pyd"))]


def test_pure_when_asked_for(tree):
    status, stderr, names = _build(tree, "bdist_wheel", WATTEST_PURE="1")
    assert status == 0
    assert _said(stderr) == ["wattest: building without the accelerator (WATTEST_PURE is set)"]
    assert _is_pure(names)


def test_pure_without_cython(tree, tmp_path):
    (tmp_path / "Cython").mkdir()
    (tmp_path / "Cython" / "__init__.py").write_text("raise ImportError")
    status, stderr, names = _build(tree, "bdist_wheel", PYTHONPATH=str(tmp_path))
    assert status == 0
    assert _said(stderr) == ["wattest: building without the accelerator (Cython is missing)"]
    assert _is_pure(names)


def test_pure_without_a_compiler(tree):
    pytest.importorskip("Cython")
    status, stderr, names = _build(tree, "bdist_wheel", CC="/bin/false")
    assert status == 0
    assert len(_said(stderr)) == 1
    assert "building without the accelerator (the C compiler failed" in _said(stderr)[0]
    assert "Traceback" not in stderr
    assert _is_pure(names)


def test_an_error_without_a_compiler_where_the_accelerator_is_required(tree):
    pytest.importorskip("Cython")
    status, _, _ = _build(tree, "bdist_wheel", CC="/bin/false", WATTEST_REQUIRE_ACCEL="1")
    assert status != 0


def test_the_source_distribution_has_all_sources_and_nothing_generated(tree):
    status, _, names = _build(tree, "sdist")
    assert status == 0
    inside = {name.split("/wattest/accel/")[1] for name in names if "/wattest/accel/" in name}
    wanted = {path.relative_to(ACCEL).as_posix() for path in ACCEL.rglob("*") if path.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    generated = {name for name in wanted if name.endswith((".c", ".so", ".pyd"))}
    generated |= {"_handlers.pyx", "ids.pxi", "vectors.h"}
    assert {name for name in inside if "." in name} == wanted - generated
