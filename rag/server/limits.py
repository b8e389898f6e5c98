"""What one request may take: bytes, seconds, and no more work than there is someone to read it.

An ASGI layer. It reads the body (bounded), runs the application with it, and ends everything that
the request started when the client is gone or the time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rag.server.errors import ApiError, translated
from rag.server.generations import Generations
from rag.server.sse import data

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UPLOADS = frozenset({"/v1/uploads"})  # the paths that take a whole file
OVERFLOW = 4  # times the largest body that is read and dropped, so that the client reads our answer


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on requests, with room for long documents.

    `body` and `bodies` are bytes of one request and of all that are being answered, `upload` those
    of a file that is sent; `reading` and `answering` are seconds for the body to come and for the
    whole answer.
    """

    body: int = 16 * 2**20
    upload: int = 100 * 2**20
    bodies: int = 256 * 2**20
    reading: float = 60.0
    answering: float = 600.0

    def bytes_for(self, path: str) -> int:
        """How many bytes the body of a request may have."""
        return self.upload if path in UPLOADS else self.body


class Limited:
    """An application within limits."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._held = 0  # bytes of the bodies of all requests that are being answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        reply = _Reply(send)
        taken = _Taken()
        generations = scope["generations"] = Generations()
        try:
            await self._answer(scope, receive, reply, taken)
        except TimeoutError:
            await self._say(scope, reply, _too_slow(self._limits.answering))
        except ApiError as error:
            await self._say(scope, reply, error)
        except Exception as error:  # noqa: BLE001  a client is told, and the log has it
            await self._say(scope, reply, translated(error))
        finally:
            self._held -= taken.size
            generations.cancel()
        return None

    async def _answer(self, scope: Scope, receive: Receive, reply: _Reply, taken: _Taken) -> None:
        body = await self._body(scope, receive, taken)
        if body is None:
            return
        async with asyncio.timeout(self._limits.answering):
            await _while_connected(self._app, scope, body, receive, reply)

    async def _body(self, scope: Scope, receive: Receive, taken: _Taken) -> bytes | None:
        """The whole body; None when the client left before its end."""
        declared = dict(scope["headers"]).get(b"content-length", b"")
        limit = self._limits.bytes_for(scope["path"])
        if len(declared) > 15 or int(declared or 0) > limit * OVERFLOW:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self._limits.reading):
                return await self._read(receive, taken, limit)
        except TimeoutError:
            raise ApiError(408, f"no body within {self._limits.reading:g} s") from None

    async def _read(self, receive: Receive, taken: _Taken, limit: int) -> bytes | None:
        chunks: list[bytes] = []
        size, more = 0, True
        while more and size <= limit * OVERFLOW:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size > limit:
                chunks.clear()
                continue
            self._take(len(chunk), taken)
            chunks.append(chunk)
        if size > limit:
            raise _too_large(limit)
        return b"".join(chunks)

    def _take(self, size: int, taken: _Taken) -> None:
        if self._held + size > self._limits.bodies:
            raise ApiError(503, "too much is being read", code="busy", retry_after=5)
        self._held += size
        taken.size += size

    async def _say(self, scope: Scope, reply: _Reply, error: ApiError) -> None:
        """Tell the client, as the answer or at the end of a stream that has begun."""
        if reply.complete:
            return
        if not reply.started:
            await error.response()(scope, _nothing, reply)
            return
        with suppress(TimeoutError, OSError):  # of a client that does not read
            async with asyncio.timeout(1.0):
                body = data(error.to_json())
                await reply({"type": "http.response.body", "body": body, "more_body": False})


class _Taken:
    """How many bytes a request holds."""

    size = 0


class _Reply:
    """The client's side of an answer: has it begun, is it complete."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)


async def _while_connected(
    app: App, scope: Scope, body: bytes, receive: Receive, reply: _Reply
) -> None:
    """Run the application with a body until it is done or the client is gone."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # for ever: a disconnect ends the application itself
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    work = asyncio.ensure_future(app(scope, replay, reply))
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done() or reply.complete:
            await work
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than {limit} bytes", code="request_too_large")


def _too_slow(seconds: float) -> ApiError:
    return ApiError(
        504,
        f"the answer took longer than {seconds:g} s: ask for fewer tokens",
        code="time_limit",
        headers={"x-should-retry": "false"},  # which OpenAI's clients obey
    )
