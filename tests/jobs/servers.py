"""Servers for the tests of fetching: all of them real, on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from wattest.jobs.ipld.car import car_header, car_section
from wattest.jobs.ipld.cids import Cid


@dataclass
class Page:
    """What a path of the server gives.

    Attributes:
        content: the body.
        etag: a strong validator, or None for a server that knows none.
        ranges: whether it answers requests for parts.
        redirect: sends elsewhere instead.
        status: instead of 200, as often as the list is long.
        cut: ends the connection after so many bytes, once for each item.
        headers: further ones.
        gate: waits for it before it sends the body.
    """

    content: bytes = b""
    etag: str | None = None
    ranges: bool = True
    redirect: str | None = None
    status: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


class Server:
    """A web server on a free port of the loopback.

    Attributes:
        pages: by path.
        requests: (path, headers) of each request so far.
        sent: bytes of bodies so far.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                world.requests.append((self.path, dict(self.headers.items())))
                world.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, path: str, content: bytes, **more: object) -> str:
        """Serve some content; returns its URL."""
        self.pages[path] = Page(content, **more)  # type: ignore[arg-type]
        return self.url + path

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        page = self.pages.get(unquote(urlsplit(handler.path).path))
        if page is None:
            self.plain(handler, 404)
        elif page.redirect is not None:
            handler.send_response(302)
            handler.send_header("Location", page.redirect)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        elif page.status:
            self.plain(handler, page.status.pop(0))
        elif page.etag is not None and handler.headers.get("If-None-Match") == page.etag:
            self.plain(handler, 304)
        else:
            self.give(handler, page)

    def give(self, handler: BaseHTTPRequestHandler, page: Page) -> None:
        """Send a page, or the part that was asked for."""
        start = 0
        wanted = handler.headers.get("Range")
        same = handler.headers.get("If-Range") in (None, page.etag)
        if wanted is not None and page.ranges and same:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        size = len(page.content)
        if start > size:
            self.plain(handler, 416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        handler.send_header("Content-Length", str(size - start))
        if page.etag is not None:
            handler.send_header("ETag", page.etag)
        for name, value in page.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if page.gate is not None:
            page.gate.wait(30)
        body = page.content[start:]
        if page.cut:
            body = body[: page.cut.pop(0)]
            handler.close_connection = True
        self.sent += len(body)
        handler.wfile.write(body)
        handler.wfile.flush()
        if handler.close_connection:
            handler.connection.close()

    @staticmethod
    def plain(handler: BaseHTTPRequestHandler, status: int) -> None:
        """Send a status and nothing else."""
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


class Gateway(Server):
    """A stand-in for a trustless IPFS gateway, which gives blocks and CAR files.

    Attributes:
        blocks: by CID as text.
        cars: whether it gives CAR files.
        cut_car: ends a CAR file after so many blocks.
        lies: gives these bytes instead, by CID as text.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks: dict[str, bytes] = {}
        self.cars = True
        self.cut_car: int | None = None
        self.lies: dict[str, bytes] = {}
        self.raw_asked: list[str] = []

    def emit(self, cid: Cid, block: bytes) -> None:
        """Take a block, as `wattest.jobs.ipld.unixfs` gives it."""
        self.blocks[str(cid)] = block

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request for a block or a whole graph."""
        parts = urlsplit(handler.path)
        asked = parse_qs(parts.query)
        cid = parts.path.removeprefix("/ipfs/").split("/")[0]
        form = asked.get("format", [""])[0]
        if form == "car" and self.cars:
            # A real gateway sends the blocks in the order of a walk; any will do.
            sections = [
                car_section(_cid(name), self.lies.get(name, block))
                for name, block in self.blocks.items()
            ][:: -1 if self.cut_car is None else 1]
            root = next(iter(self.blocks))
            body = car_header(_cid(root)) + b"".join(sections[: self.cut_car])
            body = body if self.cut_car is None else body[:-1]
            handler.send_response(200)
            handler.send_header("Content-Type", "application/vnd.ipld.car; version=1")
        elif form == "raw" and cid in self.blocks:
            self.raw_asked.append(cid)
            body = self.lies.get(cid, self.blocks[cid])
            handler.send_response(200)
            handler.send_header("Content-Type", "application/vnd.ipld.raw")
        else:
            self.plain(handler, 400 if form == "car" else 404)
            return
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        self.sent += len(body)
        handler.wfile.write(body)


def _cid(text: str) -> Cid:
    from wattest.jobs.ipld.cids import parse_cid

    return parse_cid(text)


Emit = Callable[[Cid, bytes], None]
