"""Questions about many documents, answered from all that match instead of from the best passages.

Each document that matches is read by itself, or a few of them at a time, and gives a line with its
quote, or none. What was looked through is said. Knows nothing of how a question shows that it asks
for a sweep (`listing`) or of how passages are found.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingest.document import Hit
from ingest.words import words
from rag.answer import Answer, Quote, Reason, Sentence, Usage
from rag.answering import SWEPT, submit_fitting
from rag.draft import Draft
from rag.errors import Unsupported
from rag.listing import Listing, read_listing
from rag.question import Question
from rag.retrieve import retrieve
from rag.wording import denials, telling

if TYPE_CHECKING:
    from ingest.encode import Encoder
    from ingest.index import Index
    from rag.generator import Generator

LOOKED = 1000  # passages of each leg among which documents are found
MOST = 48  # documents that are read
NEAREST = 12  # documents that match by their vectors, whatever their words
PASSAGES = 2  # of each document
_LEAST = 0.5  # what a word of the topic weighs beside its rarity: all documents may have it
_ENOUGH = 0.4  # of what the best document holds of the topic
# What a sentence that is pointed at must hold of the topic, beside the reader's own bound. Over 197
# pieces of training articles: a name of two words, precision .52 → .79 at recall .98 → .95; a whole
# question, .51 → .74 at .88 → .72.
_HELD, _HELD_NAME = 0.4, 0.7
_NAME = 3  # words of a topic, up to which it is a name


@dataclass(frozen=True, slots=True)
class Swept:
    """The best passages of each document that matches, the best document first.

    `searched` is how many documents there are, `left` how many match and are too many to be read;
    `weights` is what each word of the topic counts that is in any of them.
    """

    documents: tuple[tuple[Hit, ...], ...]
    searched: int
    left: int
    weights: dict[str, float]


def asked_for(question: Question, index: Index) -> Listing | None:
    """What a question asks of each document, when it is to be answered by a sweep; else None."""
    if question.sweep and (question.schema is not None or question.web):
        raise Unsupported(
            "asking every document fills in no schema and reads no web pages: leave one of them out"
        )
    listing = read_listing(question.text)
    if question.sweep:
        return listing or Listing(question.text)
    if question.sweep is False or question.web or question.schema is not None:
        return None
    return listing if listing is not None and index.count(question.where) > 1 else None


def not_swept(question: Question) -> str | None:
    """A note where a question asks for a list and is answered with the web, from a few passages."""
    if not question.web or question.sweep is not None or read_listing(question.text) is None:
        return None
    return (
        "with the web, lists are made of the best passages only: turn it off to ask all documents"
    )


def sweep(index: Index, encoder: Encoder, topic: str, *, where: str | None = None) -> Swept:
    """The documents that match a topic: those that have enough of its words, and the nearest."""
    found: dict[str, list[Hit]] = {}
    for hit in retrieve(index, encoder, topic, k=LOOKED, where=where):
        best = found.setdefault(hit.chunk.source, [])
        if len(best) < PASSAGES:
            best.append(hit)
    held = {
        source: {term for hit in hits for term in words(hit.chunk.passage)}
        for source, hits in found.items()
    }
    anywhere = set().union(*held.values())
    wanted = [term for each in telling(topic) for term in words(topic[each.start : each.end])]
    weights = {t: _LEAST + w for t, w in index.idf(wanted or words(topic)).items() if t in anywhere}
    shares = {source: _share(weights, terms) for source, terms in held.items()}
    enough = max(shares.values(), default=0.0) * _ENOUGH or 1.0
    near = sorted(found, key=lambda source: -max(hit.vector for hit in found[source]))[:NEAREST]
    matching = [
        tuple(hits) for source, hits in found.items() if shares[source] >= enough or source in near
    ]
    left = max(0, len(matching) - MOST)
    return Swept(tuple(matching[:MOST]), index.count(where), left, weights)


def by_sweeping(
    draft: Draft,
    question: Question,
    listing: Listing,
    swept: Swept,
    *,
    generator: Generator,
    encoder: Callable[[], Encoder],
) -> abc.Generator[Sentence, None, Answer]:
    """A line for each document that answers: its name and what it says, with the quote.

    A generator that points is asked about one document after the other (`encoder` gives the
    built-in one), one that chats picks the quotes of a few at a time. Questions that count end with
    how many there are.
    """
    if "chat" in generator.abilities:
        quotes = _picked(draft, replace(question, sweep=True), swept, generator)
    else:
        quotes = _pointed(draft, listing.topic, swept, generator, encoder())
    cited: list[Quote] = []
    usage = Usage()
    for quote in quotes:
        if isinstance(quote, Usage):
            usage += quote
            continue
        line = f"{quote.hit.chunk.source}: {' '.join(quote.text.split())}"
        if sentence := draft.say(line, [quote]):
            cited.append(quote)
            yield sentence
    draft.note(_coverage(swept, len(cited)))
    if cited and listing.counting:
        denying = [q for q in cited if denials(q.text) and not denials(listing.topic)]
        if sentence := draft.say(_count(swept, len(cited), len(denying)), cited):
            yield sentence
    best = [hits[0] for hits in swept.documents]
    reason: Reason | None = None if best else "nothing_found"
    return draft.finish(hits=best, model=generator.name, usage=usage, reason=reason)


def _pointed(
    draft: Draft, topic: str, swept: Swept, generator: Generator, encoder: Encoder
) -> abc.Iterator[Quote | Usage]:
    """The best sentence of each document that answers, and says what is asked for."""
    from rag.reader import read

    needed = _HELD_NAME if len(swept.weights) <= _NAME else _HELD
    for hits in swept.documents:
        reading = read(generator, topic, hits, encoder=encoder)
        yield reading.usage
        yield from (q for q in reading.quotes[:1] if _share(swept.weights, words(q.text)) >= needed)


def _share(weights: Mapping[str, float], terms: Collection[str]) -> float:
    """How much of the topic (0..1) these words hold."""
    held = weights.keys() & set(terms)
    return sum(weights[term] for term in held) / (sum(weights.values()) or 1.0)


def _picked(
    draft: Draft, question: Question, swept: Swept, generator: Generator
) -> abc.Iterator[Quote | Usage]:
    """The quotes that a generator picks, the first of each document, a few documents at a time."""
    from rag.ground import number_passages, read_claims, read_quotes

    reader = read_quotes if "quote" in generator.abilities else read_claims
    waiting, seen = list(swept.documents), set[str]()
    while waiting:
        hits = [hit for document in waiting[:SWEPT] for hit in document]
        stream, passages = submit_fitting(question, hits, generator)
        try:
            for quote in reader(stream, passages):
                if isinstance(quote, str):
                    draft.leave_out(quote)
                elif quote.hit.chunk.source not in seen:
                    seen.add(quote.hit.chunk.source)
                    yield quote
        finally:
            stream.cancel()
        completion = stream.result()
        yield Usage(completion.prompt_tokens, completion.completion_tokens)
        *others, last = passages
        if others and last.text != number_passages([last.hit])[0].text:
            passages = others  # it was cut to fit: the next request has it first, and whole
        read = {passage.hit.chunk.source for passage in passages}
        waiting = [hits for hits in waiting if hits[0].chunk.source not in read]


def _count(swept: Swept, matched: int, denying: int) -> str:
    """How many documents there are, and what the number leaves open."""
    least = "at least " if swept.left else ""
    denied = f", and {denying} that {'denies' if denying == 1 else 'deny'} it" if denying else ""
    return f"{least}{matched - denying} of {swept.searched} documents{denied}"


def _coverage(swept: Swept, matched: int) -> str:
    """What was looked through, for the reader of the answer."""
    read, searched = len(swept.documents), swept.searched
    count = matched or "none"
    said = f"looked through {read} of {searched} documents, those that fit best; {count} matched"
    return f"{said}; {swept.left} more may match and were not read" if swept.left else said
