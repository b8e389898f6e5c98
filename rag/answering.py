"""From passages to an answer: a generator that can chat quotes, one that only quotes points.

Each way is a generator function that yields the sentences as they are checked and returns the
Answer. Knows neither how the passages were found nor the wording of a prompt.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backbone.errors import PromptTooLong
from backbone.request import Stream
from ingest.document import Hit
from rag.answer import Answer, Sentence, Usage
from rag.draft import Draft
from rag.question import Question

if TYPE_CHECKING:
    from ingest.encode import Encoder
    from rag.generator import Generator
    from rag.ground import Passage
    from rag.reader import Reading


def by_quoting(
    draft: Draft, question: Question, hits: Sequence[Hit], *, generator: Generator
) -> abc.Generator[Sentence, None, Answer]:
    """Let a generator that can chat pick quotes, under a grammar that admits no others.

    What one says that cannot be held to a grammar is looked up, and what is nowhere left out.
    An object under a schema is then written from the quotes.
    """
    from rag import schema as objects
    from rag.ground import MAX_QUOTES, read_claims, read_quotes

    held = "quote" in generator.abilities
    asked, most, schema = question.text, MAX_QUOTES, question.schema
    if schema is not None:
        asked, most = objects.wanted(asked, schema)
    stream, passages = _submit_fitting(generator, asked, hits, most=most)
    quotes = []
    try:
        for quote in (read_quotes if held else read_claims)(stream, passages):
            if isinstance(quote, str):
                draft.leave_out(quote)
                continue
            sentence = draft.say(" ".join(quote.text.split()), [quote])
            if sentence:
                quotes.append(quote)
                yield sentence
    finally:
        stream.cancel()
    completion = stream.result()
    data, more = None, Usage()
    if schema is not None and quotes:
        data, more = objects.write(draft, schema, quotes, generator)
    return draft.finish(
        hits=[p.hit for p in passages],
        model=generator.name,
        usage=Usage(completion.prompt_tokens, completion.completion_tokens) + more,
        data=data,
    )


def by_reading(
    draft: Draft,
    question: Question,
    hits: Sequence[Hit],
    *,
    generator: Generator,
    encoder: Encoder,
) -> abc.Generator[Sentence, None, Answer]:
    """Let a generator that only quotes point at the answer, or at each field of a schema.

    `encoder` is the built-in one, whatever the index's: the reader's weights were fitted with it.
    """
    from rag.reader import read
    from rag.schema import fill

    def ask(text: str) -> Reading:
        return read(generator, text, hits, encoder=encoder)

    if question.schema is not None:
        return (yield from fill(draft, question.schema, hits, ask=ask, model=generator.name))
    reading = ask(question.text)
    if reading.answered:
        sentence = draft.say(reading.text, reading.quotes)
        if sentence:
            yield sentence
    return draft.finish(
        hits=hits,
        model=generator.name,
        usage=reading.usage,
        reason=reading.reason,
    )


def _submit_fitting(
    generator: Generator, question: str, hits: Sequence[Hit], *, most: int
) -> tuple[Stream, list[Passage]]:
    """Ask for quotes out of as many of the passages, the best first, as the context holds."""
    from rag.ground import number_passages, quote_grammar
    from rag.prompt import quoting_messages

    passages = number_passages(hits)
    while True:
        held = "quote" in generator.abilities
        grammar = quote_grammar(passages, most=most) if held else None
        messages = quoting_messages(question, passages, most=most)
        try:
            stream = generator.submit(messages, grammar=grammar)
        except PromptTooLong:
            if len(passages) == 1:
                raise
            passages.pop()
        else:
            return stream, passages
