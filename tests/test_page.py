"""The common part of every page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import dump_dom, needs_browser
from wattest.page import escape, render_page

HOSTILE = '</script><script>document.title="owned"</script><!--"&\u202e\x1b[0m'


def test_text_is_escaped_and_what_does_not_show_is_spelled_out() -> None:
    assert escape('<a href="x">\'&\u202e\x1b\n') == (
        "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;\\u202e\\x1b\n"
    )


def test_a_script_cannot_end_its_own_element() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        render_page("x", "", script="a = '</script>'")


@needs_browser
def test_hostile_data_reaches_the_script_as_data(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    body = f'<p id="a">{escape(HOSTILE)}</p><p id="b"></p>'
    script = "document.getElementById('b').textContent = data.length + data[0];"
    page.write_text(render_page(HOSTILE, body, script=script, data=[HOSTILE]), encoding="utf-8")
    dom = dump_dom(page, tmp_path)
    assert "<title>owned" not in dom
    assert '<p id="b">1&lt;/script&gt;&lt;script&gt;' in dom


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_follows_light_and_dark(tmp_path: Path, dark: bool) -> None:
    page = tmp_path / "page.html"
    script = (
        "document.getElementById('x').textContent = getComputedStyle(document.body).backgroundColor"
        " + matchMedia('(prefers-color-scheme: dark)').matches;"
    )
    page.write_text(render_page("t", '<p id="x"></p>', script=script), encoding="utf-8")
    shown = "rgb(20, 23, 27)true" if dark else "rgb(251, 251, 250)false"
    assert f'<p id="x">{shown}</p>' in dump_dom(page, tmp_path, dark=dark)
