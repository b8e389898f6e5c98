"""What the OpenAPI document says of replies: their models, streams, and the error envelope."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from rag.server.errors import ErrorReply

ERRORS = {
    400: "The request cannot be answered; the message says why.",
    401: "The token is missing or wrong.",
    403: "The request comes from a web page, or under a name that is not the server's.",
    404: "There is no such model, response or path.",
    405: "The path has no such method.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    429: "Too much is waiting; Retry-After says when to come back.",
    500: "The server failed.",
    503: "The server is busy, closing or broken; Retry-After says when to come back.",
    504: "The answer took too long.",
}
Responses = dict[int | str, dict[str, Any]]


def replies(model: type[BaseModel] | Any, *, streamed: bool = False) -> Responses:
    """The replies of a route: a model, or events when asked for, or an error."""
    good: dict[str, Any] = {"model": model}
    if streamed:
        good["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    errors: Responses = {
        status: {"model": ErrorReply, "description": words} for status, words in ERRORS.items()
    }
    return {200: good, **errors}
