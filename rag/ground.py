"""Verbatim quotes out of numbered passages: what a generator may write, and reading what it wrote.

A reply is up to `MAX_QUOTES` lines of the form `[n] "quote"`, or the single line `NOT FOUND`. A
passage is shown on one line (`shown`), so a quote never holds a line break, and a quotation mark
inside a quote cannot end it: the end of the line does. A model on a server cannot be held to that;
what it says is looked up instead. Knows no model and none of the wording.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from backbone.grammar import Grammar, cut
from backbone.grammar import quote as verbatim
from ingest.document import Document, Hit, url_of
from rag.answer import Citation, Quote
from rag.shown import LOOKALIKES, show

NOT_FOUND = "NOT FOUND"
MAX_QUOTES = 3

_LINE = re.compile(r'\[(\d{1,4})\] ?"(.*)', re.DOTALL)
# No space at the ends of a quote, and a letter or a number in it.
_SENSIBLE = r"/[^ ](.*[^ ])?/ & /.*[\p{L}\p{N}].*/"
# A claim of a model that no grammar held: a source mark, and words between any quotation marks.
MARK = re.compile(r'(?:[-*•]\s*|\d{1,3}\.\s+)?\[\d{1,4}\]\s*[:—–-]?\s*["“„«]')
_CLAIM = re.compile(
    r'(?:[-*•]\s*|\d{1,3}\.\s+)?\[(\d{1,4})\]\s*[:—–-]?\s*["“„«]\s*(.*?)\s*["”“»]?[.,;]?'
)
# One character for one, so that offsets stay.
_PLAIN = str.maketrans("‘’‚‛“”„‟«»‐‑‒–—−", "'" * 4 + '"' * 6 + "-" * 6)
_PLAIN |= str.maketrans("".join(LOOKALIKES.values()), "".join(LOOKALIKES))
_TELLING = 20  # characters that are no accident when another passage than the named has them
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passage:
    """A hit as a generator sees it: a number from 1, and its text on one line.

    `offsets[i]` is where character `i` of `text` stands in the document.
    """

    number: int
    hit: Hit
    text: str
    offsets: tuple[int, ...]

    def find(self, quote: str) -> Quote | None:
        """The first occurrence of a quote, as the document has it, or None."""
        at = self.text.find(quote)
        if at < 0 or not any(c.isalnum() for c in quote):
            return None
        start, end = self.offsets[at], self.offsets[at + len(quote) - 1] + 1
        origin = self.hit.chunk.start
        return Quote(self.hit, start, end, self.hit.chunk.text[start - origin : end - origin])


def number_passages(hits: Iterable[Hit]) -> list[Passage]:
    """The hits as passages numbered from 1."""
    passages = []
    for number, hit in enumerate(hits, start=1):
        text, places = show(hit.chunk.text)
        passages.append(Passage(number, hit, text, tuple(hit.chunk.start + i for i in places)))
    return passages


def quote_grammar(passages: Sequence[Passage], *, most: int = MAX_QUOTES) -> Grammar:
    """Exactly the replies that quote these passages, each under its own number, and `NOT FOUND`."""
    shown = quotable(passages)
    rules = [f'start: "{NOT_FOUND}"']
    if shown:
        rules[0] += f' | line ("\\n" line)~0..{most - 1}'
        rules.append("line: " + " | ".join(f"L{p.number}" for p in shown))
    return Grammar("\n".join([*rules, *quote_rules(shown)]))


def quotable(passages: Sequence[Passage]) -> list[Passage]:
    """Those of the passages that hold a letter or a digit."""
    return [p for p in passages if any(c.isalnum() for c in p.text)]


def quote_rules(passages: Sequence[Passage]) -> list[str]:
    """A Lark terminal `L1`, `L2`, … for a line that quotes each passage."""
    rules = []
    for p in passages:
        # One terminal (capitals), or a quotation mark in a quote would be taken for its end.
        rules.append(rf'L{p.number}: "[{p.number}] \"" Q{p.number} "\""')
        rules.append(f"Q{p.number}: {verbatim([p.text])} & {_SENSIBLE}")
    return rules


def read_quotes(pieces: Iterable[str], passages: Sequence[Passage]) -> Iterator[Quote]:
    """The quotes of a reply, each as soon as its line is complete.

    A line that is no verbatim quote of the passage it names is left out, and a warning logged.
    Quotes that repeat an earlier one are left out too.
    """
    seen: set[tuple[str, int, int]] = set()
    for line in lines_of(pieces):
        if line == NOT_FOUND:
            continue
        quote = read_line(line, passages)
        if quote is None:
            _log.warning("left out, since the passage it names does not hold it: %s", line)
            continue
        place = (quote.hit.chunk.source, quote.start, quote.end)
        if place not in seen:
            seen.add(place)
            yield quote


def read_claims(pieces: Iterable[str], passages: Sequence[Passage]) -> Iterator[Quote | str]:
    """The quotes of a reply that no grammar held, and, as text, each that no passage holds.

    Takes the habits of such models: bullets, typographic marks, several quotes on a line, a wrong
    number before words that another passage has, thoughts before the answer. White space counts as
    one space and a typographic quotation mark or dash as its plain form; nothing else is forgiven.
    """
    seen: set[tuple[str, int, int]] = set()
    for line in spoken(pieces):
        for claim in claims_in(line, passages):
            if isinstance(claim, str):
                yield claim
                continue
            place = (claim.hit.chunk.source, claim.start, claim.end)
            if place not in seen:
                seen.add(place)
                yield claim


def spoken(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a reply that no grammar held which say something; thoughts do not."""
    thinking = False
    for line in lines_of(pieces):
        thinking = (thinking or line.startswith("<think>")) and "</think>" not in line
        said = " ".join(line.rpartition("</think>")[2].split())
        if thinking or said.strip("*_`. ") == NOT_FOUND or not any(c.isalnum() for c in said):
            continue
        yield said


def cite(number: int, quote: Quote, document: Document) -> Citation | None:
    """The quote as citation `number`; None, and a warning, when the document has it not there."""
    if not quote.text or document.text[quote.start : quote.end] != quote.text:
        _log.warning(
            "left out, since it is not at %d–%d of %s: %s",
            *(quote.start, quote.end, document.source, quote.text),
        )
        return None
    return Citation(
        number=number,
        quote=quote.text,
        source=document.source,
        page=document.page_at(quote.start),
        heading=document.heading_at(quote.start),
        start=quote.start,
        end=quote.end,
        date=document.date,
        url=url_of(document.source),
        retrieved=document.retrieved,
    )


def lines_of(pieces: Iterable[str]) -> Iterator[str]:
    """The non-empty lines of a text that comes in pieces."""
    rest = ""
    for piece in pieces:
        *complete, rest = (rest + piece).split("\n")
        yield from (line.strip() for line in complete if line.strip())
    if rest.strip():
        yield rest.strip()


def claims_in(line: str, passages: Sequence[Passage]) -> list[Quote | str]:
    """What one line quotes, as one quote if it is one, else each between two source marks."""
    if quote := _look_up(line, passages):
        return [quote]
    starts = [mark.start() for mark in MARK.finditer(line)] or [0]
    parts = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]
    return [_look_up(part, passages) or part for part in parts]


def _look_up(claim: str, passages: Sequence[Passage]) -> Quote | None:
    """The quote that a claim makes, in the passage it names, or, if it is long, in any other."""
    match = _CLAIM.fullmatch(claim.replace("**", ""))
    if match is None:
        return None
    quote = match[2]
    for words in dict.fromkeys((quote, quote.rstrip(".,;:"))):
        for passage in sorted(passages, key=lambda p: p.number != int(match[1])):
            if passage.number != int(match[1]) and len(words) < _TELLING:
                continue
            plain = replace(passage, text=passage.text.translate(_PLAIN))
            if words and (found := plain.find(words.translate(_PLAIN))):
                return found
    return None


def read_line(line: str, passages: Sequence[Passage]) -> Quote | None:
    """The quote in a line that a grammar held, maybe cut by the token limit; else None."""
    match = _LINE.fullmatch(line)
    if match is None or not 1 <= int(match[1]) <= len(passages):
        return None
    quote = match[2]
    if not quote.endswith('"'):  # the token limit cut the reply here, maybe inside a word
        quote = "".join(cut(quote)[:-1]) + '"'
    return passages[int(match[1]) - 1].find(quote[:-1].strip())
