"""A fetched page to Documents: its main text, under its URL, with the day it was fetched.

What is no HTML (a PDF, a text, a spreadsheet) is read as a file of that kind. Fetches nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ingest import sniff
from ingest.document import Document
from ingest.errors import ExtractError
from ingest.fetch import Page
from ingest.sources import Skipped
from ingest.worker import Workers

_SUFFIXES = {  # what is told apart by its name, where its bytes do not tell
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "application/json": ".json",
    "application/x-ipynb+json": ".ipynb",
    "message/rfc822": ".eml",
}


def read_page(
    page: Page,
    workers: Workers,
    *,
    passwords: Sequence[str] = (),
    skip: Callable[[Skipped], None] | None = None,
) -> list[Document]:
    """The documents of a page: one, or several when it is an archive or a mail.

    Raises ExtractError as `ingest.extract.extract` does.
    """
    name = _file_name(page)
    if page.data and sniff.media_type(page.data, name) == sniff.HTML:
        return [_main_text(page, workers)]

    def told(skipped: Skipped) -> None:
        if skip is not None:
            skip(Skipped(page.url + skipped.source.removeprefix(name), skipped.reason))

    found = workers.extract(page.data, name, passwords, skip=told)
    return [
        replace(
            document,
            source=page.url + document.source.removeprefix(name),
            retrieved=page.retrieved,
        )
        for document in found
    ]


def _main_text(page: Page, workers: Workers) -> Document:
    content = workers.parse(page.data, media_type=sniff.PAGE, name=page.url)
    if not content.text.strip():
        raise ExtractError("no text in it; it may be written by scripts, which are not run")
    return Document(
        source=page.url,
        text=content.text,
        digest=hashlib.sha256(page.data).hexdigest(),
        media_type=sniff.HTML,
        title=content.title,
        headings=content.headings,
        date=content.date,
        retrieved=page.retrieved,
    )


def _file_name(page: Page) -> str:
    """What the page would be called as a file, by its type and else by its URL."""
    suffix = PurePosixPath(unquote(urlsplit(page.url).path)).suffix
    return "page" + _SUFFIXES.get(page.media_type, suffix if len(suffix) < 16 else "")
