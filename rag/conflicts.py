"""Passages that answer one question differently: their sentences say the same but for a value.

Two ways are told, both by writing alone. Sentences of different documents that differ in one place
only: a number, a date, a name, or a negation there. And sentences that repeat most of a question
that asks for a number, and have one each, not the same. It stays silent where wordings differ much,
where names tell that the passages are of different things, and where the sentences have little to
do with the question. Which side is right it cannot know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import combinations

from ingest.document import Chunk, Hit
from ingest.words import fold
from rag.answer import Answer, Conflict
from rag.sentences import paired, rank
from rag.values import numbers, only
from rag.wording import denials, names, telling

READ = 12  # passages that are compared, the best first
_EACH = 3  # sentences of a passage
_SAME = 5  # tokens that two sentences share at least, and
_MOST = 0.6  # the share of the longer one's that they are
_DIFFERENT = 4  # tokens in the place where they differ, at most
_LONGEST = 12  # characters of a negation
_ABOUT = 0.1  # of a question's telling words: less, and the sentences may be of other things
_ABOUT_DENIED = 0.3  # … where one sentence denies the other
_COVERED = 0.75  # of a question's telling words, where a number answers it
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_NUMBER_ASKED = re.compile(
    r"\bhow (?:many|much|old|long|far|tall|high|big|large)\b|\bwhen\b"
    r"|\b(?:what|which) (?:year|percent\w*|number|date)"
    r"|\bwann\b|\bwie ?viel|\bwie (?:lange|alt|hoch|groß|weit)\b"
    r"|\bcombien\b|\bquand\b|\ben quelle année"
    r"|\bcu[áa]nt[oa]s?\b|\bcu[áa]ndo\b|\bquant[oa]s?\b|\bquando\b|多少|几[个年岁人天次]|何时|什么时候|哪一?年|率"
    r"|いつ|何[年人月日回歳個]|いくつ|いくら|몇|언제|얼마|كم|متى",
    re.IGNORECASE,
)  # fmt: skip
_WHEN = re.compile(
    r"\b(?:when|wann|quand|cu[áa]ndo|quando)\b|\b(?:what|which) (?:year|date)|\bannée|哪一?年"
    r"|何时|什么时候|いつ|何年|언제|متى",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence of a passage, with its tokens and the spans of these."""

    passage: int
    text: str
    tokens: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def contradictions(question: str, hits: Sequence[Hit]) -> list[Conflict]:
    """What the passages contradict each other in, the best passages first; each pair once."""
    said = _sentences(question, hits[:READ])
    asked = {term.key for term in telling(question)}
    found: dict[tuple[int, int], Conflict] = {}
    told: set[frozenset[tuple[str, ...]]] = set()  # what copies of the documents say again
    for one, other in combinations(said, 2):
        left, right = hits[one.passage].chunk, hits[other.passage].chunk
        pair, words = (one.passage, other.passage), frozenset((one.tokens, other.tokens))
        if left.source == right.source or pair in found or words in told:
            continue
        if not (_differ(one, other, asked) or _count_differently(question, one.text, other.text)):
            continue
        if _of_one_thing(question, left, right):
            found[pair] = Conflict((pair[0] + 1, pair[1] + 1), (one.text, other.text))
            told.add(words)
    return list(found.values())


def contested(answer: Answer) -> Answer:
    """An answer with what the passages it was read from contradict each other in."""
    found = contradictions(answer.question, answer.hits)
    return replace(answer, conflicts=(*answer.conflicts, *found)) if found else answer


def _sentences(question: str, hits: Sequence[Hit]) -> list[_Said]:
    """The sentences of each passage that are nearest to the question."""
    taken: Counter[int] = Counter()
    found = []
    for candidate in rank(question, [hit.chunk.text for hit in hits]):
        if taken[candidate.passage] < _EACH and candidate.overlap > 0:
            taken[candidate.passage] += 1
            text = " ".join(candidate.text.split())
            matches = list(_TOKEN.finditer(text))
            tokens = tuple(fold(match.group()) for match in matches)
            found.append(_Said(candidate.passage, text, tokens, tuple(m.span() for m in matches)))
    return sorted(found, key=lambda each: each.passage)


def _of_one_thing(question: str, one: Chunk, other: Chunk) -> bool:
    """Whether two passages may contradict each other: both hold a name of the question or neither
    does, and their headings do not name two things."""
    left, right = fold(one.passage), fold(other.passage)
    if any((fold(name.text) in left) != (fold(name.text) in right) for name in names(question)):
        return False
    above, below = _TOKEN.findall(one.heading or ""), _TOKEN.findall(other.heading or "")
    matcher = SequenceMatcher(None, above, below, autojunk=False)
    changes = matcher.get_opcodes()
    alike = any(change[0] == "equal" for change in changes)
    replaced = [(above[a:b], below[c:d]) for kind, a, b, c, d in changes if kind == "replace"]
    return not (alike and any(_names_one(a) and _names_one(b) for a, b in replaced))


def _names_one(words: Sequence[str]) -> bool:
    return any(word[0].isupper() and word.isalpha() for word in words)


def _differ(one: _Said, other: _Said, asked: set[str]) -> bool:
    """Whether two sentences are the same but for one value, which the question does not name."""
    about = asked & {term.key for term in telling(one.text)}
    if len(about) < max(1, _ABOUT * len(asked)):
        return False
    longer = max(len(one.tokens), len(other.tokens))
    if min(len(one.tokens), len(other.tokens)) < max(_SAME, _MOST * longer):
        return False
    matcher = SequenceMatcher(None, one.tokens, other.tokens, autojunk=False)
    changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
    same = longer - max(b - a for _, a, b, _, _ in changes) if changes else 0
    if len(changes) != 1 or same < max(_SAME, _MOST * longer):
        return False
    _, a, b, c, d = changes[0]
    left, right = _part(one, a, b), _part(other, c, d)
    if not left or not right:  # something was put in: it counts if that is a negation
        if len(about) < _ABOUT_DENIED * len(asked) or len(left or right) > _LONGEST:
            return False
        return _denies(one.text) != _denies(other.text)
    if b - a > _DIFFERENT or d - c > _DIFFERENT:
        return False
    named = {term.key for part in (left, right) for term in telling(part)}
    if not named or named & asked:
        return False
    return _denies(one.text) != _denies(other.text) or (_is_value(left) and _is_value(right))


def _part(said: _Said, first: int, last: int) -> str:
    return said.text[said.spans[first][0] : said.spans[last - 1][1]] if last > first else ""


def _is_value(part: str) -> bool:
    """Whether a part of a sentence may be a number or a name: it has a digit or a capital, or its
    script has neither spaces nor capitals."""
    return any(c.isdigit() or c.isupper() for c in part) or paired(part)


def _denies(text: str) -> bool:
    return bool(denials(text))


def _count_differently(question: str, one: str, other: str) -> bool:
    """Whether both answer a question for a number, with one each, and not the same."""
    about = _NUMBER_ASKED.sub(" ", question)
    asked = {term.key for term in telling(about)}
    if about == question or not asked:
        return False
    values = []
    for text in (one, other):
        shared = asked & {term.key for term in telling(text)}
        found = only(numbers(text), text, question)
        if found is None or len(shared) < _COVERED * len(asked):
            return False
        if _WHEN.search(question) and not 1000 <= found.value <= 2999:
            return False
        values.append(found.value)
    return bool(values[0] != values[1])
