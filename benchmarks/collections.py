"""Retrieval collections on disk, and the measures they are judged by.

A collection is a folder with `corpus` and `queries` (`.jsonl.zst`: id, text, perhaps a title) and
`qrels.tsv` (query, document, grade). Knows nothing of how documents are found.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from rag.measures import mean, ndcg, recall


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing to be found."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Passages, questions by id, and the grades of the passages that answer each."""

    name: str
    passages: tuple[Passage, ...]
    questions: dict[str, str]
    grades: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Measures:
    """Means over a collection's questions, of the first ten passages."""

    ndcg: float
    recall: float


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of one compressed JSON lines file."""
    with path.open("rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw)
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            if line.strip():
                yield json.loads(line)


def load(data: Path, name: str) -> Collection:
    """A collection of `data/ir`; a `qa-<language>` one with its distractors, if there are."""
    folder = data / "ir" / name
    files = [folder / "corpus.jsonl.zst"]
    distractors = data / "ir-distractors" / f"{name.removeprefix('qa-')}.jsonl.zst"
    if name.startswith("qa-") and distractors.exists():
        files.append(distractors)
    passages = tuple(
        Passage(str(row["id"]), row.get("title") or "", row["text"])
        for file in files
        for row in rows(file)
    )
    grades: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        question, passage, grade = line.split("\t")
        if int(grade) > 0:
            grades.setdefault(question, {})[passage] = int(grade)
    questions = {
        row["id"]: row["text"] for row in rows(folder / "queries.jsonl.zst") if row["id"] in grades
    }
    return Collection(name, passages, questions, grades)


def measure(found: dict[str, Sequence[str]], grades: dict[str, dict[str, int]]) -> Measures:
    """nDCG@10 (linear gain) and recall@10 of ranked passage ids, by question."""
    pairs = [(ranked, grades[question]) for question, ranked in found.items()]
    return Measures(
        ndcg=mean([ndcg(ranked, good, k=10) for ranked, good in pairs]),
        recall=mean([recall(ranked, good, k=10) for ranked, good in pairs]),
    )
