"""``wattest store``."""

from __future__ import annotations

import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from wattest.audit import readable_json
from wattest.cli.messages import MISSING_INPUT, put, say, writing
from wattest.cli.units import parse_duration, parse_size
from wattest.errors import InputError, OutputError
from wattest.jobs.store import KINDS, ContentStore, NotInStore, StoreEntry

__all__ = ["store"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(short_help="The local store of programs, inputs, outputs and receipts.")
def store() -> None:
    """Look after the local store, which keeps contents by their digest.

    It lies in the user's data folder, or in the folder that WATTEST_HOME names. An OBJECT is
    sha256:..., a CID, eight or more digits that a digest begins with, or a name given with add.
    """


@store.command(name="ls", short_help="List what is there.")
@click.option("--kind", type=click.Choice(KINDS), help="Only objects known as this.")
@_JSON
def list_(kind: str | None, as_json: bool) -> None:
    """List objects with digest, CID, size, kinds and names."""
    entries = [entry for entry in ContentStore().ls() if kind is None or kind in entry.kinds]
    if as_json:
        put(readable_json([_as_json(entry) for entry in entries]), newline=False)
        return
    for entry in entries:
        known = ",".join(entry.kinds) or "-"
        names = f"  {' '.join(entry.names)}" if entry.names else ""
        put(f"sha256:{entry.sha256}  {entry.cid}  {entry.size:>12}  {known}{names}")


@store.command(short_help="Keep files.")
@click.option("--kind", type=click.Choice(KINDS[:-1]), help="What to know them as.")
@click.option("--name", help="Find it by this; gc keeps what has a name.")
@_JSON
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def add(files: tuple[Path, ...], kind: str | None, name: str | None, as_json: bool) -> None:
    """Keep copies of FILES; says the digest and CID of each. - is standard input."""
    if name is not None and len(files) > 1:
        raise click.UsageError("--name names one file")
    kept = []
    for path in files:
        if str(path) == "-":
            if sys.stdin is None:
                raise InputError("-: there is no standard input")
            entry = ContentStore().add_stream(sys.stdin.buffer, kind, name, label="-")
        else:
            entry = ContentStore().add_file(path, kind, name)
        kept.append(entry)
        if not as_json:
            put(f"sha256:{entry.sha256}  {entry.cid}  {path}")
    if as_json:
        put(readable_json([_as_json(entry) for entry in kept]), newline=False)


@store.command(short_help="Write an object out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="To this new file.")
@click.argument("object_", metavar="OBJECT")
def get(object_: str, output: Path | None) -> None:
    """Write the bytes of OBJECT, checked, to standard output or a new file."""
    contents = ContentStore()
    with contents.open(_digest(contents, object_)) as file:
        if output is None:
            if sys.stdout is not None:
                with writing():
                    shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            return
        temporary = output.with_name(f".{output.name[:100]}.partial")
        try:
            if output.exists():
                raise OutputError(f"{output}: exists already")
            with temporary.open("xb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
            temporary.rename(output)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(f"{output}: {error.strerror or error}") from error


@store.command(short_help="Remove what is no longer used.")
@click.option(
    "--unused-for",
    default="720h",
    show_default=True,
    callback=lambda _context, _option, text: parse_duration(text),
    metavar="TIME",
    help="Remove what nobody has used for so long.",
)
@click.option("--all", "everything", is_flag=True, help="Remove all that is not named or in use.")
@click.option(
    "--max-size",
    callback=lambda _context, _option, text: None if text is None else parse_size(text),
    metavar="SIZE",
    help="Remove more, unused for longest first, until so much is left.",
)
@_JSON
def gc(unused_for: float | None, everything: bool, max_size: int | None, as_json: bool) -> None:
    """Remove objects that have no name and that nobody has used for a while, and leftovers of
    writes that broke off. What a run uses right now is kept."""
    seconds = 0.0 if everything else float("inf") if unused_for is None else unused_for
    removed = ContentStore().gc(seconds, max_size)
    if as_json:
        put(readable_json([_as_json(entry) for entry in removed]), newline=False)
    else:
        freed = sum(entry.size for entry in removed)
        put(f"removed {len(removed)} objects, {freed:,} bytes")


@store.command(short_help="Check that contents are what their digests say.")
@_JSON
@click.argument("objects", nargs=-1, metavar="[OBJECT]...")
def verify(objects: tuple[str, ...], as_json: bool) -> int:
    """Read every OBJECT, or all, and compare; ends with 66 when one is corrupted or missing."""
    contents = ContentStore()
    digests = [_digest(contents, text) for text in objects] if objects else None
    checked = list(contents.verify(digests))
    wrong = [problem for _, problem in checked if problem is not None]
    if as_json:
        rows = [{"sha256": digest, "error": problem} for digest, problem in checked]
        put(readable_json(rows), newline=False)
    else:
        for problem in wrong:
            say(problem)
        put(f"{len(checked) - len(wrong)} objects are whole, {len(wrong)} are not")
    return MISSING_INPUT if wrong else 0


def _digest(contents: ContentStore, text: str) -> str:
    digest = contents.resolve(text)
    if digest is None:
        raise InputError(f"{text!r} names nothing in the local store")
    if not contents.has(digest):
        raise NotInStore(digest)
    return digest


def _as_json(entry: StoreEntry) -> dict[str, Any]:
    return {
        "sha256": entry.sha256,
        "cid": entry.cid,
        "size": entry.size,
        "kinds": list(entry.kinds),
        "names": list(entry.names),
        "usedOn": datetime.fromtimestamp(entry.used, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
