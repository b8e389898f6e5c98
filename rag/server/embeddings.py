"""`/v1/embeddings` and `/v1/rerank`: the index's encoder."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rag.server.body import StrictRoute
from rag.server.errors import ApiError
from rag.server.openapi import replies
from rag.server.site import Served, Site
from rag.server.usage import usage
from rag.server.wire import Body, Harmless, UsageReply

router = APIRouter(route_class=StrictRoute)

MOST_TEXTS = 2048
Model = Annotated[
    str, Field(max_length=512, description="The encoder's name, or `encoder` for the one there is.")
]
Text = Annotated[str, Field(min_length=1)]
Record = Annotated[dict[str, str], Field(min_length=1)]


class EmbeddingRequest(Harmless):
    """Texts to turn into vectors."""

    model: Model
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1, description="Only as many as the encoder has.")
    input_type: Literal["document", "query"] | None = Field(
        None, description="What the texts are, for encoders that tell the two apart."
    )


class EmbeddingReply(BaseModel):
    """A vector for each text, of length 1. `usage` is 0: the encoder does not count."""

    object: Literal["list"]
    model: str
    data: list[dict[str, Any]]
    usage: UsageReply


class RerankRequest(Body):
    """Documents to put in the order of how near they are to a query."""

    model: Model
    query: Text
    documents: Annotated[list[Text | Record], Field(min_length=1, max_length=MOST_TEXTS)]
    top_n: int | None = Field(None, ge=1)
    return_documents: bool | None = None
    rank_fields: Annotated[list[str], Field(min_length=1, max_length=64)] | None = None


class RerankReply(BaseModel):
    """The documents by relevance (0 to 1), the most relevant first."""

    object: Literal["rerank"]
    id: str
    model: str
    results: list[dict[str, Any]]
    usage: UsageReply


@router.post("/embeddings", responses=replies(EmbeddingReply))
async def embeddings(asked: EmbeddingRequest, site: Served) -> Response:
    """Turn texts into vectors."""
    _check(site, asked.model)
    if asked.dimensions not in (None, site.encoder.dimension):
        raise ApiError(
            400, f"vectors have {site.encoder.dimension} dimensions here", param="dimensions"
        )
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    rows = await _encode(site, texts, queries=asked.input_type == "query")

    def written(row: Any) -> str | list[float]:
        if asked.encoding_format == "base64":  # float32, little-endian
            return base64.b64encode(row.astype("<f4").tobytes()).decode()
        return [float(number) for number in row]

    data = [
        {"object": "embedding", "index": index, "embedding": written(row)}
        for index, row in enumerate(rows)
    ]
    reply = {"object": "list", "model": asked.model, "data": data, "usage": usage(0, 0)}
    return JSONResponse(reply)


@router.post("/rerank", responses=replies(RerankReply))
async def rerank(asked: RerankRequest, site: Served) -> Response:
    """Put documents in the order of how near they are to a query."""
    _check(site, asked.model)
    texts = [_text(document, asked.rank_fields) for document in asked.documents]
    [query] = await _encode(site, [asked.query], queries=True)
    scores = (await _encode(site, texts, queries=False)) @ query
    order = sorted(range(len(texts)), key=lambda i: (-scores[i], i))[: asked.top_n]
    results = [{"index": i, "relevance_score": min(1.0, max(0.0, float(scores[i])))} for i in order]
    if asked.return_documents:
        for result in results:
            document = asked.documents[int(result["index"])]
            given = {"text": document} if isinstance(document, str) else document
            result["document"] = given  # type: ignore[assignment]
    reply = {"object": "rerank", "id": f"rerank-{uuid4().hex}", "model": asked.model}
    return JSONResponse({**reply, "results": results, "usage": usage(0, 0)})


def _check(site: Site, name: str) -> None:
    if name not in site.encoder_names:
        raise ApiError(
            404,
            f"there is no encoder {name!r} here, only {', '.join(site.encoder_names)}",
            code="model_not_found",
            param="model",
        )


async def _encode(site: Site, texts: list[str], *, queries: bool) -> Any:
    """Vectors [n, dimension], rows of length 1."""
    encode = site.encoder.encode_queries if queries else site.encoder.encode_documents
    return await asyncio.get_running_loop().run_in_executor(site.encoders, encode, texts)


def _text(document: str | dict[str, str], fields: list[str] | None) -> str:
    if isinstance(document, str):
        return document
    names = fields or list(document)
    if missing := [name for name in names if name not in document]:
        raise ApiError(400, f"a document has no field {missing[0]!r}", param="rank_fields")
    return "\n".join(document[name] for name in names)
