"""A question in a conversation: found by its own words, and by them beside the question before it.

"Who founded it?" finds little alone. Together with the question before it, it finds the passages
of that one, which so stay candidates, and what else is about their subject; a question that stands
for itself finds its own passages either way. So nothing has to decide which of the two it is, no
model rewrites anything, and no language is asked for. The words of replies do not count: they bring
back what was quoted, and hide the rest (`benchmarks/followups.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from backbone.request import Message
from ingest.document import Hit

# What the scores of both questions together weigh beside those of the question alone, if that says
# as much. Fitted on conversations made of training questions: 0.4 to 0.6 are alike; more finds more
# of what follows up, and less once the subject changes.
TOGETHER = 0.5

Place = tuple[str, int, int]


def in_context(
    question: str, history: Sequence[Message], find: Callable[[str], Sequence[Hit]]
) -> list[Hit]:
    """The hits for a question after `history`, best first, with scores from 0 to 1.

    `find` gives the hits for a text. A question counts for as much as its words find, so that of
    "and why?" little is left; a hit's other figures are the better ones of both searches.
    """
    own = find(question)
    text = beside(question, history)
    if text == question:
        return list(own)
    together = find(text)
    alone = _alone(own, together)
    hits = {_place(hit): replace(hit, score=alone * hit.score) for hit in own}
    for hit in together:
        held = hits.setdefault(_place(hit), replace(hit, score=0.0))
        hits[_place(hit)] = Hit(
            hit.chunk,
            score=held.score + TOGETHER * hit.score,
            words=max(held.words, hit.words),
            vector=max(held.vector, hit.vector),
            coverage=max(held.coverage, hit.coverage),
        )
    ranked = sorted(hits.values(), key=lambda hit: (-hit.score, _place(hit)))
    return [replace(hit, score=hit.score / (alone + TOGETHER)) for hit in ranked]


def _alone(own: Sequence[Hit], together: Sequence[Hit]) -> float:
    """How much a question says (0..1) beside the one before: the share of its best BM25 score."""
    part, whole = (max((hit.words for hit in hits), default=0.0) for hits in (own, together))
    return min(1.0, part / whole) if whole > 0 else 1.0


def beside(question: str, history: Sequence[Message]) -> str:
    """The last question of a conversation and this one; this one alone, where there is none."""
    asked = [m.content for m in history if m.role == "user" and isinstance(m.content, str)]
    return " ".join([*asked[-1:], question])


def _place(hit: Hit) -> Place:
    return (hit.chunk.source, hit.chunk.start, hit.chunk.end)
