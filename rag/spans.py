"""What a generator reads of the hits: no text twice, and neighbours of a document as one span.

A hit is left out only when every word of it, in order and under the same headings, stands in what
is read: nothing is lost, and versions that differ in a word are both read. Knows nothing of how
hits are found or of what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ingest.document import Chunk, Document, Hit
from ingest.errors import IngestError
from ingest.words import words
from rag.answer import Answer

POOL = 4  # so many hits for each that is read: the others take the places of repeated text
MOST = 3  # chunks in a span
_SHORT = 8  # words; fewer may stand in two documents and mean two things


@dataclass(frozen=True, slots=True)
class Spans:
    """The hits to read, best first, and those whose text they hold already."""

    hits: tuple[Hit, ...]
    repeated: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A hit and its words, each with a space on either side: what holds another shows as such."""

    hit: Hit
    words: str

    @property
    def short(self) -> bool:
        return self.words.count(" ") <= _SHORT


_Run = list[_Piece]  # neighbours, in reading order


def reading_spans(
    hits: Sequence[Hit], *, k: int, document: Callable[[str], Document] | None = None
) -> Spans:
    """The best `k` different hits, best first; with `document`, neighbours are merged.

    A span is `document.text[start:end]` of up to three chunks, with the page and the headings of
    its start and the scores of its best. Of hits with the same text the newest document's is read,
    and one that holds all of another takes its place.
    """
    text = cache(lambda source: _text(source, document))
    pieces, repeated = _newest([_Piece(hit, _words(hit.chunk.text)) for hit in hits])
    chosen: list[_Piece] = []
    for piece in pieces:
        inner = [each for each in chosen if _holds([piece], each)]
        if any(_holds(run, piece) for run in _runs(chosen, text)):
            repeated.append(piece.hit)
        elif inner:  # a forwarded mail holds the first one: it takes its place
            score = inner[0].hit.score
            chosen[chosen.index(inner[0])] = replace(piece, hit=replace(piece.hit, score=score))
            chosen = [each for each in chosen if each not in inner]
            repeated += [each.hit for each in inner]
        elif len(chosen) < k:
            chosen.append(piece)
    runs = sorted(_runs(chosen, text), key=lambda run: min(map(chosen.index, run)))
    return Spans(tuple(_merged(run, text) for run in runs), tuple(repeated))


def distinct_hits(hits: Sequence[Hit], *, k: int) -> Spans:
    """The best `k` hits as they are, the newest document's of those with the same text."""
    pieces, repeated = _newest([_Piece(hit, _words(hit.chunk.text)) for hit in hits])
    return Spans(tuple(piece.hit for piece in pieces[:k]), tuple(repeated))


def noted(answer: Answer, repeated: Sequence[Hit]) -> Answer:
    """The answer with a note for each document it cites: which others have the quoted words too."""
    notes: dict[str, dict[str, None]] = {}
    for citation in answer.citations:
        quote = _words(citation.quote)
        for hit in repeated:
            if hit.chunk.source != citation.source and quote in _words(hit.chunk.text):
                notes.setdefault(citation.source, {})[hit.chunk.source] = None
    said = [f"what is quoted from {one} is also in {', '.join(two)}" for one, two in notes.items()]
    return replace(answer, notes=(*answer.notes, *said))


def _newest(pieces: Sequence[_Piece]) -> tuple[list[_Piece], list[Hit]]:
    """The pieces, of those with the same text the newest in the first one's place; the others."""
    alike: dict[tuple[str | None, str, int], list[_Piece]] = {}
    for number, piece in enumerate(pieces):
        key = (piece.hit.chunk.heading, piece.words, number if piece.short else -1)
        alike.setdefault(key, []).append(piece)
    chosen, others = [], []
    for group in alike.values():
        newest = max(group, key=lambda piece: piece.hit.chunk.date or "")  # of equals the first
        chosen.append(replace(newest, hit=replace(newest.hit, score=group[0].hit.score)))
        others += [piece.hit for piece in group if piece is not newest]
    return chosen, others


def _holds(run: _Run, piece: _Piece) -> bool:
    """Whether the words of a piece stand in those of neighbours, under the same headings."""
    same = any(each.hit.chunk.heading == piece.hit.chunk.heading for each in run)
    together = "".join(each.words.rstrip() for each in run) + " "
    return same and not piece.short and piece.words in together


def _runs(pieces: Sequence[_Piece], text: Callable[[str], str]) -> Iterator[_Run]:
    """The pieces as runs of neighbours, at most so many in each."""
    run: _Run = []
    for piece in sorted(pieces, key=lambda p: (p.hit.chunk.source, p.hit.chunk.start)):
        if run and len(run) < MOST and _touch(run[-1].hit.chunk, piece.hit.chunk, text):
            run.append(piece)
            continue
        if run:
            yield run
        run = [piece]
    if run:
        yield run


def _touch(one: Chunk, two: Chunk, text: Callable[[str], str]) -> bool:
    """Whether nothing but white space parts two chunks in their document."""
    if one.source != two.source:
        return False
    whole = text(one.source)
    fits = all(whole[c.start : c.end] == c.text for c in (one, two))
    return fits and not whole[one.end : two.start].strip()


def _merged(run: _Run, text: Callable[[str], str]) -> Hit:
    """A run as one hit."""
    hits = [piece.hit for piece in run]
    if len(hits) == 1:
        return hits[0]
    first, end = hits[0].chunk, max(hit.chunk.end for hit in hits)
    return Hit(
        replace(first, end=end, text=text(first.source)[first.start : end]),
        score=max(hit.score for hit in hits),
        words=max(hit.words for hit in hits),
        vector=max(hit.vector for hit in hits),
        coverage=max(hit.coverage for hit in hits),
    )


def _text(source: str, document: Callable[[str], Document] | None) -> str:
    """A document's text; nothing, so that nothing is merged, when it is gone or not to be had."""
    try:
        return document(source).text if document is not None else ""
    except IngestError:
        return ""


def _words(text: str) -> str:
    return f" {' '.join(words(text))} "
