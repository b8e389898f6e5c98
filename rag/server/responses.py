"""`/v1/responses`: OpenAI's newer protocol, whole or as named events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from backbone.request import Message
from backbone.tools import Tool
from rag.server.body import StrictRoute
from rag.server.chat import longest_reply
from rag.server.errors import ApiError, translated
from rag.server.formats import ANY_OBJECT, JsonObject, Schema, grammar_of
from rag.server.generations import Generations
from rag.server.grounded import begin, earlier, refuse, warnings
from rag.server.openapi import replies
from rag.server.outcome import Answered, Generated, Outcome, Source
from rag.server.response_events import Events, items
from rag.server.response_wire import (
    FlatChoice,
    FlatSchema,
    ResponseReply,
    ResponseRequest,
    new_messages,
)
from rag.server.site import Served, Site, Started
from rag.server.sse import streamed
from rag.server.stored import Turn

router = APIRouter(route_class=StrictRoute)

REFUSED = ("tools", "top_logprobs", "logit_bias")


@router.post("/responses", responses=replies(ResponseReply, streamed=True))
async def respond(asked: ResponseRequest, site: Served, started: Started) -> Response:
    """Go on with a conversation, or answer its last question out of the index."""
    grounded = site.is_grounded(asked.model)
    try:
        conversation = [*_earlier(asked, site), *new_messages(asked.input)]
        begun = _ask if grounded else _generate
        source = await begun(asked, conversation, site, started)
    except Exception as error:
        raise translated(error) from error
    frame = _frame(asked, warnings(asked) if grounded else [])

    def finish(outcome: Outcome) -> dict[str, Any]:
        reply = _finished(frame, outcome, with_logprobs=asked.alternatives is not None)
        if asked.store is not False:
            said = Message("assistant", outcome.text, tool_calls=outcome.tool_calls)
            site.stored.put(reply["id"], Turn(reply, (*conversation, said)))
        return reply

    if asked.stream:
        return streamed(_events(frame, source, finish))
    try:
        return JSONResponse(finish(await source.outcome()))
    except Exception as error:
        raise translated(error) from error


@router.get("/responses/{id_}", responses=replies(ResponseReply))
async def stored(id_: str, site: Served) -> Response:
    """A response that is still stored."""
    turn = site.stored.get(id_)
    if turn is None:
        raise _unknown(404, id_)
    return JSONResponse(turn.reply)


@router.delete("/responses/{id_}", responses=replies(dict[str, Any]))
async def forget(id_: str, site: Served) -> Response:
    """Forget a response."""
    if not site.stored.pop(id_):
        raise _unknown(404, id_)
    return JSONResponse({"id": id_, "object": "response", "deleted": True})


def _earlier(asked: ResponseRequest, site: Site) -> list[Message]:
    """What holds for the conversation and what was said in it before."""
    said: list[Message] = []
    if asked.previous_response_id is not None:
        turn = site.stored.get(asked.previous_response_id)
        if turn is None:
            raise _unknown(400, asked.previous_response_id)
        said += turn.messages
    return said


async def _generate(
    asked: ResponseRequest, conversation: list[Message], site: Site, started: Generations
) -> Source:
    model = site.generating(asked.model)
    before = [Message("system", asked.instructions)] if asked.instructions else []
    format_ = asked.text.format if asked.text else None
    submit = partial(
        model.submit,
        [*before, *conversation],
        max_tokens=longest_reply(asked.max_output_tokens, model.context_length, "truncate"),
        sampling=asked.sampling(),
        grammar=None if isinstance(format_, FlatSchema) else grammar_of(format_),
        schema=_schema(asked),
        tools=[Tool.from_json(tool.model_dump(exclude={"strict"})) for tool in asked.tools or ()],
        tool_choice=_choice(asked),
        parallel_calls=asked.parallel_tool_calls is not False,
        logprobs=asked.alternatives,
    )
    return Generated(await started.start(site.door, submit))


async def _ask(
    asked: ResponseRequest, conversation: list[Message], site: Site, started: Generations
) -> Source:
    refuse(asked, REFUSED)
    last = conversation[-1]
    if last.role != "user" or not str(last.content).strip():
        raise ApiError(400, "the last input must be the user's question", param="input")
    schema = _schema(asked)
    history = earlier(conversation[:-1])
    ask = partial(site.index().stream, str(last.content), schema=schema, history=history)
    return Answered(begin(site, ask, started), as_data=schema is not None)


def _schema(asked: ResponseRequest) -> Schema | None:
    match asked.text.format if asked.text else None:
        case FlatSchema() as format_:
            return format_.schema_
        case JsonObject() as format_:
            return format_.schema_ or ANY_OBJECT
        case _:
            return None


def _choice(asked: ResponseRequest) -> str:
    choice = asked.tool_choice
    return choice.name if isinstance(choice, FlatChoice) else choice or "auto"


def _unknown(status: int, id_: str) -> ApiError:
    return ApiError(
        status,
        f"the response {id_[:100]!r} is not stored (any more): send the whole conversation",
        code="previous_response_not_found" if status == 400 else "not_found",
        param="previous_response_id" if status == 400 else None,
    )


def _frame(asked: ResponseRequest, warned: list[str]) -> dict[str, Any]:
    """The response before there is any."""
    given = asked.model_dump(by_alias=True, exclude_none=True)
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "model": asked.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": asked.store is not False,
        "temperature": asked.sampling().temperature,
        "text": given.get("text", {"format": {"type": "text"}}),
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": given.get("tools", []),
        "top_p": asked.sampling().top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        **({"warnings": warned} if warned else {}),
    }


def _finished(frame: dict[str, Any], outcome: Outcome, *, with_logprobs: bool) -> dict[str, Any]:
    usage = {
        "input_tokens": outcome.prompt_tokens,
        "input_tokens_details": {"cached_tokens": outcome.cached_tokens},
        "output_tokens": outcome.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": outcome.prompt_tokens + outcome.completion_tokens,
    }
    cut = None if outcome.complete else {"reason": "max_output_tokens"}
    return {
        **frame,
        **outcome.proof,
        "status": "completed" if outcome.complete else "incomplete",
        "incomplete_details": cut,
        "output": items(outcome, frame["id"], with_logprobs=with_logprobs),
        "usage": usage,
    }


async def _events(frame: dict[str, Any], source: Source, finish: Any) -> AsyncIterator[bytes]:
    """The life of a response: created, its text and calls as they come, completed or failed."""
    events = Events(frame)
    yield events.say("response.created", {"response": frame})
    yield events.say("response.in_progress", {"response": frame})
    try:
        async for piece in source.pieces():
            for event in events.text(piece):
                yield event
        reply = finish(await source.outcome())
        for event in events.end(reply):
            yield event
    except Exception as error:  # noqa: BLE001  the status is sent, so the stream has to say it
        inner = translated(error).to_json()["error"]
        failed = {"code": inner["code"] or "server_error", "message": inner["message"]}
        reply = {**frame, "status": "failed", "error": failed}
        yield events.say("response.failed", {"response": reply})
