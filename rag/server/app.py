"""The application: the routes of the other modules, their errors, and the layers around them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from backbone.errors import BackboneError
from ingest.errors import IngestError
from rag.errors import RagError
from rag.server import (
    ask,
    assets,
    chat,
    completions,
    documents,
    embeddings,
    indexing,
    metrics,
    models,
    responses,
)
from rag.server.errors import ApiError, translated
from rag.server.guard import Door, Guarded
from rag.server.limits import App, Limited, Limits
from rag.server.metrics import Counted, Counts
from rag.server.site import Site

TITLE = "ragbone"
SHOWN = 3  # of the faults of one body
# What pydantic puts into the place of a fault where a field may be of several kinds.
_KIND = re.compile(r"(?:constrained-)?(?:str|int|float|bool)|(?:list|dict|literal)\[.*\]")
LONGEST_PLACE = 200  # characters of a field's place; its names are the client's


def create_app(site: Site, *, door: Door | None = None, limits: Limits | None = None) -> App:
    """The whole server as one ASGI application, which closes the site at its end."""
    api = Api(title=TITLE, docs_url=None, redoc_url=None, lifespan=_lifespan)
    api.state.site = site
    api.state.counts = Counts()
    _add_routes(api)
    _add_errors(api)
    limited = Limited(api, limits or Limits())
    return Counted(Guarded(limited, door or Door()), api.state.counts)


class Api(FastAPI):
    """FastAPI, with a document that is true: a body that is not as it must be gets 400 here."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            for operation in (o for path in document["paths"].values() for o in path.values()):
                operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
        return super().openapi()


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    yield
    api.state.site.close()


def _add_routes(api: FastAPI) -> None:
    """Everything of `/v1`, also under `/v1/v1`: Together's client adds the one to the other."""
    v1 = APIRouter()
    for module in (chat, completions, responses, embeddings, models, ask, documents, indexing):
        v1.include_router(module.router)
    api.include_router(v1, prefix="/v1")
    api.include_router(v1, prefix="/v1/v1", include_in_schema=False)
    api.include_router(metrics.router)
    api.include_router(assets.router)


def _add_errors(api: FastAPI) -> None:
    """Every error in the one envelope."""

    async def known(_: Request, error: Exception) -> Response:
        return translated(error).response()

    async def invalid(_: Request, error: Exception) -> Response:
        faults = error.errors() if isinstance(error, RequestValidationError) else []
        return _invalid(faults).response()

    async def missing(_: Request, error: Exception) -> Response:
        if isinstance(error, ApiError):
            return error.response()
        return ApiError(404, "there is nothing at this path", code="not_found").response()

    async def not_so(request: Request, _: Exception) -> Response:
        allow = {"allow": ", ".join(_methods(api, request.url.path))}
        words = f"only {allow['allow']} is understood at this path"
        return ApiError(405, words, code="method_not_allowed", headers=allow).response()

    for kind in (ApiError, BackboneError, IngestError, RagError, Exception):
        api.add_exception_handler(kind, known)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(404, missing)
    api.add_exception_handler(405, not_so)


def _methods(api: FastAPI, path: str) -> list[str]:
    """All methods of a path; the framework itself knows those of one function."""
    path = path.replace("/v1/v1/", "/v1/", 1)
    for template, operations in api.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", ".+", template), path):
            return sorted(method.upper() for method in operations)
    return ["GET"]  # of the document itself


def _invalid(faults: Sequence[Any]) -> ApiError:
    """A body that is not as it must be; names its fields and never repeats what they hold."""
    told = [_fault(fault) for fault in faults]
    message = "; ".join(f"{place}: {words}" if place else words for place, words in told[:SHOWN])
    more = f" (and {len(told) - SHOWN} more)" if len(told) > SHOWN else ""
    param = told[0][0] if told else None
    return ApiError(400, message + more, code="invalid_request", param=param or None)


def _fault(fault: Any) -> tuple[str, str]:
    """Where in the body something is wrong, and what."""
    parts = [str(part) for part in fault["loc"] if part != "body"]
    place = ".".join(part for part in parts if not _KIND.fullmatch(part))[:LONGEST_PLACE]
    if fault["type"] == "extra_forbidden":
        return place, "this server knows no such field; leave it out"
    return place, str(fault["msg"])[:LONGEST_PLACE]
