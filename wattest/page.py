"""One self-contained HTML page: what every page that wattest writes has in common.

A page needs nothing from anywhere else: style, script and data stand in it, and its content
security policy forbids the rest. It follows the reader's choice of light or dark. Text that comes
from a guest or a file reaches it only through `escape`, or through the data block, which a script
puts into text nodes.
"""

from __future__ import annotations

import html
import json
from typing import Any

__all__ = ["escape", "render_page"]

_STYLE = """
:root { color-scheme: light dark;
  --back: #fbfbfa; --panel: #ffffff; --text: #1b1f24; --soft: #5b6570; --line: #d9dde2;
  --accent: #0a5fb4; --good: #1a7f37; --bad: #b3261e; --warn: #8a5a00; --tint: #eef2f6; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171b; --panel: #1b1f25; --text: #e4e7eb; --soft: #9aa5b1; --line: #333a43;
  --accent: #6cb2ff; --good: #57c078; --bad: #ff8a80; --warn: #e3b341; --tint: #232930; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.25rem 1.5rem 4rem; background: var(--back);
  color: var(--text); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.12rem; margin: 2rem 0 .6rem; }
p { margin: .4rem 0; } a { color: var(--accent); } .soft { color: var(--soft); }
code, .mono { font: .87em/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  padding: .7rem .9rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .22rem .7rem .22rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } tr:last-child > td, tr:last-child > th { border-bottom: 0; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 999px;
  padding: 0 .6rem; font-size: .85rem; font-weight: 600; }
input, button, select { font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: 5px; padding: .15rem .5rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def escape(text: object) -> str:
    """Text for HTML, in an element or a quoted attribute; what would not show is spelled out."""
    shown = "".join(
        char
        if char == "\n" or char.isprintable()
        else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in str(text)
    )
    return html.escape(shown, quote=True)


def render_page(
    title: str, body: str, *, style: str = "", script: str = "", data: Any = None
) -> str:
    """A whole page.

    Args:
        title: of the window, as text.
        body: HTML of the body.
        style: CSS behind the common one; it can use the custom properties ``--back``, ``--panel``,
            ``--text``, ``--soft``, ``--line``, ``--accent``, ``--good``, ``--bad``, ``--warn``
            and ``--tint``, and the classes ``panel``, ``soft``, ``mono``, ``number``, ``badge``,
            ``good``, ``bad`` and ``warn``.
        script: JavaScript that runs when the body is there; ``data`` is its only variable.
        data: JSON value for the script.

    Raises:
        ValueError: the script or the style would end its own element.
    """
    for text in (style, script):
        if "</" in text:
            raise ValueError("a style or script cannot hold '</'")
    block = ""
    if script:
        # No "<" in the data: the HTML parser looks for one inside scripts too.
        text = json.dumps(data, separators=(",", ":"), sort_keys=False).replace("<", "\\u003c")
        block = (
            f'<script type="application/json" id="data">{text}</script>\n'
            "<script>\n(function () {\n'use strict';\n"
            "const data = JSON.parse(document.getElementById('data').textContent);\n"
            f"{script}\n}})();\n</script>\n"
        )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n{block}</body>\n</html>\n"
    )
