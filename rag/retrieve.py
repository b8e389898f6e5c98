"""A question in, ranked hits out, from the two legs of the index.

Knows nothing of how hits are found, of how their scores are joined or of what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from ingest.document import Hit
from rag.fuse import fuse, scaled, vector_weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.encode import Encoder
    from ingest.index import Index

Mode = Literal["hybrid", "vector", "words"]
Rerank = Callable[[str, Sequence[Hit]], Sequence[Hit]]

CANDIDATES = 50  # hits that each leg contributes; 100 measured the same
RARITY = 3  # the power of its idf that a word of a question weighs; 2 to 4 measured alike


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
    vector = None if mode == "words" else query_vector(index, encoder, question)
    found = index.search(question, vector, k=max(k, CANDIDATES), mode=mode, where=where)
    ranked = fuse(found, weight=vector_weight(encoder)) if mode == "hybrid" else scaled(found)
    if rerank is not None:
        ranked = list(rerank(question, ranked))
    return ranked[:k]


def query_vector(index: Index, encoder: Encoder, question: str) -> NDArray[np.floating]:
    """The vector that passages are compared with for a question: float [d], of length 1, or 0.

    To a bag of tokens every word counts as it did in training, whatever the documents are about. So
    half of its vector is made of the question's words by how rare they are in this index.
    """
    import numpy as np

    from ingest.encode import StaticEncoder
    from ingest.words import words

    if not isinstance(encoder, StaticEncoder):
        return encoder.encode_queries([question]).reshape(-1)
    terms = words(question)
    idf = index.idf(terms)
    whole, each = np.split(encoder.encode_queries([question, *terms]), [1])
    weights = np.array([[idf[term] ** RARITY for term in terms]], np.float32)
    return _unit(whole + _unit(weights @ each)).reshape(-1)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rows scaled to length 1; 0 stays 0."""
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.floating] = rows / np.maximum(lengths, 1e-12)
    return unit
