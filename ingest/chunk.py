"""A document cut into passages: spans of its text, cut where a reader would pause.

Pages part passages always, then sections, paragraphs, lines, sentences and words, each only where
the coarser one leaves too much. Takes time linear in the text. Knows nothing of encoders, so that
another encoder never cuts anew.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from ingest.document import Chunk, Document, Heading

_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U0001b000-\U0001b2ff\U00020000-\U0003ffff]"
)
_EAST_ASIAN_WEIGHT = 3
# Where text may be cut, coarse to fine: at the end of each match. Every pattern begins where a run
# of white space does and never gives back what it took, which keeps the search linear.
_CUTS = (
    re.compile(r"(?<=\S)[ \t]*+\n(?:[ \t]*+\n)++(?=\S)"),  # a blank line, then an unindented one
    re.compile(r"(?<=\S)[ \t]*+\n(?:[ \t]*+\n)++[ \t]*+"),  # a blank line
    re.compile(r"(?<=\S)[ \t]*+\n\s*+"),  # a line
    re.compile(r"[.!?…؟][\"'”’)\]»]*+\s++|[。！？．][”’」』）]*+\s*+"),  # a sentence
    re.compile(r"(?<=\S)\s++|(?<=[、，；：])(?=\S)"),  # a word, or a clause where words run on
)

_Span = tuple[int, int]


def chunk(document: Document, *, limit: int = 1000) -> list[Chunk]:
    """The passages of a document in order: `document.text[c.start:c.end] == c.text`.

    Together they hold all that is not white space, and none is heavier than `limit`, where a
    character weighs 1 and an East Asian one 3. None spans two pages, and none ends on a heading
    unless nothing follows it on its page.
    """
    if limit < _EAST_ASIAN_WEIGHT:
        raise ValueError(f"a limit of {limit} holds no East Asian character; give 3 or more")
    cutter = _Cutter(document.text, document.headings, limit)
    heading = _Headings(document.headings)
    chunks = []
    for first, last in _pages(document):
        for start, end in cutter.spans(first, last):
            text = document.text[start:end]
            start += len(text) - len(text.lstrip())
            if text := text.strip():
                page, above = document.page_at(start), heading.above(start)
                chunks.append(
                    Chunk(
                        document.source,
                        start,
                        start + len(text),
                        text,
                        page,
                        above,
                        document.date,
                        document.retrieved,
                    )
                )
    return chunks


def _pages(document: Document) -> Iterator[_Span]:
    starts = document.pages or (0,)
    yield from zip(starts, (*starts[1:], len(document.text)), strict=True)


class _Headings:
    """The path of headings above an offset, asked for in rising order."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self._coming = iter(headings)
        self._next = next(self._coming, None)
        self._path: list[Heading] = []

    def above(self, offset: int) -> str | None:
        while self._next is not None and self._next.start <= offset:
            while self._path and self._path[-1].level >= self._next.level:
                self._path.pop()
            self._path.append(self._next)
            self._next = next(self._coming, None)
        return " > ".join(heading.text for heading in self._path) or None


class _Cutter:
    """Cuts spans of one text into spans no heavier than the limit."""

    def __init__(self, text: str, headings: Sequence[Heading], limit: int) -> None:
        self._text = text
        self._limit = limit
        self._heavy = array("q", (found.start() for found in _EAST_ASIAN.finditer(text)))
        levels = sorted({heading.level for heading in headings})
        # For each level, where sections of that level or a higher one begin.
        self._sections = [[h.start for h in headings if h.level <= level] for level in levels]
        # From a heading to the words below it there is no cut; but one may be too long for that.
        lines = ((heading.start, self._after_line(heading.start)) for heading in headings)
        uncut = [(start, end) for start, end in lines if self._weight(start, end) * 2 < limit]
        self._uncut_starts, self._uncut_ends = [u[0] for u in uncut], [u[1] for u in uncut]

    def spans(self, start: int, end: int, depth: int = 0) -> Iterator[_Span]:
        """Consecutive spans, cut at the coarsest places (`depth` counts them) that serve."""
        weight = self._weight(start, end)
        if weight <= self._limit and not self._parts(start, end, depth):
            yield start, end
            return
        parting = depth < len(self._sections)  # sections keep to themselves, paragraphs fill up
        room = self._room(weight)
        begin = stop = start  # the span that is growing
        for cut in [*self._cuts(start, end, depth), end]:
            grown = self._weight(begin, stop)
            full = self._weight(begin, cut) > room or (parting and grown * 3 > self._limit)
            if full and grown * 10 > self._limit:  # a scrap goes with what follows
                yield begin, stop
                begin = stop
            stop = cut
            if self._weight(begin, stop) > self._limit:
                *whole, rest = self.spans(begin, stop, depth + 1)
                yield from whole
                begin = rest[0]
                if parting:
                    yield rest
                    begin = stop
        if begin < stop:
            yield begin, stop

    def _parts(self, start: int, end: int, depth: int) -> bool:
        """Whether a span that fits is still to be cut, because it holds sections of some size."""
        return depth < len(self._sections) and self._weight(start, end) * 3 > self._limit

    def _room(self, weight: int) -> float:
        """How much to put into a span, so that the last one is no scrap."""
        spans = -(-weight // self._limit)
        return min(self._limit, 1.15 * weight / spans)

    def _cuts(self, start: int, end: int, depth: int) -> Iterator[int]:
        """Where to cut inside a span, rising; never between a heading and the words below it."""
        if depth < len(self._sections):
            begins = self._sections[depth]
            found: Iterator[int] = iter(
                begins[bisect_right(begins, start) : bisect_left(begins, end)]
            )
        elif depth < len(self._sections) + len(_CUTS):
            pattern = _CUTS[depth - len(self._sections)]
            found = (match.end() for match in pattern.finditer(self._text, start, end))
        else:
            yield from self._pieces(start, end)
            return
        for cut in found:
            if start < cut < end and not self._in_heading(cut):
                yield cut

    def _pieces(self, start: int, end: int) -> Iterator[int]:
        """Cuts anywhere, as far apart as the limit allows, but before no accent."""
        while self._weight(start, end) > self._limit:
            low, high = start + 1, min(end, start + self._limit)
            while low < high:  # the furthest end that is light enough
                middle = (low + high + 1) // 2
                if self._weight(start, middle) <= self._limit:
                    low = middle
                else:
                    high = middle - 1
            cut = low
            while cut > max(start + 1, low - 8) and unicodedata.combining(self._text[cut]):
                cut -= 1
            yield cut
            start = cut

    def _in_heading(self, cut: int) -> bool:
        """Whether a cut would part a heading from the words below it."""
        above = bisect_left(self._uncut_starts, cut) - 1
        return above >= 0 and cut <= self._uncut_ends[above]

    def _weight(self, start: int, end: int) -> int:
        heavy = bisect_left(self._heavy, end) - bisect_left(self._heavy, start)
        return end - start + (_EAST_ASIAN_WEIGHT - 1) * heavy

    def _after_line(self, start: int) -> int:
        """Where the next words after a line begin."""
        line = re.compile(r"[^\n\f]*+\s*+").match(self._text, start)
        return line.end() if line is not None else start
