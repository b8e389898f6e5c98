"""A question in, ranked hits out, from the two legs of the index.

Knows nothing of how hits are found, of how their scores are joined or of what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from ingest.document import Hit
from rag.fuse import fuse, scaled, vector_weight

if TYPE_CHECKING:
    from ingest.encode import Encoder
    from ingest.index import Index

Mode = Literal["hybrid", "vector", "words"]
Rerank = Callable[[str, Sequence[Hit]], Sequence[Hit]]

MODES: tuple[str, ...] = get_args(Mode)
CANDIDATES = 50  # hits that each leg contributes; 100 measured the same


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
    ranked = fuse(found, weight=vector_weight(encoder)) if mode == "hybrid" else scaled(found)
    if rerank is not None:
        ranked = list(rerank(question, ranked))
    return ranked[:k]
