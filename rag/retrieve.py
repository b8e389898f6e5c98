"""A question in, ranked hits out: the two legs of the index, joined into one score.

Both legs' scores are scaled to shares of their best for each question and mixed. How much the
vectors count depends on how well the words leg did: when its best hit holds the rare words of the
question, words know best; when it holds none of them (another language, other words), vectors
decide. Knows nothing of how hits are found or of what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ingest.document import Hit

if TYPE_CHECKING:
    from ingest.encode import Encoder
    from ingest.index import Index

Mode = Literal["hybrid", "vector", "words"]
Rerank = Callable[[str, Sequence[Hit]], Sequence[Hit]]

CANDIDATES = 50  # hits that each leg contributes; 100 measured the same
# What the vectors weigh beside the coverage of the best words hit: a question covered to 0.6 is
# ranked by 4/5 words and 1/5 vectors. Fitted by `training/fusion.py`.
VECTOR_WEIGHT = 0.15
LEAST_COVERAGE = 0.05  # of a hit by parts of words alone, such as a misspelt name


def retrieve(
    index: Index,
    encoder: Encoder,
    question: str,
    *,
    k: int = 8,
    mode: Mode = "hybrid",
    where: str | None = None,
    rerank: Rerank | None = None,
) -> list[Hit]:
    """The best `k` hits for a question, best first, each with a score from 0 to 1.

    `rerank` sees all candidates in order and returns them in its own. Scores compare the hits of
    one question, not those of two.
    """
    vector = None if mode == "words" else encoder.encode_queries([question])[0]
    found = index.search(question, vector, k=max(k, CANDIDATES), mode=mode, where=where)
    ranked = fuse(found) if mode == "hybrid" else scaled(found)
    if rerank is not None:
        ranked = list(rerank(question, ranked))
    return ranked[:k]


def fuse(hits: Sequence[Hit], *, weight: float = VECTOR_WEIGHT) -> list[Hit]:
    """The union of both legs' hits with their mixed scores (0..1), best first."""
    if not hits:
        return []
    best = max(hits, key=lambda hit: hit.words)
    covered = max(best.coverage, LEAST_COVERAGE) if best.words > 0 else 0.0
    share = weight / (weight + covered)
    by_words = _shares([hit.words for hit in hits])
    by_vector = _shares([hit.vector for hit in hits])
    scores = [(1 - share) * w + share * v for w, v in zip(by_words, by_vector, strict=True)]
    return _ordered(hits, scores)


def scaled(hits: Sequence[Hit]) -> list[Hit]:
    """The hits of one leg, their scores brought to 0..1 (a cosine as it is), best first."""
    best = max((hit.score for hit in hits), default=0.0)
    return _ordered(hits, [max(0.0, hit.score) / max(1.0, best) for hit in hits])


def _ordered(hits: Sequence[Hit], scores: Sequence[float]) -> list[Hit]:
    """The hits with those scores, best first; equal ones by place, so that the order is certain."""
    rescored = [replace(hit, score=score) for hit, score in zip(hits, scores, strict=True)]
    return sorted(rescored, key=lambda hit: (-hit.score, hit.chunk.source, hit.chunk.start))


def _shares(scores: Sequence[float]) -> list[float]:
    """Shares (0..1) of the best score; nothing is less than 0."""
    best = max(scores)
    return [max(0.0, score) / best if best > 0 else 0.0 for score in scores]
