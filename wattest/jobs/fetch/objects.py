"""Object stores and whatever else fsspec knows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from wattest.errors import InputError, JobError, one_line
from wattest.jobs.fetch.address import Address
from wattest.jobs.fetch.download import Broken, Piece
from wattest.jobs.fetch.manifest import MOST_ENTRIES, check_path

__all__ = ["ObjectSource", "RemoteFiles", "connect", "storage_options"]

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "adl": "az",
}
"""Which extra of wattest brings what a scheme needs."""

_PIECE = 8 << 20


def connect(address: Address) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it.

    Raises:
        JobError: nobody knows the scheme, a package is missing, or an option is unknown.
    """
    fsspec = importlib.import_module("fsspec")
    scheme = address.scheme
    try:
        options = storage_options(scheme, address.options)
        kind = fsspec.get_filesystem_class(scheme)
        # A remembered one would hold on to the credentials and listings of its first use.
        files = kind(**options, use_listings_cache=False, skip_instance_cache=True)
        path: str = kind._strip_protocol(address.target)
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        package = f"'wattest[{extra}]'" if extra else _named_package(error)
        raise JobError(
            f"{address}: {scheme}: addresses need a package that is not installed: "
            f"pip install {package}"
        ) from error
    except JobError:
        raise
    except (ValueError, TypeError) as error:
        raise JobError(f"{address}: {one_line(str(error))}") from error
    return files, path


def _named_package(error: ImportError) -> str:
    """What fsspec says about a missing package, which is all that is known of it here."""
    return error.name.partition(".")[0] if error.name else f"(fsspec: {one_line(str(error))})"


def storage_options(scheme: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Options as fsspec takes them, from Bacalhau's names for those of S3.

    Raises:
        JobError: an unknown option of S3.
    """
    if scheme not in ("s3", "s3a"):
        return {name: _value(text) for name, text in options.items()}
    given: dict[str, Any] = {}
    client: dict[str, Any] = {}
    for name, text in options.items():
        key = name.lower().replace("-", "").replace("_", "")
        if key in ("endpoint", "endpointurl"):
            given["endpoint_url"] = text
        elif key == "region":
            client["region_name"] = text
        elif key == "versionid":
            given["version_aware"] = True
        elif key == "anon":
            given["anon"] = _value(text)
        elif key not in ("checksum256", "filter"):
            raise JobError(f"unknown option {name!r} for s3: endpoint, region, anon, version-id")
    if client:
        given["client_kwargs"] = client
    return given


def _value(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


class RemoteFiles:
    """What lies at an address of an object store.

    Args:
        address: where.

    Raises:
        JobError: as `connect`.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._files, self._path = connect(address)
        version = next(
            (
                text
                for name, text in address.options.items()
                if name.lower().replace("-", "").replace("_", "") == "versionid"
            ),
            None,
        )
        if version is not None:
            self._path = f"{self._path}?versionId={version}"

    def is_directory(self) -> bool:
        """Whether it is a prefix; raises InputError when there is nothing."""
        if self._address.says_directory:
            return True
        info = self._asked(lambda: self._files.info(self._path))
        return bool(info.get("type") == "directory")

    def listing(self) -> list[tuple[str, str]]:
        """(relative path, path for `source`) of every file below the prefix, sorted.

        Raises:
            InputError: there is none, there are too many, or a name cannot be laid out.
        """
        base = self._path.rstrip("/")
        found = self._asked(lambda: self._files.find(base, detail=True))
        if len(found) > MOST_ENTRIES:
            raise InputError(f"{self._address}: more than {MOST_ENTRIES:,} files")
        files = []
        for path, info in sorted(found.items()):
            # Some tools write an empty object to stand for a directory.
            if info.get("type") == "directory" or path.endswith("/"):
                continue
            relative = path[len(base) :].lstrip("/")
            if path == base or not path.startswith(f"{base}/"):
                continue
            files.append((check_path(relative, str(self._address)), path))
        if not files:
            raise InputError(f"{self._address}: there is nothing")
        return files

    def source(self, path: str | None = None) -> ObjectSource:
        """A file to download: that of the address itself when None."""
        return ObjectSource(self, self._path if path is None else path)

    def version(self, path: str | None = None) -> str | None:
        """What tells the content of a file from a later one.

        Raises:
            InputError: it is not there.
        """
        return self.info(self._path if path is None else path)[1]

    def info(self, path: str) -> tuple[int | None, str | None]:
        """(size, version) of a file; raises InputError when it is not there."""
        self._files.invalidate_cache()
        info = self._asked(lambda: self._files.info(path))
        size = info.get("size")
        marks = [
            str(info[name])
            for name in ("ETag", "etag", "md5Hash", "content_md5", "generation", "mtime")
            if info.get(name)
        ]
        if info.get("VersionId"):
            marks.append(str(info["VersionId"]))
        if not marks and info.get("LastModified"):
            marks.append(str(info["LastModified"]))
        version = f"{size} {' '.join(marks)}" if marks else None
        return (int(size) if isinstance(size, int) else None), version

    def read(self, path: str, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end`` of a file; raises Broken."""
        data: bytes = self._asked(lambda: self._files.cat_file(path, start=start, end=end), True)
        return data

    def read_all(self, path: str) -> Iterator[bytes]:
        """A file whose size is unknown, from its start; raises Broken."""
        file = self._asked(lambda: self._files.open(path, "rb"), True)
        with file:
            while chunk := self._asked(lambda: file.read(1 << 20), True):
                yield chunk

    def _asked(self, ask: Any, reading: bool = False) -> Any:
        try:
            return ask()
        except FileNotFoundError as error:
            raise InputError(f"{self._address}: no such file or directory") from error
        except PermissionError as error:
            hint = "; opt=anon=true reads public data" if self._address.scheme == "s3" else ""
            raise InputError(f"{self._address}: {one_line(str(error))}{hint}") from error
        except Exception as error:  # every store has its own
            if type(error).__name__ == "NoCredentialsError":
                raise InputError(
                    f"{self._address}: no credentials for it are set up; opt=anon=true reads "
                    "public data"
                ) from error
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            if reading:
                raise Broken(reason) from error
            raise InputError(f"{self._address}: {reason}") from error


class ObjectSource:
    """A file of an object store, read by ranges."""

    def __init__(self, files: RemoteFiles, path: str) -> None:
        self._files = files
        self._path = path

    def open(self, start: int, version: str | None) -> Piece:
        """As `wattest.jobs.fetch.download.Source.open`."""
        size, now = self._files.info(self._path)
        if version is None or version != now:
            start = 0
        if size is None:
            return Piece(0, None, None, self._files.read_all(self._path))
        return Piece(start, size, now, self._pieces(start, size, now))

    def _pieces(self, start: int, size: int, version: str | None) -> Iterator[bytes]:
        while start < size:
            data = self._files.read(self._path, start, min(start + _PIECE, size))
            if not data:
                return
            start += len(data)
            yield data
        if version is not None and self._files.info(self._path)[1] != version:
            raise Broken("it changed while it was read")
