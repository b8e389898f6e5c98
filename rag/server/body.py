"""The JSON of a request, read strictly: what no JSON text can mean is refused with 400.

No NaN, no Infinity, no number that a float cannot hold, no lone surrogate, no nesting bomb.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from math import isfinite
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import JsonValue, TypeAdapter, ValidationError

from rag.server.errors import ApiError

_JSON: TypeAdapter[Any] = TypeAdapter(JsonValue)
_HUGE = re.compile(rb"NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{300}")  # where infinities may come from


def parse(raw: bytes) -> Any:
    """The value of a JSON text. Raises ApiError."""
    try:
        value = _JSON.validate_json(raw)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ApiError(400, f"the body is no JSON: {reason}", code="invalid_json") from None
    if _HUGE.search(raw) and not _finite(value):
        raise ApiError(400, "the body holds a number that is not finite", code="invalid_json")
    return value


def _finite(value: Any) -> bool:
    """Whether no number in a JSON value is infinite or NaN; nesting is bounded by the parser."""
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or isfinite(value)


class StrictRequest(Request):
    """A request whose JSON is read by `parse`."""

    async def json(self) -> Any:
        """The body's value."""
        return parse(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Handle requests as StrictRequests."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly
