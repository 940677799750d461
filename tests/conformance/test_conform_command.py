"""``wattest conform`` end to end: scripts, engines, reports, exit statuses."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.browser import dump_dom, needs_browser
from wattest.cli import cli
from wattest.conformance.tools import NO_WASM_TOOLS, run_wasm_tools, wasm_tools

pytestmark = pytest.mark.skipif(wasm_tools() is None, reason=NO_WASM_TOOLS)

GOOD = """(module (func (export "add") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1)))
  (func (export "trap") (unreachable)) (global (export "g") f32 (f32.const nan:0x200000)))
(assert_return (invoke "add" (i32.const 2) (i32.const 3)) (i32.const 5))
(assert_trap (invoke "trap") "unreachable")
(assert_return (get "g") (f32.const nan:0x200000))
(assert_malformed (module quote "(func") "unexpected token")
(assert_invalid (module (func (result i32))) "type mismatch")
"""
BAD = """(module $m (func (export "one") (result i32) (i32.const 1)))
(assert_return (invoke $m "one") (i32.const 2))
(assert_trap (invoke $m "one") "<unreachable> & \\"quoted\\"")
(assert_return (invoke $m "one") (i32.const 1))
"""
VECTOR = """(module (func (export "v") (result v128) (v128.const i32x4 1 2 3 4)))
(assert_return (invoke "v") (v128.const i32x4 1 2 3 4))
"""


def write_scripts(scripts: Path) -> Path:
    (scripts / "deep").mkdir(parents=True)
    (scripts / "good.wast").write_text(GOOD)
    (scripts / "deep" / "bad.wast").write_text(BAD)
    (scripts / "vector.wast").write_text(VECTOR)
    return scripts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_scripts(tmp_path / "scripts")


def conform(*args: object) -> Result:
    return CliRunner().invoke(cli, ["conform", "--jobs", "2", *map(str, args)])


def report(tmp_path: Path, *args: object) -> tuple[Result, dict[str, Any]]:
    target = tmp_path / "report.json"
    result = conform(*args, "--json", target)
    return result, json.loads(target.read_bytes()) if target.exists() else {}


def test_a_folder_on_two_engines(folder: Path, tmp_path: Path) -> None:
    result, found = report(tmp_path, folder, "--engine", "reference", "--engine", "wasmtime")
    assert result.exit_code == 1, result.output
    assert found["engines"] == ["reference", "wasmtime"]
    assert [item["name"] for item in found["scripts"]] == ["good", "vector", "deep/bad"]
    assert found["total"]["reference"] == {"passed": 9, "failed": 2, "not applicable": 1}
    # The same commands are counted on every engine, whatever it can do.
    assert found["total"]["wasmtime"] == {"passed": 7, "failed": 2, "not applicable": 3}
    assert found["matrix"]["simd"]["wasmtime"] == {"passed": 1, "failed": 0, "not applicable": 1}
    vector = found["scripts"][1]["engines"]["wasmtime"]
    assert vector["reasons"] == {"needs v128 at wasmtime-py's interface": [2]}
    good = found["scripts"][0]["engines"]
    assert good["reference"]["reasons"] == {"text format": [7]}
    assert good["wasmtime"]["reasons"] == {
        "needs the quiet bit of an f32 NaN at wasmtime-py's interface": [6],
        "text format": [7],
    }
    failures = found["scripts"][2]["engines"]["reference"]["failures"]
    assert failures == found["scripts"][2]["engines"]["wasmtime"]["failures"]
    assert failures[0] == {
        "line": 2,
        "command": "assert_return",
        "source": '(assert_return (invoke $m "one") (i32.const 2))',
        "subject": "m one()",
        "expected": "i32 2",
        "got": "i32 1",
    }
    assert "deep/bad:2: assert_return: m one(): expected i32 2, got i32 1" in result.output
    assert re.search(r"^all +9 +2 +1 +7 +2 +3$", result.output, re.MULTILINE)


def test_what_was_converted_before_runs_without_wasm_tools(tmp_path: Path) -> None:
    script = tmp_path / "good.wast"
    script.write_text(GOOD)
    done = run_wasm_tools(
        "json-from-wast", script, "-o", tmp_path / "c.json", "--wasm-dir", tmp_path
    )
    assert done.returncode == 0
    result, found = report(tmp_path, tmp_path / "c.json")
    assert result.exit_code == 0, result.output
    assert found["total"]["reference"] == {"passed": 5, "failed": 0, "not applicable": 1}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Path]]:
    """The same campaign twice, in one process and in two: its page and its JUnit XML."""
    folder = write_scripts(tmp_path_factory.mktemp("scripts"))
    made = []
    for jobs in (1, 2):
        target = tmp_path_factory.mktemp("reports")
        paths = {"html": target / "page.html", "junit": target / "junit.xml"}
        conform(folder, "--html", paths["html"], "--junit", paths["junit"], "--jobs", jobs)
        made.append(paths)
    return made


def test_junit_counts_every_command_once(reports: list[dict[str, Path]]) -> None:
    suites = ElementTree.parse(reports[0]["junit"]).getroot()
    by_name = {suite.get("name"): suite for suite in suites}
    bad = by_name["reference: deep/bad"]
    assert (bad.get("tests"), bad.get("failures"), bad.get("skipped")) == ("4", "2", "0")
    assert len(bad.findall("testcase")) == 4
    failure = bad.findall("testcase/failure")[1]
    assert 'expected trap "<unreachable> & "quoted""' in str(failure.get("message"))
    assert failure.text is not None
    assert failure.text.startswith("(assert_trap")
    skipped = by_name["reference: good"].findall("testcase/skipped")
    assert [item.get("message") for item in skipped] == ["text format"]


@pytest.mark.parametrize("kind", ["html", "junit"])
def test_the_same_results_give_the_same_bytes(kind: str, reports: list[dict[str, Path]]) -> None:
    assert reports[0][kind].read_bytes() == reports[1][kind].read_bytes()


CLICK = """
<script>
const heads = [...document.querySelectorAll('#scripts th[data-column]')];
const names = () => [...document.querySelectorAll('#scripts tbody tr')]
  .map(row => row.cells[0].textContent).join(' ');
const seen = [names()];
for (const column of [0, 0, 2, 1, 1]) {
  heads[column].querySelector('button').click();
  seen.push(names());
}
const filter = document.getElementById('filter');
filter.value = 'NOTHING LIKE IT';
filter.dispatchEvent(new Event('input'));
seen.push(document.querySelectorAll('.failure:not([hidden])').length);
filter.value = 'Assert_Trap';
filter.dispatchEvent(new Event('input'));
seen.push(document.querySelectorAll('.failure:not([hidden])').length);
document.title = seen.join('|');
</script>
"""


@needs_browser
def test_the_page_opens_and_sorts(reports: list[dict[str, Path]], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = reports[0]["html"].read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{CLICK}</body>"), encoding="utf-8")
    title = re.search(r"<title>(.*?)</title>", dump_dom(page, tmp_path))
    assert title is not None
    assert title.group(1).split("|") == [
        "good vector deep/bad",
        "deep/bad good vector",  # by name
        "vector good deep/bad",  # and back
        "deep/bad vector good",  # most failures first, the rest as it was
        "good deep/bad vector",  # most passed first
        "deep/bad vector good",
        "0",
        "1",
    ]
    assert "&lt;unreachable&gt; &amp; &quot;quoted&quot;" in text
    assert "src=" not in text


MORE = """(module $a (global (export "g") (mut i64) (i64.const -7)) (memory (export "m") 1 2)
  (tag $t) (type $s (struct))
  (func (export "same") (param externref f64) (result f64 externref)
    (local.get 1) (local.get 0))
  (func (export "deep") (call 1)) (func (export "throw") (throw $t))
  (func (export "struct") (result structref) (struct.new $s))
  (func (export "func") (result funcref) (ref.func 0)) (elem declare func 0))
(register "a" $a)
(module (import "a" "g" (global (mut i64))) (import "spectest" "print_i32" (func (param i32)))
  (func (export "print") (call 0 (i32.const 1))))
(assert_return (invoke "print"))
(assert_return (invoke $a "same" (ref.extern 7) (f64.const -nan:0x4000000000001))
  (f64.const -nan:0x4000000000001) (ref.extern 7))
(assert_return (get $a "g") (i64.const -7))
(assert_exhaustion (invoke $a "deep") "call stack exhausted")
(assert_exception (invoke $a "throw"))
(assert_return (invoke $a "struct") (ref.struct))
(assert_return (invoke $a "func") (ref.func))
(assert_return (invoke $a "same" (ref.null extern) (f64.const 0)) (f64.const 0) (ref.null extern))
(assert_unlinkable (module (import "a" "x" (func))) "unknown import")
(assert_invalid (module (func (i32.add (nop)))) "type mismatch")
(assert_malformed (module binary "\\00asm\\01\\00\\00\\00\\7f\\00") "malformed section id")
(assert_trap (module (func (unreachable)) (start 0)) "unreachable")
"""
ADAPTER = Path(__file__).parents[2] / "examples" / "engine_adapter.py"


def test_an_engine_in_a_process(folder: Path, tmp_path: Path) -> None:
    engine = f"mine={sys.executable} {ADAPTER}"
    (folder / "more.wast").write_text(MORE)
    result, found = report(tmp_path, folder, "--engine", engine, "--engine", "reference")
    assert result.exit_code == 1, result.output
    for script in found["scripts"]:
        if script["name"] != "more":
            assert script["engines"]["mine"] == script["engines"]["reference"]
    more = found["scripts"][1]
    assert more["unreadable"] is None
    assert more["name"] == "more"
    assert more["engines"]["reference"]["failed"] == 0
    assert more["engines"]["mine"] == {
        "passed": 14,
        "failed": 0,
        "not applicable": 1,
        "failures": [],
        "reasons": {"needs references to the guest's objects": [17]},
    }


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit(3)", "the engine's process ended with status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
        ("input(); print('{', flush=True); input()", "answer is not JSON"),
        ("input(); print('[]', flush=True); input()", "answer is not an object"),
        ("input(); print('{}', flush=True); input()", "speaks another protocol"),
        ("import time; time.sleep(100)", "no answer within 1 s"),
        ("input(); print('x' * 10**5, end='', flush=True); input()", "no answer within 1 s"),
    ],
)
def test_a_broken_engine_fails_the_script(tmp_path: Path, program: str, message: str) -> None:
    script = tmp_path / "good.wast"
    script.write_text(GOOD)
    adapter = tmp_path / "adapter.py"
    adapter.write_text(program)
    engine = f"mine={sys.executable} {adapter}"
    result = conform(script, "--engine", engine, "--timeout", "1s")
    assert result.exit_code == 1
    assert message in result.output
    assert re.search(r"^all +0 +6 +0$", result.output, re.MULTILINE)


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["missing.wast"], 66, "missing.wast: no such file"),
        (["."], 66, "no .wast or converted .json"),
        (["x.wast", "--engine", "nothing"], 2, "unknown engine 'nothing'"),
        (["x.wast", "--engine", "a=/nowhere/b"], 2, "no program '/nowhere/b'"),
        (["x.wast", "--engine", "reference=x"], 2, "a name of its own"),
        (["x.wast", "--engine", "a='"], 2, "engine 'a'"),
        (["x.wast", "--engine", "reference", "--engine", "reference"], 2, "same name"),
        (["x.wast", "--features", "nothing"], 2, "'nothing' is none of"),
        (["x.json"], 1, "not the output of json-from-wast"),
        (["x.wast"], 1, "cannot be read"),
        (["y.wast", "--html", "no/such/folder.html"], 73, "no/such/folder.html"),
    ],
)
def test_wrong_input_gets_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if args != ["."]:
        (tmp_path / "x.wast").write_text("(nonsense)")
        (tmp_path / "y.wast").write_text(VECTOR)
        (tmp_path / "x.json").write_text("{")
    result = conform(*args)
    assert result.exit_code == status, result.output
    assert message in result.output
    assert "Traceback" not in result.output


def test_hostile_json_is_judged_not_believed(tmp_path: Path) -> None:
    commands: list[Any] = [
        {"type": "module", "filename": "../../etc/passwd", "module_type": "binary"},
        {"type": "assert_return", "action": {"type": "invoke", "field": "x", "args": 3}},
        {"type": "register"},
        {"type": ["x"]},
        {},
    ]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"commands": commands}))
    result, found = report(tmp_path, path)
    assert result.exit_code == 1
    assert found["total"]["reference"] == {"passed": 0, "failed": 5, "not applicable": 0}
