"""What a file is, by its bytes first and its name second: names lie.

Knows media types; reads nothing beyond the bytes it is given.
"""

from __future__ import annotations

import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from io import BytesIO
from pathlib import PurePosixPath

from ingest.errors import ExtractError, PasswordNeeded

_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
WORD = _OPEN_XML + "wordprocessingml.document"
SLIDES = _OPEN_XML + "presentationml.presentation"
SHEETS = _OPEN_XML + "spreadsheetml.sheet"
EPUB = "application/epub+zip"
MESSAGE = "application/vnd.ms-outlook"
JATS = "application/x-jats+xml"
MAIL = "message/rfc822"
ZIP, TAR, GZIP = "application/zip", "application/x-tar", "application/gzip"
PDF, RTF, HTML, XML = "application/pdf", "application/rtf", "text/html", "application/xml"
PAGE = (
    "text/html; main"  # for the reader alone: a page of the web, of which the main text is wanted
)
NOTEBOOK = "application/x-ipynb+json"

_DOCUMENTS = {  # for archives too damaged to look into
    ".docx": WORD,
    ".pptx": SLIDES,
    ".xlsx": SHEETS,
    ".epub": EPUB,
    ".odt": _OPEN_DOCUMENT + "text",
    ".odp": _OPEN_DOCUMENT + "presentation",
    ".ods": _OPEN_DOCUMENT + "spreadsheet",
}
_PARTS = {"word/": WORD, "ppt/": SLIDES, "xl/": SHEETS}
_TEXTS = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".mdx": "text/markdown",
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".json": "application/json",
    ".geojson": "application/json",
    ".jsonl": "application/json",
    ".ndjson": "application/json",
    ".ipynb": NOTEBOOK,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".xml": XML,
    ".rss": XML,
    ".atom": XML,
    ".eml": MAIL,
    ".mht": MAIL,
    ".mhtml": MAIL,
    ".vtt": "text/vtt",
    ".srt": "application/x-subrip",
    ".rst": "text/x-rst",
    ".org": "text/org",
    ".tex": "text/x-tex",
}
_CODE = frozenset(
    str.split(
        ".py .pyi .js .mjs .ts .tsx .jsx .go .rs .java .kt .c .h .cc .cpp .hpp .cs .rb .php .swift "
        ".scala .sh .bash .ps1 .sql .r .jl .lua .pl .hs .ml .ex .exs .clj .dart .zig .vue .svelte "
        ".css .scss .toml .yaml .yml .ini .cfg .conf .properties .proto .tf .cmake "
        ".gradle .diff .patch"
    )
)
_OLE = {  # names of streams, UTF-16 as in the file's directory
    "WordDocument": "application/msword",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "Workbook": "application/vnd.ms-excel",
    "__properties_version1.0": MESSAGE,
    "Book": "application/vnd.ms-excel",
}
_IMAGES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_MAIL_HEAD = re.compile(
    rb"(?:From |[A-Za-z][\w-]{1,40}:[^\n]*\n)(?:[ \t][^\n]*\n|[A-Za-z][\w-]{1,40}:[^\n]*\n){0,80}"
)
_MAIL_MARKS = re.compile(rb"^(?:Message-ID|MIME-Version|Received|Return-Path):", re.I | re.M)
# What the standard library raises on archives that are damaged, each in its own way.
DAMAGE: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, RuntimeError, KeyError),
)
UNKNOWN = "not a text or a known document format"


def media_type(data: bytes, name: str) -> str:
    """The media type of a file; ExtractError when its bytes say that there is nothing to read.

    "text/plain" is what is left when nothing else is known: such bytes may still be no text.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if b"%PDF-" in data[:1024]:
        return PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(data, suffix)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole(data)
    if data.startswith(b"{\\rtf"):
        return RTF
    if data.startswith(b"\x1f\x8b"):
        return GZIP
    if data[257:262] == b"ustar":
        return TAR
    if data.startswith(_IMAGES) or (data[:4], data[8:12]) == (b"RIFF", b"WEBP"):
        raise ExtractError("an image; OCR is not built in")
    return _text(data, suffix)


def _zipped(data: bytes, suffix: str) -> str:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            first = b""
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    first = member.read(100)
    except DAMAGE:
        if suffix in _DOCUMENTS:
            return _DOCUMENTS[suffix]
        raise ExtractError("a damaged or incomplete archive") from None
    declared = first.decode("ascii", "replace").strip()
    if declared == EPUB or declared.startswith(_OPEN_DOCUMENT):
        return declared
    if "[Content_Types].xml" in names:
        for folder, kind in _PARTS.items():
            if any(name.startswith(folder) for name in names):
                return kind
    if "Index/Document.iwa" in names:
        raise ExtractError("an Apple iWork file: export it as PDF or to an Office format")
    return ZIP


def _ole(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise PasswordNeeded(
            "encrypted: --password does not open Office files; save a copy without the password"
        )
    for stream, kind in _OLE.items():
        if stream.encode("utf-16-le") in data:
            return kind
    raise ExtractError(UNKNOWN)


def _text(data: bytes, suffix: str) -> str:
    if suffix in _CODE:
        return f"text/x-{suffix[1:]}"
    head = data[:2000].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = head.replace(b"\0", b"").lower()
    if lower.startswith(b"-----begin pgp message"):
        raise PasswordNeeded("encrypted with PGP: save a decrypted copy")
    if lower.startswith((b"<!doctype html", b"<html")) or (
        lower.startswith(b"<?xml") and b"<html" in lower
    ):
        return HTML
    if b"<article" in lower and (b"jats" in lower or b"nlm//dtd" in lower):
        return JATS
    if suffix in _TEXTS:
        return _TEXTS[suffix]
    if lower.startswith(b"<?xml"):
        return XML
    if lower.startswith(b"webvtt"):
        return "text/vtt"
    if (top := _MAIL_HEAD.match(data[:8000])) is not None and _MAIL_MARKS.search(top[0]):
        return MAIL
    return "text/plain"
