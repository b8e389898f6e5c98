"""Do quotes support a sentence? Its numbers, names, words, and what it denies, against theirs.

Fast and by writing alone: it notices what a model is likely to get wrong about a quote that lies
before it, not what contradicts a quote in other words. Knows no model and no index.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.words import fold
from rag.sentences import paired, terms
from rag.values import dates, numbers
from rag.wording import Name, denials, denied, language, names, telling

COVERED = 0.3  # of a sentence's telling terms, by length, that its quotes need to have
_ALIKE = 0.6  # covered so far, a sentence and a clause of a quote speak of the same
_ELSEWHERE = "its quotes speak of something else"
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_DIGITS = re.compile(r"\d+")
_SAID = {  # small numbers in words
    2: "two zwei deux dos dois duas 二 两 둘 두", 3: "three drei trois tres três 三 셋 세",
    4: "four vier quatre cuatro quatro 四 넷 네", 5: "five fünf cinq cinco 五 다섯",
    6: "six sechs seis 六 여섯", 7: "seven sieben sept siete sete 七 일곱",
    8: "eight acht huit ocho oito 八 여덟", 9: "nine neun neuf nueve nove 九 아홉",
    10: "ten zehn dix diez dez 十 열", 11: "eleven elf onze once 十一",
    12: "twelve zwölf douze doce doze 十二",
    1: "one ein eine un une uno una um uma 一 하나 한",
}  # fmt: skip
_UNITS = tuple(
    (re.compile(rf"[\s\u00a0-]?(?:{pattern})", re.IGNORECASE), name)
    for name, pattern in (
        ("%", r"%|percent\b|per cent\b|prozent\b|pour cent\b|por ciento\b|por cento\b|퍼센트"),
        ("km", r"km\b|kilomet|公里|キロメートル|킬로미터"), ("cm", r"cm\b|centimet|厘米|センチ"),
        ("mm", r"mm\b|millimet|毫米|ミリ"),
        ("m", r"m\b|met(?:er|re)s?\b|mètres?\b|metros?\b|メートル|미터"),
        ("mile", r"miles?\b|英里|マイル"), ("foot", r"f(?:oo|ee)?t\b|英尺"),
        ("kg", r"kg\b|kilogram|公斤|キログラム|킬로그램"),
        ("g", r"g\b|gram"),
        ("t", r"tons?\b|tonn|toneladas?\b|吨|トン|톤"),
        ("year", r"years?\b|jahre?n?\b|ans\b|années?\b|años?\b|anos?\b|年間|周年"),
        ("month", r"months?\b|monate?n?\b|mois\b|mes(?:es)?\b|个月|か月|ヶ月|개월"),
        ("week", r"weeks?\b|wochen?\b|semaines?\b|semanas?\b|周(?!年)|週間|주일"),
        ("day", r"days?\b|tage?n?\b|jours?\b|d[ií]as?\b|天|日間"),
        ("hour", r"hours?\b|stunden?\b|heures?\b|horas?\b|小时|時間|시간"),
        ("minute", r"min(?:ute|uto)?[sn]?\b|分钟|分間"),
        ("euro", r"€|euros?\b|eur\b|欧元|ユーロ|유로"),
        ("dollar", r"\$|dollars?\b|usd\b|dólares\b|美元|ドル|달러"),
        ("pound", r"£|pounds?\b|gbp\b|英镑|ポンド"),
        ("yuan", r"元|yuan\b"), ("yen", r"円|¥|yen\b"), ("won", r"원(?![가-힣])"),
    )
)  # fmt: skip
_BEFORE = {"€": "euro", "$": "dollar", "£": "pound", "¥": "yen"}


def doubt(sentence: str, quotes: Sequence[str], *, context: str = "") -> str | None:
    """Why these quotes do not support a sentence, in plain English, or None.

    What `context` says, such as the question and the headings over the quotes, may be repeated
    without support.
    """
    sentence, given = " ".join(sentence.split()), [" ".join(quote.split()) for quote in quotes]
    whole = "\n".join(given)
    if whole and sentence in whole:
        return None
    return (
        _number(sentence, whole, context)
        or _name(sentence, f"{whole}\n{context}")
        or _negation(sentence, given)
        or _words(sentence, whole, context)
    )


def _number(sentence: str, quotes: str, context: str) -> str | None:
    known = f"{quotes}\n{context}"
    days, mine = {d.value for d in dates(known)}, dates(sentence)
    if days and any(day.value not in days for day in mine):
        return "it has a date that its quotes do not have"
    given: dict[float, set[str]] = {}
    for value, unit in _measured(known):
        given.setdefault(value, set()).add(unit)
    loose = set(_DIGITS.findall(known))
    said = fold(known)
    for value, unit in _measured(sentence):
        if value in given:
            units = given[value]
            if unit and "" not in units and unit not in units:
                return "it has a number with another unit than its quotes"
        elif f"{value:g}" not in loose and str(value) not in loose and not _spelt(value, said):
            return "it has a number that its quotes do not have"
    return None


def _measured(text: str) -> list[tuple[float, str]]:
    """Every number with its unit, or ""."""
    found = []
    for number in (*numbers(text), *numbers(text, whole=True)):
        behind = text[number.end : number.end + 20]
        unit = next((name for pattern, name in _UNITS if pattern.match(behind)), "")
        before = text[: number.start].rstrip()[-1:]
        found.append((number.value, unit or _BEFORE.get(before, "")))
    return found


def _spelt(value: float, folded: str) -> bool:
    """Whether a text, folded, has a small number in words."""
    spellings = _SAID.get(int(value), "").split() if value == int(value) else []
    return any(
        word in folded if not word.isascii() and paired(word) else re.search(rf"\b{word}\b", folded)
        for word in map(fold, spellings)
    )


def _name(sentence: str, known: str) -> str | None:
    sentence, known = (_DOTTED.sub(_undotted, text) for text in (sentence, known))
    words = {term.key for term in terms(known)}
    initials = _initials(known)
    for name in names(sentence):
        missing = [part for part in _parts(name) if not _has(words, part)]
        acronym = "".join(part[0] for part in _parts(name))
        if missing and fold(name.text) not in initials and not (acronym[1:] and acronym in words):
            return f"its quotes do not name {name.text}"
    return None


def _undotted(acronym: re.Match[str]) -> str:
    return acronym.group().replace(".", "")


def _parts(name: Name) -> list[str]:
    return [term.key for term in terms(name.text)] or [fold(name.text)]


def _has(words: set[str], part: str) -> bool:
    """Whether a stem is there, perhaps with another ending of one or two letters."""
    if part in words:
        return True
    ends = (part[:-1], part[:-2])
    return len(part) >= 4 and (
        any(len(end) >= 4 and end in words for end in ends)
        or any(word.startswith(part) and len(word) <= len(part) + 2 for word in words)
    )


def _initials(text: str) -> set[str]:
    """The initials of every run of capitalised words, folded, from each of its beginnings."""
    found = set()
    for name in names(text, lang="en"):
        letters = "".join(word[0] for word in fold(name.text).split())
        found |= {letters[i:j] for i in range(len(letters)) for j in range(i + 2, len(letters) + 1)}
    return found


def _negation(sentence: str, quotes: Sequence[str]) -> str | None:
    """Whether what is denied on one side is said on the other."""
    lang, whole = language(sentence), "\n".join(quotes)
    if not whole or language(whole) != lang:
        return None
    said, given = _keys(sentence, lang), _keys(whole, lang)
    nearest = max(quotes, key=lambda quote: _share(said, _keys(quote, lang)))
    mine, theirs = denied(sentence, lang=lang), denied(nearest, lang=lang)
    if denials(sentence, lang=lang) and not denials(whole, lang=lang):
        if mine & given or _share(said, given) >= _ALIKE:
            return "it denies what its quotes say"
    elif not denials(sentence, lang=lang) and theirs & said and _share(theirs, said) >= _ALIKE:
        return "its quotes deny what it says"
    return None


def _keys(text: str, lang: str) -> set[str]:
    return {term.key for term in telling(text, lang=lang)}


def _share(of: set[str], known: set[str]) -> float:
    """The share of terms that are known, long ones weighing more."""
    total = sum(map(len, of))
    return sum(len(key) for key in of if _has(known, key)) / total if total else 1.0


def _words(sentence: str, quotes: str, context: str) -> str | None:
    """Whether the quotes speak of something else. Across languages words cannot tell."""
    lang = language(sentence)
    if language(quotes) != lang:
        return None
    said = _keys(sentence, lang)
    new = said - _keys(context, lang) or said
    return None if _share(new, _keys(quotes, lang)) >= COVERED else _ELSEWHERE
