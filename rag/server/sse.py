"""Server-sent events as bytes. Knows nothing of what is in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

DONE = b"data: [DONE]\n\n"


def data(value: Any) -> bytes:
    """An event without a name, as chat completions are streamed."""
    return f"data: {_json(value)}\n\n".encode()


def event(name: str, value: Any) -> bytes:
    """An event with a name."""
    return f"event: {name}\ndata: {_json(value)}\n\n".encode()


def streamed(events: AsyncIterator[bytes]) -> StreamingResponse:
    """A response that sends events as they come."""
    return StreamingResponse(events, media_type="text/event-stream")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
