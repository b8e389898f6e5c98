"""The scores of the two legs of the index, joined into one.

Both legs' scores are scaled to shares of their best for each question and mixed. How much the
vectors count depends on how well the words leg did: when its best hit holds the rare words of the
question, words know best; when it holds none of them (another language, other words), vectors
decide. Knows nothing of how hits are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.document import Hit

if TYPE_CHECKING:
    from ingest.encode import Encoder

# What the vectors weigh beside the coverage of the best words hit: at .15 a question covered to 0.6
# is ranked by 4/5 words and 1/5 vectors. Fitted by `training/fusion.py`, for the built-in encoder
# and for multilingual-e5-small, which stands for all that read a text in its order: with it 1 to 3
# measure alike in one language, and less is safer for a weaker one.
STATIC_WEIGHT = 0.15
CONTEXT_WEIGHT = 1.5
LEAST_COVERAGE = 0.05  # of a hit by parts of words alone, such as a misspelt name


def vector_weight(encoder: Encoder) -> float:
    """What an encoder's vectors weigh: those of a bag of tokens less than any others."""
    from ingest.encode import StaticEncoder

    return STATIC_WEIGHT if isinstance(encoder, StaticEncoder) else CONTEXT_WEIGHT


def fuse(hits: Sequence[Hit], *, weight: float = STATIC_WEIGHT) -> list[Hit]:
    """The union of both legs' hits with their mixed scores (0..1), best first.

    `weight` is what the vectors weigh, see `vector_weight`.
    """
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
