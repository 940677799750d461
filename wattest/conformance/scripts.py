"""Test scripts: where they are, how they become commands and binaries, and what they are about.

A script is a ``.wast`` file, which ``wasm-tools json-from-wast`` converts, or what that program
has written: a ``.json`` file beside the binaries that it names.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattest.conformance.legacy import unfolded
from wattest.conformance.tools import run_wasm_tools, wasm_tools_version
from wattest.errors import InputError, WattestError
from wattest.interp.decode import decode_module
from wattest.interp.features import DESCRIPTIONS
from wattest.interp.inspect import features_used

__all__ = ["ConversionError", "Script", "convert", "feature_group", "find_scripts", "read_script"]

LARGEST_JSON = 256 * 1024 * 1024
"""Bytes of a ``.json`` file that are read at most."""

UNKNOWN = "other"
"""Group of a script none of whose modules can be decoded."""


class ConversionError(WattestError):
    """A script cannot be read; the message says why."""


@dataclass(frozen=True)
class Script:
    """A script on disk.

    Attributes:
        name: its path below the folder that was given, without suffix.
        path: the ``.wast`` or ``.json`` file.
    """

    name: str
    path: Path


def find_scripts(paths: Iterable[Path]) -> list[Script]:
    """All scripts at these paths, the ones at the top of a folder first, by name.

    Args:
        paths: ``.wast`` files, ``.json`` files, and folders that are searched for both.

    Raises:
        InputError: a path does not exist or holds no script.
    """
    found: dict[Path, Script] = {}
    for path in paths:
        if path.is_dir():
            scripts = _in_folder(path)
            if not scripts:
                raise InputError(f"{path}: no .wast or converted .json file in this folder")
        elif path.is_file():
            scripts = [Script(path.stem, path)]
        else:
            raise InputError(f"{path}: no such file or directory")
        for script in scripts:
            found.setdefault(script.path.resolve(), script)
    return _with_unique_names(list(found.values()))


def _in_folder(folder: Path) -> list[Script]:
    paths = [path for path in folder.rglob("*.wast") if path.is_file()]
    paths += [path for path in folder.rglob("*.json") if path.is_file() and _is_converted(path)]
    scripts = [Script(path.relative_to(folder).with_suffix("").as_posix(), path) for path in paths]
    return sorted(scripts, key=lambda script: (script.name.count("/"), script.name, script.path))


def _is_converted(path: Path) -> bool:
    """Whether a JSON file looks like the output of ``json-from-wast``."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return b'"source_filename"' in head or b'"commands"' in head


def _with_unique_names(scripts: Sequence[Script]) -> list[Script]:
    seen: dict[str, int] = {}
    out = []
    for script in scripts:
        number = seen[script.name] = seen.get(script.name, 0) + 1
        name = script.name if number == 1 else f"{script.name} ({number})"
        out.append(Script(name, script.path))
    return out


def read_script(script: Script, cache: Path) -> tuple[list[dict[str, Any]], Path]:
    """A script as commands, and the folder of the binaries that they name; as `convert`."""
    if script.path.suffix == ".json":
        return _commands(script.path), script.path.parent
    return convert(script.path, cache)


def convert(source: Path, cache: Path) -> tuple[list[dict[str, Any]], Path]:
    """A ``.wast`` file as commands, and the folder of the binaries that they name.

    Args:
        source: the file.
        cache: folder that keeps conversions, each under the digest of what it was made from.

    Raises:
        ConversionError: with wasm-tools' message.
        ToolMissing: wasm-tools is not there.
    """
    try:
        text = source.read_bytes()
    except OSError as error:
        raise ConversionError(f"{source}: {error.strerror or error}") from error
    digest = hashlib.sha256(text + wasm_tools_version().encode()).hexdigest()[:24]
    folder = cache / f"{source.stem}-{digest}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache, prefix=f"{source.stem}-"))
        try:
            done = _converted(source, fresh)
            if done.returncode != 0:
                rewritten = unfolded(text.decode("utf-8", "replace"))
                if rewritten is not None:
                    again = fresh / source.name
                    again.write_text(rewritten, encoding="utf-8")
                    second = _converted(again, fresh)
                    done = second if second.returncode == 0 else done
        except subprocess.TimeoutExpired as error:
            shutil.rmtree(fresh)
            raise ConversionError(f"wasm-tools took more than {error.timeout:g} s") from error
        if done.returncode != 0:
            shutil.rmtree(fresh)
            raise ConversionError(done.stderr.decode("utf-8", "replace").strip())
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was faster.
            shutil.rmtree(fresh)
    return _commands(folder / "commands.json"), folder


def _converted(source: Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return run_wasm_tools(
        "json-from-wast", source, "-o", folder / "commands.json", "--wasm-dir", folder
    )


def _commands(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ConversionError(f"{path}: larger than {LARGEST_JSON} bytes")
        commands = json.loads(path.read_bytes())["commands"]
    except OSError as error:
        raise ConversionError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConversionError(f"{path}: not the output of json-from-wast: {error!r}") from error
    if not isinstance(commands, list) or not all(isinstance(item, dict) for item in commands):
        raise ConversionError(f'{path}: "commands" is not a list of objects')
    return commands


def feature_group(script: Script, commands: list[dict[str, Any]], folder: Path) -> str:
    """The youngest feature that a module of the script needs.

    A script none of whose modules can be decoded belongs to the group of its proposal's folder,
    or to `UNKNOWN`.
    """
    order = list(DESCRIPTIONS)
    youngest = -1
    for command in commands:
        if command.get("type") not in ("module", "module_definition"):
            continue
        name = command.get("binary_filename", command.get("filename"))
        if not isinstance(name, str) or not name.endswith(".wasm"):
            continue
        try:
            used = features_used(decode_module((folder / Path(name).name).read_bytes()))
        except (WattestError, OSError):
            continue
        youngest = max([youngest, *(order.index(item) for item in used if item in order)])
    parts = script.name.split("/")
    if len(parts) > 2 and parts[-3] == "proposals":
        return parts[-2]
    if youngest >= 0:
        return order[youngest]
    return parts[-2] if len(parts) > 1 else UNKNOWN
