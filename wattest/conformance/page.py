"""What a campaign came to as one self-contained HTML page: a matrix that sorts, and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.resources import files

from wattest.conformance.campaign import Campaign
from wattest.conformance.report import Sources, reason_of
from wattest.conformance.runner import FAILED, NOT_APPLICABLE, PASSED
from wattest.page import escape, render_page
from wattest.version import __version__

__all__ = ["render_campaign"]

MOST_FAILURES = 5_000
"""Failures that are shown in full; what is left out is counted."""


def render_campaign(campaign: Campaign) -> str:
    """The page."""
    here = files("wattest.conformance")
    title = "wattest conform"
    body = "".join(_body(campaign))
    return render_page(
        title,
        body,
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        data={},
    )


def _body(campaign: Campaign) -> Iterable[str]:
    commands = sum(report.commands for report in campaign.scripts)
    on = f" Features on: {', '.join(campaign.features)}." if campaign.features else ""
    yield (
        f"<h1>Conformance</h1><p class=soft>{len(campaign.scripts):,} scripts, {commands:,} "
        f"commands; wattest {escape(__version__)}.{escape(on)} Every command has passed, has "
        "failed, or is not applicable for a reason that is listed.</p>"
    )
    yield "<h2>By feature</h2>"
    yield from _table(
        campaign,
        "matrix",
        "feature group",
        [
            (group, {engine: campaign.counts(engine, group) for engine in campaign.engines})
            for group in campaign.groups
        ],
        {engine: campaign.counts(engine) for engine in campaign.engines},
    )
    yield from _reasons(campaign)
    yield from _failures(campaign)
    yield "<h2>By script</h2>"
    yield from _table(
        campaign,
        "scripts",
        "script",
        [
            (report.script.name, {name: found.counts for name, found in report.outcomes.items()})
            for report in campaign.scripts
            if report.unreadable is None
        ],
        None,
    )


def _table(
    campaign: Campaign,
    name: str,
    what: str,
    rows: list[tuple[str, dict[str, Counter[str]]]],
    total: dict[str, Counter[str]] | None,
) -> Iterable[str]:
    yield f'<div class=panel><table class=sortable id="{name}"><thead>'
    yield f"<tr><th rowspan=2 data-column=0><button>{what}</button></th>"
    for engine in campaign.engines:
        yield f"<th colspan=3 class=engine>{escape(engine)}</th>"
    yield "</tr><tr>"
    column = 0
    for _ in campaign.engines:
        for status in (PASSED, FAILED, NOT_APPLICABLE):
            column += 1
            yield f"<th class=number data-column={column}><button>{status}</button></th>"
    yield "</tr></thead><tbody>"
    for title, counts in rows:
        yield _row(title, counts, campaign.engines)
    yield "</tbody>"
    if total is not None:
        yield f"<tfoot>{_row('all', total, campaign.engines)}</tfoot>"
    yield "</table></div>"


def _row(title: str, counts: dict[str, Counter[str]], engines: Iterable[str]) -> str:
    cells = [f'<td data-value="{escape(title)}">{escape(title)}</td>']
    for engine in engines:
        found = counts.get(engine, Counter())
        every = sum(found.values())
        for status in (PASSED, FAILED, NOT_APPLICABLE):
            number = found[status]
            kind = {PASSED: "good", FAILED: "bad", NOT_APPLICABLE: "soft"}[status]
            shade = f" {kind}" if number else " soft"
            if status == PASSED and number == every and every:
                shade += " whole"
            cells.append(f'<td class="number{shade}" data-value={number}>{number:,}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _reasons(campaign: Campaign) -> Iterable[str]:
    counts: Counter[tuple[str, str]] = Counter()
    for report in campaign.scripts:
        for engine, outcome in report.outcomes.items():
            for item in outcome.verdicts:
                if item.status == NOT_APPLICABLE:
                    counts[reason_of(item), engine] += 1
    if not counts:
        return
    yield "<h2>Why commands are not applicable</h2><div class=panel><table id=reasons><thead><tr>"
    yield "<th>reason</th>"
    for engine in campaign.engines:
        yield f"<th class=number>{escape(engine)}</th>"
    yield "</tr></thead><tbody>"
    for reason in sorted({reason for reason, _ in counts}):
        yield f"<tr><td>{escape(reason)}</td>"
        for engine in campaign.engines:
            number = counts[reason, engine]
            yield f"<td class=number>{number if number else ''}</td>"
        yield "</tr>"
    yield "</tbody></table></div>"


def _failures(campaign: Campaign) -> Iterable[str]:
    unreadable = [report for report in campaign.scripts if report.unreadable is not None]
    if unreadable:
        yield "<h2>Scripts that cannot be read</h2><div class=panel id=unreadable>"
        for report in unreadable:
            yield (
                f"<p><code>{escape(report.script.path)}</code></p>"
                f"<pre class=mono>{escape(report.unreadable)}</pre>"
            )
        yield "</div>"
    total = sum(campaign.counts(engine)[FAILED] for engine in campaign.engines)
    yield f"<h2>Failures: {total:,}</h2>"
    if not total:
        return
    yield (
        '<p><input id=filter type=search placeholder="filter by script, engine or text" '
        'aria-label="filter failures"></p><div id=failures>'
    )
    shown = 0
    sources = Sources()
    for report in campaign.scripts:
        for engine, outcome in report.outcomes.items():
            for item in outcome.verdicts:
                if item.status != FAILED or shown >= MOST_FAILURES:
                    continue
                shown += 1
                place = f"{report.script.name}:{item.line}"
                source = sources.line(report, item.line)
                subject = f" of <code>{escape(item.subject)}</code>" if item.subject else ""
                yield (
                    f"<div class='panel failure'><p><b class=mono>{escape(place)}</b> on "
                    f"<b>{escape(engine)}</b>: {escape(item.command)}{subject}</p>"
                )
                if source:
                    yield f"<pre class='mono source'>{escape(source)}</pre>"
                if item.expected:
                    yield f"<p>expected <code class=good>{escape(item.expected)}</code></p>"
                yield f"<p>got <code class=bad>{escape(item.got)}</code></p></div>"
    if shown < total:
        yield f"<p class=soft>and {total - shown:,} more</p>"
    yield "</div>"
