"""``http:`` and ``https:``, with the standard library: redirects, ranges, conditional requests."""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from wattest.errors import InputError, one_line
from wattest.jobs.fetch.address import redacted
from wattest.jobs.fetch.download import Broken, Piece
from wattest.version import __version__

__all__ = ["HttpSource", "NotFound", "Unchanged", "request"]

Allow = Callable[[str], None]
"""Is asked before every connection, with the URL; raises what says that it is not allowed."""

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""

_CHUNK = 1 << 18
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


class Unchanged(Exception):
    """The content at the address is still that of the version that was named."""


class NotFound(InputError):
    """The server refuses.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that are allowed, without taking passwords to other hosts."""

    max_redirections = 10

    def __init__(self, allow: Allow) -> None:
        self._allow = allow

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in ("http", "https"):
            raise InputError(f"{redacted(req.full_url)}: redirected to {new.scheme}:")
        if old.scheme == "https" and new.scheme == "http":
            raise InputError(f"{redacted(req.full_url)}: redirected from https to http")
        self._allow(newurl)
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            following.remove_header("Authorization")
        return following


def request(
    url: str, allow: Allow, headers: Mapping[str, str] | None = None
) -> http.client.HTTPResponse:
    """Ask for a URL, following redirects.

    Args:
        url: with user and password, if it needs them.
        allow: is asked before every connection.
        headers: further ones.

    Returns:
        The response, of status 200, 206 or another below 300.

    Raises:
        Unchanged: status 304.
        Broken: no connection, or a status that may be another the next time.
        NotFound: the server refuses.
        InputError: a redirect that is not followed; what ``allow`` raises.
    """
    parts = urlsplit(url)
    shown = one_line(redacted(url))
    given = {"User-Agent": f"wattest/{__version__}", "Accept-Encoding": "identity"}
    given.update(headers or {})
    if "@" in parts.netloc:
        user, _, host = parts.netloc.rpartition("@")
        given["Authorization"] = f"Basic {base64.b64encode(unquote(user).encode()).decode()}"
        parts = parts._replace(netloc=host)
    # What may not stand in a URL as it is, such as a space, is escaped; escapes are left.
    url = quote(urlunsplit(parts._replace(fragment="")), safe="%/:=&?~#+!$,;'@()*[]")
    allow(url)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(allow),
    ):
        opener.add_handler(handler)
    try:
        asked = urllib.request.Request(url, headers=given)
        response: http.client.HTTPResponse | None = opener.open(asked, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error, shown) from None
    except urllib.error.URLError as error:
        raise Broken(_reason(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(_reason(error)) from error
    except ValueError as error:
        raise InputError(f"{shown}: {error}") from error
    if response is None:  # no handler for the scheme
        raise InputError(f"{shown}: not an address of a web server")
    return response


def _refused(error: urllib.error.HTTPError, shown: str) -> Exception:
    if error.code == 304:
        return Unchanged()
    reason = f"the server answers {error.code} {one_line(str(error.reason))}"
    if error.code in _RETRIED:
        after = error.headers.get("Retry-After", "") if error.headers is not None else ""
        return Broken(reason, float(after) if after.isdigit() else None)
    return NotFound(f"{shown}: {reason}", error.code)


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot be reached: {one_line(text)}"


class HttpSource:
    """A file on a web server.

    Args:
        url: where.
        allow: is asked before every connection.
        known: version of what the store has already: `Unchanged` when the server still has it.
        headers: further ones for the requests.
    """

    def __init__(
        self,
        url: str,
        allow: Allow,
        known: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._allow = allow
        self._known = known
        self._headers = dict(headers or {})

    def open(self, start: int, version: str | None) -> Piece:
        """As `wattest.jobs.fetch.download.Source.open`; raises `Unchanged` too."""
        headers = dict(self._headers)
        if start and version is not None:
            headers["Range"] = f"bytes={start}-"
            headers["If-Range"] = version
        elif self._known is not None:
            etag = self._known.startswith(('"', "W/"))
            headers["If-None-Match" if etag else "If-Modified-Since"] = self._known
        try:
            response = request(self._url, self._allow, headers)
        except NotFound as error:
            if error.status == 416 and start:  # shorter by now: all of it again
                return self.open(0, None)
            raise
        answer = response.headers
        encoding = answer.get("Content-Encoding", "identity")
        if encoding != "identity":
            response.close()
            raise InputError(
                f"{one_line(redacted(self._url))}: the server sends it encoded as "
                f"{one_line(encoding)}, which it was not asked for"
            )
        length = _number(answer.get("Content-Length"))
        begin, total = 0, length
        if response.status == 206:
            begin, total = _content_range(answer)
            if begin != start:
                response.close()
                raise Broken(f"the server answers from byte {begin} instead of {start}")
        return Piece(begin, total, _version(answer), _chunks(response))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) < 20 else None


def _content_range(answer: Message) -> tuple[int, int | None]:
    text = answer.get("Content-Range", "")
    span, _, total = text.removeprefix("bytes ").partition("/")
    begin = _number(span.partition("-")[0])
    if begin is None:
        raise Broken(f"the server answers with the range {one_line(text)!r}")
    return begin, _number(total)


def _version(answer: Message) -> str | None:
    """A strong ETag, else the time of the last change; only these may join two halves."""
    etag: str | None = answer.get("ETag")
    if etag is not None and etag.startswith('"'):
        return etag
    changed: str | None = answer.get("Last-Modified")
    return changed


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    with response:
        while True:
            try:
                chunk = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise Broken(f"the connection broke: {_reason(error)}") from error
            if not chunk:
                return
            yield chunk
