"""The page at `/` and its parts: fixed files that come with the package, and may be had by anyone.

They hold no data; what they show they ask `/v1` for, with the token when there is one. The policy
lets the page load nothing and run nothing but these files, and turn no text into HTML.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response

from rag.server.errors import ApiError

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).with_name("page")
PREFIX = "/page/"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",  # pictures of pages come as data, since asking takes the token
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",  # and none are made: innerHTML cannot be set
            "trusted-types 'none'",
        )
    ),
    "cross-origin-opener-policy": "same-origin",
}


@router.get("/")
async def page() -> Response:
    """The page."""
    return _file("index.html")


@router.get(PREFIX + "{name}")
async def part(name: str) -> Response:
    """A style sheet, a script or a picture of the page."""
    return _file(name)


def _file(name: str) -> Response:
    files = _files()
    if name not in files:
        raise ApiError(404, "there is nothing at this path", code="not_found")
    return Response(files[name], media_type=KINDS[Path(name).suffix], headers=HEADERS)


@cache
def _files() -> dict[str, bytes]:
    """All parts, read once: what is not there at the start is not served."""
    paths = (path for path in FOLDER.iterdir() if path.suffix in KINDS)
    return {path.name: path.read_bytes() for path in paths}
