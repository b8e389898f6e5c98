"""A sentence of a document → a question that it answers, without a model that writes.

Either what something is, where a sentence says so (`What is a cache?`), or the sentence itself with
a gap where a number, a name or a title stood. Knows words in nine languages, and no documents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from rag.sentences import weight
from rag.wording import language, names

GAP = "____"
_SHORTEST, _LONGEST = 50, 320  # weight of a sentence that is asked about
_STOP = re.compile(r"[.。!！؟۔…][\"'»”’)\]」』]*$")
_NUMBER = re.compile(  # with what makes it a quantity; no part of a word, a reference or a list
    r"(?<![\w.,/\[(§#-])(?>\d+(?:[.,:]\d+)*)(?:\s?(?:%|°C?|€|\$|km|kg|GB|MB|KB|ms)(?!\w))?"
    r"(?![\w\])]|[.)]\s)"
    r"|(?<![\d.,:])(?>\d+(?:[.,]\d+)*)\s?(?:%|[年月日天周週時时分秒度岁歳个個人名円元倍条條点回]|[년월일명개원시분])"
)
_TITLE = re.compile(r"[「『《“«„]\s?([^「」『』《》“”«»„\n]{2,24}?)\s?[」』》”»“]")
_NO_PROSE = re.compile(r"https?:|www\.|[|\t{}<>=_]|\.{4}|…{2}|@")
_POINTS_BACK = {  # the first words of sentences that need the one before
    *("it", "this", "that", "these", "those", "there", "here", "he", "she", "they", "we", "you"),
    *("i", "if", "what", "which", "who", "another", "also", "es", "dies", "dieses", "diese", "das"),
    *("er", "sie", "wir", "man", "hier", "dort", "il", "elle", "ce", "cela", "ils", "elles", "on"),
    *("nous", "c'est", "c’est", "él", "ella", "esto", "esta", "este", "eso", "ellos", "ele", "ela"),
    *(
        "isso",
        "isto",
        "outra",
        "outro",
        "そして",
        "しかし",
        "それ",
        "これ",
        "그",
        "이",
        "هذا",
        "هذه",
    ),
}
_ENDS = re.compile(r"[,;:(–—]| (?:that|which|who|and|der|die|das|und|qui|que|et|y|e) ")
# What a sentence says a name, or in the last two a term, is; and how one asks for it.
_DEFINITIONS = {
    "en": (r"(?P<of>.+?) (?P<verb>is|are) (?P<said>(?:an?|the|one of) .+)", "What {verb} {of}?"),
    "de": (
        r"(?P<of>.+?) (?P<verb>ist|sind) (?P<said>(?:eine?|der|die|das) .+)",
        "Was {verb} {of}?",
    ),
    "fr": (r"(?P<of>.+?) (?:est|sont) (?P<said>(?:une?|les?|la|l[’']).+)", "Qu’est-ce que {of} ?"),
    "es": (r"(?P<of>.+?) (?P<verb>es|son) (?P<said>(?:una?|el|las?|los) .+)", "¿Qué {verb} {of}?"),
    "pt": (r"(?P<of>.+?) (?P<verb>é|são) (?P<said>(?:uma?|os?|as?) .+)", "O que {verb} {of}?"),
    "ja": (
        r"(?P<of>[^、。はがを\s]{2,16})とは、?(?P<said>.+?)(?:です|である)?",
        "{of}とは何ですか？",
    ),
    "zh": (r"(?P<of>[^，。是的\s]{2,12})(?:是指|是一种|是一个)(?P<said>.+)", "{of}是什么？"),
}
_TERMS = {"ja", "zh"}  # where a definition is told by its words alone


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that a sentence answers, and the words of the sentence that are the answer."""

    question: str
    answer: str
    kind: str  # "definition" or "gap"


def asked(sentence: str, *, chance: Random) -> Asked | None:
    """A question about a sentence; None where it is no plain prose, or has nothing to ask for.

    `chance` picks among several gaps.
    """
    flat = " ".join(sentence.split())
    if not is_prose(flat):
        return None
    lang = language(flat)
    return _definition(flat, lang) or _gap(flat, lang, chance)


def is_prose(flat: str) -> bool:
    """Whether a text on one line is a whole sentence that stands for itself."""
    if not _SHORTEST <= weight(flat) <= _LONGEST or not _STOP.search(flat):
        return False
    if _NO_PROSE.search(flat) or flat[0].islower() or not (flat[0].isalpha() or flat[0] in "¿¡"):
        return False
    if re.split(r"[\s,、，]", flat, maxsplit=1)[0].casefold() in _POINTS_BACK:
        return False
    letters = sum(c.isalpha() or c.isspace() for c in flat)
    return letters > 0.8 * len(flat) and flat.count("(") == flat.count(")")


def _definition(flat: str, lang: str) -> Asked | None:
    if lang not in _DEFINITIONS:
        return None
    pattern, question = _DEFINITIONS[lang]
    match = re.fullmatch(pattern, _STOP.sub("", flat))
    if match is None:
        return None
    if lang not in _TERMS and match.span("of") not in {(n.start, n.end) for n in names(flat)}:
        return None
    said = match["said"]
    if cut := _ENDS.search(said, 12):
        said = said[: cut.start()]
    return Asked(question.format(**match.groupdict()), said.strip(), "definition")


def _gap(flat: str, lang: str, chance: Random) -> Asked | None:
    """The sentence with a gap: a number before a name before a title in quotation marks."""
    spans = [match.span() for match in _NUMBER.finditer(flat)]
    spans = spans or [(name.start, name.end) for name in names(flat, lang=lang)]
    spans = spans or [match.span(1) for match in _TITLE.finditer(flat)]
    spans = [(start, end) for start, end in spans if start and flat.count(flat[start:end]) == 1]
    if not spans:
        return None
    start, end = chance.choice(spans)
    return Asked(flat[:start] + GAP + flat[end:], flat[start:end].strip(), "gap")
