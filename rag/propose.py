"""Questions proposed from an index's own documents, to begin a test set with. People edit them.

They are spread over languages and documents, each with its answer, source and the words that say
it; the same seed gives the same ones. A generator that fills schemas writes them; else they are
made from sentences (`cloze.py`), which repeats a document's words more than people do. Some are
asked with the document that answers left out, and should be declined.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from rag.cloze import GAP, Asked, asked
from rag.sentences import split
from rag.wording import language

if TYPE_CHECKING:
    from ingest.document import Document
    from rag.generator import Generator
    from rag.pipeline import Rag

UNANSWERABLE = 5  # one proposal in so many
_DOCUMENTS = 200  # that are looked at, unless more proposals are wanted
_WINDOW = 20_000  # characters of a document that are looked at, from somewhere
_AROUND = 600  # characters around a sentence that a generator is shown
_TOKENS = 300
_ELSEWHERE = 20  # passages looked at before a question counts as not answered elsewhere
_SCHEMA = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 8, "maxLength": 200},
        "quote": {"type": "string", "minLength": 8, "maxLength": 400},
        "answer": {"type": "string", "minLength": 1, "maxLength": 80},
    },
    "required": ["question", "quote", "answer"],
}
_LEFT_OUT = "the document that answers is left out: check that no other one does"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A question that a sentence of a source answers, in the words of the answer.

    With `left_out` it is asked of all other documents, and should be declined.
    """

    question: str
    answer: str
    source: str
    quote: str
    note: str
    left_out: bool = False

    def to_json(self) -> dict[str, Any]:
        """A line of a test set."""
        if self.left_out:
            where = f'source!="{self.source}"'
            asked = {"question": self.question, "answerable": False, "where": where}
            return asked | {"note": _LEFT_OUT}
        return {
            "question": self.question,
            "answers": [self.answer],
            "source": self.source,
            "quote": self.quote,
            "note": self.note,
        }


def propose(
    rag: Rag, count: int, *, seed: int = 0, progress: Callable[[int, int, str], None] | None = None
) -> list[Proposal]:
    """At most `count` proposals: fewer when the documents have no more that can be asked about.

    `progress` hears (done, of how many, question). Every fifth is one to be declined, as far as a
    search shows that no other document says it.
    """
    chance = Random(seed)
    generator = rag.generator
    writer = generator if {"chat", "schema"} <= generator.abilities else None
    found: dict[str, Proposal] = {}
    for proposal in _spread(rag, max(count, _DOCUMENTS), chance, writer):
        if proposal.question in found:
            continue
        if len(found) % UNANSWERABLE == UNANSWERABLE - 1 and _said_by_no_other(rag, proposal):
            proposal = replace(proposal, left_out=True)
        if progress:
            progress(len(found), count, proposal.question)
        found[proposal.question] = proposal
        if len(found) == count:
            break
    return list(found.values())


def _spread(rag: Rag, most: int, chance: Random, writer: Generator | None) -> Iterator[Proposal]:
    """Proposals out of one document after the other, at most so many; the languages take turns."""
    sources = [info.source for info in rag.documents()]
    groups: dict[str, list[Iterator[Proposal]]] = {}
    for source in chance.sample(sources, min(most, len(sources))):
        document = rag.document(source)
        window = _window(document, chance)
        made = _of_document(document, window, Random(chance.random()), writer)
        groups.setdefault(language(document.text[slice(*window)]), []).append(made)
    return _in_turn([_in_turn(documents) for documents in groups.values()])


def _in_turn(sources: Sequence[Iterator[Proposal]]) -> Iterator[Proposal]:
    waiting = deque(sources)
    while waiting:
        source = waiting.popleft()
        if (proposal := next(source, None)) is not None:
            yield proposal
            waiting.append(source)


def _window(document: Document, chance: Random) -> tuple[int, int]:
    """A part of the text to look at, from the beginning of a line."""
    end = len(document.text)
    if end <= _WINDOW:
        return 0, end
    start = document.text.find("\n", chance.randrange(end - _WINDOW)) + 1
    return start, min(end, start + _WINDOW)


def _of_document(
    document: Document, window: tuple[int, int], chance: Random, writer: Generator | None
) -> Iterator[Proposal]:
    """What can be asked of a part of a document, in no order."""
    spans = [(window[0] + a, window[0] + b) for a, b in split(document.text[slice(*window)])]
    chance.shuffle(spans)
    for start, end in spans:
        sentence = document.text[start:end]
        made = asked(sentence, chance=chance)
        if made is None or document.text.count(sentence) > 1 or '"' in document.source:
            continue
        written = _written(document, start, end, writer) if writer else None
        yield written or Proposal(
            made.question, made.answer, document.source, " ".join(sentence.split()), _note(made)
        )


def _note(made: Asked) -> str:
    return f"proposed ({made.kind}): put it in your own words"


def _written(document: Document, start: int, end: int, writer: Generator) -> Proposal | None:
    """What a generator asks about a sentence and its surroundings; None unless all of it holds."""
    from rag.prompt import proposing_messages

    text = document.text[max(0, start - _AROUND) : end + _AROUND]
    messages = proposing_messages(text)
    said = writer.submit(messages, schema=_SCHEMA, max_tokens=_TOKENS).result()
    try:
        row = json.loads(said.text)
        question, quote, answer = (" ".join(row[n].split()) for n in _SCHEMA["required"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # it was cut, or its server knows no schemas
    held = quote in " ".join(text.split()) and answer.casefold() in quote.casefold()
    if not question or not answer or not held or answer.casefold() in question.casefold():
        return None
    return Proposal(
        question, answer, document.source, quote, f"proposed by {writer.name}: check it"
    )


def _said_by_no_other(rag: Rag, proposal: Proposal) -> bool:
    """Whether no passage found for a question in other documents holds its answer."""
    query = f"{proposal.question.replace(GAP, '')} {proposal.answer}"
    hits = rag.search(query, k=_ELSEWHERE, where=f'source!="{proposal.source}"')
    answer = proposal.answer.casefold()
    return bool(hits) and not any(answer in hit.chunk.text.casefold() for hit in hits)
