"""The web's part of a question: pages are searched for, fetched, cut and compared like files.

Nothing here fails a question: what could not be had is a note. Pages are kept no longer than the
answer takes. Knows no search engine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from ingest.document import Document, Hit
from ingest.errors import ExtractError, FetchError
from ingest.fetch import Fetcher, Limits
from rag.errors import WebError
from rag.fuse import fuse, vector_weight

if TYPE_CHECKING:
    from ingest.encode import Encoder
    from rag.web import WebSearch

PAGES = 5  # that are fetched for a question
SECONDS = 8.0  # for all of them, from the search's end
LIMITS = Limits(size=5_000_000, seconds=SECONDS)  # of each
_LONGEST = 200_000  # characters of a page
_CHUNKS = 40  # that are encoded: those with most of the question's words, and each page's first

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Found:
    """What the web has: hits, best first; their documents, by source; what could not be had."""

    hits: tuple[Hit, ...] = ()
    documents: Mapping[str, Document] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def document_or(self, other: Callable[[str], Document]) -> Callable[[str], Document]:
        """What gives the document of a source: a page of these, or else of another kind."""
        return lambda source: self.documents.get(source) or other(source)


def look_up(
    query: str,
    search: WebSearch,
    fetcher: Fetcher | None = None,
    *,
    encoder: Encoder,
    idf: Callable[[Sequence[str]], Mapping[str, float]],
    pages: int = PAGES,
    seconds: float = SECONDS,
) -> Found:
    """Search the web for a query, and read the first pages.

    `idf` is how rare words are in the documents, so that coverage means the same here and there.
    """
    try:
        results = search.search(query, limit=pages)
    except WebError as error:
        return Found(notes=(f"the web could not be searched: {error}",))
    if not results:
        return Found(notes=("the web search found no page",))
    urls = [result.url for result in results[:pages]]
    documents, notes = _read(urls, fetcher or Fetcher(limits=LIMITS), seconds=seconds)
    hits = _compared(query, documents, encoder=encoder, idf=idf)
    return Found(tuple(hits), {d.source: d for d in documents}, tuple(notes))


def merged(ours: Sequence[Hit], theirs: Sequence[Hit]) -> list[Hit]:
    """The hits of documents and of the web in one list: each keeps its own order.

    Between two, the one goes first that covers more of the question and is nearer to it. A page
    that is among the documents too is read as it is now.
    """
    fresh = {hit.chunk.source for hit in theirs}
    left, right = [hit for hit in ours if hit.chunk.source not in fresh], list(theirs)
    found = []
    while left or right:
        first = max((side for side in (left, right) if side), key=lambda side: _merit(side[0]))
        found.append(first.pop(0))
    return found


def _merit(hit: Hit) -> float:
    return hit.coverage + hit.vector


def _read(
    urls: Sequence[str], fetcher: Fetcher, *, seconds: float
) -> tuple[list[Document], list[str]]:
    """The documents of some pages, and why others gave none."""
    from ingest.webpage import read_page
    from ingest.worker import Workers

    documents: dict[str, Document] = {}
    notes = []

    def read(url: str) -> Document | str:
        try:
            page = fetcher.fetch(url)
            return _cut(read_page(replace(page, url=page.address), workers))
        except (FetchError, ExtractError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - one bad page must not cost the answer
            return f"it could not be read ({type(error).__name__}: {error})"

    with Workers(2) as workers:  # whose end ends what is still being read
        got_all = _together(read, urls, seconds=seconds)
    for url, got in zip(urls, got_all, strict=True):
        if got is None:
            notes.append(f"{url} was not read: it took longer than {seconds:g} seconds")
        elif isinstance(got, str):
            notes.append(f"{url} was not read: {got}")
        elif got.digest not in {document.digest for document in documents.values()}:
            documents[got.source] = got
    return list(documents.values()), notes


def _cut(document: Document) -> Document:
    """A page without what is beyond all reading: comparing it would take longer than fetching."""
    return replace(
        document,
        text=document.text[:_LONGEST],
        headings=tuple(each for each in document.headings if each.start < _LONGEST),
        pages=tuple(start for start in document.pages if start < _LONGEST),
    )


def _together(call: Callable[[T], R], items: Sequence[T], *, seconds: float) -> list[R | None]:
    """`call(item)` for all items at once; None for those that take too long."""
    results: dict[int, R] = {}

    def work(number: int, item: T) -> None:
        results[number] = call(item)

    # An executor's threads would be waited for, at the latest at the end of the program.
    threads = [threading.Thread(target=work, args=each, daemon=True) for each in enumerate(items)]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [results.get(number) for number in range(len(items))]


def _compared(
    query: str,
    documents: Sequence[Document],
    *,
    encoder: Encoder,
    idf: Callable[[Sequence[str]], Mapping[str, float]],
) -> list[Hit]:
    """The chunks of some documents as hits for a query, best first."""
    from ingest.chunk import chunk
    from ingest.index import coverage
    from ingest.words import WordIndex, words

    chunks = dict(enumerate((each for d in documents for each in chunk(d)), 1))
    if not chunks:
        return []
    index = WordIndex.create(None)
    index.update(((n, each.passage) for n, each in chunks.items()), (), mark="the web")
    scores = dict(index.search(query, _CHUNKS))
    firsts = {each.source: n for n, each in reversed(chunks.items())}
    chosen = sorted(scores.keys() | set(firsts.values()))
    query_vector = encoder.encode_queries([query])[0]
    cosines = encoder.encode_documents([chunks[n].passage for n in chosen]) @ query_vector
    rarity = idf(words(query))
    hits = [
        Hit(
            chunks[n],
            score=0.0,
            words=scores.get(n, 0.0),
            vector=float(cosine),
            coverage=coverage(rarity, chunks[n]),
        )
        for n, cosine in zip(chosen, cosines, strict=True)
    ]
    return fuse(hits, weight=vector_weight(encoder))
