"""One file to text, for the formats that are read in the worker process.

Everything here may crash, hang or swell on a hostile file; `ingest.worker` bears it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.decode import decode
from ingest.draft import Content
from ingest.sniff import HTML, MAIL, PAGE, PDF, XML


def parse(data: bytes, *, media_type: str, name: str, passwords: Sequence[str] = ()) -> Content:
    """What a file of a known media type holds; ExtractError when it cannot be read."""
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
