"""The WASI programs: what each is given and what it must do, and the files it is given.

`programs/manifest.json` has a row a run (not a program: one program may run several times).
Fields of a row, all but the first two with a default:

    id              name of the run
    program         name of the program in programs/ without its ending
    args            arguments after argv[0]
    env             list of [name, value]
    stdin           text (empty)
    inputs          name of a tree of the manifest's "trees", read-only at /inputs ("standard")
    exit            exit status the guest ends with (0); absent in effect when `trap` is given
    trap            start of the trap's message in the official suite's wording
    stdout          name of the file in programs/expected/ (the id with .txt)
    stderr          exact text (anything)
    outputs         files the guest leaves below /outputs: path -> text, or null for a directory
                    (not compared)
    only_wattest    why wasmtime's own WASI cannot be the judge of this run

A tree maps a path to its content: a string (a file's text), null (a directory), {"link": target}
or {"repeat": text, "times": n}.

The guest always has two preopened directories, in this order: /inputs (descriptor 3, read-only)
and /outputs (descriptor 4, empty, writable).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "programs"
EXPECTED = FOLDER / "expected"

# Every file laid out carries this time (2001-09-09T01:46:40Z), so that no run sees today's.
FILE_TIME = 1_000_000_000


@dataclass(frozen=True)
class Run:
    """One row of the manifest; see the module's text for the fields."""

    id: str
    program: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    stdin: bytes
    tree: Mapping[str, Any]
    exit: int
    trap: str | None
    stdout: bytes
    stderr: bytes | None
    outputs: Mapping[str, str | None] | None
    only_wattest: str | None

    @property
    def path(self) -> Path:
        """The program."""
        return FOLDER / f"{self.program}.wasm"

    @property
    def argv(self) -> list[str]:
        """The arguments with argv[0]."""
        return [f"{self.program}.wasm", *self.args]

    def __str__(self) -> str:
        return self.id


def load() -> list[Run]:
    """Every run, in the order of the manifest.

    Raises ValueError for a row with an unknown field, so that a misspelt expectation is no
    expectation kept by luck.
    """
    document = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    runs = []
    for row in document["runs"]:
        row = dict(row)
        name = row.pop("id")
        run = Run(
            id=name,
            program=row.pop("program"),
            args=tuple(row.pop("args", ())),
            env=tuple((key, value) for key, value in row.pop("env", ())),
            stdin=row.pop("stdin", "").encode(),
            tree=document["trees"][row.pop("inputs", "standard")],
            exit=row.pop("exit", 0),
            trap=row.pop("trap", None),
            stdout=(EXPECTED / row.pop("stdout", f"{name}.txt")).read_bytes(),
            stderr=row["stderr"].encode() if row.get("stderr") is not None else None,
            outputs=row.pop("outputs", None),
            only_wattest=row.pop("only_wattest", None),
        )
        row.pop("stderr", None)
        if row:
            raise ValueError(f"{name}: unknown fields {sorted(row)}")
        runs.append(run)
    if len({run.id for run in runs}) != len(runs):
        raise ValueError("two runs have the same id")
    return runs


def lay_out(run: Run, folder: Path) -> tuple[Path, Path]:
    """Makes `inputs` and an empty `outputs` below `folder` for this run; returns both."""
    inputs, outputs = folder / "inputs", folder / "outputs"
    inputs.mkdir()
    outputs.mkdir()
    for name, content in run.tree.items():
        path = inputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.write_bytes(content.encode())
        elif "link" in content:
            path.symlink_to(content["link"])
        else:
            path.write_bytes(content["repeat"].encode() * content["times"])
    for parent, directories, files in os.walk(inputs):
        for entry in (*directories, *files):
            os.utime(Path(parent, entry), (FILE_TIME, FILE_TIME), follow_symlinks=False)
    os.utime(inputs, (FILE_TIME, FILE_TIME))
    return inputs, outputs


def files_below(folder: Path) -> dict[str, str | None]:
    """What `Run.outputs` is compared with: each file's text, None for a directory, and for a
    symbolic link its target after "-> "."""
    found: dict[str, str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[name] = None
        else:
            found[name] = path.read_bytes().decode("utf-8", "backslashreplace")
    return found
