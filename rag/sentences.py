"""Cut passages into sentences and say how much of a question each one repeats.

Knows words and their rarity, in nine languages, without asking which. Knows no model and no index.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.words import fold

# A sentence ends at CJK full stops, at a Latin or Arabic one before white space, or with the line.
_END = re.compile(r"[。！？]+[」』”’）)]*|[.!?؟۔…]+[\"'»”’)\]]*(?=\s)|\n+|\f")
# … but not after an initial, a line's leading number or one of the usual abbreviations.
_NOT_END = re.compile(
    r"(?<![\w:,/])(?:[^\W\d_]|(?<![^\n])\d{1,2}|[Mm]rs?|[Mm]me|[Dd]r|[Pp]rof|[Ss]t|[Ss]ra?|[Jj]r|[Gg]en|[Cc]ol"
    r"|[Nn]os?|[Nn]r|[Vv]ol|[Ff]ig|[Ee]d|[Pp]p|[Cc]h|[Ss]ec|[Aa]rt|[Aa]bs|[Vv]gl|[Bb]zw|[Uu]sw|[Tt]el"
    r"|[Ii]nc|[Ll]td|[Ee]tc|[Ee]x|[Vv]s|[Cc]a|[Cc]f|[Aa]l)$"
)
# A number before these is a date or an ordinal.
_ORDINAL = re.compile(
    r"(?<=\d\.)\s(?=[a-zß-ÿ]|Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahr|Kapitel|Abschnitt)"
)
_CLAUSE = re.compile(r"[;；:：](?=\s|[^\x00-\x7f])|[，、]|,(?=\s)|\s[–—-]\s")
# The first word of a line that goes on with a sentence: no bullet, list number or heading.
_FIRST = re.compile(r"(?!\d{1,3}[.)]\s|\(\w{1,3}\)|[-*+#|>•–—]|[A-Za-z][.)]\s)(?:[぀-ヿ㐀-鿿]|\S+)")
_ITEM = re.compile(r"\s*(?:\d{1,3}[.)]|\(?\w\)|[-*+•–—])\s")
_LEADS_IN = (":", "：")  # what a line ends with that says nothing without the next
_HEADING = re.compile(r"#{1,6}\s|(?:title|subject|betreff|objet|asunto|assunto)\s*:", re.IGNORECASE)
_ASKS = ("?", "？", "؟")
_NARROWEST, _WIDEST = 50, 120  # widths that paragraphs are wrapped to
_WORD = re.compile(r"\w+")
_CJK = re.compile(r"[぀-ヿ㐀-鿿가-힯豈-﫿]+")
_STEM = 6  # letters of a word that count: a stemmer that needs no language
_RARE = 1.3  # rarity from which a repeated word is a match: it stands in at most a quarter of them
_LIMIT = 400  # weight of a sentence beyond which it is cut at a clause (a CJK character weighs 3)


@dataclass(frozen=True, slots=True)
class Term:
    """An occurrence of a term: its span in the text and the key that equal terms share."""

    start: int
    end: int
    key: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a passage: `passages[passage][start:end]`.

    `overlap` is the share (about 0..1) of the question's rarity that the sentence and, at a
    discount, its surroundings repeat; `matches` are the spans, relative to the sentence, of the
    repeated words that are rare among the sentences.
    """

    passage: int
    start: int
    end: int
    text: str
    overlap: float
    matches: tuple[tuple[int, int], ...]


def split(text: str) -> list[tuple[int, int]]:
    """The spans of a text's sentences, in order, without surrounding white space."""
    spans: list[tuple[int, int]] = []
    start = 0
    for end in _END.finditer(text):
        stop = end.group()[0]
        if stop in ".…" and _NOT_END.search(text, max(start, end.start() - 8), end.start()):
            continue
        if _ORDINAL.match(text, end.end()):
            continue
        if stop == "\n" and _leads_on(text, start, end.start(), end.end()):
            continue
        if end.group() == "\n" and _wraps(text, end.start()):
            continue
        spans += _trimmed(text, start, end.end())
        start = end.end()
    spans += _trimmed(text, start, len(text))
    return [part for span in spans for part in _clauses(text, *span)]


def _leads_on(text: str, start: int, stop: int, following: int) -> bool:
    """Whether text[start:stop] leads in what `following` begins: the next line, or a short list."""
    lines = text[start:stop].rstrip().split("\n")
    if lines[-1].endswith(_LEADS_IN):
        return True
    end = text.find("\n", following)
    item = text[following : end if end >= 0 else len(text)]
    listed = lines[0].endswith(_LEADS_IN) and _ITEM.match(item) is not None
    return listed and weight(text[start:stop]) + weight(item) < _LIMIT


def _wraps(text: str, at: int) -> bool:
    """Whether the line break at `at` only wraps a paragraph that was set to a width.

    It does when the next word would not have fitted into the line; lines that begin alike are rows.
    """
    first = text.rfind("\n\n", 0, at) + 1
    last = text.find("\n\n", at)
    block = text[first : last if last >= 0 else len(text)][:4000]
    width = max(weight(line) for line in block.split("\n"))
    line = text[text.rfind("\n", 0, at) + 1 : at]
    following = text[at + 1 : at + 1 + _WIDEST].split("\n", 1)[0]
    word = _FIRST.match(following)
    if word is None or not _NARROWEST <= width <= _WIDEST or line.startswith(word.group()):
        return False
    return weight(line) + 1 + weight(word.group()) > width


def _trimmed(text: str, start: int, end: int) -> list[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return [(start, end)] if any(c.isalnum() for c in text[start:end]) else []


def weight(text: str) -> int:
    """The length of a text where a CJK character counts 3."""
    return len(text) + 2 * sum(m.end() - m.start() for m in _CJK.finditer(text))


def _clauses(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut an overlong sentence at the clause, else the space, nearest to its middle."""
    if weight(text[start:end]) <= _LIMIT:
        return [(start, end)]
    middle = (start + end) // 2
    quarter = (end - start) // 4
    cuts = [m.end() for m in _CLAUSE.finditer(text, middle - quarter, middle + quarter)]
    cuts = cuts or [i for i in range(middle - quarter, middle + quarter) if text[i].isspace()]
    cut = min(cuts, key=lambda c: abs(c - middle), default=middle)
    left, right = _trimmed(text, start, cut), _trimmed(text, cut, end)
    return [part for span in left + right for part in _clauses(text, *span)]


def terms(text: str) -> list[Term]:
    """The words of a text by their first letters, and its CJK runs by overlapping pairs."""
    found: list[Term] = []
    for word in _WORD.finditer(text):
        at = word.start()
        for run in _CJK.finditer(text, word.start(), word.end()):
            _add_word(found, text, at, run.start())
            first, last = run.span()
            pairs = range(first, max(last - 1, first + 1))
            found += [Term(i, min(i + 2, last), text[i : min(i + 2, last)]) for i in pairs]
            at = last
        _add_word(found, text, at, word.end())
    return found


def paired(text: str) -> bool:
    """Whether some of a text's terms are pairs of characters."""
    return _CJK.search(text) is not None


def _add_word(found: list[Term], text: str, start: int, end: int) -> None:
    if start < end:
        found.append(Term(start, end, fold(text[start:end])[:_STEM]))


def rank(
    question: str, passages: Sequence[str], headings: Sequence[str | None] = ()
) -> list[Candidate]:
    """The sentences of the passages with their overlap, the largest first.

    Questions and headings are left out when there is anything else: they do not answer.

    A term's rarity is its inverse sentence frequency within these passages, so that words which all
    of them share count for little. A sentence gets, besides its own overlap, 0.3 of its better
    neighbour's and 0.2 of its passage's (heading included).
    """
    wanted = {term.key for term in terms(question)}
    spans = [(p, start, end) for p, text in enumerate(passages) for start, end in split(text)]
    matches = [
        [term for term in terms(passages[p][start:end]) if term.key in wanted]
        for p, start, end in spans
    ]
    keys = [{term.key for term in shared} for shared in matches]
    around = [{t.key for t in terms(h or "")} & wanted for h in headings]
    around = around or [set() for _ in passages]
    for (p, _, _), shared in zip(spans, keys, strict=True):
        around[p] |= shared
    rarity = _rarity(wanted, keys)
    mass = sum(rarity.values()) or 1.0
    own, whole = ([sum(rarity[k] for k in sorted(s)) for s in sets] for sets in (keys, around))

    def neighbour(i: int) -> float:
        near = [j for j in (i - 1, i + 1) if 0 <= j < len(spans) and spans[j][0] == spans[i][0]]
        return max((own[j] for j in near), default=0.0)

    candidates = []
    for i in _telling(passages, headings, spans):
        p, start, end = spans[i]
        text = passages[p][start:end]
        overlap = (own[i] + 0.3 * neighbour(i) + 0.2 * whole[p]) / (1.5 * mass)
        rare = _merged([term for term in matches[i] if rarity[term.key] >= _RARE])
        candidates.append(Candidate(p, start, end, text, overlap, rare))
    return sorted(candidates, key=lambda c: -c.overlap)


def _telling(
    passages: Sequence[str], headings: Sequence[str | None], spans: Sequence[tuple[int, int, int]]
) -> Sequence[int]:
    """Which of the sentences (passage, start, end) are neither questions nor headings; or all."""
    titles = [set((heading or "").split(" > ")) for heading in headings] or [set()] * len(passages)
    found = []
    for i, (p, start, end) in enumerate(spans):
        text = passages[p][start:end].rstrip("\"'»”’)]」』 ")
        if not (text.endswith(_ASKS) or _HEADING.match(text) or text in titles[p]):
            found.append(i)
    return found or range(len(spans))


def _rarity(wanted: set[str], sentences: Sequence[set[str]]) -> dict[str, float]:
    """The inverse frequency of each term among the sentences."""
    frequency = Counter(key for keys in sentences for key in keys)
    return {
        key: math.log(1 + (len(sentences) - frequency[key] + 0.5) / (frequency[key] + 0.5))
        for key in sorted(wanted)
    }


def _merged(found: Sequence[Term]) -> tuple[tuple[int, int], ...]:
    """The spans of matching terms, overlapping ones (CJK pairs) joined."""
    spans: list[tuple[int, int]] = []
    for term in found:
        if spans and term.start < spans[-1][1]:
            spans[-1] = (spans[-1][0], term.end)
        else:
            spans.append((term.start, term.end))
    return tuple(spans)
