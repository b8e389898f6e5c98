"""A page of a PDF as a picture, and where on it a quote stands.

Runs in the worker process only: PDFium reads hostile files here. The quote comes from another
reading of the page, so that the two are compared by their letters and digits alone: white space,
punctuation, ligatures, accents and case are folded away. Knows nothing of documents or indexes.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

from ingest.errors import ExtractError, PasswordNeeded

WIDTH = 1400  # pixels of a page's picture, for a sharp one on a dense screen
HEIGHT = 8_000  # pixels; a page may say that it is a mile long
MOST = 4_000_000  # pixels of any picture
_LEAST = 20  # letters that a part of a quote has, to be looked for by itself

Mark = tuple[float, float, float, float]  # left, top, width, height


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as a PNG of `width` x `height` pixels; `marks` are the lines of the quote on it."""

    png: bytes
    width: int
    height: int
    marks: tuple[Mark, ...]


def draw(data: bytes, *, page: int, quote: str = "", at: float = 0.0) -> Picture:
    """A page (from 1) of a PDF, with the places of a quote; none when it is not found there.

    `at` says how far down the page's text (0..1) the quote stands, which matters where its words
    occur more than once. ExtractError when there is no such page or the file is damaged,
    PasswordNeeded when it is locked.
    """
    import pypdfium2

    try:
        with closing(pypdfium2.PdfDocument(data)) as document:
            if not 1 <= page <= len(document):
                raise ExtractError(f"there is no page {page}, only {len(document)}")
            document.init_forms()
            with closing(document[page - 1]) as sheet:
                return _drawn(sheet, quote, at)
    except (pypdfium2.PdfiumError, ValueError) as error:  # the latter of impossible sizes
        if "password" in str(error).lower():
            raise PasswordNeeded("the file is encrypted, so its pages cannot be shown") from error
        raise ExtractError(f"the page cannot be drawn ({error})") from error


def _drawn(sheet: Any, quote: str, at: float) -> Picture:
    points = [max(1.0, length) for length in sheet.get_size()]
    scale = min(WIDTH / points[0], HEIGHT / points[1], sqrt(MOST / (points[0] * points[1])))
    bitmap = sheet.render(scale=scale, rev_byteorder=True)
    size = (bitmap.width, bitmap.height)
    png = _png(bytes(bitmap.buffer), *size, stride=bitmap.stride, channels=bitmap.n_channels)
    with closing(sheet.get_textpage()) as text:
        marks = [
            _on_picture(sheet, text.get_rect(number), size)
            for start, end in find(_characters(text), quote, at=at)
            for number in _rectangles(text, start, end)
        ]
    return Picture(png, *size, marks=tuple(_by_line(marks)))


def find(page: str, quote: str, *, at: float = 0.0) -> list[tuple[int, int]]:
    """Where in a page's text a quote stands, as spans of its characters; empty when nowhere.

    A quote that is interrupted there, as by a footnote, is found in parts.
    """
    letters, places = _folded(page)
    wanted, _ = _folded(quote)
    spans = _find(letters, wanted, at * len(letters)) if wanted else []
    return [(places[start], places[end - 1] + 1) for start, end in spans]


def _find(letters: str, wanted: str, near: float) -> list[tuple[int, int]]:
    least = min(_LEAST, len(wanted))
    spans: list[tuple[int, int]] = []
    while len(wanted) >= least:
        size = _longest(letters, wanted)
        if size < least:
            wanted, near = wanted[1:], near + 1
            continue
        start = min(_occurrences(letters, wanted[:size]), key=lambda place: abs(place - near))
        spans.append((start, start + size))
        wanted, near = wanted[size:], start + size
    return spans


def _longest(text: str, part: str) -> int:
    """How many letters of a part, from its first, stand together somewhere in a text."""
    least, most = 0, len(part)
    while least < most:
        middle = (least + most + 1) // 2
        if part[:middle] in text:
            least = middle
        else:
            most = middle - 1
    return least


def _occurrences(text: str, part: str) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)


def _folded(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text, and the place in it that each has."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for letter in unicodedata.normalize("NFKD", character).casefold():
            if letter.isalnum():
                letters.append(letter)
                places.append(place)
    return "".join(letters), places


def _characters(text: Any) -> str:
    """PDFium's text of a page with one character an index, which its own ranges do not keep."""
    from pypdfium2.raw import FPDFText_GetUnicode

    codes = [FPDFText_GetUnicode(text, index) for index in range(text.count_chars())]
    characters = [chr(code) if code <= 0x10FFFF else " " for code in codes]
    for index, (high, low) in enumerate(pairwise(codes)):  # halves of what does not fit 16 bits
        if 0xD800 <= high < 0xDC00 <= low < 0xE000:
            characters[index] = chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    return "".join(characters)


def _rectangles(text: Any, start: int, end: int) -> range:
    """The numbers of the rectangles around some characters, a line each."""
    return range(text.count_rects(start, end - start))


def _on_picture(sheet: Any, rectangle: Mark, size: tuple[int, int]) -> Mark:
    """From points on the page (left, bottom, right, top) to pixels on its picture."""
    from ctypes import byref, c_int

    from pypdfium2.raw import FPDF_PageToDevice

    left, bottom, right, top = rectangle
    corners = []
    for x, y in ((left, top), (right, bottom)):
        across, down = c_int(), c_int()
        FPDF_PageToDevice(sheet, 0, 0, *size, 0, x, y, byref(across), byref(down))
        corners.append((across.value, down.value))
    (x0, x1), (y0, y1) = (sorted(values) for values in zip(*corners, strict=True))
    return (x0, y0, x1 - x0, y1 - y0)


def _by_line(marks: list[Mark]) -> list[Mark]:
    """Rectangles that follow each other on one line, a full stop and a word say, as one."""
    lines: list[Mark] = []
    for mark in marks:
        x, y, width, height = mark
        if lines:
            left, top, wide, high = lines[-1]
            shared = min(top + high, y + height) - max(top, y)
            if shared >= min(high, height) / 2 and x - (left + wide) < max(high, height):
                right, bottom = max(left + wide, x + width), max(top + high, y + height)
                left, top = min(left, x), min(top, y)
                lines[-1] = (left, top, right - left, bottom - top)
                continue
        lines.append(mark)
    return lines


def _png(pixels: bytes, width: int, height: int, *, stride: int, channels: int) -> bytes:
    """Rows of grey, RGB or RGBx pixels as a PNG file."""
    kind = {1: 0, 3: 2, 4: 6}[channels]
    rows = (pixels[row * stride : row * stride + width * channels] for row in range(height))
    raw = b"".join(b"\0" + row for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
