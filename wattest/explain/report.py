"""A run as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from wattest.explain.profile import Profile
from wattest.page import escape, render_page

__all__ = ["Run", "Verdict", "render_report"]

_LONGEST = 400
"""Characters of a call's arguments that are shown."""

_MOST_CALLS = 1_000_000
_MOST_ENTRIES = 2_000
"""Files of an input or output list that are shown."""


@dataclass(frozen=True)
class Verdict:
    """Something that was checked.

    Attributes:
        what: was checked.
        good: whether it holds; None where it could not be told.
        text: the finding in words.
    """

    what: str
    good: bool | None
    text: str


@dataclass
class Run:
    """All that a page shows of a run.

    Attributes:
        receipt: the receipt's Statement, as JSON values.
        calls: the entries of its trace, in order.
        profile: where its fuel went, or None.
        memory: (fuel, pages of the largest memory) at each growth that was seen.
        verdicts: what was checked.
        note: how the profile came about.
    """

    receipt: Mapping[str, Any]
    calls: Iterable[Mapping[str, Any]] = ()
    profile: Profile | None = None
    memory: Sequence[tuple[int, int]] = ()
    verdicts: Sequence[Verdict] = ()
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def render_report(run: Run) -> str:
    """The page's HTML."""
    predicate = run.receipt["predicate"]
    claim, environment = predicate["claim"], predicate["environment"]
    result = claim["result"]
    name = str(claim["args"][0]) if claim.get("args") else "program"
    data = _data(run, int(result["fuel"]))
    body = "\n".join(
        [
            f"<h1>{escape(name)} {_badge(result)}</h1>",
            f'<p class="soft mono">receipt {escape(predicate.get("id", ""))}</p>',
            _facts(claim, environment, data),
            _verdicts(run.verdicts),
            _what_ran(claim, environment),
            _files("Inputs", claim.get("inputs", ()), [("stdin", claim.get("stdin"))]),
            _files(
                "Outputs",
                result.get("outputs", ()),
                [("stdout", result.get("stdout")), ("stderr", result.get("stderr"))],
            ),
            _calls(data),
            _memory(data),
            _flame(run, data),
            _policy(claim),
            '<div id="tip" role="tooltip"></div>',
        ]
    )
    return render_page(
        f"{name}: a run with wattest",
        body,
        style=_asset("report.css"),
        script=_asset("report.js"),
        data=data,
    )


def _asset(name: str) -> str:
    return files("wattest.explain").joinpath(name).read_text(encoding="utf-8")


def _data(run: Run, fuel: int) -> dict[str, Any]:
    functions: dict[str, int] = {}
    calls: list[list[Any]] = []
    for entry in run.calls:
        if len(calls) >= _MOST_CALLS:
            break
        number = functions.setdefault(str(entry["function"]), len(functions))
        arguments = ", ".join(f"{k}={_text(v)}" for k, v in entry["arguments"].items())
        calls.append(
            [
                int(entry["fuel"]),
                number,
                entry["errno"],
                _size(entry.get("in")),
                _size(entry.get("out")),
                arguments[:_LONGEST],
                _result(entry),
            ]
        )
    return {
        "fuel": fuel,
        "functions": list(functions),
        "calls": calls,
        "memory": [list(point) for point in run.memory],
        "flame": None if run.profile is None else run.profile.flame(),
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return '"' + "".join(char if char.isprintable() else "\ufffd" for char in value) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(map(_text, value[:8]))
        return f"[{shown}{', ...' if len(value) > 8 else ''}]"
    return str(value)


def _size(moved: Any) -> int:
    return int(moved["size"]) if isinstance(moved, Mapping) else 0


def _result(entry: Mapping[str, Any]) -> str:
    errno = entry["errno"]
    if errno is None:
        return "does not return"
    if errno:
        return f"errno {errno}"
    text = ", ".join(f"{k}={_text(v)}" for k, v in entry["results"].items())
    return text[:_LONGEST] or "ok"


def _badge(result: Mapping[str, Any]) -> str:
    status = result["status"]
    if status == "exit":
        code = result.get("exitCode", 0)
        return f'<span class="badge {"bad" if code else "good"}">exit {escape(code)}</span>'
    if status == "trap":
        return f'<span class="badge bad">trap: {escape(result["trap"]["kind"])}</span>'
    if status == "limit":
        return f'<span class="badge warn">limit: {escape(result.get("limit"))}</span>'
    return f'<span class="badge warn">{escape(status)}</span>'


def _grouped(number: Any) -> str:
    return f"{int(number):,}"


def _facts(claim: Mapping[str, Any], environment: Mapping[str, Any], data: dict[str, Any]) -> str:
    result = claim["result"]
    facts = [
        ("fuel (instructions)", _grouped(result["fuel"])),
        ("host calls", _grouped(result["hostCalls"])),
        ("peak memory", f"{int(result['peakMemoryPages']) / 16:.1f} MiB"),
        ("wall time", f"{int(environment.get('wallTimeMilliseconds', 0)) / 1000:.2f} s"),
        ("engine", escape(environment.get("engine", "?"))),
        ("can be repeated", "yes" if claim.get("reproducible") else "no"),
    ]
    cells = "".join(
        f'<div><span class="soft">{what}</span><b>{how}</b></div>' for what, how in facts
    )
    return f'<div class="facts">{cells}</div>'


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    marks = {
        True: ("good", "holds"),
        False: ("bad", "DOES NOT HOLD"),
        None: ("warn", "not checked"),
    }
    rows = ""
    for item in verdicts:
        kind, mark = marks[item.good]
        rows += f'<tr><th>{escape(item.what)}</th><td class="{kind}">{mark}</td>'
        rows += f"<td>{escape(item.text)}</td></tr>"
    return f'<h2>Verdict</h2><div class="panel"><table id="verdict">{rows}</table></div>'


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th>{escape(what)}</th><td class='mono'>{escape(how)}</td></tr>" for what, how in rows
    )
    return f'<div class="panel"><table>{cells}</table></div>'


def _what_ran(claim: Mapping[str, Any], environment: Mapping[str, Any]) -> str:
    program = claim["program"]
    rows = [
        ("program", f"sha256 {program['sha256']}"),
        ("", f"cid {program.get('cid', '')}"),
        ("", f"{_grouped(program['size'])} bytes"),
    ]
    rows += [
        (f"module {module.get('name', '')}", f"sha256 {module['sha256']}")
        for module in claim.get("modules", ())
    ]
    if "invoke" in claim:
        arguments = ", ".join(item["value"] for item in claim["invoke"]["arguments"])
        rows.append(("called", f"{claim['invoke']['function']}({arguments})"))
    else:
        rows.append(("entry point", str(claim.get("entryPoint"))))
    rows.append(("arguments", " ".join(map(_shell, claim.get("args", ())))))
    rows += [("variable", f"{k}={v}") for k, v in claim.get("env", {}).items()]
    result = claim["result"]
    rows += [("result", item["value"]) for item in result.get("values", ())]
    trap = result.get("trap")
    if trap is not None:
        where = f"function {trap['function']}" if trap["function"] is not None else "unknown place"
        if trap.get("name"):
            where += f" ({trap['name']})"
        if trap.get("offset") is not None:
            where += f" at 0x{int(trap['offset']):x}"
        rows.append(("trap", f"{trap['kind']}, {where}"))
    rows.append(("trace root", str(result["traceRoot"])))
    made = " ".join(str(environment.get(key, "")) for key in ("python", "platform", "startedOn"))
    rows.append(("ran on", f"wattest {environment.get('wattest', '?')}, {made}"))
    return "<h2>What ran</h2>" + _rows(rows)


def _shell(text: Any) -> str:
    import shlex

    return shlex.quote(str(text))


def _files(
    title: str, entries: Sequence[Mapping[str, Any]], streams: Sequence[tuple[str, Any]]
) -> str:
    rows = [
        (name, "stream", content["size"], content["sha256"])
        for name, content in streams
        if content is not None
    ]
    for entry in entries[:_MOST_ENTRIES]:
        digest = entry.get("sha256") or (f"-> {entry['target']}" if "target" in entry else "")
        rows.append((entry["path"], entry["kind"], entry.get("size"), digest))
    more = len(entries) - _MOST_ENTRIES
    cells = "".join(
        f"<tr><td class='mono'>{escape(path)}</td><td>{escape(kind)}</td>"
        f"<td class='number'>{'' if size is None else _grouped(size)}</td>"
        f"<td class='mono'>{escape(digest)}</td></tr>"
        for path, kind, size, digest in rows
    )
    note = f'<p class="soft">and {more:,} more</p>' if more > 0 else ""
    return (
        f'<h2>{title}</h2><div class="panel"><table><thead><tr><th>path</th><th>kind</th>'
        f'<th class="number">bytes</th><th>sha256</th></tr></thead><tbody>{cells}</tbody></table>'
        f"{note}</div>"
    )


def _calls(data: dict[str, Any]) -> str:
    if not data["calls"]:
        return "<h2>Host calls</h2><p class='soft'>It made none.</p>"
    return (
        "<h2>Host calls over logical time</h2>"
        "<p class='soft'>One mark a call at the fuel consumed when it was made; red ones failed. "
        "A click shows the call in the list.</p>"
        '<canvas id="timeline" role="img" aria-label="host calls over fuel"></canvas>'
        '<div class="bar"><input id="filter" type="search" aria-label="filter calls" '
        'placeholder="filter by function, path, result">'
        '<button id="before">before</button><span id="where" class="soft"></span>'
        '<button id="after">after</button></div>'
        '<div class="panel list"><table id="calls"><thead><tr><th class="number">#</th>'
        '<th class="number">fuel</th><th>function</th><th>arguments</th><th>result</th>'
        '<th class="number">bytes in</th><th class="number">bytes out</th></tr></thead>'
        "<tbody></tbody></table></div>"
    )


def _memory(data: dict[str, Any]) -> str:
    if not data["memory"]:
        return ""
    return (
        "<h2>Memory over logical time</h2>"
        '<canvas id="memory" role="img" aria-label="memory size over fuel"></canvas>'
    )


def _flame(run: Run, data: dict[str, Any]) -> str:
    profile = run.profile
    if profile is None or not profile.total:
        data["flame"] = None
        return ""
    rows = "".join(
        f"<tr><td class='mono'>{escape(place)}</td><td class='number'>{_grouped(own)}</td>"
        f"<td class='number'>{100 * own / profile.total:.2f} %</td>"
        f"<td class='number'>{_grouped(whole)}</td>"
        f"<td class='number'>{100 * whole / profile.total:.2f} %</td></tr>"
        for place, own, whole in profile.functions()[:25]
    )
    return (
        f"<h2>Where the fuel went</h2><p class='soft'>{escape(run.note)} The weights sum to "
        f"{_grouped(profile.total)}, the fuel of the run. A click widens a stack. "
        '<button id="whole">whole run</button></p>'
        '<div id="flame" role="img" aria-label="flame graph; the table below has its numbers">'
        '</div><h2>Hottest functions</h2><div class="panel"><table id="hot"><thead><tr>'
        '<th>function</th><th class="number">own fuel</th><th class="number"></th>'
        '<th class="number">with callees</th><th class="number"></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _policy(claim: Mapping[str, Any]) -> str:
    policy = claim["policy"]
    random = policy["random"]
    rows = [
        ("clock", str(policy["clock"])),
        (
            "random",
            "the system's" if random["source"] == "system" else f"seed {random.get('seed')!r}",
        ),
        ("fuel version", str(policy["fuelVersion"])),
    ]
    for key, value in policy["limits"].items():
        rows.append((f"limit {key}", "none" if value is None else _grouped(value)))
    external = claim.get("external")
    if external is not None:
        count = external["values"]["count"]
        rows.append(
            ("from outside", f"{_grouped(count)} values, root {external['values']['root']}")
        )
        rows += [
            ("live directory", item["path"] + ("" if item["writable"] else " (read-only)"))
            for item in external["directories"]
        ]
    return "<h2>Policy</h2>" + _rows(rows)
