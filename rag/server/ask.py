"""`/v1/ask`: a question to the index, with the JSON of `rag ask --json`, whole or as events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from backbone.request import Message
from rag.server.asking import Asking
from rag.server.body import StrictRoute
from rag.server.errors import ApiError, translated
from rag.server.grounded import begin
from rag.server.openapi import replies
from rag.server.site import Served, Started
from rag.server.sse import event, streamed
from rag.server.wire import Body

router = APIRouter(route_class=StrictRoute)

MOST_PASSAGES = 100
MOST_TURNS = 100  # of a history, of both sides


class Turn(Body):
    """What was asked or answered before."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=100_000)


class AskRequest(Body):
    """A question. `schema` is a JSON schema that the answer's `data` will keep to."""

    question: str = Field(min_length=1, pattern=r"\S")
    k: int = Field(6, ge=1, le=MOST_PASSAGES, description="How many passages to read.")
    history: list[Turn] = Field(
        [], max_length=MOST_TURNS, description="What it may refer to, the oldest first."
    )
    where: str | None = Field(None, max_length=10_000, description="Look only there.")
    web: bool = Field(False, description="Search the web, too; if the server may.")
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool = Field(False, description="Rather no answer than one that is not sure.")
    stream: bool = Field(False, description="Send events: `sentence`s, then the `answer`.")


class AskReply(BaseModel):
    """The answer, with proof."""

    question: str
    answered: bool
    text: str
    citations: list[dict[str, Any]]
    passages: list[dict[str, Any]]
    sentences: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    reason: str | None
    data: Any
    notes: list[str]
    model: str
    usage: dict[str, int]
    timings: dict[str, float]


@router.post("/ask", responses=replies(AskReply, streamed=True))
async def ask(asked: AskRequest, site: Served, started: Started) -> Response:
    """Answer a question out of the index."""
    rag = site.index()
    if asked.web and not site.web:
        raise ApiError(400, "this server does not search the web", code="unsupported", param="web")
    answer = partial(
        rag.stream,
        asked.question,
        k=asked.k,
        history=[Message(turn.role, turn.content) for turn in asked.history],
        where=asked.where,
        web=asked.web,
        schema=asked.schema_,
        strict=asked.strict,
    )
    asking = begin(site, answer, started)
    if asked.stream:
        return streamed(_events(asking))
    try:
        return JSONResponse((await asking.result()).to_json())
    except Exception as error:
        raise translated(error) from error


async def _events(asking: Asking) -> AsyncIterator[bytes]:
    try:
        async for sentence in asking.sentences():
            said = {"text": sentence.text, "citations": list(sentence.citations)}
            yield event("sentence", {**said, "supported": sentence.supported})
        yield event("answer", (await asking.result()).to_json())
    except Exception as error:  # noqa: BLE001  the status is sent, so the stream has to say it
        yield event("error", translated(error).to_json())
