"""A server on this machine that plays a part of the web."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, Mapping[str, str], bytes]
Handler = Callable[[BaseHTTPRequestHandler], Answer | None]


@dataclass
class Web:
    """Its pages by path, and what was asked of it: a page may be a function of the request."""

    port: int = 0
    pages: dict[str, Answer | Handler] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def html(self, path: str, text: str, **headers: str) -> str:
        """Put up a page; its URL."""
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        self.pages[path] = (
            200,
            {"Content-Type": "text/html; charset=utf-8", **named},
            text.encode(),
        )
        return self.url(path)

    def moved(self, path: str, to: str) -> str:
        """Put up a redirect; its URL."""
        self.pages[path] = (302, {"Location": to}, b"")
        return self.url(path)


@contextmanager
def serving() -> Iterator[Web]:
    """A web while it is needed."""
    web = Web()

    class Request(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append((self.path, dict(self.headers)))
            page = web.pages.get(self.path) or web.pages.get(self.path.partition("?")[0])
            answer = page(self) if callable(page) else page or (404, {}, b"")
            if answer is None:  # it was answered by hand
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server.daemon_threads = True
    web.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
