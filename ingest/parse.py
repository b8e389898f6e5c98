"""One file's bytes to its text, whatever its format.

What has a parser may crash, hang or swell on a hostile file: it is for the worker process.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence

from ingest import markdown, plain, tables
from ingest.decode import decode
from ingest.draft import Content
from ingest.sniff import HTML, MAIL, NOTEBOOK, PAGE, PDF, XML


def text_reader(media_type: str) -> Callable[[str], Content] | None:
    """What reads the decoded text of a format that is written as text; None of other formats."""
    return _TEXTS.get(media_type, Content if media_type.startswith("text/x-") else None)


def _read_csv(text: str) -> Content:
    try:
        return Content(tables.records(tables.read_csv(text)))
    except csv.Error:  # no table after all, or a cell of more than 128 kB
        return Content(text)


_TEXTS: dict[str, Callable[[str], Content]] = {
    "text/plain": Content,
    "text/markdown": markdown.read_markdown,
    "text/x-rst": markdown.read_rst,
    "text/org": markdown.read_org,
    "text/x-tex": markdown.read_tex,
    "text/csv": _read_csv,
    "text/vtt": plain.read_subtitles,
    "application/x-subrip": plain.read_subtitles,
    "application/json": plain.read_json,
    NOTEBOOK: plain.read_notebook,
}


def parse(data: bytes, *, media_type: str, name: str, passwords: Sequence[str] = ()) -> Content:
    """What a file of a known media type holds; ExtractError when it cannot be read."""
    if (read := text_reader(media_type)) is not None:
        return read(decode(data))
    if media_type == HTML:
        from ingest.hypertext import read_html

        return read_html(decode(data))
    if media_type == PAGE:
        from ingest.hypertext import read_page

        return read_page(decode(data))
    if media_type == XML:
        from ingest.elements import read_xml

        return read_xml(decode(data))
    if media_type == MAIL:
        from ingest.mail import read_mail

        return read_mail(data)
    if media_type == PDF:
        from ingest.pdf import read_pdf

        return read_pdf(data, name=name, passwords=passwords)
    from ingest.office import read_office

    return read_office(data, name=name, media_type=media_type)
