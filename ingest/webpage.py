"""A fetched page to a Document: its main text, under its URL, with the day it was fetched.

What is no HTML (a PDF, a text, a spreadsheet) is read as a file of that kind, whatever it is in a
worker process. Fetches nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ingest import sniff
from ingest.archive import ARCHIVES
from ingest.document import Document
from ingest.errors import ExtractError
from ingest.fetch import Page
from ingest.worker import Workers

_SUFFIXES = {  # what is told apart by its name, where its bytes do not tell
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "application/rss+xml": ".xml",
    "application/atom+xml": ".xml",
    "application/json": ".json",
    "application/x-ipynb+json": ".ipynb",
    "message/rfc822": ".eml",
}


def read_page(page: Page, workers: Workers, *, passwords: Sequence[str] = ()) -> Document:
    """The document that a page is; what is attached to it is not read.

    Raises ExtractError as `ingest.extract.extract` does.
    """
    if not page.data:
        raise ExtractError("empty")
    name = _file_name(page)
    kind = sniff.media_type(page.data, name)
    if kind in ARCHIVES:
        raise ExtractError("an archive; save it and index the file")
    wanted = sniff.PAGE if kind == sniff.HTML else kind
    content = workers.parse(page.data, media_type=wanted, name=name, passwords=passwords)
    if not content.text.strip():
        scripts = "; it may be written by scripts, which are not run" if kind == sniff.HTML else ""
        raise ExtractError(f"no text in it{scripts}")
    return Document(
        source=page.url,
        text=content.text,
        digest=hashlib.sha256(page.data).hexdigest(),
        media_type=kind,
        title=content.title,
        pages=content.pages,
        headings=content.headings,
        date=content.date,
        retrieved=page.retrieved,
    )


def _file_name(page: Page) -> str:
    """What the page would be called as a file, by its type and else by its URL."""
    suffix = PurePosixPath(unquote(urlsplit(page.url).path)).suffix
    return "page" + _SUFFIXES.get(page.media_type, suffix if len(suffix) < 16 else "")
