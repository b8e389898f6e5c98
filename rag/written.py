"""Answers in sentences, each after the verbatim quotes it rests on: what may be written, and
reading it back.

A reply is up to `MAX_SENTENCES` blocks, or the single line `NOT FOUND`. A block is one to
`QUOTES_EACH` lines `[n] "quote"`, and a line with a sentence and the numbers of those passages:

    [2] "Annual leave is 15 days"
    You have 15 days of leave a year. [2]

Quotes lead, so a model writes a sentence with its evidence before its eyes, and a sentence can be
checked and shown as soon as its line is complete. Knows no model and none of the wording.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from backbone.grammar import Grammar
from rag.answer import Quote
from rag.ground import (
    MARK,
    NOT_FOUND,
    Passage,
    claims_in,
    lines_of,
    quotable,
    quote_rules,
    read_line,
    spoken,
)

MAX_SENTENCES = 5
QUOTES_EACH = 3
LONGEST = 300  # characters of a sentence

# A sentence in the model's own words, up to its marks. It holds no bracket, so it can neither forge
# a mark nor a link, and no control or direction character; there is a letter or a digit in it.
_CHARACTER = r"[^\[\]\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_SENTENCE = rf"/[^ \[\]\p{{Cc}}]{_CHARACTER}{{0,{LONGEST}}} / & /.*[\p{{L}}\p{{N}}].*/"
_NUMBER = re.compile(r"\s*\[(\d{1,4})\]")
_BULLET = re.compile(r"(?:[-*•]|\d{1,3}\.)\s+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence in a model's own words, and the quotes it rests on: one at least."""

    text: str
    quotes: tuple[Quote, ...]


def sentence_grammar(passages: Sequence[Passage], *, most: int = MAX_SENTENCES) -> Grammar:
    """Exactly the replies of the agreed form that quote these passages.

    The numbers behind a sentence mirror the quotes before it, the last first: that is what a
    grammar can count.
    """
    shown = quotable(passages)
    if not shown:
        return Grammar(f'start: "{NOT_FOUND}"')
    rules = [f'start: "{NOT_FOUND}" | block{QUOTES_EACH} ("\\n" block{QUOTES_EACH})~0..{most - 1}']
    for quotes in range(QUOTES_EACH, 0, -1):
        inner = "SENTENCE" if quotes == 1 else f"(SENTENCE | block{quotes - 1})"
        ways = (f'L{p.number} "\\n" {inner} "[{p.number}]"' for p in shown)
        rules.append(f"block{quotes}: " + " | ".join(ways))
    return Grammar("\n".join([*rules, f"SENTENCE: {_SENTENCE}", *quote_rules(shown)]))


def read_written(
    pieces: Iterable[str], passages: Sequence[Passage], *, held: bool = True
) -> Iterator[Written | str]:
    """The sentences of a reply, each as soon as it is clear what it rests on.

    What rests on nothing comes as text. Of a reply that was cut the unfinished sentence is left
    out; if none was finished, the quotes speak for themselves. A reply that was not `held` to the
    grammar may have the habits that `read_claims` knows, and quotes that follow their sentence.
    """
    reading = _Reading()
    for line in lines_of(pieces) if held else spoken(pieces):
        if line == NOT_FOUND:
            continue
        if MARK.match(line.replace("**", "")):
            claims = [read_line(line, passages)] if held else claims_in(line, passages)
            yield from (claim for claim in claims if isinstance(claim, str))
            reading.take([claim for claim in claims if isinstance(claim, Quote)])
            if None in claims:
                _log.warning("left out, since the passage it names does not hold it: %s", line)
            continue
        numbers = {int(number) for number in _NUMBER.findall(line)}
        text = _BULLET.sub("", _NUMBER.sub("", line).replace("**", ""), count=1).strip()
        if numbers and any(c.isalnum() for c in text):
            yield from reading.say(text, {n for n in numbers if n <= len(passages)}, passages)
        elif not held:
            yield line
    yield from reading.end(passages)


class _Reading:
    """What was quoted and said so far, and what waits for the other."""

    def __init__(self) -> None:
        self._quotes: list[Quote] = []  # that no sentence rests on yet
        self._earlier: list[Quote] = []
        self._waiting: tuple[str, set[int]] | None = None  # a sentence whose quotes follow
        self._leading: bool | None = None  # whether quotes come before their sentence
        self._said: set[str] = set()

    def take(self, quotes: Sequence[Quote]) -> None:
        """Hear quotes."""
        if quotes and self._leading is None:
            self._leading = True
        self._quotes += [quote for quote in quotes if quote not in self._quotes]

    def say(
        self, text: str, numbers: set[int], passages: Sequence[Passage]
    ) -> Iterator[Written | str]:
        """Hear a sentence; what is clear by now."""
        if self._leading is None:
            self._leading = False
        yield from self._settle(passages)
        self._waiting = (text, numbers)
        if self._leading:
            yield from self._settle(passages)

    def end(self, passages: Sequence[Passage]) -> Iterator[Written | str]:
        """Hear that nothing more comes."""
        yield from self._settle(passages)
        if not self._said:
            yield from (Written(" ".join(q.text.split()), (q,)) for q in self._quotes)

    def _settle(self, passages: Sequence[Passage]) -> Iterator[Written | str]:
        """The sentence that waits, with its quotes: the new ones, and old ones that it names."""
        if self._waiting is None:
            return
        (text, numbers), self._waiting = self._waiting, None
        named = [passages[number - 1].hit for number in sorted(numbers)]
        fresh, self._quotes = self._quotes, []
        hits = [quote.hit for quote in fresh]
        old = [q for q in self._earlier if q.hit in named and q.hit not in hits]
        self._earlier += [quote for quote in fresh if quote not in self._earlier]
        if text in self._said:
            return
        if fresh or old:
            self._said.add(text)
            yield Written(text, (*fresh, *old))
        else:
            yield text
