"""What can be told from a text's words alone: its language, the names in it, what it denies.

Nine languages, by short lists of their commonest words. Knows no model and no grammar, so it errs:
the first word of a sentence is a name only where the next one is, or a verb like *is*; German nouns
look like names, so there it takes two in a row; Chinese, Korean and Arabic names look like words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.words import fold
from rag.sentences import Term, terms

_COMMON = {
    "en": "the of and to in is was that for it with as on are by be this from which were",
    "de": "der die das und ist nicht den von zu mit sich des auf für im dem ein eine wird auch",
    "fr": "le la les des et est un une du dans que pour qui sur au par il sont pas plus ne aux",
    "es": "el la los las de y en que es un una del por con se para su al como fue más no",
    "pt": "o a os as de e em que é um uma do da por com se para não na no ao mais dos foi",
}
_SETS = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)
_LATIN = re.compile(r"[^\W\d_]+")
_NEGATIONS = {
    "en": r"\b(?:not|never|none|nobody|nothing|neither|nor|cannot|without)\b|n['’]t\b|\bno\b(?!\.)",
    "de": r"\b(?:nicht|nie|niemals|nichts|niemand|ohne|weder|kein(?:e[mnrs]?)?)\b",
    "fr": r"\b(?:pas|jamais|rien|sans|ni|aucune?)\b",
    "es": r"\b(?:no|nunca|jamás|nadie|nada|sin|tampoco|ning[uú]n[oa]?)\b",
    "pt": r"\b(?:não|nunca|jamais|ninguém|nada|sem|nenhuma?)\b",
    "ar": r"\b(?:لا|لم|لن|ليس|ليست|ليسوا|غير|بدون|دون)\b",
    "zh": r"不(?![但仅同过久断少])|[没沒未无無](?![来论論数])|并非|絕非|绝非|否认",
    "ja": r"(?<![少危])ない|なかった|ません|なく|なし|(?<=[^ま])ずに|不可",
    "ko": r"않|없|못|아니|불가|(?<![가-힣])안\s",
}
_DENIES = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _NEGATIONS.items()}
_DENIES_BEHIND = {"ja", "ko"}  # what is denied stands before the word that denies it
_WINDOW = 3  # words beside a negation that it may deny
_NAME = re.compile(r"[^\W\d_][\w'’]*(?:[-.][^\W\d_][\w'’]*)*\.?")
_KATAKANA = re.compile(r"[ァ-ヺー]{3,}")
_OPENS = re.compile(r"(?:^|[.!?:;。！？…]|[¿¡\"“”„«»'‘(\[–—-]\s*)\s*$")
_COPULA = frozenset(
    word
    for words in (
        "is was are were has had will won became",
        "ist war wird hat",
        "est était a fut",
        "es fue era ha é foi",
    )
    for word in words.split()
)
_NO_NAMES = frozenset(
    word
    for words in (
        "it he she they we you i this that these those there what who which when where how why",
        "one some many most all both each nothing nobody everything a an his her its their our my",
        "er sie es wir ihr dies dieser diese dort was wer man",
        "elle ils elles ce cela c'est on nous vous ces",
        "ella ellos eso esto este esta ele ela eles isso isto",
    )
    for word in words.split()
)


def language(text: str) -> str:
    """Which of the nine languages a text is most likely in; English where nothing tells."""
    for name, script in _SCRIPTS:
        if len(script.findall(text)) * 5 > len(text.replace(" ", "")):
            return name
    found = [word.casefold() for word in _LATIN.findall(text)]
    return max(_SETS, key=lambda name: sum(word in _SETS[name] for word in found))


def function_words(name: str) -> frozenset[str]:
    """The commonest words of a language, folded; none of those that are not written in Latin."""
    return frozenset(map(fold, _SETS.get(name, ())))


@dataclass(frozen=True, slots=True)
class Name:
    """A run of capitalised words, or of katakana, and where it stands."""

    text: str
    start: int
    end: int


def names(text: str, *, lang: str | None = None) -> list[Name]:
    """The names in a text, each a run of words, as far as their writing shows them."""
    lang = lang or language(text)
    if lang == "ja":
        return [Name(m.group(), *m.span()) for m in _KATAKANA.finditer(text)]
    found: list[Name] = []
    words = [match for match in _NAME.finditer(text)]
    at = 0
    while at < len(words):
        last = at
        while last < len(words) and _is_capital(words[last].group()):
            if last > at and text[words[last - 1].end() : words[last].start()] != " ":
                break
            last += 1
        run = words[at:last]
        if run and _opens(text, run[0].start()) and not _leads(run, words[last : last + 1]):
            run = run[1:]
        if len(run) >= (2 if lang == "de" else 1):
            start, end = run[0].start(), run[-1].end()
            name = text[start:end].rstrip(".")
            found.append(Name(name, start, start + len(name)))
        at = max(last, at + 1)
    return found


def _is_capital(word: str) -> bool:
    return word[0].isupper() and len(word.rstrip(".")) > 1


def _opens(text: str, start: int) -> bool:
    """Whether a sentence, or a quotation, begins here: any word has a capital there."""
    return _OPENS.search(text[max(0, start - 4) : start]) is not None


def _leads(run: list[re.Match[str]], following: list[re.Match[str]]) -> bool:
    """Whether the first word of a sentence is a name: another follows, or a verb like *is*."""
    first = run[0].group().casefold()
    if first in _NO_NAMES or any(first in words for words in _SETS.values()):
        return False
    return len(run) > 1 or any(word.group() in _COPULA for word in following)


def denials(text: str, *, lang: str | None = None) -> list[tuple[int, int]]:
    """The spans of the words that deny something."""
    return [m.span() for m in _DENIES[lang or language(text)].finditer(text)]


def denied(text: str, *, lang: str | None = None) -> set[str]:
    """The terms that a text denies: those beside each negation."""
    lang = lang or language(text)
    spans = denials(text, lang=lang)
    content = [t for t in telling(text, lang=lang) if not any(s <= t.start < e for s, e in spans)]
    found: set[str] = set()
    for start, end in spans:
        after = [t.key for t in content if t.start >= end][:_WINDOW]
        before = [t.key for t in content if t.end <= start][-_WINDOW:]
        found.update(before if lang in _DENIES_BEHIND or not after else after)
    return found


def telling(text: str, *, lang: str | None = None) -> list[Term]:
    """A text's terms without the commonest words of its language."""
    common = function_words(lang or language(text))
    return [term for term in terms(text) if term.key not in common]
