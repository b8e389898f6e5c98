"""A document as the page shows it: a page or a part at a time, in lines, with the quote marked.

Pure: texts in, plain values out. Offsets stay on this side, since a browser counts otherwise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ingest.document import Document

PART = 12_000  # characters of a part of a document without pages, at most half more


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its depth as a heading (0 = none) and its pieces, each with whether it is quoted."""

    level: int
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class View:
    """Page or part `number` (from 1) of `count`; `start` and `end` are its place in the text."""

    number: int
    count: int
    start: int
    end: int
    lines: tuple[Line, ...]


def view(document: Document, *, number: int | None = None, start: int = 0, end: int = 0) -> View:
    """A page or part of a document, by its number or else the one with the character `start`.

    The characters from `start` to `end` are marked as quoted. ValueError when there is no such
    page.
    """
    starts = document.pages or parts(document.text)
    if number is None:
        number = bisect_right(starts, start) or 1
    if not 1 <= number <= len(starts):
        raise ValueError(f"{document.source} has {len(starts)} pages, and no page {number}")
    first = starts[number - 1]
    behind = starts[number] if number < len(starts) else len(document.text)
    behind = first + len(document.text[first:behind].rstrip("\f\n"))
    lines = tuple(_lines(document, first, behind, start, end))
    return View(number, len(starts), first, behind, lines)


def parts(text: str) -> tuple[int, ...]:
    """Where the parts of a text without pages begin: at lines, wherever there are any."""
    starts = [0]
    while len(text) - starts[-1] > PART + PART // 2:
        latest = starts[-1] + PART
        cut = text.rfind("\n", starts[-1] + PART // 2, latest)
        starts.append(cut + 1 if cut >= 0 else latest)
    return tuple(starts)


def _lines(document: Document, first: int, behind: int, start: int, end: int) -> Iterator[Line]:
    levels = {heading.start: heading.level for heading in document.headings}
    at = first
    for line in document.text[first:behind].split("\n"):
        cuts = sorted({0, len(line), *(min(max(c - at, 0), len(line)) for c in (start, end))})
        pieces = tuple((line[a:b], start <= at + a and at + b <= end) for a, b in pairwise(cuts))
        yield Line(levels.get(at, 0), pieces)
        at += len(line) + 1
