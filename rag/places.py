"""Where the answer to a test question stands: named in the test set, looked up in the index.

A Place is a document, or spans of it when the question narrows it down. Passages and citations find
it. Knows nothing of measures.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ingest.errors import IngestError
from rag.testset import Case, Problem, refuse, shortened

if TYPE_CHECKING:
    from ingest.document import Document, Hit
    from rag.pipeline import Rag

Span = tuple[str, int, int]  # source, start, end


@dataclass(frozen=True, slots=True)
class Place:
    """Any of some documents; with `spans`, one of these parts of them."""

    sources: frozenset[str]
    spans: tuple[Span, ...] | None = None

    def holds(self, source: str, start: int, end: int) -> bool:
        """Whether these characters are of it: half of them, or half of one of its spans."""
        if self.spans is None:
            return source in self.sources
        return any(
            source == name
            and 2 * (min(end, last) - max(start, first)) >= min(end - start, last - first) > 0
            for name, first, last in self.spans
        )


def resolve(rag: Rag, cases: Sequence[Case], wrong: Sequence[Problem] = ()) -> list[list[Place]]:
    """The places of each case: one for each quote, else one for each source (its page or span).

    Raises QuestionsError, with the lines, for what the index does not have, and for what was
    found to be `wrong` with other lines.
    """
    named = cache(rag.sources)  # a test set names the same few sources over and over
    places: list[list[Place]] = []
    problems = list(wrong)
    for case in cases:
        try:
            places.append(_places(rag, case, [tuple(named(name)) for name in case.sources]))
        except (IngestError, ValueError) as error:
            problems.append(Problem(case.line, str(error)))
    refuse(problems)
    return places


def ranking(hits: Sequence[Hit], places: Sequence[Place]) -> tuple[list[str], dict[str, float]]:
    """Hits as a ranked list of ids, and the grades of the ids that are relevant: 1 for each place.

    A place is found by the first passage that holds it; other passages have ids of their own.
    """
    ranked: list[str] = []
    missing = dict(enumerate(places))
    for hit in hits:
        held = [i for i, place in missing.items() if _holds(place, hit)]
        for number in held:
            del missing[number]
        ranked += [f"place {number}" for number in held] or [f"passage {len(ranked)}"]
    return ranked, {f"place {number}": 1.0 for number in range(len(places))}


def useful(hits: Sequence[Hit], places: Sequence[Place]) -> list[bool]:
    """Whether each passage holds a place."""
    return [any(_holds(place, hit) for place in places) for hit in hits]


def _holds(place: Place, hit: Hit) -> bool:
    return place.holds(hit.chunk.source, hit.chunk.start, hit.chunk.end)


def _places(rag: Rag, case: Case, named: Sequence[tuple[str, ...]]) -> list[Place]:
    """The places of a case whose sources are these documents each."""
    if case.quotes:
        documents = [rag.document(source) for sources in named for source in sources]
        return [_quoted(documents, words) for words in case.quotes]
    if case.page is not None:
        return [_page([rag.document(source) for source in sources], case.page) for sources in named]
    if case.span is not None:
        return [_span([rag.document(source) for source in sources], case.span) for sources in named]
    return [Place(frozenset(sources)) for sources in named]


def _page(documents: Sequence[Document], page: int) -> Place:
    spans = tuple(
        (document.source, document.pages[page - 1], [*document.pages, len(document.text)][page])
        for document in documents
        if page <= len(document.pages)
    )
    if not spans:
        raise ValueError(f"{documents[0].source} has no page {page}")
    return Place(frozenset(source for source, _, _ in spans), spans)


def _span(documents: Sequence[Document], span: tuple[int, int]) -> Place:
    if len(documents) > 1:
        raise ValueError("start and end are of one document: name the one inside the archive")
    [document] = documents
    if span[1] > len(document.text):
        raise ValueError(f"{document.source} ends at {len(document.text)}, before {span[1]}")
    return Place(frozenset([document.source]), ((document.source, *span),))


def _quoted(documents: Sequence[Document], words: str) -> Place:
    """Where documents say some words, however their lines are broken."""
    parts = unicodedata.normalize("NFC", words).split()
    pattern = re.compile(r"\s+".join(map(re.escape, parts)))
    spans = tuple(
        (document.source, match.start(), match.end())
        for document in documents
        for match in pattern.finditer(document.text)
    )
    if not spans:
        raise ValueError(f"its source does not say: {shortened(words)}")
    return Place(frozenset(source for source, _, _ in spans), spans)
