"""Mail as text: who wrote what to whom and when, the body, and the files attached.

Runs in the worker process, since a body may be HTML. Knows nothing of mail boxes or accounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from typing import TypeAlias

from ingest.dates import iso_date
from ingest.decode import decode
from ingest.draft import Content, Draft, Member
from ingest.errors import ExtractError
from ingest.hypertext import write_html

_SHOWN = ("Subject", "From", "To", "Cc", "Date")
_DEEPEST = 20

Part: TypeAlias = "Message[str, str]"


def read_mail(data: bytes) -> Content:
    """One message: its headers as lines, its readable parts, its attachments as members."""
    message = message_from_bytes(data)
    draft = Draft()
    headers = [(name, _header(message, name)) for name in _SHOWN]
    draft.add("\n".join(f"{name}: {value}" for name, value in headers if value))
    members: list[Member] = []
    for part in _parts(message):
        payload = _payload(part)
        if _is_text(part):
            _write_body(draft, part, payload)
        elif payload:
            members.append(Member(_file_name(part, len(members) + 1), payload))
    date = iso_date(message.get("Date"))
    return draft.content(title=headers[0][1], members=tuple(members), date=date)


def _parts(message: Part, depth: int = 0) -> Iterator[Part]:
    """The leaves of a message in order; of several versions of the same text the plain one."""
    if not message.is_multipart() or message.get_content_type() == "message/rfc822":
        yield message
        return
    inner = [part for part in message.get_payload() if isinstance(part, Message)]
    if depth == _DEEPEST:
        return
    if message.get_content_subtype() == "alternative":
        plain = [part for part in inner if part.get_content_type() == "text/plain"]
        inner = [part for part in plain if _payload(part).strip()] or inner[-1:]
    for part in inner:
        yield from _parts(part, depth + 1)


def _payload(part: Part) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        whole = inner[0] if isinstance(inner, list) and inner else inner
        try:
            return whole.as_bytes() if isinstance(whole, Message) else str(whole or "").encode()
        except (UnicodeError, LookupError, ValueError):  # headers that cannot be written again
            return b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _is_text(part: Part) -> bool:
    if part.get_content_maintype() == "multipart":
        return True  # a leaf by now: its boundary is missing, and all of it is one body
    return (
        part.get_content_type() in ("text/plain", "text/html", "text/enriched")
        and part.get_content_disposition() != "attachment"
    )


def _write_body(draft: Draft, part: Part, payload: bytes) -> None:
    try:
        text = payload.decode(part.get_content_charset() or "utf-8")
    except (UnicodeDecodeError, LookupError):
        try:
            text = decode(payload)
        except ExtractError:
            return  # a body of junk: the headers are still worth having
    if part.get_content_subtype() == "html":
        write_html(draft, text)
    else:
        draft.add(text.strip())


def _file_name(part: Part, number: int) -> str:
    if part.get_content_type() == "message/rfc822":
        return f"message-{number}.eml"
    try:
        name = _decoded(part.get_filename() or "")
    except (UnicodeError, LookupError, ValueError):
        name = ""
    return name or f"attachment-{number}"


def _header(message: Part, name: str) -> str:
    return " ".join(_decoded(str(message.get(name) or "")).split())


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, UnicodeError, LookupError, ValueError):
        return value
