"""`/v1/models`: what can be named in requests, in OpenAI's form, and Together's for its clients."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from rag.server.body import StrictRoute
from rag.server.errors import ApiError
from rag.server.openapi import replies
from rag.server.site import GROUNDED, Served, Site
from rag.server.wire import ObjectList

router = APIRouter(route_class=StrictRoute)


class ModelReply(BaseModel):
    """A model. `type` is "chat", "quote" or "embedding"."""

    id: str
    object: str
    created: int
    owned_by: str
    type: str
    display_name: str
    context_length: int


class ModelList(BaseModel):
    """All models."""

    object: ObjectList
    data: list[ModelReply]


@router.get("/models", responses=replies(ModelList | list[ModelReply]))
async def models(request: Request, site: Served) -> Response:
    """List the models; Together's clients get a bare list."""
    known = _known(site)
    if "together" in request.headers.get("user-agent", "").lower():
        return JSONResponse(known)
    return JSONResponse({"object": "list", "data": known})


@router.get("/models/{name:path}", responses=replies(ModelReply))
async def model(name: str, site: Served) -> Response:
    """Describe one model."""
    for known in _known(site):
        if known["id"] == name:
            return JSONResponse(known)
    raise ApiError(404, f"there is no model {name[:200]!r} here", code="model_not_found")


def _known(site: Site) -> list[dict[str, Any]]:
    context = site.model.context_length
    kinds = {site.name: ("chat" if site.chats else "quote", context)}
    if site.rag is not None:
        kinds[GROUNDED] = ("chat", context)
    for name in site.encoder_names:
        kinds.setdefault(name, ("embedding", 0))
    return [
        {
            "id": name,
            "object": "model",
            "created": site.created,
            "owned_by": "ragbone",
            "type": kind,
            "display_name": name,
            "context_length": length,
        }
        for name, (kind, length) in kinds.items()
    ]
