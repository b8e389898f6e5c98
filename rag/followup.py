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

# The share of the score of both questions together from which a question says enough to count for
# as much as they do. Fitted on conversations made of training questions: 0.4 to 0.6 are alike; more
# finds more of what follows up, and less once the subject changes.
ENOUGH = 0.5

Place = tuple[str, int, int]


def in_context(
    question: str, history: Sequence[Message], find: Callable[[str], Sequence[Hit]]
) -> list[Hit]:
    """The hits for a question after `history`, best first, with scores from 0 to 1.

    `find` gives the hits for a text. A question whose words say little counts for little beside
    both together: "and why?"; a hit's other figures are the better ones of both searches.
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
            score=held.score + hit.score,
            words=max(held.words, hit.words),
            vector=max(held.vector, hit.vector),
            coverage=max(held.coverage, hit.coverage),
        )
    ranked = sorted(hits.values(), key=lambda hit: (-hit.score, _place(hit)))
    return [replace(hit, score=hit.score / (alone + 1)) for hit in ranked]


def _alone(own: Sequence[Hit], together: Sequence[Hit]) -> float:
    """What a question counts for (0..1) beside both together, by the best BM25 scores."""
    part, whole = (max((hit.words for hit in hits), default=0.0) for hits in (own, together))
    return min(1.0, part / (ENOUGH * whole)) if whole > 0 else 1.0


def beside(question: str, history: Sequence[Message]) -> str:
    """The last question of a conversation and this one; this one alone, where there is none.

    Raises ValueError for a history of anything but Messages.
    """
    for message in history:
        if not isinstance(message, Message):
            raise ValueError(f"history takes backbone.request.Message, not {message!r:.60}")
    asked = [m.content for m in history if m.role == "user" and isinstance(m.content, str)]
    return " ".join([*asked[-1:], question])


def _place(hit: Hit) -> Place:
    return (hit.chunk.source, hit.chunk.start, hit.chunk.end)
