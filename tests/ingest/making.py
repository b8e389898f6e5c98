"""Documents, chunks and indexes for tests of the index, without files, parsers or models."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ingest.document import Chunk, Document
from ingest.index import LocalIndex
from tests.fakes import FakeEncoder

ENCODER = FakeEncoder()


def document(source: str, text: str, **facts) -> Document:
    return Document(source, text, hashlib.sha256(text.encode()).hexdigest(), **facts)


def paragraphs(of: Document) -> list[Chunk]:
    """One chunk a paragraph."""
    chunks, start = [], 0
    for part in of.text.split("\n\n"):
        end = start + len(part)
        if part:
            place = (of.page_at(start), of.heading_at(start))
            chunks.append(Chunk(of.source, start, end, part, *place))
        start = end + 2
    return chunks


def put(index: LocalIndex, source: str, text: str, **facts) -> Document:
    made = document(source, text, **facts)
    chunks = paragraphs(made)
    index.add(made, chunks, ENCODER.encode_documents([chunk.passage for chunk in chunks]))
    return made


def opened(folder: Path, **options) -> LocalIndex:
    return LocalIndex.open(folder, encoder=ENCODER, **options)


def sources(index: LocalIndex, question: str, k: int = 5, **options) -> list[str]:
    """Where the hits for a question come from."""
    vector = ENCODER.encode_queries([question])[0]
    return [hit.chunk.source for hit in index.search(question, vector, k=k, **options)]
