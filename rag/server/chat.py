"""`/v1/chat/completions`: what is asked for, and the reply whole or as a stream."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backbone.request import Completion, Stream
from rag.server.body import StrictRoute
from rag.server.errors import ApiError, translated
from rag.server.formats import ResponseFormat, grammar_of, schema_of
from rag.server.generations import Generations, arriving, completed, ended
from rag.server.grounded import grounded_chat
from rag.server.logprobs import chat_logprobs
from rag.server.messages import (
    ChatMessage,
    FunctionTool,
    WireToolChoice,
    domain_choice,
    domain_messages,
    domain_tools,
    identified,
)
from rag.server.openapi import replies
from rag.server.site import Served, Site, Started
from rag.server.sse import DONE, data, streamed
from rag.server.usage import usage_of
from rag.server.wire import Harmless, Ignored, Sampled, Stop, StreamOptions, UsageReply, stop_texts

router = APIRouter(route_class=StrictRoute)

MOST_CHOICES = 128
MOST_TOKENS = 2**31 - 1


class ChatRequest(Sampled, Harmless):
    """A conversation, and how to go on with it."""

    model: str = Field(max_length=512)
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=100_000)]
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    stop: Stop = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="OpenAI's true with top_logprobs, or Together's number of alternatives."
    )
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=1000)] | None = None
    tool_choice: WireToolChoice | None = None
    parallel_tool_calls: bool | None = None
    context_length_exceeded_behavior: Literal["error", "truncate"] | None = Field(
        None, description="With `error`, max_tokens beyond the context is refused."
    )
    modalities: list[Literal["text"]] | None = None
    store: Ignored = None
    reasoning_effort: Ignored = None
    verbosity: Ignored = None
    prediction: Ignored = None

    @property
    def alternatives(self) -> int | None:
        """How many alternatives of each token are wanted; None is no log-probabilities."""
        if self.logprobs is None or self.logprobs is False:
            if self.top_logprobs is not None:
                raise ValueError("top_logprobs takes logprobs: true")
            return None
        if self.logprobs is True:
            return self.top_logprobs or 0
        return self.logprobs

    def longest(self, context: int) -> int:
        """How many tokens the reply may have. Raises ValueError, ApiError."""
        if self.max_tokens and self.max_completion_tokens:
            raise ValueError("max_tokens and max_completion_tokens mean the same: give one")
        asked = self.max_completion_tokens or self.max_tokens
        return longest_reply(asked, context, self.context_length_exceeded_behavior)


class ChatReply(BaseModel):
    """A reply. `citations`, `answered` and `reason` are of answers out of the index."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: UsageReply


def longest_reply(asked: int | None, context: int, exceeding: str | None) -> int:
    """How many tokens a reply may have: as asked, or what the context holds. Raises ApiError."""
    if asked and asked >= context and exceeding != "truncate":
        raise ApiError(
            400,
            f"max_tokens {asked} does not fit the model's {context} tokens: ask for fewer, or send"
            ' context_length_exceeded_behavior "truncate"',
            code="context_length_exceeded",
            param="max_tokens",
        )
    return min(asked or context, context)


@router.post("/chat/completions", responses=replies(ChatReply, streamed=True))
async def chat_completions(asked: ChatRequest, site: Served, started: Started) -> Response:
    """Go on with a conversation, or answer its last question out of the index."""
    if site.is_grounded(asked.model):
        return await grounded_chat(asked, site, started)
    streams = await _start(asked, site, started)
    frame = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": asked.model}
    if asked.stream:
        return streamed(_events(asked, frame, streams))
    completions = await ended(streams)
    choices = [_choice(asked, number, c) for number, c in enumerate(completions)]
    reply = {**frame, "object": "chat.completion", "prompt": [], "choices": choices}
    return JSONResponse({**reply, "usage": usage_of(completions)})


async def _start(asked: ChatRequest, site: Site, started: Generations) -> list[Stream]:
    model = site.generating(asked.model)
    try:
        submit = partial(
            model.submit,
            domain_messages(asked.messages),
            max_tokens=asked.longest(model.context_length),
            grammar=grammar_of(asked.response_format),
            schema=schema_of(asked.response_format),
            tools=domain_tools(asked.tools),
            tool_choice=domain_choice(asked.tool_choice),
            parallel_calls=asked.parallel_tool_calls is not False,
            stop=stop_texts(asked.stop),
            logprobs=asked.alternatives,
        )
        return [
            await started.start(site.door, partial(submit, sampling=asked.sampling(number)))
            for number in range(asked.n or 1)
        ]
    except Exception as error:
        raise translated(error) from error


def _choice(asked: ChatRequest, number: int, completion: Completion) -> dict[str, Any]:
    calls = _calls(completion)
    message: dict[str, Any] = {"role": "assistant", "content": completion.text, "refusal": None}
    if calls:
        message["content"] = completion.text or None
        message["tool_calls"] = calls
    return {
        "index": number,
        "message": message,
        "finish_reason": completion.finish_reason,
        "logprobs": _logprobs(asked, completion),
        "seed": asked.sampling(number).seed,
    }


def _calls(completion: Completion) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": id_,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for index, (id_, name, arguments) in enumerate(identified(completion.tool_calls))
    ]


def _logprobs(asked: ChatRequest, completion: Completion) -> dict[str, Any] | None:
    return None if asked.alternatives is None else chat_logprobs(completion.logprobs)


async def _events(
    asked: ChatRequest, frame: dict[str, Any], streams: Sequence[Stream]
) -> AsyncIterator[bytes]:
    """The chunks of all choices, interleaved as they come, and `[DONE]`."""
    frame = {**frame, "object": "chat.completion.chunk"}
    apart = bool(asked.stream_options and asked.stream_options.include_usage)
    left = len(streams)

    def chunk(number: int, delta: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": number, "delta": delta, "finish_reason": None, "logprobs": None}
        return {**frame, "choices": [choice], "usage": None}

    try:
        for number in range(len(streams)):
            yield data(chunk(number, {"role": "assistant", "content": ""}))
        async for number, text in arriving(streams):
            if text is not None:
                yield data(chunk(number, {"content": text}))
                continue
            left -= 1
            completion = completed(streams[number])
            for delta in _call_deltas(completion):
                yield data(chunk(number, {"tool_calls": [delta]}))
            last = chunk(number, {})
            last["choices"][0]["finish_reason"] = completion.finish_reason
            last["choices"][0]["logprobs"] = _logprobs(asked, completion)
            if not left and not apart:  # where Together's clients look for it
                last["usage"] = usage_of([completed(stream) for stream in streams])
            yield data(last)
        if apart:
            usage = usage_of([completed(stream) for stream in streams])
            yield data({**frame, "choices": [], "usage": usage})
        yield DONE
    except Exception as error:  # noqa: BLE001  the status is sent, so the stream has to say it
        yield data(translated(error).to_json())


def _call_deltas(completion: Completion) -> list[dict[str, Any]]:
    """Each call in two pieces: which it is, and its arguments."""
    deltas = []
    for call in _calls(completion):
        function = call["function"]
        deltas.append({**call, "function": {**function, "arguments": ""}})
        arguments = {"arguments": function["arguments"]}
        deltas.append({"index": call["index"], "function": arguments})
    return deltas
