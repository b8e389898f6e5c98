"""The model `ragbone` in chat completions: the last question, answered out of the index, after
what was said before it.

Citations come twice: as `[1]` in the text, and as data. A schema is filled from the documents.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from fastapi import Response
from fastapi.responses import JSONResponse

from backbone.request import Message
from rag.answer import Answer, Citation, Sentence
from rag.server.asking import Asking
from rag.server.errors import ApiError, translated
from rag.server.formats import schema_of
from rag.server.generations import Generations
from rag.server.messages import ChatMessage, text_of
from rag.server.site import Site
from rag.server.sse import DONE, data, streamed
from rag.server.usage import usage

if TYPE_CHECKING:
    from rag.server.chat import ChatRequest

Places = dict[int, tuple[int, int]]  # of a citation's mark: start and end in the text

NOT_ANSWERED = {
    "nothing_found": "Nothing was found in the documents.",
    "not_in_passages": "The documents do not contain the answer.",
    "below_threshold": "The documents do not contain the answer, as far as this model can tell.",
}
SAID = ("user", "assistant")
# Changing a quote is not possible, so these cannot be obeyed; what only steers sampling is noted.
REFUSED = ("tools", "logprobs", "top_logprobs", "logit_bias", "stop")
WITHOUT_EFFECT = (
    *("temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "max_completion_tokens"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty"),
)


async def grounded_chat(asked: ChatRequest, site: Site, started: Generations) -> Response:
    """Answer the last question of a conversation."""
    refuse(asked, REFUSED)
    if (asked.n or 1) > 1:
        raise ApiError(400, "there is one answer: leave out n", code="unsupported", param="n")
    schema = schema_of(asked.response_format)
    if asked.response_format is not None and asked.response_format.type == "regex":
        raise ApiError(400, "an answer of quotes cannot keep to a pattern", code="unsupported")
    rag = site.index()
    question, history = last_question(asked), earlier(asked.messages[:-1])
    asking = begin(site, partial(rag.stream, question, schema=schema, history=history), started)
    frame = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": asked.model}
    if asked.stream:
        return streamed(_events(asked, frame, asking, as_data=schema is not None))
    try:
        answer = await asking.result()
    except Exception as error:
        raise translated(error) from error
    text, places = written(answer, as_data=schema is not None)
    message = {"role": "assistant", "content": text, "refusal": None, **proof(answer, places)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    reply = {**frame, "object": "chat.completion", "choices": [choice]}
    return JSONResponse({**reply, "usage": answer_usage(answer), "warnings": warnings(asked)})


def begin(site: Site, ask: Any, started: Generations) -> Asking:
    """Begin to answer. Raises ApiError."""
    try:
        return site.askers.ask(ask, started)
    except Exception as error:
        raise translated(error) from error


def refuse(asked: Any, names: Iterable[str]) -> None:
    """Refuse, by name, what cannot be done. Raises ApiError."""
    for name in names:
        if getattr(asked, name):
            message = f"the model {asked.model} answers with quotes: it cannot do {name}"
            raise ApiError(400, message, code="unsupported", param=name)


def last_question(asked: ChatRequest) -> str:
    """The last message, which has to be a person's. Raises ApiError."""
    last = asked.messages[-1]
    text = text_of(last.content)
    if last.role != "user" or not text.strip():
        raise ApiError(
            400,
            "the last message must be the user's question",
            param="messages",
            code="no_question",
        )
    return text


def earlier(messages: Iterable[ChatMessage | Message]) -> list[Message]:
    """What was asked and replied before, on which a question may lean; not that nothing was."""
    said = [(m.role, content_of(m)) for m in messages if m.role in SAID]
    return [Message(role, text) for role, text in said if text not in NOT_ANSWERED.values()]


def content_of(message: ChatMessage | Message) -> str:
    """What a message says."""
    return str(message.content) if isinstance(message, Message) else text_of(message.content)


def warnings(asked: Any) -> list[str]:
    """What of a request has no effect on answers out of the index."""
    idle = [name for name in WITHOUT_EFFECT if getattr(asked, name, None) is not None]
    found = [f"{', '.join(idle)}: no effect on quotes"] if idle else []
    if any(message.role not in SAID for message in getattr(asked, "messages", ())):
        found.append("system and tool messages have no effect on quotes")
    return found


def layout(sentences: Iterable[Sentence]) -> tuple[str, Places]:
    """Sentences in one text, `It is so. [1][2]`, and where in it the mark of each citation is."""
    text, places = "", {}
    for sentence in sentences:
        text += ("\n" if text else "") + sentence.text + (" " if sentence.citations else "")
        for number in sentence.citations:
            start = len(text)
            text += f"[{number}]"
            places[number] = (start, len(text))
    return text, places


def written(answer: Answer, *, as_data: bool = False) -> tuple[str, Places]:
    """The text of an answer with its marks, or why there is none; or its data, without marks."""
    if as_data:
        return json.dumps(answer.data), {}
    if not answer.answered:
        return NOT_ANSWERED[answer.reason or "not_in_passages"], {}
    return layout(answer.sentences)


def proof(answer: Answer, places: Places) -> dict[str, Any]:
    """What stands behind an answer, as data."""
    return {
        "citations": answer.to_json()["citations"],
        "annotations": [
            _url_citation(c, places[c.number]) for c in answer.citations if c.number in places
        ],
        "answered": answer.answered,
        "reason": answer.reason,
    }


def answer_usage(answer: Answer) -> dict[str, Any]:
    """The tokens that an answer took."""
    return usage(answer.usage.prompt_tokens, answer.usage.completion_tokens)


def _url_citation(citation: Citation, place: tuple[int, int]) -> dict[str, Any]:
    page = f", page {citation.page}" if citation.page else ""
    inner = {
        "start_index": place[0],
        "end_index": place[1],
        "title": citation.source + page,
        "url": quote(citation.source, safe="/:!?=&%"),
    }
    return {"type": "url_citation", "url_citation": inner}


async def _events(
    asked: ChatRequest, frame: dict[str, Any], asking: Asking, *, as_data: bool
) -> AsyncIterator[bytes]:
    """The sentences as chunks, then one with the citations, and `[DONE]`."""
    frame = {**frame, "object": "chat.completion.chunk"}
    apart = bool(asked.stream_options and asked.stream_options.include_usage)
    sentences: list[Sentence] = []
    said = ""

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**frame, "choices": [choice], "usage": None}

    try:
        yield data(chunk({"role": "assistant", "content": ""}))
        async for sentence in asking.sentences():
            if not as_data:
                sentences.append(sentence)
                text, _ = layout(sentences)
                yield data(chunk({"content": text[len(said) :]}))
                said = text
        answer = await asking.result()
        text, places = written(answer, as_data=as_data)
        if text[len(said) :]:
            yield data(chunk({"content": text[len(said) :]}))
        last = chunk(proof(answer, places), "stop")
        last["usage"] = None if apart else answer_usage(answer)
        yield data({**last, "warnings": warnings(asked)})
        if apart:
            yield data({**frame, "choices": [], "usage": answer_usage(answer)})
        yield DONE
    except Exception as error:  # noqa: BLE001  the status is sent, so the stream has to say it
        yield data(translated(error).to_json())
