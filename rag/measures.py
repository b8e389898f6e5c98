"""The measures of an evaluation: of a ranking, of an answer's words, of citations, and how sure.

Rankings are lists of ids, the best first; `grades` says how relevant an id is (more than 0 is
relevant). Answers are compared as SQuAD does (Rajpurkar and others, 2016), with the articles of six
languages instead of one, and Chinese, Japanese and Korean by the character. Knows nothing of how
anything is found or answered.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

# Both texts lose them, so that a language need not be known: a German "die" costs an English one.
_ARTICLES = {
    *("a", "an", "the", "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem"),
    *("einer", "eines", "le", "la", "les", "un", "une", "el", "los", "las", "una", "unos", "unas"),
    *("o", "os", "as", "um", "uma", "uns", "umas"),
}
_ELISION = re.compile(r"\bl['’](?=\w)")  # the French article before a vowel
_ARABIC_ARTICLE = re.compile(r"\bال(?=\w{2})")
_ARABIC_MARKS = re.compile("[\u0610-\u061a\u0640\u064b-\u065f\u0670]+")  # vowels and tatweel
_MEANS = "%°"  # marks that a number needs
_ALONE = re.compile(  # a token each: these, and CJK with Hangul, whose grammar is in last syllables
    "[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    f"\U00020000-\U0003ffff{_MEANS}]"
)
_LEVEL = 0.95
_RESAMPLES = 4000
_NORMAL = 1.959964  # the 97.5th percentile of the standard normal distribution

Interval = tuple[float, float]


def ndcg(ranked: Sequence[str], grades: Mapping[str, float], *, k: int) -> float:
    """Normalised discounted cumulative gain of the first `k`, linear in the grades; 0..1."""
    ideal = _gain(sorted(grades.values(), reverse=True)[:k])
    return _gain([grades.get(one, 0) for one in ranked[:k]]) / ideal if ideal else 0.0


def recall(ranked: Sequence[str], relevant: Collection[str], *, k: int) -> float:
    """The share of what is relevant that is among the first `k`, 0..1."""
    return len(set(ranked[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


def precision(ranked: Sequence[str], relevant: Collection[str], *, k: int) -> float:
    """The share of `k` that the relevant ones among the first `k` are, 0..1."""
    return len(set(ranked[:k]) & set(relevant)) / k


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str], *, k: int) -> float:
    """One over the rank of the first relevant one; 0 when it is not among the first `k`."""
    return next((1 / rank for rank, one in enumerate(ranked[:k], 1) if one in relevant), 0.0)


def f1(text: str, answers: Sequence[str]) -> float:
    """Token F1 with the nearest of the accepted answers, 0..1."""
    return max((_f1(tokens(text), tokens(answer)) for answer in answers), default=0.0)


def exact_match(text: str, answers: Sequence[str]) -> float:
    """1 when the text is one of the accepted answers, but for what `tokens` drops; else 0."""
    return float(any(tokens(text) == tokens(answer) for answer in answers))


def holds_answer(text: str, answers: Sequence[str]) -> float:
    """1 when one of the accepted answers stands in the text, token by token; else 0."""
    return float(any(_within(tokens(answer), tokens(text)) for answer in answers))


def tokens(text: str) -> list[str]:
    """The words that count: no case, no punctuation, no articles, no Arabic vowel signs.

    CJK characters are tokens of their own. A text of nothing but articles keeps them.
    """
    text = _ARABIC_MARKS.sub("", unicodedata.normalize("NFKC", text).casefold())
    text = _ARABIC_ARTICLE.sub("", _ELISION.sub("", text))
    text = "".join(
        c if _counts(c) else " " if unicodedata.category(c) == "Pd" else "" for c in text
    )
    words = _ALONE.sub(lambda one: f" {one.group()} ", text).split()
    return [word for word in words if word not in _ARTICLES] or words


def citations_right(held: Sequence[Sequence[bool]]) -> tuple[float | None, float]:
    """Precision and recall of citations, from whether citation i stands in right place j.

    Without a citation there is no precision, and a recall of 0.
    """
    if not held:
        return None, 0.0
    found = [any(column) for column in zip(*held, strict=True)]
    return mean([any(row) for row in held]), mean(found)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def interval(values: Sequence[float]) -> Interval | None:
    """Where the mean of such values lies with 95 % confidence; None for fewer than two.

    Of shares (all values 0 or 1) the Wilson score interval, which does not claim certainty when all
    are equal; else the percentile bootstrap, repeatable.
    """
    if len(values) < 2:
        return None
    if all(value in (0, 1) for value in values):
        return _wilson(mean(values), len(values))
    return bootstrap(values)


def bootstrap(values: Sequence[float]) -> Interval:
    """The 95 % percentile bootstrap interval (Efron, 1979) of the mean; the same each time.

    Of the differences between two runs on the same questions it is the paired bootstrap.
    """
    import numpy as np

    sample, random = np.asarray(values, dtype=np.float64), np.random.default_rng(0)
    rows = max(1, 1_000_000 // len(sample))  # drawn at once, to bound the memory
    means: list[float] = []
    while len(means) < _RESAMPLES:
        drawn = random.integers(0, len(sample), (min(rows, _RESAMPLES - len(means)), len(sample)))
        means += sample[drawn].mean(axis=1).tolist()
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _wilson(share: float, n: int) -> Interval:
    z = _NORMAL**2
    middle = (share + z / (2 * n)) / (1 + z / n)
    half = _NORMAL * math.sqrt(share * (1 - share) / n + z / (4 * n * n)) / (1 + z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _gain(grades: Sequence[float]) -> float:
    return math.fsum(grade / math.log2(rank + 2) for rank, grade in enumerate(grades))


def _counts(character: str) -> bool:
    return unicodedata.category(character)[0] not in "PS" or character in _MEANS


def _f1(left: Sequence[str], right: Sequence[str]) -> float:
    if not left or not right:  # as SQuAD has it: nothing equals only nothing
        return float(left == right)
    same = sum((Counter(left) & Counter(right)).values())
    return 2 * same / (len(left) + len(right))


def _within(part: list[str], whole: list[str]) -> bool:
    n = len(part)
    return n > 0 and any(whole[at : at + n] == part for at in range(len(whole) - n + 1))
