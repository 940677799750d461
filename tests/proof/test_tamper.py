"""One changed field or byte anywhere in the evidence of a run is found, each row by itself.

The run copies an input, so that program, input, standard input, arguments, outputs, trace and
receipt all count. A *forger* also makes id and subjects fit again: what is left to find then is
that the claim is not true. What a forger changes in an honest way (a limit that the run does not
reach) is the true claim of another job, which only a signature tells from this one.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from tests.proof.recorded import PROGRAMS, ROOT, live_tree, outside_job, record
from wattest import verify
from wattest.audit import bundle as bundles
from wattest.audit.bundle import Bundle
from wattest.audit.dsse import PrivateKey, generate_key
from wattest.audit.receipt import Receipt, ReceiptError
from wattest.audit.tracefile import TraceError, TraceReader
from wattest.errors import (
    BadSignature,
    EvidenceError,
    OtherProgram,
    ReplayDiverged,
    Unsigned,
    UntrustedKey,
    WattestError,
)
from wattest.jobs import Job
from wattest.jobs.finder import MissingMaterial
from wattest.jobs.job import Input
from wattest.jobs.replay import replay

Json = Any
ZERO = "0" * 64


@dataclass(frozen=True)
class World:
    """An honest run and everything that it left."""

    program: Path
    tree: Path
    bundle: Path
    outside: list[Path]
    statement: Json
    key: PrivateKey

    def verify(self, receipt: Receipt, **changes: Any) -> Any:
        given = {
            "program": self.program, "inputs": {"/inputs": self.tree}, "stdin": b"unread",
            "use_store": False,
        }  # fmt: skip
        return verify(receipt, **{**given, **changes})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("tamper")
    tree = live_tree(folder / "tree")
    program = folder / "words.wasm"
    shutil.copy(ROOT / "examples" / "wordfreq.wasm", program)
    job = Job(
        program=program,
        args=("-n", "3"),
        env={"WORDFREQ_TITLE": "Title"},
        stdin=b"unread",
        inputs=(Input(tree, "/inputs"),),
    )
    record(folder / "run.wattest", job)
    with Bundle(folder / "run.wattest") as bundle:
        statement = bundle.receipt().statement
    outside = []
    for name in ("files", "dirs", "clocks"):
        (folder / name).mkdir()
        outside.append(folder / f"{name}.wattest")
        job = outside_job(PROGRAMS / f"{name}.wasm", folder / name)
        record(outside[-1], job, stdin=b"line\n")
        assert verify(outside[-1]).ok
    made = World(program, tree, folder / "run.wattest", outside, statement, generate_key())
    assert made.verify(Receipt(statement)).ok
    assert made.verify(Receipt(statement).signed(made.key), trust=[made.key.public]).ok
    return made


def forged(statement: Json) -> Receipt:
    """Id and subjects as they have to be for the claim."""
    predicate = statement["predicate"]
    canonical = rfc8785.dumps(predicate["claim"])
    predicate["id"] = f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    result = predicate["claim"]["result"]
    contents = [("stdout", result["stdout"]), ("stderr", result["stderr"])]
    contents += [(entry["path"], entry) for entry in result["outputs"] if "sha256" in entry]
    statement["subject"] = [
        {"name": name, "digest": {"sha256": content["sha256"]}} for name, content in contents
    ]
    return Receipt(statement)


Change = Callable[[Json], object]


def put(*path: Any) -> Change:
    """Sets a field of a claim: the path, and the value last."""

    def change(claim: Json) -> None:
        *way, name, value = path
        for step in way:
            claim = claim[step]
        assert claim.get(name) != value if isinstance(claim, dict) else claim[name] != value
        claim[name] = value

    return change


def add(field: str, value: Json) -> Change:
    return lambda claim: claim[field].append(value)


def drop(*path: Any) -> Change:
    def change(claim: Json) -> None:
        *way, name = path
        for step in way:
            claim = claim[step]
        del claim[name]

    return change


# What a forger changes, and what gives it away: the field that differs, or the refusal.
CLAIM: dict[str, tuple[Change, str | type[WattestError]]] = {
    "version": (put("version", 2), ReceiptError),
    "program's digest": (put("program", "sha256", ZERO), OtherProgram),
    "program's size": (put("program", "size", 1), OtherProgram),
    "program's cid": (put("program", "cid", "bafkqaaa"), "program.cid"),
    "a module more": (
        add("modules", {"name": "m", "sha256": ZERO, "size": 5, "cid": "b"}), MissingMaterial
    ),
    "entry point": (put("entryPoint", "_initialize"), WattestError),
    "argv[0]": (put("args", 0, "other.wasm"), "result.traceRoot"),
    "an argument": (put("args", 2, "1"), "result.stdout.sha256"),
    "a variable": (put("env", "WORDFREQ_TITLE", "Other"), "result.stdout.sha256"),
    "an argument more": (add("args", "-x"), "result.traceRoot"),
    "no arguments": (put("args", []), ReceiptError),
    "standard input's digest": (put("stdin", "sha256", ZERO), "stdin.sha256"),
    "standard input's size": (put("stdin", "size", 7), "stdin.size"),
    "an input's digest": (put("inputs", 1, "sha256", ZERO), "inputs[/inputs/a.txt].sha256"),
    "an input's size": (put("inputs", 1, "size", 7), "inputs[/inputs/a.txt].size"),
    "an input's kind": (put("inputs", 1, "kind", "directory"), "inputs[/inputs/a.txt].kind"),
    "an input's path": (put("inputs", 1, "path", "/inputs/c.txt"), "inputs[/inputs/c.txt]"),
    "a link's target": (put("inputs", 3, "target", "large"), "inputs[/inputs/link].target"),
    "an input less": (drop("inputs", 1), "inputs[/inputs/a.txt]"),
    "an input more": (
        add("inputs", {"path": "/inputs/z", "kind": "file", "sha256": ZERO, "size": 1}),
        "inputs[/inputs/z]",
    ),
    "an input elsewhere": (
        add("inputs", {"path": "/etc/x", "kind": "file", "sha256": ZERO, "size": 1}), WattestError
    ),
    "an output's name": (put("outputs", 0, "name", "results"), "result.outputs[results/words.csv]"),
    "an output's place": (put("outputs", 0, "path", "/else"), "result.exitCode"),
    "an output more": (add("outputs", {"name": "b", "path": "/b"}), "result.traceRoot"),
    "the clock": (put("policy", "clock", "real"), "reproducible"),
    "a clock of no kind": (put("policy", "clock", "fast"), ReceiptError),
    "the version of fuel": (put("policy", "fuelVersion", 2), ReceiptError),
    "a fuel limit that is reached": (put("policy", "limits", "fuel", 1000), "result.status"),
    "a limit on files that is reached": (
        put("policy", "limits", "openFiles", 6), "result.traceRoot"
    ),
    "a limit on output that is reached": (
        put("policy", "limits", "bytesWritten", 3), "result.status"
    ),
    "a limit of no kind": (put("policy", "limits", "slots", -1), ReceiptError),
    "whether it is reproducible": (put("reproducible", False), "reproducible"),
    "something from outside": (
        put("external", {"values": {"count": 1, "root": ZERO}, "directories": [],
                         "changedInputs": []}),
        WattestError,
    ),
    "status": (put("result", "status", "trap"), "result.status"),
    "exit code": (put("result", "exitCode", 1), "result.exitCode"),
    "exit code of another type": (
        lambda claim: claim["result"].update(exitCode=False), "result.exitCode"
    ),
    "a trap more": (put("result", "trap", {"kind": "unreachable"}), "result.trap"),
    "fuel": (lambda claim: put("result", "fuel", claim["result"]["fuel"] + 1)(claim),
             "result.fuel"),
    "memory": (put("result", "peakMemoryPages", 99), "result.peakMemoryPages"),
    "stdout's digest": (put("result", "stdout", "sha256", ZERO), "result.stdout.sha256"),
    "stdout's size": (put("result", "stdout", "size", 9999), "result.stdout.size"),
    "stderr's digest": (put("result", "stderr", "sha256", ZERO), "result.stderr.sha256"),
    "an output file's digest": (
        put("result", "outputs", 0, "sha256", ZERO), "result.outputs[outputs/files.csv].sha256"
    ),
    "an output file's size": (
        put("result", "outputs", 0, "size", 9), "result.outputs[outputs/files.csv].size"
    ),
    "an output file's name": (
        put("result", "outputs", 0, "path", "outputs/b"), "result.outputs[outputs/b]"
    ),
    "an output file less": (drop("result", "outputs", 0), "result.outputs[outputs/files.csv]"),
    "number of host calls": (put("result", "hostCalls", 3), "result.hostCalls"),
    "trace root": (put("result", "traceRoot", ZERO), "result.traceRoot"),
    "a field more": (put("note", "trust me"), "note"),
    "a field less": (drop("result", "traceRoot"), "result.traceRoot"),
}  # fmt: skip


def changed_claim(world: World, change: Change) -> Json:
    statement = copy.deepcopy(world.statement)
    change(statement["predicate"]["claim"])
    assert json.dumps(statement) != json.dumps(world.statement)
    return statement


@pytest.mark.parametrize("name", CLAIM)
def test_a_forged_claim(world: World, name: str) -> None:
    change, found = CLAIM[name]
    statement = changed_claim(world, change)
    if isinstance(found, type):
        with pytest.raises(found):
            world.verify(forged(statement))
        return
    verdict = world.verify(forged(statement))
    assert not verdict.ok
    (check,) = verdict.checks
    assert found in {difference.field for difference in check.differences}


UNREACHED: dict[str, Change] = {
    "fuel": put("policy", "limits", "fuel", 999_999_999_999),
    "memory": put("policy", "limits", "memoryPages", 16_383),
    "the seed": put("policy", "random", "seed", "1"),
    "wall time": put("policy", "limits", "wallTimeMilliseconds", 1),
}
"""Fields that this run's guest never came to feel."""


@pytest.mark.parametrize("name", [*CLAIM, *UNREACHED])
def test_a_changed_claim_has_another_id(world: World, name: str, tmp_path: Path) -> None:
    change = UNREACHED[name] if name in UNREACHED else CLAIM[name][0]
    text = json.dumps(changed_claim(world, change))
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ReceiptError):
        world.verify(Receipt.load(tmp_path / "r.json"))


@pytest.mark.parametrize("name", [*CLAIM, *UNREACHED])
def test_a_forged_claim_under_an_old_signature(world: World, name: str) -> None:
    change = UNREACHED[name] if name in UNREACHED else CLAIM[name][0]
    signed = Receipt(world.statement).signed(world.key)
    statement = changed_claim(world, change)
    value = json.loads(signed.to_json())
    import base64

    try:
        payload = rfc8785.dumps(forged(statement).statement)
        value["payload"] = base64.b64encode(payload).decode()
        receipt = Receipt.parse(json.dumps(value).encode())
    except ReceiptError:
        return  # it is no receipt at all
    except KeyError:
        value["payload"] = base64.b64encode(rfc8785.dumps(statement)).decode()
        with pytest.raises(ReceiptError):
            Receipt.parse(json.dumps(value).encode())
        return
    with pytest.raises(BadSignature):
        world.verify(receipt, trust=[world.key.public])


STATEMENT: dict[str, Change] = {
    "type": put("_type", "https://in-toto.io/Statement/v0.1"),
    "kind of predicate": put("predicateType", "https://slsa.dev/provenance/v1"),
    "a subject's digest": put("subject", 0, "digest", {"sha256": ZERO}),
    "a subject's name": put("subject", 0, "name", "stderr"),
    "a subject less": drop("subject", 2),
    "a subject more": add("subject", {"name": "x", "digest": {"sha256": ZERO}}),
    "no subjects": put("subject", []),
    "id": put("predicate", "id", f"sha256:{ZERO}"),
    "no id": drop("predicate", "id"),
    "no environment": drop("predicate", "environment"),
    "a member more": put("extra", 1),
}


@pytest.mark.parametrize("name", STATEMENT)
def test_the_statement_around_the_claim(world: World, name: str) -> None:
    statement = copy.deepcopy(world.statement)
    STATEMENT[name](statement)
    with pytest.raises(ReceiptError):
        Receipt.parse(json.dumps(statement).encode())


def test_the_order_of_mounts(world: World) -> None:
    """It is no part of the claim: a wrong one makes the run another one."""
    statement = copy.deepcopy(world.statement)
    assert statement["predicate"]["mounts"] == ["/inputs", "/outputs"]
    statement["predicate"]["mounts"] = ["/inputs/sub", "/outputs"]
    with pytest.raises(ReceiptError):
        world.verify(Receipt(statement))


Signed = dict[str, Any]
SIGNATURE: dict[str, tuple[Callable[[Signed], object], type[WattestError]]] = {
    "stripped": (lambda value: value.update(signatures=[]), Unsigned),
    "one bit": (lambda value: value["signatures"][0].update(
        sig=("B" if value["signatures"][0]["sig"][0] == "A" else "A")
        + value["signatures"][0]["sig"][1:]), BadSignature),
    "cut off": (lambda value: value["signatures"][0].update(
        sig=value["signatures"][0]["sig"][:40]), BadSignature),
    "empty": (lambda value: value["signatures"][0].update(sig=""), BadSignature),
    "a keyid of somebody else, one bit": (lambda value: value["signatures"][0].update(
        keyid=ZERO, sig="AAAA" + value["signatures"][0]["sig"][4:]), UntrustedKey),
    "payload type": (lambda value: value.update(payloadType="application/json"), ReceiptError),
    "a space in the payload": (lambda value: value.update(payload=value["payload"][:-4] + "fSA="),
                               EvidenceError),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURE)
def test_the_signature(world: World, name: str) -> None:
    value = json.loads(Receipt(world.statement).signed(world.key).to_json())
    change, refusal = SIGNATURE[name]
    change(value)
    with pytest.raises(refusal):
        world.verify(Receipt.parse(json.dumps(value).encode()), trust=[world.key.public])


def test_a_foreign_and_a_missing_signature(world: World) -> None:
    receipt = Receipt(world.statement)
    with pytest.raises(UntrustedKey):
        world.verify(receipt.signed(generate_key()), trust=[world.key.public])
    with pytest.raises(Unsigned):
        world.verify(receipt, trust=[world.key.public])


def test_a_receipt_for_another_program(world: World) -> None:
    signed = Receipt(world.statement).signed(world.key)
    with pytest.raises(OtherProgram):
        world.verify(signed, trust=[world.key.public], program=PROGRAMS / "args.wasm")


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_byte_of_the_program(world: World, where: str, tmp_path: Path) -> None:
    binary = bytearray(world.program.read_bytes())
    binary[{"first": 0, "middle": len(binary) // 2, "last": -1}[where]] ^= 1
    (tmp_path / "words.wasm").write_bytes(binary)
    with pytest.raises(OtherProgram):
        world.verify(Receipt(world.statement), program=tmp_path / "words.wasm")


INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (lambda tree: (tree / "a.txt").write_bytes(b"alphb\n"), "/inputs/a.txt].sha256"),
    "a byte that is not read": (
        lambda tree: (tree / "large").write_bytes(b"\1" + (tree / "large").read_bytes()[1:]),
        "/inputs/large].sha256",
    ),
    "a byte more": (lambda tree: (tree / "a.txt").write_bytes(b"alpha\n\n"), "a.txt].size"),
    "a file less": (lambda tree: (tree / "sub" / "b.txt").unlink(), "/inputs/sub/b.txt]"),
    "a file more": (lambda tree: (tree / "z").touch(), "/inputs/z]"),
    "a name": (lambda tree: (tree / "a.txt").rename(tree / "A.txt"), "/inputs/a.txt]"),
    "a link's target": (
        lambda tree: ((tree / "link").unlink(), (tree / "link").symlink_to("large")),
        "/inputs/link].target",
    ),
    "a link instead of a file": (
        lambda tree: ((tree / "large").unlink(), (tree / "large").symlink_to("a.txt")),
        "/inputs/large].kind",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(world: World, name: str, tmp_path: Path) -> None:
    tree = live_tree(tmp_path / "tree")
    assert world.verify(Receipt(world.statement), inputs={"/inputs": tree}).ok
    change, field = INPUTS[name]
    change(tree)
    verdict = world.verify(Receipt(world.statement), inputs={"/inputs": tree})
    assert not verdict.ok
    fields = [difference.field for difference in verdict.checks[0].differences]
    assert any(found.endswith(field) for found in fields), fields


def test_standard_input(world: World) -> None:
    verdict = world.verify(Receipt(world.statement), stdin=b"unreae")
    assert [item.field for item in verdict.checks[0].differences] == ["stdin.sha256"]


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: dict[str, bytes]) -> Path:
    """A bundle of these members whose manifest fits them: a forger's."""
    manifest = json.loads(members["bundle.json"])
    for name in manifest["members"]:
        data = members[name]
        manifest["members"][name] = {
            "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)
        }  # fmt: skip
    members = {**members, "bundle.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(bundles._info(name), data)
    return path


def tape_line(kind: str, change: Callable[[Json], object]) -> Callable[[bytes], bytes]:
    """Changes the first line of a tape that asks that, or is of that source."""

    def changed(text: bytes) -> bytes:
        lines = text.splitlines()
        for number, line in enumerate(lines):
            value = json.loads(line)
            if kind in (value.get("ask"), value.get("source")):
                change(value)
                lines[number] = json.dumps(value).encode()
                return b"\n".join(lines) + b"\n"
        return text

    return changed


TAPE: dict[str, Callable[[bytes], bytes]] = {
    "a time": tape_line("clock 0", lambda value: value.update(value=12345)),
    "an answer": tape_line("pread", lambda value: value.update(answer="other")),
    "names": tape_line("names", lambda value: value["answer"].append("zz")),
    "an errno": tape_line("open_file", lambda value: value.update(errno=2)),
    "an errno that is none": tape_line("open_file", lambda value: value.update(errno=999)),
    "a question": tape_line("kind", lambda value: value.update(ask="size")),
    "an argument": tape_line("kind", lambda value: value["with"].__setitem__(0, "other")),
    "no handle": tape_line("kind", lambda value: value.pop("of")),
    "no arguments": tape_line("kind", lambda value: value.pop("with")),
    "a handle": tape_line("kind", lambda value: value.update(of=77)),
    "what was written": tape_line("pwrite", lambda value: value["with"].__setitem__(2, ZERO)),
    "a size that is none": tape_line("pwrite", lambda value: value.update(answer=1 << 40)),
    "attributes": tape_line("stat_at", lambda value: value["answer"].__setitem__(4, 77)),
    "attributes that are none": tape_line("stat_at", lambda value: value.update(answer=[1])),
    "a line less": lambda text: b"".join(
        line for number, line in enumerate(text.splitlines(keepends=True)) if number != 5
    ),
    "the end": lambda text: b"".join(text.splitlines(keepends=True)[:-4]),
    "the head": lambda text: b"".join(text.splitlines(keepends=True)[1:]),
    "no JSON": lambda text: text.replace(b"{", b"[", 3),
}


@pytest.mark.parametrize("name", TAPE)
def test_the_tape(world: World, name: str, tmp_path: Path) -> None:
    for bundle in world.outside:  # the first in which there is such a line
        members = members_of(bundle)
        tape = TAPE[name](members["tape.jsonl"])
        if tape != members["tape.jsonl"]:
            break
    else:
        raise AssertionError("no such line on any tape")
    path = packed(tmp_path / "forged", {**members, "tape.jsonl": tape})
    try:
        again = replay(path)
    except (ReplayDiverged, EvidenceError):
        return
    assert not again.equal
    assert {difference.field for difference in again.differences}


def test_the_tape_in_another_form(world: World, tmp_path: Path) -> None:
    """The claim holds its digest, so nothing on it can change unseen."""
    members = members_of(world.outside[0])
    lines = members["tape.jsonl"].splitlines()
    lines[3] += b" "
    members["tape.jsonl"] = b"\n".join(lines) + b"\n"
    again = replay(packed(tmp_path / "forged", members))
    fields = {difference.field for difference in again.differences}
    assert fields == {"external.tape.sha256", "external.tape.size"}


def test_more_on_the_tape_than_was_asked_for(world: World, tmp_path: Path) -> None:
    members = members_of(world.outside[0])
    members["tape.jsonl"] += b'{"source":"clock 0","value":7}\n'
    with pytest.raises(ReplayDiverged, match="more"):
        replay(packed(tmp_path / "forged", members))


@pytest.mark.parametrize("name", ["receipt.json", "trace.jsonl", "an object", "the program"])
def test_a_byte_of_a_bundle(world: World, name: str, tmp_path: Path) -> None:
    members = members_of(world.bundle)
    program = world.statement["predicate"]["claim"]["program"]["sha256"]
    objects = sorted(member for member in members if member.startswith("objects/"))
    place = {"an object": next(item for item in objects if members[item] and program not in item),
             "the program": f"objects/{program}"}.get(name, name)  # fmt: skip
    data = bytearray(members[place])
    data[len(data) // 2] ^= 1
    members[place] = bytes(data)
    with zipfile.ZipFile(tmp_path / "damaged", "w") as archive:
        for member, text in members.items():
            archive.writestr(bundles._info(member), text)
    with pytest.raises(EvidenceError):
        verify(tmp_path / "damaged")


def test_a_trace_of_another_run(world: World, tmp_path: Path) -> None:
    members = members_of(world.bundle)
    members["trace.jsonl"] = members_of(world.outside[0])["trace.jsonl"]
    path = packed(tmp_path / "forged", members)
    with pytest.raises(EvidenceError, match="trace"):
        verify(path)


@pytest.mark.parametrize("line", [0, 1, 7, -2, -1])
def test_a_byte_of_a_trace(world: World, line: int) -> None:
    lines = members_of(world.bundle)["trace.jsonl"].splitlines(keepends=True)
    text = bytearray(lines[line])
    # The line's first digest, whatever else is in it.
    place = next(at for at in range(len(text) - 64) if text[at : at + 64].isalnum())
    text[place] = ord("1") if text[place] == ord("0") else ord("0")
    lines[line] = bytes(text)
    with Bundle(world.bundle) as bundle:
        whole = bundle.receipt().claim
    reader = TraceReader(io.BytesIO(b"".join(lines)))
    if line == 0:  # it says which program the trace is of, which the chain does not cover
        list(reader)
        assert reader.sha256 != whole["program"]["sha256"]
        return
    with pytest.raises(TraceError) as raised:
        list(reader)
    assert raised.value.line == (line if line > 0 else len(lines) + line) + 1


JUNK: list[Json] = [
    None, True, -1, 0, 2**53 - 1, 1.5, "", "x", "/", "..", "\0", "\ud800", "9" * 30, ZERO, "real",
    [], {}, [1], ["x"] * 3, {"a": 1},
]  # fmt: skip


def places(value: Json, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for name, item in inner:
        found.append((*way, name))
        if isinstance(item, (dict, list)):
            found += places(item, (*way, name))
    return found


def mutate(value: Json, chance: random.Random) -> None:
    """Put junk somewhere, or take something away."""
    *way, name = chance.choice(places(value))
    for step in way:
        value = value[step]
    if chance.random() < 0.2:
        del value[name]
    else:
        value[name] = copy.deepcopy(chance.choice(JUNK))


REFUSED = "refused"


def outcome(act: Callable[[], bool]) -> bool | str:
    """What comes back, or `REFUSED` for one of the project's own errors."""
    try:
        return act()
    except WattestError:
        return REFUSED


@pytest.mark.parametrize("seed", range(40))
def test_junk_is_refused_in_one_line(world: World, seed: int, tmp_path: Path) -> None:
    """Nothing but the project's own errors, whatever a stranger sends."""
    chance = random.Random(seed)
    statement = copy.deepcopy(world.statement)
    mutate(statement["predicate"]["claim"], chance)
    try:
        receipt = forged(statement)
    except (KeyError, TypeError, ValueError, AttributeError, WattestError):
        with pytest.raises(ReceiptError):  # this forger gives up
            Receipt.parse(json.dumps(statement).encode())
    else:
        assert outcome(lambda: world.verify(receipt).ok) in (True, False, REFUSED)
    members = members_of(world.outside[seed % 3])
    lines = members["tape.jsonl"].splitlines()
    number = chance.randrange(len(lines))
    line = json.loads(lines[number])
    mutate(line, chance)
    lines[number] = json.dumps(line).encode()
    members["tape.jsonl"] = b"\n".join(lines) + b"\n"
    path = packed(tmp_path / "junk", members)
    assert outcome(lambda: replay(path).equal) in (False, REFUSED)
