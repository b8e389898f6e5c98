"""`/v1/index`, `/v1/folders` and `/v1/uploads`: documents added to the index through the server.

From the folders that the server was started with, and from files that are sent; how the run goes.
"""

from __future__ import annotations

import unicodedata
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rag.server.body import StrictRoute
from rag.server.errors import ApiError
from rag.server.folders import Folders
from rag.server.jobs import Jobs
from rag.server.openapi import replies
from rag.server.site import Served, Site
from rag.server.wire import Body

router = APIRouter(route_class=StrictRoute)

UPLOADS = "uploads"  # the folder beside the index folder that keeps what was sent
LONGEST_NAME = 120  # characters
_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}


class IndexRequest(Body):
    """Files and folders to index, by their absolute paths."""

    paths: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(
        min_length=1, max_length=1000
    )


class JobReply(BaseModel):
    """How far the run is that goes on, or what the last one came to."""

    number: int
    name: str
    running: bool
    waiting: int
    source: str
    done: int
    total: int
    passages: int
    added: int
    updated: int
    unchanged: int
    skipped: list[dict[str, str]]
    stopped: bool
    error: str | None


class FoldersReply(BaseModel):
    """A folder, the one above it, what folders are in it, and how many files."""

    path: str | None
    parent: str | None
    folders: list[dict[str, str]]
    files: int


class UploadReply(BaseModel):
    """Where a file was put."""

    path: str
    name: str


@router.post("/index", responses=replies(JobReply))
def start(asked: IndexRequest, site: Served) -> Response:
    """Index files and folders; the reply comes at once."""
    rag = site.index()
    folders = _folders(site)
    paths = [folders.inside(name) for name in asked.paths]
    name = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
    site.jobs.start(rag, partial(folders.files, paths, home=rag.home), name=name)
    return _job(site.jobs)


@router.get("/index", responses=replies(JobReply))
def job(site: Served) -> Response:
    """Say how far indexing is."""
    return _job(site.jobs)


@router.delete("/index", responses=replies(JobReply))
def stop(site: Served) -> Response:
    """Stop indexing; what is indexed stays."""
    site.jobs.stop()
    return _job(site.jobs)


@router.get("/folders", responses=replies(FoldersReply))
def folders(
    site: Served, path: Annotated[str | None, Query(min_length=1, max_length=4096)] = None
) -> Response:
    """List the folders that may be indexed, or what is in one of them."""
    if path is None:
        return JSONResponse(_listed(None, None, site.roots, 0))
    allowed = Folders(site.roots)
    folder = allowed.inside(path)
    found = allowed.listing(folder)
    parent = None if folder in site.roots else folder.parent
    return JSONResponse(_listed(folder, parent, found.folders, found.files))


@router.post(
    "/uploads",
    responses=replies(UploadReply),
    openapi_extra={"requestBody": {"required": True, **_BYTES}},
)
async def upload(
    request: Request, site: Served, name: Annotated[str, Query(min_length=1, max_length=1000)]
) -> Response:
    """Keep a file in the folder `uploads` beside the index; `/v1/index` then reads it."""
    data = await request.body()
    if not data:
        raise ApiError(400, f"{name} is empty", code="empty")
    folder = site.index().home / UPLOADS
    path = await run_in_threadpool(_kept, folder, file_name(name), data)
    return JSONResponse({"path": str(path), "name": path.name})


def file_name(name: str) -> str:
    """The last part of a name, without what a file system or a reader would stumble over."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    plain = "".join("_" if c in '<>:"|?*!' or not c.isprintable() else c for c in last)
    stem, dot, suffix = plain.strip(" .").rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    stem, suffix = stem[:LONGEST_NAME] or "file", suffix[:20]
    return f"{stem}.{suffix}" if suffix else stem


def _kept(folder: Path, name: str, data: bytes) -> Path:
    """Write a file under its name, or a numbered one where another file has that already."""
    folder.mkdir(exist_ok=True)
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, 1000):
        path = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            file = path.open("xb")
        except FileExistsError:
            if path.is_file() and path.read_bytes() == data:
                return path.resolve()
            continue
        try:
            with file:
                file.write(data)
        except OSError:  # a full disk
            path.unlink()
            raise
        return path.resolve()
    raise ApiError(400, f"there are too many files named {name}", code="exists")


def _folders(site: Site) -> Folders:
    return Folders((*site.roots, (site.index().home / UPLOADS).resolve()))


def _listed(
    path: Path | None, parent: Path | None, inner: tuple[Path, ...], files: int
) -> dict[str, Any]:
    named = [{"name": each.name or str(each), "path": str(each)} for each in inner]
    return {
        "path": str(path) if path else None,
        "parent": str(parent) if parent else None,
        "folders": named,
        "files": files,
    }


def _job(jobs: Jobs) -> JSONResponse:
    return JSONResponse(asdict(jobs.job))
