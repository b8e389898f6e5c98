"""A value out of a quote: the number, date, yes or no, or choice that it states.

Cautious on purpose: where a quote states several, or none for certain, there is no value. Knows the
nine languages' usual forms; knows no schema and no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rag.sentences import terms

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.,:/–-])[-−]?"
    r"(\d{1,3}(?:([.,'’\u00a0\u202f])\d{3})(?:\2\d{3})*(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"(?![\d]|[-–/:]\d)"
)
_GROUPED = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*")
_MAGNITUDES = (  # what stands behind a number and multiplies it
    (r"thousand\b|Tausend\b|mille\b|mil\b|千|천|ألف", 10**3),
    (r"万|萬|만", 10**4),
    (r"millions?\b|Mio\b|Millionen\b|millones\b|milhões\b|milhão\b|millón\b|百万|مليون", 10**6),
    (r"亿|億|억", 10**8),
    (r"billion\b|milliards?\b|Milliarden?\b|Mrd\b|مليار", 10**9),
)
_YEAR_ASKED = re.compile(r"\byear|\bann[ée]e|\bjahr|\baño|\bano\b|年|년|سنة|عام", re.IGNORECASE)
_MONTHS = (  # how the names of the twelve months begin, in five languages
    *(r"jan|ene", r"feb|f[ée]v", r"mar|m[äa]r|maerz", r"apr|abr|avr", r"may|mai|mayo"),
    *(r"jun|juin", r"jul|juil", r"aug|ago|aoû", r"sep|set", r"o[ck]t|out", r"nov", r"de[czs]|déc"),
)
_MONTH = "|".join(f"(?P<m{n}>{names})" for n, names in enumerate(_MONTHS, start=1))
_DATES = (
    re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?!\d)"),
    re.compile(r"(?P<y>\d{4})\s?[年년]\s?(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日일]"),
    re.compile(r"(?<![\d.])(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})(?!\d)"),
    re.compile(
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?\s+(?:de\s+)?(?:{_MONTH})\w*\.?,?"
        r"\s+(?:de\s+|del\s+)?(?P<y>\d{4})\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?:{_MONTH})\w*\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})\b", re.I
    ),
)
_YES = r"yes|true|ja|oui|sí|si|sim|是|有|はい|예|네|نعم"
_NO = r"no|false|nein|non|não|否|无|いいえ|아니요|아니오|لا"
_YES_OR_NO = re.compile(rf"(?:^|[:：=|]\s*)(?:({_YES})|({_NO}))(?!\w)", re.IGNORECASE)
_ITEMS = re.compile(r"\s*[,;،؛、，；]\s*(?:(?:and|or|und|oder|et|ou|y|o|e)\s+)?")
_LAST_ITEM = re.compile(r"\s+(?:and|und|et|y|e)\s+")


@dataclass(frozen=True, slots=True)
class Found:
    """A value and the span of the quote that states it."""

    value: Any
    start: int
    end: int


def numbers(text: str, *, whole: bool = False) -> list[Found]:
    """The numbers a text states. `whole` takes a lone `1.234` for one thousand."""
    found = []
    for match in _NUMBER.finditer(text):
        value = _number(match[1], whole=whole)
        if value is None:
            continue
        end = match.end()
        for names, factor in _MAGNITUDES:
            if behind := re.compile(rf"[\s\u00a0]?(?:{names})").match(text, end):
                value, end = round(value * factor, 6), behind.end()
                break
        if match.group()[0] in "-−":
            value = -value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        found.append(Found(value, match.start(), end))
    return found


def _number(digits: str, *, whole: bool) -> float | int | None:
    plain = re.sub(r"['’\u00a0\u202f]", "", digits)
    if "," in plain and "." in plain:
        decimal = "," if plain.rindex(",") > plain.rindex(".") else "."
        group = "." if decimal == "," else ","
        return float(plain.replace(group, "").replace(decimal, "."))
    grouped = _GROUPED.fullmatch(plain)
    if grouped and (grouped[1] == "," or plain.count(".") > 1 or whole):
        return int(re.sub(r"[.,]", "", plain))
    if plain.count(",") > 1:
        return None
    plain = plain.replace(",", ".")
    return float(plain) if "." in plain else int(plain)


def dates(text: str) -> list[Found]:
    """The days a text names, as YYYY-MM-DD; none for 5/3/1947, which may be in May or in March."""
    found = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            month = parts.get("m") or next(n for n in range(1, 13) if parts[f"m{n}"])
            try:
                day = date(int(parts["y"]), int(month), int(parts["d"]))
            except ValueError:
                continue
            found.append(Found(day.isoformat(), *match.span()))
    return found


def choices(text: str, options: Sequence[Any]) -> list[Found]:
    """Which of the options a text names; a longer one hides those within it."""
    found: list[Found] = []
    folded = text.casefold()
    for option in sorted(options, key=lambda o: -len(str(o))):
        if isinstance(option, bool) or option is None:
            continue
        if not isinstance(option, str):
            found += [n for n in numbers(text) if n.value == option]
            continue
        words = " ".join(option.casefold().replace("_", " ").split())
        for spelling in dict.fromkeys((option.casefold(), words)):
            # CJK is written without spaces, so only letters that are need a border
            edge = r"(?<![a-z0-9])", r"(?![a-z0-9])"
            for match in re.finditer(edge[0] + re.escape(spelling) + edge[1], folded):
                if spelling and not any(
                    f.start < match.end() and match.start() < f.end for f in found
                ):
                    found.append(Found(option, *match.span()))
    return found


def yes_or_no(text: str) -> list[Found]:
    """Yes or no where a text says it outright: at its beginning, or behind a colon."""
    return [Found(m[1] is not None, *m.span()) for m in _YES_OR_NO.finditer(text.strip())]


def items(text: str) -> list[Found]:
    """The things a text lists behind a colon; else the text as one."""
    _, colon, listed = text.partition(":") if ":" in text else text.partition("：")
    if not colon or not listed.strip():
        return [Found(" ".join(text.split()), 0, len(text))]
    *first, last = _ITEMS.split(listed.strip().rstrip(".。"))
    parts = [*first, *(_LAST_ITEM.split(last) if first else [last])]
    return [Found(" ".join(part.split()), 0, len(text)) for part in parts if part.strip()]


def only(found: Sequence[Found], text: str, question: str) -> Found | None:
    """The one value that a quote gives to a question, or None.

    Numbers that the question itself names are not its answer. Of several the one nearest to words
    of the question is taken, if one is.
    """
    named = {n.value for n in numbers(question)} - {True, False}
    found = [f for f in found if isinstance(f.value, bool | str) or f.value not in named]
    if len({str(f.value) for f in found}) <= 1:
        return found[0] if found else None
    if _YEAR_ASKED.search(question):
        years = [f for f in found if isinstance(f.value, int) and 1000 <= f.value <= 2999]
        if len({f.value for f in years}) == 1:
            return years[0]
    asked = {term.key for term in terms(question)}
    places = [term for term in terms(text) if term.key in asked]
    if not places:
        return None
    ranked = sorted((min(_distance(f, t.start, t.end) for t in places), f.start) for f in found)
    if ranked[0][0] == ranked[1][0]:
        return None
    return next(f for f in found if f.start == ranked[0][1])


def _distance(found: Found, start: int, end: int) -> int:
    return max(start - found.end, found.start - end, 0)
