"""Who may talk to the server: checked before anything of a request is read.

An ASGI layer. A web page that the user visits can send requests to this machine: with a foreign
`Origin`, under a name that its owner let point here (`Host`), or as a plain form. All three are
refused. Adds the headers that keep browsers careful with what they get.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address

from rag.server.errors import ApiError
from rag.server.limits import UPLOADS, App, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/", "/health"})  # answered without a token
OPEN_PREFIX = "/page/"  # and so are the parts of the page, which hold no data
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
JSON, BYTES = "application/json", "application/octet-stream"  # neither of which a form can send
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]+)?")
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Door:
    """Under which names the server answers and to whom.

    `hosts` are names and addresses; `any_address` lets every numeric address in besides, which no
    one can make a name point to. With a `token` a request must carry it.
    """

    hosts: frozenset[str] = LOOPBACK
    any_address: bool = False
    token: str | None = None

    def check(self, scope: Scope) -> None:
        """Raise ApiError when a request may not come in."""
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        path = scope["path"]
        self._check_names(headers, followed=path == "/" and scope["method"] == "GET")
        if path not in OPEN_PATHS and not path.startswith(OPEN_PREFIX):
            self._check_token(headers.get("authorization", b""))
        if scope["method"] == "POST" and _has_body(headers):
            wanted = BYTES if path in UPLOADS else JSON
            _check_content(headers.get("content-type", b"").decode("latin-1"), wanted)

    def _check_names(self, headers: dict[str, bytes], *, followed: bool) -> None:
        """Raise for a foreign name or page; `followed` lets a link from one lead here."""
        host = headers.get("host", b"").decode("latin-1").lower()
        if not self._is_ours(host):
            raise ApiError(
                403,
                f"this server does not answer under the name {host!r}; --allow-host adds one",
                code="wrong_host",
            )
        origin = headers.get("origin")
        if origin is not None and origin.decode("latin-1").lower() not in _origins(host):
            raise ApiError(403, "a page of another origin may not ask", code="wrong_origin")
        if followed and headers.get("sec-fetch-mode") == b"navigate":
            return
        if headers.get("sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise ApiError(403, "a page of another site may not ask", code="wrong_origin")

    def _is_ours(self, host: str) -> bool:
        named = _HOST.fullmatch(host)
        if named is None:
            return False
        name = named[1] or named[2]
        return name in self.hosts or (self.any_address and _is_address(name))

    def _check_token(self, given: bytes) -> None:
        if self.token is None:
            return
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(
            token.strip(), self.token.encode()
        ):
            raise ApiError(
                401,
                "this server asks for its token: Authorization: Bearer TOKEN",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )


class Guarded:
    """An application behind a door."""

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                names = {name for name, _ in own}
                message["headers"] = own + [each for each in _HEADERS if each[0] not in names]
            await send(message)

        try:
            self._door.check(scope)
        except ApiError as error:
            await error.response()(scope, receive, careful)
        else:
            await self._app(scope, receive, careful)


def _origins(host: str) -> tuple[str, str]:
    """The origins of our own pages, as a browser names them."""
    return f"http://{host}", f"https://{host}"  # the latter behind a proxy that speaks TLS


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _has_body(headers: dict[str, bytes]) -> bool:
    return headers.get("content-length", b"0") != b"0" or "transfer-encoding" in headers


def _check_content(content_type: str, wanted: str) -> None:
    if content_type.partition(";")[0].strip().lower() != wanted:
        what = "JSON" if wanted == JSON else "the file's bytes"
        raise ApiError(
            415,
            f"the body must be {what}, sent with Content-Type: {wanted}",
            code="unsupported_media_type",
        )
