"""What a client is told when something goes wrong: OpenAI's error envelope with a status.

Knows the errors of the other packages, and which of them are the client's fault.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from backbone.errors import BackboneError, Busy, GrammarError, PromptTooLong
from backbone.errors import Unsupported as BackboneUnsupported
from ingest.errors import IngestError
from rag.errors import RagError, Unsupported

LONGEST_MESSAGE = 1000  # characters; what a client sent may be part of it
KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

_log = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """The inside of an error."""

    message: str
    type: Literal[
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "rate_limit_error",
        "server_error",
    ]
    param: str | None = None
    code: str | None = None


class ErrorReply(BaseModel):
    """Every answer with a status of 400 and above."""

    error: ErrorBody


class ApiError(HTTPException):
    """An error as the client is to see it. `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        headers = dict(headers or {})
        if retry_after is not None:
            headers["retry-after"] = str(retry_after)
        super().__init__(status, detail=message, headers=headers)
        self.code = code
        self.param = param

    def to_json(self) -> dict[str, Any]:
        """The envelope."""
        usual = "server_error" if self.status_code >= 500 else "invalid_request_error"
        message = str(self.detail)
        if len(message) > LONGEST_MESSAGE:
            message = message[:LONGEST_MESSAGE] + " …"
        error = {
            "message": message,
            "type": KINDS.get(self.status_code, usual),
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}

    def response(self) -> JSONResponse:
        """The envelope, with its status and headers."""
        return JSONResponse(self.to_json(), self.status_code, headers=dict(self.headers or {}))


def translated(error: BaseException) -> ApiError:
    """What a client is told of an error that was raised on its behalf."""
    match error:
        case ApiError():
            return error
        case PromptTooLong():
            return ApiError(400, str(error), code="context_length_exceeded", param="messages")
        case GrammarError():
            return ApiError(400, str(error), code="invalid_grammar")
        case Busy():
            return ApiError(429, str(error), code="busy", retry_after=2)
        case BackboneUnsupported() | Unsupported():
            return ApiError(400, str(error), code="unsupported")
        case ValueError():
            return ApiError(400, str(error), code="invalid_value")
        case BackboneError() | IngestError() | RagError():
            _log.warning("a request failed: %s", error)
            return ApiError(503, str(error), code="unavailable", retry_after=10)
        case _:
            _log.error("a request failed", exc_info=error)
            return ApiError(500, "the server failed; its log says more", code="internal")
