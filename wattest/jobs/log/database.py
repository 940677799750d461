"""The log's database."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattest.audit import Receipt
from wattest.errors import JobError, OutputError
from wattest.jobs.home import data_folder
from wattest.jobs.log.process import Process
from wattest.jobs.log.rows import BatchRow, Row, pack_receipt, unpack_receipt

if TYPE_CHECKING:
    import sqlite3

__all__ = ["LogError", "RunLog"]

_VERSION = 1
_SCHEMA = """
create table if not exists jobs (
  id text primary key, program text not null, args text not null, labels text not null,
  status text not null, host text not null, pid integer not null, boot text not null,
  birth text not null, started real not null, ended real, exit_code integer, message text,
  batch text, item text, worker text, fuel integer, receipt_id text, request text, memo text,
  folder text, stored integer not null, attempts integer not null, replicas integer not null,
  receipt blob);
create index if not exists jobs_started on jobs (started);
create index if not exists jobs_batch on jobs (batch, item) where batch is not null;
create index if not exists jobs_request on jobs (request) where request is not null;
create table if not exists batches (
  id text primary key, command text not null, host text not null, pid integer not null,
  boot text not null, birth text not null, started real not null, ended real, root text)
  without rowid;
create table if not exists blobs (sha256 text primary key, data blob not null);
create table if not exists uses (
  job text not null, sha256 text not null, primary key (job, sha256)) without rowid;
"""
_COLUMNS = (
    "id, program, args, labels, status, host, pid, boot, birth, started, ended, exit_code, "
    "message, batch, item, worker, fuel, receipt_id, request, memo, folder, stored, attempts, "
    "replicas"
)
_COUNT = _COLUMNS.count(",") + 1

_MORE = tuple(f".{number}" for number in range(2, 1000))

PATIENCE = 5.0
"""Seconds to wait while another process writes."""


class LogError(OutputError):
    """The log of runs cannot be read or written."""


class RunLog:
    """The log of runs, in ``runs.sqlite`` of the user's data folder. Any number of processes and
    threads may use it at a time.

    Args:
        path: of the database, made when something is written; the user's own when None.
        patience: seconds to wait while others write.
        warn: is told, in one line, that a database of an older wattest was moved aside; a
            warning of Python when None.

    Every method raises LogError when the database cannot be used.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        patience: float = PATIENCE,
        warn: Callable[[str], object] | None = None,
    ) -> None:
        self.path = path if path is not None else data_folder() / "runs.sqlite"
        self._patience = patience
        self._warn = warn if warn is not None else warnings.warn
        self._own = threading.local()

    @property
    def folder(self) -> Path:
        """Where results are kept that went nowhere else, a folder for each job."""
        return self.path.parent / "runs"

    # Writing.

    def add(self, rows: Iterable[Row]) -> None:
        """Write down new jobs."""
        with self._open(write=True) as connection, connection:
            connection.executemany(
                f"insert into jobs ({_COLUMNS}) values ({', '.join('?' * _COUNT)})",
                map(_values, rows),
            )

    def update(self, row: Row, receipt: Receipt | None = None) -> None:
        """Write down what became of a job that is in the log."""
        self.settle([(row, receipt, {})])

    def settle(self, jobs: Iterable[tuple[Row, Receipt | None, Mapping[str, bytes]]]) -> None:
        """`update` of many at once.

        Args:
            jobs: a row, its receipt, and small contents among its results, by their sha256 in
                hexadecimal. A row with ``memo`` shares the contents of that job.
        """
        columns = _COLUMNS.split(", ")[1:]
        change = ", ".join(f"{column} = ?" for column in columns)
        with self._open(write=True) as connection, connection:
            for row, receipt, blobs in jobs:
                packed = None if receipt is None else pack_receipt(receipt)
                connection.execute(
                    f"update jobs set {change}, receipt = coalesce(?, receipt) where id = ?",
                    (*_values(row)[1:], packed, row.id),
                )
                connection.executemany("insert or ignore into blobs values (?, ?)", blobs.items())
                connection.executemany(
                    "insert or ignore into uses values (?, ?)",
                    [(row.id, digest) for digest in blobs],
                )
                if row.memo is not None:
                    connection.execute(
                        "insert or ignore into uses select ?, sha256 from uses where job = ?",
                        (row.id, row.memo),
                    )

    def add_batch(self, batch: BatchRow) -> None:
        """Write down a new batch."""
        process = batch.process
        with self._open(write=True) as connection, connection:
            connection.execute(
                "insert into batches values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    batch.id,
                    batch.command,
                    process.host,
                    process.pid,
                    process.boot,
                    process.birth,
                    batch.started,
                    batch.ended,
                    batch.root,
                ),
            )

    def end_batch(self, batch: BatchRow, message: str) -> None:
        """Write down that a batch is over; jobs of it that are not are interrupted, with a
        message."""
        with self._open(write=True) as connection, connection:
            connection.execute(
                "update batches set ended = ?, root = ? where id = ?",
                (batch.ended, batch.root, batch.id),
            )
            connection.execute(
                "update jobs set status = 'interrupted', ended = ?, message = ? "
                "where batch = ? and status in ('queued', 'running')",
                (batch.ended, message, batch.id),
            )

    def remove(self, identifiers: Sequence[str]) -> None:
        """Take jobs out of the log, with the contents that no other job shares."""
        with self._open(write=True) as connection, connection:
            for identifier in identifiers:
                connection.execute("delete from jobs where id = ?", (identifier,))
                connection.execute("delete from uses where job = ?", (identifier,))
            connection.execute("delete from blobs where sha256 not in (select sha256 from uses)")
            connection.execute(
                "delete from batches where ended is not null "
                "and id not in (select batch from jobs where batch is not null)"
            )

    # Reading.

    def find(self, text: str) -> Row:
        """The job whose id begins with a text; ``j-`` may be left out.

        Raises:
            JobError: there is none, or more than one.
        """
        start = text if text.startswith("j-") else f"j-{text}"
        rows = self._select("where substr(id, 1, ?) = ? order by id limit 2", (len(start), start))
        if not rows or len(start) < 3:
            raise JobError(f"no job {text!r} in the log of runs")
        if len(rows) > 1 and rows[0].id != start:
            raise JobError(f"several jobs have an id that begins with {text!r}")
        return rows[0]

    def jobs(
        self,
        *,
        states: Sequence[str] = (),
        labels: Mapping[str, str | None] | None = None,
        program: str | None = None,
        since: float | None = None,
        until: float | None = None,
        batch: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Jobs, the newest first.

        Args:
            states: of `Row.state`, or ``"ok"`` (ended with 0) and ``"bad"`` (ended otherwise).
            labels: that a job must have; None stands for any value.
            program: part of how the program was named.
            since, until: seconds since 1970 between which a job began.
            batch: beginning of the id of the batch.
            limit: most rows.
        """
        clauses = ["1"]
        values: list[Any] = []
        if since is not None:
            clauses.append("started >= ?")
            values.append(since)
        if until is not None:
            clauses.append("started <= ?")
            values.append(until)
        if batch is not None:
            start = batch if batch.startswith("b-") else f"b-{batch}"
            clauses.append("substr(batch, 1, ?) = ?")
            values += [len(start), start]
        if program is not None:
            clauses.append("instr(program, ?)")
            values.append(program)
        found = []
        wanted = set(states)
        query = f"where {' and '.join(clauses)} order by started desc, item desc, id"
        for row in self._each(query, values):
            if wanted and row.state not in wanted and not _counts(row, wanted):
                continue
            if labels and not _has(row, labels):
                continue
            found.append(row)
            if limit is not None and len(found) >= limit:
                break
        return found

    def receipt(self, row: Row) -> Receipt | None:
        """A job's receipt, whole and checked against its id; None when it has none.

        Raises:
            ReceiptError: it is damaged.
        """
        found = self._query("select receipt from jobs where id = ?", (row.id,))
        return unpack_receipt(found[0][0]) if found and found[0][0] is not None else None

    def answers(self, request: str) -> list[Row]:
        """Jobs that were asked a request and have a receipt, the newest first."""
        return self._select(
            "where request = ? and receipt is not null order by started desc", (request,)
        )

    def batch(self, identifier: str) -> BatchRow | None:
        """A batch by its whole id."""
        found = self._query("select * from batches where id = ?", (identifier,))
        if not found:
            return None
        name, command, host, pid, boot, birth, started, ended, root = found[0]
        return BatchRow(name, command, Process(host, pid, boot, birth), started, ended, root)

    def kept(self, sha256: str) -> bytes | None:
        """Small contents by their digest."""
        found = self._query("select data from blobs where sha256 = ?", (sha256,))
        return bytes(found[0][0]) if found else None

    def has_kept(self, sha256: str) -> bool:
        """Whether there are small contents of that digest."""
        return bool(self._query("select 1 from blobs where sha256 = ?", (sha256,)))

    # The database.

    def _select(self, query: str, values: Sequence[Any]) -> list[Row]:
        return list(self._each(query, values))

    def _each(self, query: str, values: Sequence[Any]) -> Iterator[Row]:
        for found in self._query(f"select {_COLUMNS} from jobs {query}", values):
            row = _row(found)
            if row.state == "lost":
                # It may have ended, and said so, since the row was read.
                again = self._query(f"select {_COLUMNS} from jobs where id = ?", (row.id,))
                if not again:
                    continue
                row = _row(again[0])
            yield row

    def _query(self, query: str, values: Sequence[Any]) -> list[Any]:
        if not self.path.exists():
            return []
        with self._open() as connection:
            return connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _open(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        import sqlite3  # only here: a run without a log does without

        try:
            # A connection belongs to the thread and the process that opened it.
            kept = getattr(self._own, "kept", None)
            if kept is None or kept[0] != os.getpid():
                kept = self._own.kept = (os.getpid(), self._connect(write))
            yield kept[1]
        except sqlite3.Error as error:
            self._own.kept = None
            raise LogError(f"the log of runs {self.path}: {error}") from error
        except OSError as error:
            raise LogError(f"the log of runs {self.path}: {error.strerror or error}") from error

    def _connect(self, write: bool) -> sqlite3.Connection:
        import sqlite3

        if not write and not os.access(self.path.parent, os.W_OK):
            # Nobody writes there, and not even a reader could make the files of a shared log.
            return sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=self._patience)
        try:
            version, used = _version(connection)
            if version > _VERSION:
                raise sqlite3.DatabaseError(
                    f"written by a newer wattest (schema {version}; this one knows {_VERSION})"
                )
            if version < _VERSION and used:
                self._move_aside(connection)
            _lasting(connection)
            if version < _VERSION:
                _patiently(self._patience, lambda: connection.execute("pragma journal_mode = wal"))
                connection.executescript(
                    f"begin immediate;{_SCHEMA}pragma user_version = {_VERSION};commit;"
                )
            # A commit need not wait for the disk: what a crash of the machine can take is the
            # last few rows, never the database.
            connection.execute("pragma synchronous = normal")
        except BaseException:
            connection.close()
            raise
        return connection

    def _move_aside(self, connection: sqlite3.Connection) -> None:
        """Copy the database of an older wattest to another name and empty it, unless somebody just
        did. The file itself stays: to rename one that others have open would mix up their
        journals."""
        import fcntl
        import sqlite3

        with self.path.with_name("runs.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            version, used = _version(connection)
            if version >= _VERSION or not used:
                return
            names = (f"runs.schema{version}{more}.sqlite" for more in ("", *_MORE))
            place = next(each for name in names if not (each := self.path.with_name(name)).exists())
            partial = place.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(partial)) as copy:
                connection.backup(copy)
            os.rename(partial, place)
            with connection:
                connection.execute("begin immediate")
                found = connection.execute("select type, name from sqlite_master").fetchall()
                for kind, name in found:
                    if kind in ("table", "view") and not name.startswith("sqlite_"):
                        quoted = name.replace('"', '""')
                        connection.execute(f'drop {kind} "{quoted}"')
                connection.execute("pragma user_version = 0")
        self._warn(
            f"warning: the log of runs has the form of an older wattest (schema {version}): it is "
            f"now {place}, and a new one begins"
        )


def _version(connection: sqlite3.Connection) -> tuple[int, bool]:
    """The version of a database's schema, and whether it has one at all."""
    with connection:
        connection.execute("begin")  # another process may be making it
        version: int = connection.execute("pragma user_version").fetchone()[0]
        tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
    return version, tables > 0


def _patiently(seconds: float, go: Any) -> None:
    """Do what the database refuses without waiting while others do it."""
    import sqlite3

    end = time.monotonic() + seconds
    while True:
        try:
            go()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _lasting(connection: sqlite3.Connection) -> None:
    """Let the write-ahead log be when the last process closes the database: to move it into the
    database means to wait for the disk, at the end of every run. It moves when it has grown."""
    import sqlite3

    option = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)
    if option is not None:
        connection.setconfig(option, True)  # type: ignore[attr-defined, unused-ignore]
        return
    # Python before 3.12 cannot say so; a connection that is never closed does the same.
    with contextlib.suppress(ImportError, AttributeError):
        from _ctypes import Py_INCREF

        Py_INCREF(connection)


def _values(row: Row) -> tuple[Any, ...]:
    process = row.process
    return (
        row.id,
        _clean(row.program),
        _text(list(row.args)),
        _text(dict(row.labels)),
        row.status,
        process.host,
        process.pid,
        process.boot,
        process.birth,
        row.started,
        row.ended,
        row.exit_code,
        _clean(row.message),
        row.batch,
        _clean(row.item),
        row.worker,
        row.fuel,
        row.receipt_id,
        row.request,
        row.memo,
        _path(row.folder),
        row.stored,
        row.attempts,
        row.replicas,
    )


def _clean(text: str | None) -> str | None:
    """Text that a database can hold: what is not UTF-8 is told apart, no more."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _path(path: Path | None) -> str | bytes | None:
    if path is None:
        return None
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return os.fsencode(path)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _row(values: Sequence[Any]) -> Row:
    (name, program, args, labels, status, host, pid, boot, birth, *rest) = values
    (started, ended, exit_code, message, batch, item, worker, fuel, receipt, *last) = rest
    request, memo, folder, stored, attempts, replicas = last
    return Row(
        id=name,
        program=program,
        process=Process(host, pid, boot, birth),
        started=started,
        args=json.loads(args),
        labels=json.loads(labels),
        status=status,
        ended=ended,
        exit_code=exit_code,
        message=message,
        batch=batch,
        item=item,
        worker=worker,
        fuel=fuel,
        receipt_id=receipt,
        request=request,
        memo=memo,
        folder=None if folder is None else Path(os.fsdecode(folder)),
        stored=bool(stored),
        attempts=attempts,
        replicas=replicas,
    )


def _counts(row: Row, wanted: set[str]) -> bool:
    over = row.status not in ("queued", "running")
    return ("ok" in wanted and row.succeeded) or (
        "bad" in wanted and not row.succeeded and (over or row.state == "lost")
    )


def _has(row: Row, labels: Mapping[str, str | None]) -> bool:
    return all(
        name in row.labels and (value is None or row.labels[name] == value)
        for name, value in labels.items()
    )
