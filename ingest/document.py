"""The nouns of ingest: a Document is read, cut into Chunks, and found again as Hits.

Plain values. They know nothing of files, databases or models.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: where its line starts in the text, depth (1 = top) and words."""

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One source as a user may read it.

    `text` is Unicode NFC; every offset anywhere in the product counts its characters. `digest` is
    the SHA-256 of the bytes that were read: the version. `pages` holds the start of each page in
    `text` (empty when the format has none; page texts are joined by one form feed). `date` is when
    it was written, as far as it or its file says, and `retrieved` when it was fetched (web pages
    alone): ISO 8601, a day or a time.
    """

    source: str
    text: str
    digest: str
    media_type: str = "text/plain"
    title: str | None = None
    pages: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    date: str | None = None
    retrieved: str | None = None

    def page_at(self, offset: int) -> int | None:
        """The page (from 1) that holds a character, or None when the format has no pages."""
        return bisect_right(self.pages, offset) or None if self.pages else None

    def heading_at(self, offset: int) -> str | None:
        """The headings above a character, outermost first, joined by ' > '; None without any."""
        path: list[Heading] = []
        for heading in self.headings:
            if heading.start > offset:
                break
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
        return " > ".join(h.text for h in path) or None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document: `document.text[start:end] == text`; its dates are the document's."""

    source: str
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str | None = None
    date: str | None = None
    retrieved: str | None = None

    @property
    def url(self) -> str | None:
        """Where its document is on the web; None for one of a file."""
        return url_of(self.source)

    @property
    def passage(self) -> str:
        """What a chunk is found by: the headings above it and its text."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


def url_of(source: str) -> str | None:
    """The web address that a source is; None for a file."""
    return source if source.startswith(("http://", "https://")) else None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a question, with what each leg of the index thought of it.

    `words` is its BM25 score (0 where only the vectors were asked), `vector` its cosine
    similarity to the question, `coverage` the share (0..1) of the question's inverse document
    frequency mass whose terms occur in the chunk. `score` is what hits are ordered by; the index
    leaves ranking hybrid hits to its caller.
    """

    chunk: Chunk
    score: float
    words: float = 0.0
    vector: float = 0.0
    coverage: float = 0.0
