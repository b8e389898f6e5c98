"""Public question sets, and indexes over their paragraphs, for the benchmarks and the calibration.

A folder of data holds `qa/<language>/<name>.<train|dev>.jsonl.zst`: one object a line with `question`,
`context`, `title`, `answers` [{text, start}], `is_impossible`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.collections import rows
from ingest.chunk import chunk
from ingest.context import in_context
from ingest.document import Chunk, Document, Hit
from ingest.encode import Encoder
from ingest.index import LocalIndex
from rag.retrieve import retrieve


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the accepted answers (none: its paragraph does not answer it), where it belongs."""

    text: str
    answers: tuple[str, ...]
    context: str
    article: str
    lang: str
    set: str

    def answered_by(self, quote: str) -> bool:
        """Whether a quote holds an accepted answer, white space and case aside."""
        folded = " ".join(quote.casefold().split())
        return any(" ".join(a.casefold().split()) in folded for a in self.answers)


def load(data: Path, lang: str, split: str, *, leave_out: Sequence[str] = ()) -> list[Question]:
    """All questions of a language's sets in one split, in the files' order."""
    found = []
    for path in sorted((data / "qa" / lang).glob(f"*.{split}.jsonl.zst")):
        name = path.name.split(".")[0]
        if name in leave_out:
            continue
        for row in rows(path):
            if not row["question"].strip():
                continue
            answers = () if row["is_impossible"] else tuple(a["text"] for a in row["answers"])
            article = row.get("title_en") or row["title"] or row["context"][:40]
            found.append(Question(row["question"], answers, row["context"], article, lang, name))
    return found


def sample(questions: Sequence[Question], count: int, *, seed: int = 0) -> list[Question]:
    """At most so many of the questions, the same ones each time."""
    if len(questions) <= count:
        return list(questions)
    return random.Random(seed).sample(list(questions), count)


def build(folder: Path, contexts: Iterable[str], encoder: Encoder) -> LocalIndex:
    """An index with one document for each distinct paragraph, named by its digest."""
    index = LocalIndex.open(folder, encoder=encoder)
    with index.writing():
        for context in dict.fromkeys(contexts):
            document = as_document(context)
            chunks = chunk(document)
            vectors = encoder.encode_documents([c.text for c in chunks])
            index.add(document, chunks, in_context(encoder, vectors, [c.source for c in chunks]))
    return index


def as_document(context: str) -> Document:
    """A paragraph as a document."""
    digest = hashlib.sha256(context.encode()).hexdigest()
    return Document(source=f"{digest[:16]}.txt", text=context, digest=digest)


def five(index: LocalIndex, encoder: Encoder, question: Question) -> list[Hit]:
    """Five whole paragraphs: the best of the index, the last replaced by the gold one if it is not there."""
    best: dict[str, Hit] = {}
    for hit in retrieve(index, encoder, question.text, k=15):
        best.setdefault(hit.chunk.source, hit)
    gold = as_document(question.context)
    kept = list(best)[:5]
    if gold.source not in kept:
        kept = [*kept[:4], gold.source]
    hits = []
    for source in kept:
        text = index.text(source)
        found = best.get(source) or Hit(Chunk(source, 0, len(text), text), 0.0)
        whole = Chunk(source, 0, len(text), text)
        hits.append(Hit(whole, found.score, found.words, found.vector, found.coverage))
    return hits
