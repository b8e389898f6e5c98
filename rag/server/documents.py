"""`/v1/status` and `/v1/documents`: what is served and indexed, and a look into each document."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ingest.document import Document
from ingest.errors import ExtractError, UnknownSource
from rag.pipeline import Rag
from rag.server.errors import ApiError
from rag.server.openapi import replies
from rag.server.site import Served
from rag.server.views import view

router = APIRouter()

PDF = "application/pdf"
LARGEST = 500_000_000  # bytes of a file whose pages are drawn

Source = Annotated[str, Query(min_length=1, max_length=4096)]
Number = Annotated[int | None, Query(ge=1, le=10**6)]
Offset = Annotated[int, Query(ge=0, le=10**12)]


class StatusReply(BaseModel):
    """What this server has."""

    model: str
    chats: bool
    index: str | None
    encoder: str | None
    web: bool
    roots: list[str]


class DocumentsReply(BaseModel):
    """What is in the index (`rag status --json`), and what was read and is not, with the reason."""

    documents: list[dict[str, Any]]
    skipped: list[dict[str, str]]


class ViewReply(BaseModel):
    """A page, or a part of a document without pages.

    A line has a `level` as a heading (0 = none) and `pieces` of text, each with whether it is in
    the quote.
    """

    source: str
    title: str | None
    media_type: str
    number: int
    count: int
    paged: bool
    drawn: bool
    lines: list[dict[str, Any]]


class PictureReply(BaseModel):
    """A page as a PNG in base64, its size, and the rectangles (x, y, width, height) of a quote."""

    png: str
    width: int
    height: int
    marks: list[tuple[float, float, float, float]]


@router.get("/status", responses=replies(StatusReply))
def status(site: Served) -> Response:
    """Say what there is to ask, and what may be added."""
    rag = site.rag
    found = StatusReply(
        model=site.name,
        chats=site.chats,
        index=str(rag.folder) if rag else None,
        encoder=rag.encoder_name if rag else None,
        web=site.web,
        roots=[str(root) for root in site.roots],
    )
    return JSONResponse(found.model_dump())


@router.get("/documents", responses=replies(DocumentsReply))
def documents(site: Served) -> Response:
    """List the documents and the gaps."""
    rag = site.index()
    known = [asdict(document) for document in rag.documents()]
    gaps = [{"source": each.source, "reason": each.reason} for each in rag.skipped()]
    return JSONResponse({"documents": known, "skipped": gaps})


@router.get("/documents/view", responses=replies(ViewReply))
def show(
    site: Served, source: Source, number: Number = None, start: Offset = 0, end: Offset = 0
) -> Response:
    """Show a page or part of a document, as its text was extracted."""
    document = _document(site.index(), source)
    seen = view(document, number=number, start=start, end=end)
    lines = [
        {
            "level": line.level,
            "pieces": [{"text": text, "quoted": quoted} for text, quoted in line.pieces],
        }
        for line in seen.lines
    ]
    reply = ViewReply(
        source=document.source,
        title=document.title,
        media_type=document.media_type,
        number=seen.number,
        count=seen.count,
        paged=bool(document.pages),
        drawn=_is_drawn(document),
        lines=lines,
    )
    return JSONResponse(reply.model_dump())


@router.get("/documents/picture", responses=replies(PictureReply))
def picture(
    site: Served,
    source: Source,
    number: Annotated[int, Query(ge=1, le=10**6)],
    start: Offset = 0,
    end: Offset = 0,
) -> Response:
    """Draw a page of a PDF, and say where on it a quote stands."""
    rag = site.index()
    document = _document(rag, source)
    if not _is_drawn(document):
        raise ApiError(400, f"{source} has no pages that can be drawn", code="unsupported")
    seen = view(document, number=number)
    first, behind = max(start, seen.start), min(end, seen.end)
    try:
        drawn = site.workers.draw(
            _bytes(rag, document),
            page=number,
            quote=document.text[first:behind] if first < behind else "",
            at=(first - seen.start) / max(1, seen.end - seen.start),
        )
    except ExtractError as error:
        raise ApiError(400, f"{source}, page {number}: {error}", code="not_drawn") from None
    reply = {"png": base64.b64encode(drawn.png).decode(), "width": drawn.width}
    return JSONResponse(reply | {"height": drawn.height, "marks": drawn.marks})


def _document(rag: Rag, source: str) -> Document:
    try:
        return rag.document(source)
    except UnknownSource:
        raise ApiError(404, f"{source} is not in the index", code="not_found") from None


def _is_drawn(document: Document) -> bool:
    """Whether there may be pictures: of the pages of a PDF that is a file of its own."""
    file = not any(mark in document.source for mark in ("!", "://"))
    return file and document.media_type == PDF and bool(document.pages)


def _bytes(rag: Rag, document: Document) -> bytes:
    """The file that a document was read from, if it is still that file. Raises ApiError."""
    path = rag.home / Path(document.source)
    try:
        if path.stat().st_size > LARGEST:
            raise ApiError(400, f"{path.name} is too large to be drawn", code="not_drawn")
        data = path.read_bytes()
    except OSError:
        raise ApiError(
            400, f"{path.name} is no longer where it was indexed", code="not_drawn"
        ) from None
    if hashlib.sha256(data).hexdigest() != document.digest:
        raise ApiError(400, f"{path.name} has changed since it was indexed", code="not_drawn")
    return data
