"""A client that talks to an ASGI application without a socket, and a model that says as told.

`Client` gives whole replies; `Connection` can leave in the middle of one.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from backbone.errors import PromptTooLong
from backbone.request import Completion, Stream, TokenLogprob, ToolCall
from rag.server.app import create_app
from rag.server.site import Site
from tests.fakes import FakeEncoder

HOST = "127.0.0.1:8000"


class FakeBackbone:
    """Says its reply, word by word; with `holding` it never ends. `asked` is how it was called."""

    context_length = 1000

    def __init__(
        self,
        reply: str = "one two three",
        *,
        calls: tuple[ToolCall, ...] = (),
        abilities: tuple[str, ...] = ("chat", "quote", "schema", "score", "tools"),
        holding: bool = False,
        error: Exception | None = None,
        late_error: Exception | None = None,
        finish: str = "stop",
    ) -> None:
        self.name = "tiny"
        self.reply, self.calls, self.holding = reply, calls, holding
        self.error, self.late_error, self.finish = error, late_error, finish
        self.abilities = frozenset(abilities)
        self.asked: list[dict[str, Any]] = []
        self.streams: list[Stream] = []

    def submit(
        self,
        messages,
        *,
        max_tokens=512,
        sampling=None,
        grammar=None,
        schema=None,
        tools=(),
        tool_choice="auto",
        parallel_calls=True,
        stop=(),
        logprobs=None,
    ) -> Stream:
        self.asked.append({k: v for k, v in locals().items() if k != "self"})
        if self.error:
            raise self.error
        if len(str(messages)) > 20_000:
            raise PromptTooLong("the prompt takes 5000 tokens; tiny has 1000")
        stream = Stream(on_cancel=lambda: stream.finish(Completion("", "cancelled")))
        self.streams.append(stream)
        words = re.findall(r"\s*\S+", self.reply)
        for word in words:
            stream.push(word)
        if self.late_error:
            stream.fail(self.late_error)
        elif not self.holding:
            stream.finish(self._completion(words, logprobs))
        return stream

    def _completion(self, words: list[str], logprobs: int | None) -> Completion:
        tokens = tuple(
            TokenLogprob(n, word, word.encode(), -0.5, ((n, word, -0.5), (9, "é", float("-inf"))))
            for n, word in enumerate(words)
        )
        return Completion(
            self.reply,
            "tool_calls" if self.calls else self.finish,
            prompt_tokens=7,
            completion_tokens=len(words),
            tool_calls=self.calls,
            cached_tokens=4,
            logprobs=tokens if logprobs is not None else (),
        )

    def score(self, messages, continuations):
        return [0.0 for _ in continuations]


class Reply:
    """What came back."""

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.status = sent[0]["status"]
        self.headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in sent[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def events(self) -> list[tuple[str | None, Any]]:
        """(name, value) of each event; the value of `[DONE]` is that text."""
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            raw = fields["data"]
            found.append((fields.get("event"), raw if raw == "[DONE]" else json.loads(raw)))
        return found

    @property
    def chunks(self) -> list[Any]:
        """The values of a stream that ended as it should."""
        *values, last = [value for _, value in self.events]
        assert last == "[DONE]"
        return values


class Connection:
    """One request that is being answered; `leave` is what a killed client does."""

    def __init__(
        self,
        app,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        stalling: bool = False,
    ) -> None:
        path, _, query = path.partition("?")
        self.sent: list[dict[str, Any]] = []
        self._scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 50_000), "state": {},
        }  # fmt: skip
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for at in range(0, len(body), 65_536):
            self._messages.put_nowait(
                {"type": "http.request", "body": body[at : at + 65_536], "more_body": True}
            )
        if not stalling:
            self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.task = asyncio.ensure_future(app(self._scope, self._messages.get, self._send))

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


class Client:
    """Asks one application, a request at a time."""

    def __init__(self, app) -> None:
        self.app = app

    def request(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Reply:
        return asyncio.run(self.arequest(method, path, body, headers=headers))

    def connect(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        stalling: bool = False,
    ) -> Connection:
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        about = {"content-type": "application/json", "content-length": str(len(raw))}
        given = {"host": HOST, **(about if raw else {})}
        return Connection(self.app, method, path, raw, given | (headers or {}), stalling=stalling)

    async def arequest(self, *args: Any, **kwargs: Any) -> Reply:
        connection = self.connect(*args, **kwargs)
        await asyncio.wait_for(connection.task, 30)
        return Reply(connection.sent)

    def get(self, path: str, **kwargs: Any) -> Reply:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Reply:
        return self.request("POST", path, body, **kwargs)


SITE = Site(FakeBackbone(), name="tiny", encoder=FakeEncoder(), rag=None)
APP = create_app(SITE)  # one for all: the first request makes its routes ready, in half a second


def serving(model: Any = None, *, rag=None, encoder=None) -> Client:
    """A client of a server with that model, named `tiny`."""
    SITE.model, SITE.rag = model or FakeBackbone(), rag
    SITE.encoder = encoder or FakeEncoder()
    return Client(APP)
