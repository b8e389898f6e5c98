"""Plain BM25, the figure to beat: words, and character pairs where a script writes no spaces."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

K1, B = 1.2, 0.75
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_PIECE = re.compile(f"[{_CJK}]+|[^\\W{_CJK}]+")
_COMMON = (
    "the of and in to a is for on are by with that be as from at an it this which was or what how"
)
_STOP = frozenset(_COMMON.split())


def terms(text: str) -> Iterator[str]:
    """Lower-cased words without English stop words and a plural s; pairs of CJK characters."""
    for piece in _PIECE.findall(text.lower()):
        if "\u3040" <= piece[0] <= "\ud7af":
            yield from (piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
        elif piece not in _STOP:
            plural = len(piece) > 3 and piece.endswith("s") and piece.isascii()
            yield piece[:-1] if plural else piece


class PlainBM25:
    """BM25 over whole passages, as Robertson and Zaragoza (2009) define it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths = []
        for number, text in enumerate(texts):
            counts = Counter(terms(text))
            lengths.append(counts.total())
            for term, count in counts.items():
                self._postings[term].append((number, count))
        mean = sum(lengths) / len(lengths)
        self._norms = [K1 * (1 - B + B * length / mean) for length in lengths]

    def search(self, question: str, k: int) -> list[int]:
        """The numbers of the best `k` passages, best first."""
        scores: defaultdict[int, float] = defaultdict(float)
        for term, times in Counter(terms(question)).items():
            found = self._postings.get(term, ())
            rarity = math.log(1 + (len(self._norms) - len(found) + 0.5) / (len(found) + 0.5))
            for number, count in found:
                scores[number] += times * rarity * count * (K1 + 1) / (count + self._norms[number])
        return heapq.nsmallest(k, scores, key=lambda number: (-scores[number], number))
