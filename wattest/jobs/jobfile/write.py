"""A job as a job file (Bacalhau's "Job Specification", wasm engine)."""

from __future__ import annotations

import importlib
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wattest.audit import readable_json
from wattest.engine import PAGE_SIZE, Limits
from wattest.errors import JobError
from wattest.jobs.fetch.address import Address, InputSpec
from wattest.jobs.job import guest_text
from wattest.jobs.jobfile.read import META
from wattest.jobs.spec import JobSpec
from wattest.jobs.store import parse_digest

__all__ = ["job_document", "job_text"]


def job_text(document: Mapping[str, Any]) -> str:
    """A job's document as YAML, or as JSON, which is YAML too, when there is no package for it."""
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        return readable_json(document)
    text: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=1000)
    return text


def job_document(
    spec: JobSpec, labels: Mapping[str, str] | None = None, publish: str | None = None
) -> dict[str, Any]:
    """The document of a job, which `wattest.jobs.jobfile.parse_job` reads.

    Settings that Bacalhau does not know are in the task's Meta.

    Args:
        spec: what to run.
        labels: of the job.
        publish: as for ``--publish``.

    Raises:
        JobError: there is no way to say it: standard input, a place that Bacalhau would not give
            an input, a live directory that is read-only.
    """
    if spec.stdin:
        raise JobError("a job file has no place for standard input")
    name = _program_name(spec)
    sources = [{"Target": f"/{name}", "Source": _source(spec.program)}]
    params: dict[str, Any] = {
        "EntryModule": f"/{name}",
        "Entrypoint": spec.entry_point or "_start",
    }
    if spec.args:
        params["Parameters"] = list(spec.args)
    for number, module in enumerate(spec.modules):
        target = f"/modules/{number}.wasm"
        sources.append({"Alias": module.name, "Target": target, "Source": _source(module.address)})
        params.setdefault("ImportModules", []).append(target)
    sources += [_input(item) for item in spec.inputs]
    for directory in spec.directories:
        if not directory.writable:
            raise JobError(f"a job file cannot say that the live {directory.source} is read-only")
        path = {"SourcePath": os.path.abspath(directory.source), "ReadWrite": True}
        sources.append(
            {"Target": directory.guest_path, "Source": {"Type": "local", "Params": path}}
        )
    task: dict[str, Any] = {
        "Name": "main",
        "Engine": {"Type": "wasm", "Params": params},
        "InputSources": sources,
    }
    if spec.env:
        task["Env"] = dict(spec.env)
    if spec.outputs:
        task["ResultPaths"] = [
            {"Name": output.name, "Path": output.guest_path} for output in spec.outputs
        ]
    task.update(_limits(spec))
    task["Network"] = {"Type": "None"}
    if publish is not None:
        task["Publisher"] = _publisher(publish)
    document: dict[str, Any] = {"Name": name, "Type": "batch", "Count": 1}
    if labels:
        document["Labels"] = dict(labels)
    document["Tasks"] = [task]
    return document


def _program_name(spec: JobSpec) -> str:
    if spec.name is not None:
        return spec.name
    address = spec.program
    if address.nameless:
        digest = parse_digest(str(address)) or parse_digest(address.target)
        if digest is not None:
            from wattest.audit import cid_v1_raw

            return cid_v1_raw(bytes.fromhex(digest))
        return address.target.strip("/")
    return guest_text(address.name if address.scheme else Path(address.target).name)


def _source(address: Address) -> dict[str, Any]:
    """The Source that means an address. Those of schemes that Bacalhau does not know are written
    as URLs: such a job runs only here."""
    digest = "" if address.sha256 is None else f"#sha256={address.sha256}"
    if not address.scheme and not digest:
        path = os.path.abspath(address.target)
        return {"Type": "local", "Params": {"SourcePath": path}}
    if address.scheme == "s3":
        parts = urlsplit(address.target, allow_fragments=False)
        params = {"Bucket": parts.netloc, "Key": address.target.split("/", 3)[3:][0]}
        for option, text in address.options.items():
            name = {"endpoint": "Endpoint", "region": "Region", "version-id": "VersionID"}.get(
                option
            )
            if name is None:
                raise JobError(f"a job file has no place for the option {option!r} of s3")
            params[name] = text
        if address.sha256 is not None:
            checksum = b64encode(bytes.fromhex(address.sha256)).decode()
            params["ChecksumSHA256"] = checksum
        return {"Type": "s3", "Params": params}
    if address.scheme == "ipfs":
        return {"Type": "ipfs", "Params": {"CID": address.target.strip("/")}}
    if address.scheme == "data":
        return {"Type": "inline", "Params": {"URL": address.target}}
    if address.options:
        raise JobError(f"{address}: a job file has no place for its options")
    url = address.target if "://" in address.target else f"{address.scheme}:{address.target}"
    if not address.scheme:
        url = f"file://{os.path.abspath(address.target)}"
    elif address.scheme in ("zip", "tar"):
        url = f"{address.scheme}://{address.target}"
    return {"Type": "urlDownload", "Params": {"URL": url + digest}}


def _input(item: InputSpec) -> dict[str, Any]:
    address = item.address
    source = _source(address)
    place = item.place(address.says_directory, "")
    if address.nameless and item.guest_path is None:
        place = "/inputs"
    # Bacalhau takes the target of these for the directory that the file goes into.
    single = source["Type"] == "urlDownload" or (
        source["Type"] == "s3" and not address.says_directory
    )
    if single and not address.nameless:
        parent, _, name = place.rpartition("/")
        if name != guest_text(address.name):
            raise JobError(
                f"{address}: in a job file it keeps its own name: say DST/{address.name}"
            )
        place = parent or "/"
    return {"Target": place, "Source": source}


def _limits(spec: JobSpec) -> dict[str, Any]:
    default = Limits()
    limits = spec.limits
    task: dict[str, Any] = {}
    meta: dict[str, str] = {}
    resources = {}
    if limits.memory_pages != default.memory_pages:
        resources["Memory"] = f"{limits.memory_pages * PAGE_SIZE >> 10}KiB"
    if limits.bytes_written != default.bytes_written:
        resources["Disk"] = f"{limits.bytes_written}B"
    if resources:
        task["Resources"] = resources
    if limits.wall_time != default.wall_time:
        if limits.wall_time is not None and limits.wall_time == int(limits.wall_time) > 0:
            task["Timeouts"] = {"ExecutionTimeout": int(limits.wall_time)}
        else:
            seconds = limits.wall_time
            meta["timeout"] = "unlimited" if seconds is None else str(round(seconds * 1000))
    for item in fields(limits):
        value = getattr(limits, item.name)
        if item.name in ("memory_pages", "bytes_written", "wall_time"):
            continue
        if value != getattr(default, item.name):
            meta[item.name] = "unlimited" if value is None else str(value)
    if spec.clock != "virtual":
        meta["clock"] = spec.clock
    if spec.seed != "0":
        meta["random"] = "system" if spec.seed is None else spec.seed
    if spec.invoke is not None:
        meta["invoke"] = spec.invoke
    if spec.engine != "auto":
        meta["engine"] = spec.engine
    if spec.features:
        meta["features"] = ",".join(sorted(spec.features))
    if meta:
        task["Meta"] = {META + name: text for name, text in meta.items()}
    return task


def _publisher(publish: str) -> dict[str, Any]:
    from wattest.jobs.publish import parse_target

    target = parse_target(publish)
    if target.kind == "car":
        return {"Type": "ipfs"}
    if target.kind == "folder":
        return {"Type": "local"}
    if not target.place.startswith("s3://"):
        raise JobError(f"{publish}: Bacalhau knows no publisher for it: local, s3 and ipfs")
    bucket, _, key = target.place[len("s3://") :].partition("/")
    params = {"Bucket": bucket, "Key": key}
    for option, text in target.options.items():
        params[{"endpoint": "Endpoint", "region": "Region"}.get(option, option)] = text
    return {"Type": "s3", "Params": params}
