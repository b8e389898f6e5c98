"""How well the right passage is found: plain BM25 beside the words, the vectors and their mixture.

    python -m benchmarks.retrieval --data FOLDER [--only cranfield,qa-de] [--questions N]
    python -m benchmarks.retrieval --data FOLDER --reading train [--questions N]

Every collection goes through the product's own path: a passage is a document, it is cut into
chunks, encoded and put into an index on disk, and questions are asked through `rag.retrieve`. A
passage ranks where its best chunk does. Prints nDCG@10 and recall@10 of each, and the means that matter.
`--reading` looks at what a generator is given instead (`rag.spans`), over the articles of SQuAD: the share
of questions whose answer is in it, once alone and once when each article has a forwarded copy.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.bm25 import PlainBM25
from benchmarks.collections import Collection, Measures, Passage, load, measure
from benchmarks.questions import load as load_questions
from benchmarks.questions import sample
from ingest.chunk import chunk
from ingest.context import in_context
from ingest.document import Document, Heading
from ingest.encode import Encoder, load_encoder
from ingest.index import LocalIndex
from rag.fuse import vector_weight
from rag.retrieve import Mode, retrieve
from rag.spans import POOL, reading_spans

RELATED = ("cranfield", "medline", "npl", "scifact")
LANGUAGES = tuple(
    f"qa-{language}" for language in ["ar", "de", "en", "es", "fr", "ja", "ko", "pt", "zh"]
)
ACROSS = tuple(f"xquad-{language}-to-en" for language in ["es", "de", "zh", "ar"])
MODES: tuple[Mode, ...] = ("words", "vector", "hybrid")
COLUMNS = ("bm25", *MODES)
_AT_ONCE = 512  # documents encoded together
_READ = 6  # passages that a generator is given
_CHUNKS = 50  # of each question, from which the first ten passages are taken


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on one collection, by column, and how large it is."""

    name: str
    passages: int
    chunks: int
    questions: int
    measures: dict[str, Measures]
    seconds: float


def document(passage: Passage) -> Document:
    """A passage as the file it could have been: its title as the heading, then its text."""
    digest = hashlib.sha256(passage.text.encode()).hexdigest()
    if not passage.title:
        return Document(passage.id, passage.text, digest)
    text = f"{passage.title}\n\n{passage.text}"
    heading = Heading(0, 1, passage.title)
    return Document(passage.id, text, digest, title=passage.title, headings=(heading,))


def build(index: LocalIndex, encoder: Encoder, passages: Sequence[Passage]) -> int:
    """Puts passages into an index; returns how many chunks they gave."""
    count = 0
    with index.writing():
        for batch in _batches(passages):
            cut = [(made, chunk(made)) for made in map(document, batch)]
            every = [c for _, cs in cut for c in cs]
            vectors = encoder.encode_documents([c.passage for c in every])
            vectors = in_context(encoder, vectors, [c.source for c in every])
            start = 0
            for made, chunks in cut:
                index.add(made, chunks, vectors[start : start + len(chunks)])
                start += len(chunks)
            count += start
    return count


def _batches(passages: Sequence[Passage]) -> Iterator[list[Passage]]:
    rest = iter(passages)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch


def ask(index: LocalIndex, encoder: Encoder, question: str, mode: Mode) -> list[str]:
    """The first ten passages for a question, each once."""
    hits = retrieve(index, encoder, question, k=_CHUNKS, mode=mode)
    return list(dict.fromkeys(hit.chunk.source for hit in hits))[:10]


def run(collection: Collection, encoder: Encoder) -> Result:
    """Measures one collection with plain BM25 and all modes."""
    start = time.perf_counter()
    passages, questions = collection.passages, collection.questions
    plain = PlainBM25([f"{passage.title} {passage.text}" for passage in passages])
    found = {
        "bm25": {
            name: [passages[i].id for i in plain.search(question, 10)]
            for name, question in questions.items()
        }
    }
    with tempfile.TemporaryDirectory() as folder:
        index = LocalIndex.open(Path(folder) / "index", encoder=encoder)
        chunks = build(index, encoder, passages)
        for mode in MODES:
            found[mode] = {
                name: ask(index, encoder, question, mode) for name, question in questions.items()
            }
        index.close()
    measures = {column: measure(ranked, collection.grades) for column, ranked in found.items()}
    seconds = time.perf_counter() - start
    return Result(collection.name, len(passages), chunks, len(questions), measures, seconds)


def show(result: Result) -> None:
    """Prints one line."""
    sizes = f"{result.passages:>8,}{result.chunks:>7,}{result.questions:>7,}"
    ndcg = "".join(f"{result.measures[column].ndcg:8.3f}" for column in COLUMNS)
    recall = "".join(f"{result.measures[column].recall:8.3f}" for column in COLUMNS)
    print(f"{result.name:<16}{sizes}  {ndcg}  {recall}{result.seconds:8.0f}", flush=True)


def summarise(results: Sequence[Result]) -> None:
    """Prints the means that matter, over the collections that were run."""
    groups = (
        ("nDCG@10, one language", (*RELATED, *LANGUAGES), "ndcg"),
        ("nDCG@10, related texts", RELATED, "ndcg"),
        ("nDCG@10, questions", LANGUAGES, "ndcg"),
        ("recall@10, es de zh to en", ACROSS[:3], "recall"),
        ("recall@10, ar to en", ACROSS[3:], "recall"),
    )
    print(f"\n{'mean':<32}" + "".join(f"{column:>8}" for column in COLUMNS))
    for title, names, kind in groups:
        chosen = [r.measures for r in results if r.name in names]
        if chosen:
            means = [
                sum(getattr(m[column], kind) for m in chosen) / len(chosen) for column in COLUMNS
            ]
            label = f"{title} ({len(chosen)} of {len(names)})"
            print(f"{label:<32}" + "".join(f"{mean:8.3f}" for mean in means))
    gaps = {
        r.name: r.measures["hybrid"].ndcg - r.measures["words"].ndcg
        for r in results
        if r.name in LANGUAGES
    }
    if gaps:
        worst = min(gaps, key=lambda name: gaps[name])
        print(f"hybrid against words, worst language: {worst} {gaps[worst]:+.3f}")


def reading(data: Path, encoder: Encoder, *, split: str, questions: int) -> None:
    """Prints whether the answer is in what is read, and how much that is, plain and as spans."""
    everything = [q for q in load_questions(data, "en", split) if q.set == "squad" and q.answers]
    articles: dict[str, list[str]] = {}
    for question in everything:
        articles.setdefault(question.article, []).append(question.context)
    texts = {name: "\n\n".join(dict.fromkeys(parts)) for name, parts in articles.items()}
    copies = {f"Fwd {name}": f"Forwarded for your files.\n\n{t}" for name, t in texts.items()}
    print(f"{'':<24}{'answer is read':>16}{'passages':>10}{'characters':>12}")
    for label, documents in (("articles", texts), ("articles and copies", texts | copies)):
        passages = [Passage(name, "", text) for name, text in documents.items()]
        with tempfile.TemporaryDirectory() as folder:
            index = LocalIndex.open(Path(folder) / "index", encoder=encoder)
            build(index, encoder, passages)
            read: dict[str, list[tuple[bool, int, int]]] = {"plain": [], "spans": []}
            for question in sample(everything, questions):
                hits = retrieve(index, encoder, question.text, k=POOL * _READ)
                spans = reading_spans(hits, k=_READ, document=index.document).hits
                for name, given in (("plain", hits[:_READ]), ("spans", spans)):
                    held = any(question.answered_by(hit.chunk.text) for hit in given)
                    size = sum(len(hit.chunk.text) for hit in given)
                    read[name].append((held, len(given), size))
            index.close()
        for name, rows in read.items():
            held, many, size = (sum(column) / len(rows) for column in zip(*rows, strict=True))
            print(f"{label + ', ' + name:<28}{held:>12.3f}{many:>10.1f}{size:>12,.0f}", flush=True)


def main() -> None:
    """Reads the options and runs the collections."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with ir/, ir-distractors/")
    parser.add_argument("--only", default=",".join((*RELATED, *LANGUAGES, *ACROSS)))
    parser.add_argument("--questions", type=int, help="of each collection, at most")
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--reading", choices=("train", "dev"), help="what is read, on this split")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, {platform.platform()}")
    print(
        f"encoder {encoder.name}, {encoder.dimension} wide; its vectors weigh {vector_weight(encoder)}\n"
    )
    if options.reading:
        reading(options.data, encoder, split=options.reading, questions=options.questions or 300)
        return
    columns = "".join(f"{column:>8}" for column in COLUMNS)
    print(f"{'':<38}  {'nDCG@10':>{len(columns)}}  {'recall@10':>{len(columns)}}")
    print(f"{'':<16}{'passages':>8}{'chunks':>7}{'asked':>7}  {columns}  {columns} seconds")
    results = []
    for name in options.only.split(","):
        collection = load(options.data, name)
        if options.questions:
            kept = dict(islice(collection.questions.items(), options.questions))
            collection = Collection(name, collection.passages, kept, collection.grades)
        results.append(run(collection, encoder))
        show(results[-1])
    summarise(results)


if __name__ == "__main__":
    main()
