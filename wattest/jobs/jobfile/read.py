"""A job from a job file (Bacalhau's "Job Specification", wasm engine)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wattest.engine import PAGE_SIZE, Limits
from wattest.errors import InputError, JobError, one_line
from wattest.jobs.fetch.address import Address, InputSpec, parse_address
from wattest.jobs.job import LiveDirectory, Output, check_guest_path, guest_text, make_output
from wattest.jobs.jobfile.fields import Fields, wrong
from wattest.jobs.spec import JobSpec, ModuleSpec

__all__ = ["META", "JobFile", "parse_job", "read_job_file", "read_job_files"]

META = "wattest."
"""What the names of settings that Bacalhau does not know begin with, in a task's Meta."""

_LARGEST = 64 << 20
_VARIABLE = re.compile(r"\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\Z")
_SIZES = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12,
    "tb": 10**12,
    "ki": 2**10, "kib": 2**10, "mi": 2**20, "mib": 2**20, "gi": 2**30, "gib": 2**30,
    "ti": 2**40, "tib": 2**40,
}  # fmt: skip
_SERVERS_OWN = ("ID", "State", "Version", "Revision", "CreateTime", "ModifyTime")
"""What Bacalhau writes into a job that it has taken; it says nothing about what to run."""


@dataclass(frozen=True)
class JobFile:
    """What a job file says.

    Attributes:
        spec: what to run.
        name: of the job.
        labels: of the job.
        count: how many times it is to run.
        publish: where its results go, as for ``--publish``, or None.
    """

    spec: JobSpec
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    publish: str | None = None


def read_job_file(path: Path, variables: Mapping[str, str] | None = None) -> JobFile:
    """Read a job file, YAML or JSON.

    Args:
        path: of the file.
        variables: values for ``{{.name}}`` in it.

    Raises:
        InputError: it cannot be read.
        JobError: it is no such job, needs what is not to be had here, or a variable is missing or
            is not used; the message names the field.
    """
    text = _read(path)
    with _naming(path):
        jobs = _documents(text, variables, path)
        if len(jobs) > 1:
            raise JobError(f"holds {len(jobs)} jobs, and one is wanted: wattest batch runs many")
        return parse_job(jobs[0] if jobs else None)


def read_job_files(path: Path, variables: Mapping[str, str] | None = None) -> list[JobFile]:
    """Read a file that holds any number of jobs: a list of them, or several documents of YAML
    (lines of ``---`` between them), or one job. Arguments and errors as for `read_job_file`.
    """
    text = _read(path)
    with _naming(path):
        found = []
        for number, document in enumerate(_documents(text, variables, path), 1):
            try:
                found.append(parse_job(document))
            except JobError as error:
                if isinstance(error, InputError):
                    raise
                raise JobError(f"job {number}: {error}") from error
        return found


def _documents(text: str, variables: Mapping[str, str] | None, path: Path) -> list[Any]:
    """The values of all jobs in a file."""
    loaded = _load(_filled(text, variables or {}), path.suffix == ".json")
    return [
        job
        for document in loaded
        if document is not None
        for job in (document if isinstance(document, list) else [document])
    ]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise InputError(f"{path}: larger than {_LARGEST >> 20} MiB")
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise JobError(f"{path}: not UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors say which file they are about."""
    try:
        yield
    except JobError as error:
        if isinstance(error, InputError):
            raise
        raise JobError(f"{path}: {error}") from error


def _filled(text: str, variables: Mapping[str, str]) -> str:
    unused = set(variables)

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in variables:
            raise JobError(f"{found[0]} has no value: --var {name}=VALUE gives it one")
        unused.discard(name)
        return variables[name]

    text = _VARIABLE.sub(value, text)
    if unused:
        raise JobError(f"there is no {{{{.{sorted(unused)[0]}}}}} in it")
    return text


def _load(text: str, is_json: bool) -> list[Any]:
    """The values of a text's documents."""
    if is_json:
        try:
            return [json.loads(text)]
        except (ValueError, RecursionError) as error:
            raise JobError(f"not JSON: {error}") from None
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise JobError(
            "job files in YAML need a package that is not installed: pip install 'wattest[yaml]'"
        ) from None
    try:
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise JobError(f"not YAML: {one_line(' '.join(str(error).split()))}") from None


def parse_job(document: Any) -> JobFile:
    """A job from a document's values.

    Raises:
        JobError: as `read_job_file`.
    """
    job = Fields(document, "")
    for name in _SERVERS_OWN:
        job.take(name)
    name = job.text("Name")
    job.text("Namespace")
    job.take("Priority")  # there is nobody to be ahead of
    job.mapping("Meta")
    kind = job.text("Type", "batch")
    if kind != "batch":
        raise wrong("Type", f"{kind!r} jobs are for a network of nodes; only batch runs here")
    count = job.number("Count", 1)
    labels = job.mapping("Labels")
    if job.take("Constraints"):
        raise wrong("Constraints", "there are no nodes to choose from here")
    tasks = job.each("Tasks", Fields)
    job.done()
    if len(tasks) != 1:
        raise wrong("Tasks", f"one task is wanted, not {len(tasks)}")
    spec, publish = _Task(tasks[0]).read()
    return JobFile(spec, name, labels, count, publish)


class _Task:
    def __init__(self, fields: Fields) -> None:
        self.fields = fields

    def read(self) -> tuple[JobSpec, str | None]:
        fields = self.fields
        fields.text("Name")
        meta = fields.mapping("Meta")
        engine = fields.fields("Engine")
        if engine is None:
            raise wrong(fields.at("Engine"), "missing")
        env = self.env(fields)
        sources = fields.each("InputSources", _Source)
        spec = self.engine(engine, env, sources)
        inputs = [item for item in sources if not item.used]
        spec = replace(
            spec,
            inputs=tuple(item.input() for item in inputs if not item.live),
            directories=tuple(item.directory() for item in inputs if item.live),
            outputs=tuple(fields.each("ResultPaths", _output)),
            limits=_limits(fields),
        )
        _check_network(fields.fields("Network"))
        publish = _publisher(fields.fields("Publisher"))
        fields.done()
        return _with_meta(spec, meta, fields.at("Meta")), publish

    @staticmethod
    def env(fields: Fields) -> dict[str, str]:
        env = fields.mapping("Env")
        for name, value in env.items():
            if value.startswith("env:"):
                raise wrong(
                    f"{fields.at('Env')}.{name}",
                    f"{value!r} would hand a variable of this machine to the program: "
                    "write its value",
                )
        return env

    @staticmethod
    def engine(engine: Fields, env: dict[str, str], sources: list[_Source]) -> JobSpec:
        kind = engine.text("Type")
        if kind.lower() != "wasm":
            raise wrong(engine.at("Type"), f"{kind!r} cannot be run here: only wasm can")
        params = engine.fields("Params")
        if params is None:
            raise wrong(engine.at("Params"), "missing")
        entry = _module(params.take("EntryModule"), params.at("EntryModule"), sources)
        imports = params.each("ImportModules", lambda value, path: _module(value, path, sources))
        entry_point = params.text("Entrypoint", "_start") or "_start"
        args = tuple(map(guest_text, params.texts("Parameters")))
        env = {**params.mapping("EnvironmentVariables"), **env}
        params.done()
        engine.done()
        return JobSpec(
            program=entry.address,
            args=args,
            env=env,
            modules=tuple(ModuleSpec(item.alias or item.target, item.address) for item in imports),
            entry_point=None if entry_point == "_start" else entry_point,
            name=guest_text(entry.target.rstrip("/").rpartition("/")[2]) or None,
        )


def _module(value: Any, path: str, sources: list[_Source]) -> _Source:
    """The source that a module is in: named by its target, or, as in older jobs, written out."""
    if isinstance(value, dict):
        source = _Source(value, path)
        if not source.target:
            source.target = source.address.name if not source.address.nameless else "main.wasm"
        return source
    if not isinstance(value, str) or not value:
        raise wrong(path, "the target of one of the InputSources is wanted")
    for source in sources:
        if source.target.strip("/") == value.strip("/") or source.alias == value:
            source.used = True
            return source
    raise wrong(path, f"no InputSource has the target {value!r}")


class _Source:
    """One of the InputSources."""

    def __init__(self, value: Any, path: str) -> None:
        fields = Fields(value, path)
        self.path = path
        self.used = False
        self.live = False
        self.writable = False
        self.into = False
        """Whether the target is a directory into which the file goes under its own name."""
        self.alias = fields.text("Alias")
        self.target = fields.text("Target").strip()
        source = fields.fields("Source")
        if source is None:
            # Older jobs write the source without the mapping around it.
            source, fields = fields, Fields({}, path)
        kind = source.text("Type")
        params = source.fields("Params") or Fields({}, source.at("Params"))
        readers = {
            "local": self.local, "localdirectory": self.local, "url": self.url,
            "urldownload": self.url, "s3": self.s3, "ipfs": self.ipfs, "inline": self.inline,
        }  # fmt: skip
        reader = readers.get(kind.lower())
        if reader is None:
            known = "local, urlDownload, s3, ipfs and inline"
            raise wrong(source.at("Type"), f"{kind!r} is not known: {known} are")
        self.address: Address = reader(params)
        params.done()
        source.done()
        fields.done()

    def local(self, params: Fields) -> Address:
        place = self.needed(params, "SourcePath")
        self.writable = params.flag("ReadWrite")
        self.live = self.writable
        params.text("CreateAs")
        return Address(place, "", place)

    def url(self, params: Fields) -> Address:
        self.into = True
        return self.parsed(self.needed(params, "URL"))

    def s3(self, params: Fields) -> Address:
        bucket, key = self.needed(params, "Bucket"), params.text("Key")
        if "*" in key or params.text("Filter"):
            raise wrong(params.path, "wildcards and filters of keys are not known here")
        partition = params.fields("Partition")
        if partition is not None and partition.text("Type", "none").lower() not in ("", "none"):
            raise wrong(partition.path, "partitions are for several nodes")
        options = {
            option: text
            for option, name in (
                ("endpoint", "Endpoint"),
                ("region", "Region"),
                ("version-id", "VersionID"),
            )
            if (text := params.text(name))
        }
        sha256 = _checksum(params.text("ChecksumSHA256"), params.at("ChecksumSHA256"))
        self.into = bool(key) and not key.endswith("/")
        address = self.parsed(f"s3://{bucket}/{key}", options)
        return replace(address, sha256=sha256)

    def ipfs(self, params: Fields) -> Address:
        return self.parsed(f"ipfs://{self.needed(params, 'CID')}")

    def inline(self, params: Fields) -> Address:
        url = self.needed(params, "URL")
        if not url.startswith("data:"):
            raise wrong(params.at("URL"), "a data: address is wanted")
        packed = url[len("data:") :].startswith("application/gzip")
        return self.parsed(f"tar://::{url}" if packed else url)

    def needed(self, params: Fields, name: str) -> str:
        text = params.text(name)
        if not text:
            raise wrong(params.at(name), "missing")
        return text

    def parsed(self, text: str, options: Mapping[str, str] | None = None) -> Address:
        try:
            return parse_address(text, options)
        except JobError as error:
            raise wrong(self.path, str(error)) from None

    def input(self) -> InputSpec:
        place = self.place()
        if self.into:
            place = f"{place.rstrip('/')}/{guest_text(self.address.name)}"
        return InputSpec(self.address, place)

    def directory(self) -> LiveDirectory:
        return LiveDirectory(Path(self.address.target), self.place(), self.writable)

    def place(self) -> str:
        if not self.target:
            raise wrong(f"{self.path}.Target", "missing")
        target = self.target if self.target.startswith("/") else f"/{self.target}"
        try:
            return check_guest_path(target)
        except JobError as error:
            raise wrong(f"{self.path}.Target", str(error)) from None


def _checksum(text: str, path: str) -> str | None:
    """A sha256 in base64, as S3 gives it."""
    if not text:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise wrong(path, f"{text!r} is not a sha256 in base64")
    return digest.hex()


def _output(value: Any, path: str) -> Output:
    fields = Fields(value, path)
    name, place = fields.text("Name"), fields.text("Path")
    fields.done()
    try:
        return make_output(name, place)
    except JobError as error:
        raise wrong(path, str(error)) from None


def _limits(task: Fields) -> Limits:
    changes: dict[str, Any] = {}
    resources = task.fields("Resources")
    if resources is not None:
        resources.text("CPU")  # the program has one thread, whatever it asks for
        gpu = resources.text("GPU")
        if gpu not in ("", "0"):
            raise wrong(resources.at("GPU"), f"{gpu}: there are none for a wasm program")
        memory = _size(resources, "Memory")
        if memory:
            pages = -(-memory // PAGE_SIZE)
            if pages > 65536:
                raise wrong(resources.at("Memory"), "more than the 4GiB that 32 bits address")
            changes["memory_pages"] = pages
        disk = _size(resources, "Disk")
        if disk:
            changes["bytes_written"] = disk
        resources.done()
    timeouts = task.fields("Timeouts")
    if timeouts is not None:
        timeouts.number("QueueTimeout")
        total = timeouts.number("TotalTimeout")
        seconds = timeouts.number("ExecutionTimeout") or total
        timeouts.done()
        if seconds:
            changes["wall_time"] = float(seconds)
    return replace(Limits(), **changes)


def _size(fields: Fields, name: str) -> int:
    text = fields.text(name).strip()
    if not text:
        return 0
    found = _SIZE.match(text)
    unit = None if found is None else _SIZES.get(found[2].lower())
    if found is None or unit is None or len(text) > 40:
        raise wrong(fields.at(name), f"{text!r} is not a size such as 512MiB or 1GB")
    whole, _, fraction = found[1].partition(".")
    divisor: int = 10 ** len(fraction)
    return int(whole + fraction) * unit // divisor


def _check_network(network: Fields | None) -> None:
    if network is None:
        return
    kind = network.text("Type", "None")
    if kind.lower() not in ("none", "default", ""):
        raise wrong(network.at("Type"), f"{kind!r}: a program has no network here")
    for name in ("Domains", "Ports"):
        if network.take(name):
            raise wrong(network.at(name), "a program has no network here")
    network.done()


def _publisher(publisher: Fields | None) -> str | None:
    if publisher is None:
        return None
    kind = publisher.text("Type").lower()
    params = publisher.fields("Params") or Fields({}, publisher.at("Params"))
    publisher.done()
    target = None
    if kind == "s3":
        bucket, key = params.text("Bucket"), params.text("Key")
        if not bucket or not key:
            raise wrong(params.path, "Bucket and Key are wanted")
        encoding = params.text("Encoding", "plain") or "plain"
        if encoding != "plain":
            raise wrong(params.at("Encoding"), f"{encoding!r} is not known here: plain is")
        options = [
            f"opt={option}={text}"
            for option, name in (("endpoint", "Endpoint"), ("region", "Region"))
            if (text := params.text(name))
        ]
        target = ",".join([f"dst=s3://{bucket}/{key}", *options] if options else [
            f"s3://{bucket}/{key}"
        ])  # fmt: skip
    elif kind == "ipfs":
        target = "ipfs"
    elif kind == "local":
        target = "local"
    elif kind not in ("", "noop"):
        raise wrong(publisher.at("Type"), f"{kind!r} is not known: local, s3 and ipfs are")
    params.done()
    return target


def _with_meta(spec: JobSpec, meta: Mapping[str, str], path: str) -> JobSpec:
    """Settings that only wattest knows."""
    own = {name[len(META) :]: text for name, text in meta.items() if name.startswith(META)}
    changes: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for name, text in own.items():
        if name == "clock":
            changes["clock"] = text
        elif name == "random":
            changes["seed"] = None if text == "system" else text
        elif name == "engine":
            changes["engine"] = text
        elif name == "features":
            changes["features"] = frozenset(filter(None, text.split(",")))
        elif name == "invoke":
            changes.update(invoke=text, entry_point=None)
        elif name == "timeout":
            limits["wall_time"] = None if text == "unlimited" else _count(text, path, name) / 1000
        elif name in _META_LIMITS:
            limits[name] = None if text == "unlimited" else _count(text, path, name)
        else:
            raise wrong(f"{path}.{META}{name}", "unknown")
    try:
        return replace(spec, **changes, limits=replace(spec.limits, **limits))
    except TypeError as error:
        raise wrong(path, str(error)) from None


_META_LIMITS = (
    "fuel", "memory_pages", "table_elements", "heap_fields", "module_size", "frames", "slots",
    "open_files", "bytes_written",
)  # fmt: skip


def _count(text: str, path: str, name: str) -> int:
    if not text.isdigit() or len(text) > 19:
        raise wrong(f"{path}.{META}{name}", f"{text!r} is not a number")
    return int(text)
