"""A `Generator` on another server: any that speaks OpenAI's chat completions.

A model elsewhere cannot be held to a grammar, so it has no "quote" ability; what it quotes is
looked up afterwards. Text and key go to the address that was named and to no other: redirects are
refused, and so is `http://` beyond this machine unless it is insisted on. Reads no environment but
for the proxies that its HTTP client honours.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backbone.errors import Busy, PromptTooLong
from backbone.request import GREEDY, Content, Message, Sampling, Stream
from rag.display import one_line
from rag.errors import RagError, RemoteError, Unsupported
from rag.outgoing import (
    Reply,
    messages_to_json,
    sampling_to_json,
    schema_to_json,
    tools_to_json,
)

if TYPE_CHECKING:
    from backbone.grammar import Grammar

CONNECT = 10.0  # seconds to reach the server
SILENCE = 300.0  # seconds that it may say nothing: it may be reading a long prompt
RETRIES = 2  # after refused connections, time-outs, 429 and 5xx
_LETTERS = 200  # characters of text and of calls that no token comes near on the average
_BYTES = 3  # of UTF-8 that a token has at the least, on the average, in any of many languages
ASSUMED_CONTEXT = 32_768  # tokens, where the server does not say
_TOO_LONG = re.compile(r"context.{0,30}(length|window|size)|too (long|many tokens)", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model is served: `https://host/v1#model`."""

    base: str
    host: str
    model: str

    @classmethod
    def parse(cls, name: str, *, plain_http: bool = False) -> Address:
        """Take a name apart. `/v1` is added when there is no path; RagError says what is wrong."""
        parts = urlsplit(name)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host:
            raise RagError(f"{name} is no address such as https://host/v1#model")
        if "@" in parts.netloc or parts.query:
            raise RagError(
                "the address of a server holds no password, key or query: give the key with "
                "RAG_API_KEY"
            )
        if not parts.fragment:
            raise RagError(f"name the model behind the address: {name.rstrip('#/')}#MODEL")
        if parts.scheme == "http" and not plain_http and not _is_loopback(host):
            raise RagError(
                f"http:// would send your documents' text to {host} for all on the way to read: "
                "use https://, or say --plain-http if you trust the network between"
            )
        path = parts.path.rstrip("/") or "/v1"
        return cls(f"{parts.scheme}://{parts.netloc}{path}", host, parts.fragment)

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.base}#{self.model}"


def is_address(name: object) -> bool:
    """Whether the name of a model means one on a server."""
    return isinstance(name, str) and name.startswith(("http://", "https://"))


class RemoteGenerator:
    """A model on an OpenAI-compatible server. Threads may share it.

    `submit` returns when the server has taken the request, so what it refuses is raised there.
    """

    abilities = frozenset({"chat", "write", "tools", "schema"})

    def __init__(self, client: Any, address: Address) -> None:
        self.name = str(address)
        self._client = client
        self._address = address

    @classmethod
    def open(
        cls,
        name: str,
        *,
        key: str | None = None,
        plain_http: bool = False,
        silence: float = SILENCE,
        retries: int = RETRIES,
    ) -> RemoteGenerator:
        """The model at `https://host/v1#model`; nothing is sent yet.

        `key` goes along with every request. `plain_http` allows `http://` to other machines.
        `silence` is how many seconds the server may send nothing. Raises RagError.
        """
        address = Address.parse(name, plain_http=plain_http)
        try:
            from openai import DefaultHttpxClient, OpenAI, Timeout
        except ImportError:
            raise Unsupported(
                "models on a server need the openai package: pip install 'ragbone[remote]'"
            ) from None
        client = OpenAI(
            base_url=address.base,
            api_key=key or "none",
            max_retries=retries,
            http_client=DefaultHttpxClient(
                follow_redirects=False,
                trust_env=not address.local,  # a proxy is for what is not on this machine
                timeout=Timeout(silence, connect=CONNECT),
            ),
        )
        client.organization = client.project = None  # those of the environment are for OpenAI
        return cls(client, address)

    @cached_property
    def context_length(self) -> int:
        """Tokens that a prompt and its reply may hold together, as the server says, if it does."""
        from openai import OpenAIError

        with suppress(OpenAIError, ValueError, TypeError, AttributeError):
            answer = self._client.get("/models", cast_to=object)
            models = answer["data"] if isinstance(answer, dict) else answer
            facts = next(m for m in models or [{}] if m.get("id") == self._address.model)
            for key in ("max_model_len", "context_length", "context_window"):
                if isinstance(facts.get(key), int) and facts[key] > 0:
                    return int(facts[key])
        return ASSUMED_CONTEXT

    def count(self, content: Content) -> int:
        """About how many tokens a content takes: its tokenizer is not here."""
        parts = (content,) if isinstance(content, str) else content
        return sum(len(str(part).encode()) // _BYTES + 1 for part in parts)

    def submit(
        self,
        messages: Sequence[Message] | str,
        *,
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
        grammar: Grammar | None = None,
        schema: Any = None,
        tools: Sequence[Any] = (),
        tool_choice: str = "auto",
        parallel_calls: bool = True,
        stop: Sequence[str] = (),
        logprobs: int | None = None,
    ) -> Stream:
        """Start a reply. Raises PromptTooLong, Busy, Unsupported, or RemoteError with what to do.

        A connection that is lost later is raised where the stream is consumed.
        """
        for asked, what in (
            (grammar is not None, "be held to a grammar"),
            (logprobs is not None, "be asked for log-probabilities"),
            (isinstance(messages, str), "be sent raw text"),
        ):
            if asked:
                raise Unsupported(f"{self.name} cannot {what}")
        assert not isinstance(messages, str)
        limit = "max_completion_tokens" if self._address.host == "api.openai.com" else "max_tokens"
        body = {
            "model": self._address.model,
            "messages": messages_to_json(messages),
            limit: max_tokens,
            **sampling_to_json(sampling),
            **schema_to_json(schema),
            **tools_to_json(tools, tool_choice, parallel=parallel_calls),
            **({"stop": list(stop)} if stop else {}),
        }
        with self._explained():
            chunks = self._client.chat.completions.create(
                **body, stream=True, stream_options={"include_usage": True}
            )
        return self._start(chunks, longest=_LETTERS * max_tokens)

    def score(self, messages: Sequence[Message], continuations: Sequence[Content]) -> list[float]:
        """Not to be had from these servers."""
        raise Unsupported(f"{self.name} cannot score given texts")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _start(self, chunks: Any, *, longest: int) -> Stream:
        """Have a thread read what the server sends, up to `longest` characters, into a stream."""
        reply, over = Reply(), threading.Event()

        def cancel() -> None:
            over.set()
            _hang_up(chunks.response)
            stream.finish(reply.completion("cancelled"))

        def read() -> None:
            try:
                with self._explained(begun=True), chunks:
                    for chunk in chunks:
                        stream.push(reply.take(chunk))
                        if reply.length > longest:
                            raise RemoteError(
                                f"{self._address.base} sends far more than it was asked for"
                            )
                    if reply.reason is None and not over.is_set():
                        raise RemoteError(
                            f"{self._address.base} ended its answer before the reply was complete:"
                            " try again; if it always does, is this the address of its API?"
                        )
                    stream.finish(reply.completion())
            except Exception as error:  # noqa: BLE001  whatever it is belongs to who listens
                stream.fail(error)

        stream = Stream(on_cancel=cancel)
        threading.Thread(target=read, name="rag-remote", daemon=True).start()
        return stream

    @contextmanager
    def _explained(self, *, begun: bool = False) -> Iterator[None]:
        """Turn what goes wrong on the way, before or within a reply, into what to do about it."""
        import openai

        base = self._address.base

        try:
            yield
        except RagError:
            raise
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except openai.APITimeoutError:
            raise RemoteError(f"{base} said nothing for too long: try again") from None
        except openai.APIConnectionError as error:
            reason = _first_line(error.__cause__ or error)
            raise RemoteError(
                f"the connection to {base} was lost ({reason}): try again"
                if begun
                else f"cannot reach {base} ({reason}): is the server running, the address right?"
            ) from None
        except openai.APIError as error:  # within a reply
            raise RemoteError(f"{base} failed: {_first_line(error)}") from None
        except (ValueError, TypeError, AttributeError):
            raise RemoteError(
                f"{base} answered what is no chat completion: is this the address of an"
                " OpenAI-compatible API?"
            ) from None

    def _refusal(self, error: Any) -> Exception:
        """What a status other than 200 means."""
        base, status, said = self._address.base, error.status_code, _message_of(error)
        if error.code == "context_length_exceeded" or (
            status in (400, 413, 422) and _TOO_LONG.search(said)
        ):
            return PromptTooLong(f"the prompt does not fit the context of {self.name}: {said}")
        if 300 <= status < 400:
            target = error.response.headers.get("location", "elsewhere")
            return RemoteError(
                f"{base} redirects to {target}, and nothing was sent there: if you trust that "
                "address, name it instead"
            )
        if status == 429:
            return Busy(f"{base} has too many requests, or your quota is used up: {said}")
        advice = {
            401: "the key is missing or wrong: set RAG_API_KEY",
            403: "the key does not allow this",
            404: f"is there a model {self._address.model!r}, and does the address end in /v1?",
        }.get(status, "try again later" if status >= 500 else "see what it says")
        return RemoteError(f"{base} refused with status {status} ({said}): {advice}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _hang_up(response: Any) -> None:
    """Break a connection that another thread may be reading: that wakes it."""
    with suppress(Exception):
        connection = response.extensions["network_stream"].get_extra_info("socket")
        connection.shutdown(socket.SHUT_RDWR)


def _message_of(error: Any) -> str:
    """What the server said went wrong, whatever form it has."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        said = inner.get("message") if isinstance(inner, dict) else inner
        if said:
            return _first_line(said)
    return _first_line(error)


def _first_line(error: object) -> str:
    first = next(iter(str(error).splitlines()), "")
    return one_line(first)[:300] or type(error).__name__
