"""One reply, of the bare model or out of the index, in the one form that responses are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from backbone.request import Stream, ToolCall
from rag.answer import Sentence
from rag.server.asking import Asking
from rag.server.generations import arriving, completed, ended
from rag.server.grounded import layout, written
from rag.server.logprobs import chat_logprobs
from rag.server.messages import identified


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reply came to; `calls` are (id, name, arguments as JSON text)."""

    text: str
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    complete: bool = True
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    proof: dict[str, Any] = field(default_factory=dict)
    tool_calls: tuple[ToolCall, ...] = ()


class Source(Protocol):
    """Where a reply comes from. `pieces` first, if at all, then `outcome`."""

    def pieces(self) -> AsyncIterator[str]:
        """The text as it comes."""

    async def outcome(self) -> Outcome:
        """The whole. Raises what generating raised."""


class Generated:
    """A reply of the bare model."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it comes."""
        async for _, text in arriving([self._stream]):
            if text is not None:
                yield text

    async def outcome(self) -> Outcome:
        """The whole reply."""
        await ended([self._stream])
        completion = completed(self._stream)
        calls = identified(completion.tool_calls)
        return Outcome(
            text=completion.text,
            calls=calls,
            complete=completion.finish_reason != "length",
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            cached_tokens=completion.cached_tokens,
            logprobs=chat_logprobs(completion.logprobs)["content"],
            tool_calls=tuple(
                ToolCall(call.name, call.arguments, id_)
                for call, (id_, _, _) in zip(completion.tool_calls, calls, strict=True)
            ),
        )


class Answered:
    """An answer out of the index; `as_data` for one that fills a schema."""

    def __init__(self, asking: Asking, *, as_data: bool) -> None:
        self._asking = asking
        self._as_data = as_data

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it is found."""
        sentences: list[Sentence] = []
        said = ""
        async for sentence in self._asking.sentences():
            sentences.append(sentence)
            text, _ = layout(sentences)
            if not self._as_data:
                yield text[len(said) :]
                said = text
        text, _ = written(await self._asking.result(), as_data=self._as_data)
        if text[len(said) :]:
            yield text[len(said) :]

    async def outcome(self) -> Outcome:
        """The whole answer."""
        answer = await self._asking.result()
        text, places = written(answer, as_data=self._as_data)
        return Outcome(
            text=text,
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            annotations=[
                {
                    "type": "file_citation",
                    "index": places[citation.number][0],
                    "file_id": citation.source,
                    "filename": citation.source.rsplit("/", 1)[-1],
                }
                for citation in answer.citations
                if citation.number in places
            ],
            proof={
                "citations": answer.to_json()["citations"],
                "answered": answer.answered,
                "reason": answer.reason,
            },
        )
