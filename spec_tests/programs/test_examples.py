"""The example programs: what they count is what Python counts, on the reference and on wasmtime."""

from __future__ import annotations

import csv
import io
import re
import runpy
import statistics
from collections import Counter
from pathlib import Path

import pytest
from hosts import HOSTS, Host, Outcome, Reference, Wasmtime, run_command

EXAMPLES = Path(__file__).parents[2] / "examples"
LOGBOOK = (EXAMPLES / "data" / "logbook.txt").read_bytes()
READINGS = (EXAMPLES / "data" / "readings.csv").read_bytes()

ODD_TEXT = (
    "Don't stop - well-known -- it's 'quoted' x1y2 Über-Maß ÜBER\n"
    "one-\ntwo trailing'\n" + "long" * 30 + " end"
).encode()


def words_of(text: bytes) -> Counter[str]:
    """What wordfreq calls a word; letters outside ASCII keep their case."""
    letter = rb"[A-Za-z\x80-\xff]"
    found = re.findall(letter + rb"+(?:['-]" + letter + rb"+)*", text)
    return Counter(bytes(word).lower()[:63].decode() for word in found)


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def wordfreq(host: type[Host], folder: Path, text: bytes, *args: str, **env: str) -> Outcome:
    path = EXAMPLES / "wordfreq.wasm"
    inputs = {"text.txt": text, "ignored.bin": b"not a text"}
    return run_command(host, path, folder, ["wordfreq", *args], inputs, list(env.items()))


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: str(host.name))
@pytest.mark.parametrize("text", [LOGBOOK[:20_000], ODD_TEXT], ids=["logbook", "odd"])
def test_wordfreq_counts(host: type[Host], text: bytes, tmp_path: Path) -> None:
    outcome = wordfreq(host, tmp_path, text)
    assert outcome.exit == 0
    expected = sorted(words_of(text).items(), key=lambda item: (-item[1], item[0].encode()))
    assert rows_of(outcome.outputs["words.csv"]) == [
        ["word", "count"],
        *([word, str(count)] for word, count in expected),
    ]
    total = sum(words_of(text).values())
    assert rows_of(outcome.outputs["files.csv"])[1:] == [
        ["/inputs/text.txt", str(len(text)), str(text.count(b"\n")), str(total)]
    ]
    assert outcome.stdout == outcome.outputs["report.txt"]
    assert b"ignored.bin is not a text" in outcome.stderr


def test_wordfreq_takes_options(tmp_path: Path) -> None:
    args = ("-n", "3", "-m", "5")
    env = {"WORDFREQ_TITLE": "Mine", "WORDFREQ_IGNORE": "harbour,water"}
    ours = wordfreq(Reference, tmp_path / "ours", LOGBOOK[:5000], *args, **env)
    assert ours == wordfreq(Wasmtime, tmp_path / "theirs", LOGBOOK[:5000], *args, **env)
    lines = ours.stdout.decode().splitlines()
    assert lines[0] == "Mine"
    assert len(lines) == 5
    assert all(len(line.split()[-1]) >= 5 for line in lines[2:])
    assert b"water," not in ours.outputs["words.csv"]


@pytest.mark.parametrize("args", [("-n",), ("-x", "1"), ("-n", "many"), ("a", "b")], ids=str)
def test_wordfreq_refuses_wrong_usage(args: tuple[str, ...], tmp_path: Path) -> None:
    outcome = wordfreq(Reference, tmp_path, b"", *args)
    assert outcome.exit == 2
    assert b"usage: wordfreq" in outcome.stderr


def test_wordfreq_says_when_there_is_nothing(tmp_path: Path) -> None:
    path = EXAMPLES / "wordfreq.wasm"
    assert run_command(Reference, path, tmp_path, ["wordfreq"], {}).exit == 3


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: str(host.name))
def test_csvstats_measures(host: type[Host], tmp_path: Path) -> None:
    data = b"".join(READINGS.splitlines(keepends=True)[:200])
    path = EXAMPLES / "csvstats.wasm"
    outcome = run_command(
        host, path, tmp_path, ["csvstats"], {"r.csv": data}, [("CSVSTATS_GROUP", "station")]
    )
    assert outcome.exit == 0
    header, *rows = rows_of(data)
    got = rows_of(outcome.outputs["columns.csv"])[1:]
    expected = []
    for group in ["all", *dict.fromkeys(row[2] for row in rows)]:
        chosen = [row for row in rows if group in ("all", row[2])]
        for place in (1, 3, 4, 5, 6):
            values = [float(row[place]) for row in chosen if row[place]]
            expected.append(
                ["/inputs/r.csv", group, header[place], str(len(values))]
                + [str(len(chosen) - len(values))]
                + [
                    f"{value:.3f}"
                    for value in (
                        min(values),
                        max(values),
                        statistics.fmean(values),
                        statistics.stdev(values),
                    )
                ]
            )
    # The last digit of mean and deviation may be rounded another way.
    assert [row[:7] for row in got] == [row[:7] for row in expected]
    for mine, theirs in zip(got, expected):
        for place in (7, 8):
            assert float(mine[place]) == pytest.approx(float(theirs[place]), abs=0.0011)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"a,b\n1\n", b"r.csv:2: another number of fields"),
        (b'a,b\n"1,2\n', b"r.csv:2: an open quote"),
        (b"a\n" + b"1" * 5000 + b"\n", b"r.csv:2: the line is too long"),
    ],
    ids=["ragged", "quote", "long"],
)
def test_csvstats_refuses_malformed_tables(table: bytes, says: bytes, tmp_path: Path) -> None:
    path = EXAMPLES / "csvstats.wasm"
    outcome = run_command(Reference, path, tmp_path, ["csvstats"], {"r.csv": table})
    assert outcome.exit == 4
    assert says in outcome.stderr


def test_csvstats_reads_quoted_fields(tmp_path: Path) -> None:
    table = b'"the ""x"", so","y"\r\n1,"2"\r\n3,4.5\r\n'
    path = EXAMPLES / "csvstats.wasm"
    outcome = run_command(Reference, path, tmp_path, ["csvstats"], {"r.csv": table})
    rows = rows_of(outcome.outputs["columns.csv"])[1:]
    assert [row[2] for row in rows] == ['the "x", so', "y"]
    assert [row[7] for row in rows] == ["2.000", "3.250"]


def test_the_data_is_what_the_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(EXAMPLES / "make_data.py"))["main"](tmp_path)
    assert (tmp_path / "logbook.txt").read_bytes() == LOGBOOK
    assert (tmp_path / "readings.csv").read_bytes() == READINGS
    assert len(LOGBOOK) > 100_000
