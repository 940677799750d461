"""Publishing: a run's results, with their receipt, to where others find them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wattest.audit import Receipt, ReceiptError
from wattest.errors import JobError, OutputError, one_line
from wattest.jobs.fetch.address import is_address, parse_address
from wattest.jobs.trees import remove_tree

__all__ = ["Published", "Target", "check_target", "parse_target", "publish"]

_LAST = "receipt.json"
_LARGEST_RECEIPT = 64 << 20
"""Bytes of a receipt that is looked at in an object store."""


@dataclass(frozen=True)
class Target:
    """Where results are to go.

    Attributes:
        kind: ``"folder"``, ``"car"`` or ``"remote"``.
        place: path of the folder or CAR file, or the URL below which files are put.
        options: of the URL's scheme.
    """

    kind: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """Where results have gone: the place, and the CID of the whole for a CAR file."""

    place: str
    cid: str | None = None


def parse_target(text: str) -> Target:
    """A target from ``FOLDER``, ``car:FILE``, a URL, or ``dst=URL,opt=KEY=VALUE``; ``local`` and
    ``ipfs`` are Bacalhau's names for a folder and a CAR file with a name made from the receipt.

    In a place, ``{id}`` (also ``{jobID}`` and ``{executionID}``), ``{date}`` and ``{time}`` stand
    for the first digits of the receipt's id and the day and time of publishing.

    Raises:
        JobError: no such form.
    """
    options: dict[str, str] = {}
    place = text
    if text.partition("=")[0].lower() in ("dst", "target", "destination"):
        import csv

        first, *rest = next(csv.reader([text]))
        place = first.partition("=")[2]
        for item in rest:
            name, _, value = item.partition("=")
            option, equals, setting = value.partition("=")
            if name.lower() not in ("opt", "option") or not option or not equals:
                raise JobError(f"{text!r}: {item!r} is not of the form opt=KEY=VALUE")
            options[option] = setting
    if not place:
        raise JobError("--publish names no place")
    if place == "local":
        return Target("folder", "wattest-results-{id}")
    if place == "ipfs":
        return Target("car", "wattest-results-{id}.car")
    if place.startswith("car:"):
        if not place[4:]:
            raise JobError("car: is followed by a file's name")
        return Target("car", place[4:])
    if is_address(place) and not place.startswith("file:"):
        address = parse_address(place, options)
        if address.scheme in ("http", "https", "data", "sha256", "ipfs", "zip", "tar"):
            raise JobError(f"{address}: nothing can be published to {address.scheme}:")
        return Target("remote", address.target, options)
    if options:
        raise JobError(f"{text!r}: a folder has no options")
    return Target("folder", parse_address(place).target if place.startswith("file:") else place)


def check_target(target: Target) -> None:
    """Find out before a run what can be known of a target then.

    Raises:
        OutputError: the folder or file is there already, or has no place.
        JobError: a package for the scheme is missing.
    """
    if target.kind == "remote":
        from wattest.jobs.fetch.objects import connect

        connect(parse_address(target.place, target.options))
        return
    if "{" in target.place:
        return
    path = Path(target.place)
    if target.kind == "car" and path.is_dir():
        raise OutputError(f"{path}: is a directory")
    if target.kind == "folder" and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: not empty; results never replace anything")


def publish(folder: Path, receipt_id: str, target: Target) -> Published:
    """Copy a result folder to a target.

    A folder appears whole, in one rename; so does a CAR file. Where files are put one by one,
    receipt.json is the last: what has a receipt is whole, and the receipt names the digest of
    every other file. When something goes wrong there, what was put is taken away again. A folder
    or object store that holds the very results already, with a receipt of the same id, is left.

    Args:
        folder: the result folder.
        receipt_id: of its receipt.
        target: where to.

    Raises:
        OutputError: it cannot be written there.
        JobError: a package for the scheme is missing.
    """
    place = _filled(target.place, receipt_id)
    if target.kind == "car":
        return _publish_car(folder, Path(place))
    if target.kind == "folder":
        return _publish_folder(folder, receipt_id, Path(place))
    return _publish_remote(folder, receipt_id, place, target.options)


def _filled(place: str, receipt_id: str) -> str:
    number = receipt_id.partition(":")[2][:12]
    now = datetime.now(timezone.utc)
    values = {
        "{id}": number,
        "{jobID}": number,
        "{executionID}": number,
        "{date}": now.strftime("%Y%m%d"),
        "{time}": now.strftime("%H%M%S"),
    }
    for name, value in values.items():
        place = place.replace(name, value)
    return place


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Relative path and place of every file, the receipt last; other kinds are refused."""
    found = []
    pending = [folder]
    while pending:
        top = pending.pop()
        for path in top.iterdir():
            mode = path.lstat().st_mode
            relative = path.relative_to(folder).as_posix()
            if stat.S_ISDIR(mode):
                pending.append(path)
            elif stat.S_ISREG(mode):
                found.append((relative, path))
            elif not stat.S_ISLNK(mode):
                raise OutputError(f"{one_line(relative)}: a device or pipe cannot be published")
            else:
                raise OutputError(
                    f"{one_line(relative)}: an object store has no symbolic links; a folder or "
                    "car:FILE keeps them"
                )
    found.sort(key=lambda item: (item[0] == _LAST, item[0]))
    yield from found


def _publish_folder(folder: Path, receipt_id: str, place: Path) -> Published:
    import shutil

    if _holds(place, receipt_id):
        return Published(str(place))
    check_target(Target("folder", str(place)))
    temporary = place.with_name(f".{place.name[:100]}-{secrets.token_hex(4)}.partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, temporary, symlinks=True)
        if place.is_dir():
            place.rmdir()
        os.rename(temporary, place)
    except (OSError, shutil.Error, RecursionError) as error:
        with contextlib.suppress(OSError):
            remove_tree(temporary)
        reason = getattr(error, "strerror", None) or one_line(str(error))
        if isinstance(error, RecursionError):
            reason = "the directories are nested too deeply to be copied"
        raise OutputError(f"{place}: {reason}") from error
    return Published(str(place))


def _publish_car(folder: Path, place: Path) -> Published:
    from wattest.jobs.ipld.car import car_header, car_section
    from wattest.jobs.ipld.cids import Cid
    from wattest.jobs.ipld.unixfs import add_path

    temporary = place.with_name(f".{place.name[:100]}-{secrets.token_hex(4)}.partial")
    try:
        with temporary.open("xb") as file:
            # The root is known only at the end; every CID of a dag-pb node is equally long.
            file.write(car_header(Cid.of(b"", 0x70)))
            written: set[Cid] = set()

            def emit(cid: Cid, block: bytes) -> None:
                if cid not in written:
                    written.add(cid)
                    file.write(car_section(cid, block))

            root = add_path(folder, emit).cid
            file.seek(0)
            file.write(car_header(root))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise OutputError(f"{place}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return Published(str(place), str(root))


def _holds(place: Path, receipt_id: str) -> bool:
    """Whether a folder holds the results of a receipt, all of them."""
    from wattest.jobs.log.results import folder_holds

    try:
        receipt = Receipt.load(place / _LAST)
        return receipt.id == receipt_id and folder_holds(place, receipt)
    except (OSError, ReceiptError):
        return False


def _publish_remote(
    folder: Path, receipt_id: str, place: str, options: Mapping[str, str]
) -> Published:
    from wattest.jobs.fetch.objects import connect

    address = parse_address(place.rstrip("/") + "/", options)
    files, base = connect(address)
    base = base.rstrip("/")
    done: list[str] = []
    try:
        if files.exists(f"{base}/{_LAST}"):
            if _id_of(files, f"{base}/{_LAST}") == receipt_id:
                return Published(str(address))
            raise OutputError(f"{address}: holds results already; they are never replaced")
        for relative, path in _files(folder):
            name = f"{base}/{relative}"
            _put(files, path, name)
            done.append(name)
    except OutputError:
        _take_away(files, done)
        raise
    except Exception as error:  # every store has its own
        _take_away(files, done)
        reason = f"{type(error).__name__}: {one_line(str(error))}"
        raise OutputError(f"{address}: {reason}; what was put there was taken away") from error
    return Published(str(address))


def _id_of(files: Any, name: str) -> str | None:
    """The id of a receipt in an object store; None when it is none."""
    raw = files.cat_file(name, start=0, end=_LARGEST_RECEIPT)
    try:
        return Receipt(json.loads(raw)).id
    except (ValueError, RecursionError, ReceiptError):
        return None


def _put(files: Any, path: Path, name: str) -> None:
    parent = name.rpartition("/")[0]
    with contextlib.suppress(Exception):  # stores without directories refuse
        if not hasattr(files, "s3"):
            files.makedirs(parent, exist_ok=True)
    files.put_file(str(path), name)


def _take_away(files: Any, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):
            files.rm_file(name)
