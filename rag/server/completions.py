"""`/v1/completions`: raw text gone on with, without a chat template."""

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
from rag.server.logprobs import text_logprobs
from rag.server.openapi import replies
from rag.server.site import Served, Site, Started
from rag.server.sse import DONE, data, streamed
from rag.server.usage import usage
from rag.server.wire import Harmless, Ignored, Sampled, Stop, StreamOptions, UsageReply, stop_texts

router = APIRouter(route_class=StrictRoute)

MOST_PROMPTS = 256
MOST_CHOICES = 128
DEFAULT_TOKENS = 16  # OpenAI's


class CompletionRequest(Sampled, Harmless):
    """Text, or several, and how to go on with each."""

    model: str = Field(max_length=512)
    prompt: (
        Annotated[str, Field(min_length=1)]
        | Annotated[
            list[Annotated[str, Field(min_length=1)]],
            Field(min_length=1, max_length=MOST_PROMPTS),
        ]
    )
    max_tokens: int | None = Field(None, ge=1, lt=2**31)
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    best_of: int | None = Field(None, ge=1, description="Only as many as n.")
    stop: Stop = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    response_format: ResponseFormat | None = None
    store: Ignored = None

    @property
    def prompts(self) -> list[str]:
        """The texts."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    def check(self) -> None:
        """Raise ApiError for what cannot be done."""
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise ApiError(400, "best_of must be n, or left out", param="best_of")
        if self.echo and self.logprobs is not None:
            raise ApiError(
                400, "echo cannot give the log-probabilities of the prompt: leave out one"
            )


class CompletionReply(BaseModel):
    """What was written after each text, `n` times each."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: UsageReply


@router.post("/completions", responses=replies(CompletionReply, streamed=True))
async def completions(asked: CompletionRequest, site: Served, started: Started) -> Response:
    """Go on with texts."""
    streams = await _start(asked, site, started)
    frame = {
        "id": f"cmpl-{uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": asked.model,
    }
    if asked.stream:
        return streamed(_events(asked, frame, streams))
    done = await ended(streams)
    choices = [_choice(asked, number, completion) for number, completion in enumerate(done)]
    return JSONResponse({**frame, "choices": choices, "usage": _usage(asked, done)})


async def _start(asked: CompletionRequest, site: Site, started: Generations) -> list[Stream]:
    model = site.generating(asked.model)
    asked.check()
    try:
        submit = partial(
            model.submit,
            max_tokens=min(asked.max_tokens or DEFAULT_TOKENS, model.context_length),
            grammar=grammar_of(asked.response_format),
            schema=schema_of(asked.response_format),
            stop=stop_texts(asked.stop),
            logprobs=asked.logprobs,
        )
        return [
            await started.start(site.door, partial(submit, prompt, sampling=asked.sampling(number)))
            for prompt in asked.prompts
            for number in range(asked.n or 1)
        ]
    except Exception as error:
        raise translated(error) from error


def _choice(asked: CompletionRequest, number: int, completion: Completion) -> dict[str, Any]:
    before = asked.prompts[number // (asked.n or 1)] if asked.echo else ""
    choice = _frame(number, before + completion.text)
    choice["finish_reason"] = completion.finish_reason
    choice["logprobs"] = _logprobs(asked, completion)
    choice["seed"] = asked.sampling(number % (asked.n or 1)).seed
    return choice


def _frame(number: int, text: str) -> dict[str, Any]:
    return {"index": number, "text": text, "finish_reason": None, "logprobs": None}


def _logprobs(asked: CompletionRequest, completion: Completion) -> dict[str, Any] | None:
    return None if asked.logprobs is None else text_logprobs(completion.logprobs)


def _usage(asked: CompletionRequest, done: Sequence[Completion]) -> dict[str, Any]:
    """Each prompt counts once, however often it was gone on with."""
    firsts = done[:: asked.n or 1]
    return usage(
        sum(c.prompt_tokens for c in firsts),
        sum(c.completion_tokens for c in done),
        sum(c.cached_tokens for c in firsts),
    )


async def _events(
    asked: CompletionRequest, frame: dict[str, Any], streams: Sequence[Stream]
) -> AsyncIterator[bytes]:
    """The chunks of all choices, interleaved as they come, and `[DONE]`."""
    apart = bool(asked.stream_options and asked.stream_options.include_usage)
    left = len(streams)

    def chunk(choice: dict[str, Any]) -> dict[str, Any]:
        return {**frame, "choices": [choice], "usage": None}

    try:
        if asked.echo:
            for number in range(len(streams)):
                yield data(chunk(_frame(number, asked.prompts[number // (asked.n or 1)])))
        async for number, text in arriving(streams):
            if text is not None:
                yield data(chunk(_frame(number, text)))
                continue
            left -= 1
            completion = completed(streams[number])
            last = chunk({**_choice(asked, number, completion), "text": ""})
            if not left and not apart:
                last["usage"] = _usage(asked, [completed(stream) for stream in streams])
            yield data(last)
        if apart:
            done = [completed(stream) for stream in streams]
            yield data({**frame, "choices": [], "usage": _usage(asked, done)})
        yield DONE
    except Exception as error:  # noqa: BLE001  the status is sent, so the stream has to say it
        yield data(translated(error).to_json())
