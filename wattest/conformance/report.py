"""What a campaign came to, as JSON and as JUnit XML. The same results give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from wattest.conformance.campaign import Campaign, ScriptReport
from wattest.conformance.runner import FAILED, NOT_APPLICABLE, PASSED, Outcome, Verdict
from wattest.version import __version__

__all__ = ["Sources", "reason_of", "to_json", "to_junit"]

_LONGEST_LINE = 400
_LARGEST_SOURCE = 64 * 1024 * 1024


def reason_of(verdict: Verdict) -> str:
    """Why a command is not applicable, in words."""
    return f"needs {verdict.reason}" if verdict.missing else verdict.reason


class Sources:
    """Lines of the scripts that were last asked for."""

    def __init__(self) -> None:
        self._path: object = None
        self._lines: list[str] = []

    def line(self, report: ScriptReport, number: int) -> str:
        """A line of a ``.wast`` file, or "" where there is none."""
        path = report.script.path
        if path != self._path:
            self._path, self._lines = path, []
            try:
                if path.suffix == ".wast" and path.stat().st_size <= _LARGEST_SOURCE:
                    text = path.read_text(encoding="utf-8", errors="replace")
                    self._lines = text.split("\n")
            except OSError:
                pass
        found = self._lines[number - 1].strip() if 0 < number <= len(self._lines) else ""
        return found if len(found) <= _LONGEST_LINE else f"{found[:_LONGEST_LINE]}..."


def to_json(campaign: Campaign) -> dict[str, Any]:
    """Everything as values of JSON.

    Returns:
        ``wattest`` (version), ``engines``, ``features``; ``matrix``: group -> engine -> counts;
        ``total``: engine -> counts; ``scripts``: for each its ``name``, ``group``, ``commands``,
        ``unreadable`` (a message or null), and ``engines``: name -> counts, ``failures`` (line,
        command, source, subject, expected, got) and ``reasons`` why commands are not applicable,
        each with its lines.
    """
    sources = Sources()
    return {
        "wattest": __version__,
        "engines": list(campaign.engines),
        "features": list(campaign.features),
        "total": {engine: _counts(campaign.counts(engine)) for engine in campaign.engines},
        "matrix": {
            group: {engine: _counts(campaign.counts(engine, group)) for engine in campaign.engines}
            for group in campaign.groups
        },
        "scripts": [
            {
                "name": report.script.name,
                "group": report.group,
                "commands": report.commands,
                "unreadable": report.unreadable,
                "engines": {
                    engine: _outcome(report, outcome, sources)
                    for engine, outcome in report.outcomes.items()
                },
            }
            for report in campaign.scripts
        ],
    }


def _counts(counts: Any) -> dict[str, int]:
    return {status: counts[status] for status in (PASSED, FAILED, NOT_APPLICABLE)}


def _outcome(report: ScriptReport, outcome: Outcome, sources: Sources) -> dict[str, Any]:
    reasons: dict[str, list[int]] = {}
    for item in outcome.verdicts:
        if item.status == NOT_APPLICABLE:
            reasons.setdefault(reason_of(item), []).append(item.line)
    return {
        **_counts(outcome.counts),
        "failures": [
            {
                "line": item.line,
                "command": item.command,
                "source": sources.line(report, item.line),
                "subject": item.subject,
                "expected": item.expected,
                "got": item.got,
            }
            for item in outcome.verdicts
            if item.status == FAILED
        ],
        "reasons": reasons,
    }


def to_junit(campaign: Campaign) -> Iterator[bytes]:
    """JUnit XML in pieces: a test suite for each script and engine, a test case for each command.

    Commands that are not applicable are ``skipped``, with the reason as message.
    """
    buffer = io.BytesIO()
    writer = XMLGenerator(buffer, "utf-8", short_empty_elements=True)
    sources = Sources()

    def taken() -> bytes:
        data = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return data

    writer.startDocument()
    _start(writer, "testsuites", name="wattest conform")
    for report in campaign.scripts:
        if report.unreadable is not None:
            _start(writer, "testsuite", name=report.script.name, tests="1", errors="1")
            _start(writer, "testcase", name="read", classname=report.script.name)
            _start(writer, "error", message=report.unreadable)
            writer.endElement("error")
            writer.endElement("testcase")
            writer.endElement("testsuite")
        for engine, outcome in report.outcomes.items():
            _suite(writer, engine, report, outcome, sources)
            yield taken()
    writer.endElement("testsuites")
    writer.endDocument()
    yield taken() + b"\n"


def _suite(
    writer: XMLGenerator, engine: str, report: ScriptReport, outcome: Outcome, sources: Sources
) -> None:
    counts = outcome.counts
    _start(
        writer,
        "testsuite",
        name=f"{engine}: {report.script.name}",
        tests=str(len(outcome.verdicts)),
        failures=str(counts[FAILED]),
        errors="0",
        skipped=str(counts[NOT_APPLICABLE]),
    )
    classname = f"{engine}.{report.group}.{report.script.name}"
    for item in outcome.verdicts:
        name = f"{report.script.name}:{item.line}: {item.command}"
        _start(writer, "testcase", name=name, classname=classname)
        if item.status == FAILED:
            _start(writer, "failure", message=item.message)
            writer.characters(_clean(sources.line(report, item.line)))
            writer.endElement("failure")
        elif item.status == NOT_APPLICABLE:
            _start(writer, "skipped", message=reason_of(item))
            writer.endElement("skipped")
        writer.endElement("testcase")
    writer.endElement("testsuite")


def _start(writer: XMLGenerator, element: str, **attributes: str) -> None:
    cleaned = {name: _clean(text) for name, text in attributes.items()}
    writer.startElement(element, AttributesImpl(cleaned))


def _clean(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(
        char
        if char in "\t\n" or (char >= " " and char not in "\x7f\ufffe\uffff" and not _lone(char))
        else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def _lone(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"
