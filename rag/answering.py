"""From passages to an answer: a generator writes sentences, quotes, or points, as it is able.

Each way is a generator function that yields the sentences as they are checked and returns the
Answer. Knows neither how the passages were found nor the wording of a prompt.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from backbone.errors import PromptTooLong
from backbone.request import Message, Stream
from ingest.document import Hit
from rag.answer import Answer, Reason, Sentence, Usage
from rag.draft import Draft
from rag.question import Question

if TYPE_CHECKING:
    from backbone.grammar import Grammar
    from ingest.encode import Encoder
    from rag.generator import Generator
    from rag.ground import Passage
    from rag.reader import Reading
    from rag.written import Written

REPLY = 768  # tokens of an answer, at most; a quarter of a small context
FRAME = 32  # tokens of a chat template around two turns, with some to spare
SWEPT = 6  # documents of a sweep that are asked at a time, and quotes of them at most
LEAST = 40  # characters of an only passage, below which its prompt is given up


def prompted(
    question: Question,
    hits: Sequence[Hit],
    *,
    generator: Generator,
    encoder: Callable[[], Encoder],
) -> list[Message]:
    """The messages that the first request of an answer would send; nothing is generated.

    `encoder` gives the built-in one, for a generator that points. With a schema that is asked in
    several requests this is the prompt for the question itself.
    """
    if "chat" not in generator.abilities:
        from rag.reader import prompt

        return prompt(question.text, hits, encoder=encoder())
    return _asking(question, generator).messages(_fitted(question, hits, generator))


def by_any(
    draft: Draft,
    question: Question,
    hits: Sequence[Hit],
    *,
    generator: Generator,
    encoder: Callable[[], Encoder],
) -> abc.Generator[Sentence, None, Answer]:
    """Answer in the way that a generator is able to; `encoder` as in `prompted`."""
    if writes(question, generator):
        return (yield from by_writing(draft, question, hits, generator=generator))
    if "chat" in generator.abilities:
        return (yield from by_quoting(draft, question, hits, generator=generator))
    return (yield from by_reading(draft, question, hits, generator=generator, encoder=encoder()))


def by_writing(
    draft: Draft, question: Question, hits: Sequence[Hit], *, generator: Generator
) -> abc.Generator[Sentence, None, Answer]:
    """Let a generator write sentences, each after quotes that a grammar keeps verbatim.

    A sentence that its quotes do not support is flagged, or left out when that is to be `strict`.
    """
    from rag.written import read_written

    stream, passages = submit_fitting(question, hits, generator)
    reason: Reason | None = None
    try:
        for said in read_written(stream, passages, held=_is_held(generator)):
            if isinstance(said, str):
                draft.leave_out(said)
                continue
            doubt = _doubt(said, question)
            if doubt and question.strict:
                draft.leave_out(said.text, doubt)
                reason = "below_threshold"
            elif sentence := draft.say(said.text, said.quotes, doubt=doubt):
                yield sentence
    finally:
        stream.cancel()
    completion = stream.result()
    return draft.finish(
        hits=[p.hit for p in passages],
        model=generator.name,
        usage=Usage(completion.prompt_tokens, completion.completion_tokens),
        reason=reason,
    )


def by_quoting(
    draft: Draft, question: Question, hits: Sequence[Hit], *, generator: Generator
) -> abc.Generator[Sentence, None, Answer]:
    """Let a generator that can chat pick quotes, under a grammar that admits no others.

    What one says that cannot be held to a grammar is looked up, and what is nowhere left out.
    An object under a schema is then written from the quotes.
    """
    from rag import schema as objects
    from rag.ground import read_claims, read_quotes

    stream, passages = submit_fitting(question, hits, generator)
    quotes = []
    try:
        for quote in (read_quotes if _is_held(generator) else read_claims)(stream, passages):
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
    if question.schema is not None and quotes:
        data, more = objects.write(draft, question.schema, quotes, generator)
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
        return read(generator, text, hits, encoder=encoder, strict=question.strict)

    if question.schema is not None:
        return (yield from fill(draft, question.schema, hits, ask=ask, model=generator.name))
    reading = ask(question.text)
    for quote in sorted((*reading.quotes, *reading.more), key=lambda quote: quote.start):
        beside = reading.beside if quote in reading.quotes else ()
        if sentence := draft.say(quote.text, (quote, *beside)):
            yield sentence
    return draft.finish(
        hits=hits,
        model=generator.name,
        usage=reading.usage,
        reason=reading.reason,
        confidence=reading.confidence,
    )


def writes(question: Question, generator: Generator) -> bool:
    """Whether this generator answers this question in sentences of its own."""
    return "write" in generator.abilities and question.schema is None and not question.sweep


@dataclass(frozen=True, slots=True)
class _Asking:
    """How passages are asked for an answer: the prompt, and the grammar of the reply, if any."""

    messages: Callable[[Sequence[Passage]], list[Message]]
    grammar: Callable[[Sequence[Passage]], Grammar | None]


def _asking(question: Question, generator: Generator) -> _Asking:
    """To write sentences, or to quote: by what the generator can, and whether an object is due."""
    from rag import prompt, written
    from rag.ground import MAX_QUOTES, quote_grammar
    from rag.layouts import layout_for
    from rag.schema import wanted

    held, layout = _is_held(generator), layout_for(generator.name)
    if writes(question, generator):
        messages = partial(
            prompt.writing_messages,
            question.text,
            history=question.history,
            layout=layout,
            held=held,
        )
        return _Asking(messages, written.sentence_grammar if held else _free)
    text, most = question.text, SWEPT if question.sweep else MAX_QUOTES
    if question.schema is not None:
        text, most = wanted(text, question.schema)
    messages = partial(
        prompt.quoting_messages, text, history=question.history, most=most, layout=layout
    )
    return _Asking(messages, partial(quote_grammar, most=most) if held else _free)


def submit_fitting(
    question: Question, hits: Sequence[Hit], generator: Generator
) -> tuple[Stream, list[Passage]]:
    """Ask with as many of the passages, the best first, as the context holds; returns those too.

    A generator that cannot count well says so, and then there are fewer, and the last one shorter.
    """
    asking, passages = _asking(question, generator), _fitted(question, hits, generator)
    while True:
        messages, grammar = asking.messages(passages), asking.grammar(passages)
        try:
            return generator.submit(messages, grammar=grammar, max_tokens=REPLY), passages
        except PromptTooLong:
            passages = _fewer(passages)
            if not passages:
                raise


def _fitted(question: Question, hits: Sequence[Hit], generator: Generator) -> list[Passage]:
    """The passages that fit beside everything else that is said, and the reply."""
    from rag.ground import number_passages
    from rag.layouts import layout_for
    from rag.prompt import fitting

    bare = _asking(question, generator).messages([])
    room = generator.context_length - min(REPLY, generator.context_length // 4) - FRAME
    room -= sum(generator.count(message.content) for message in bare)
    layout = layout_for(generator.name)
    return fitting(number_passages(hits), room=room, count=generator.count, layout=layout)


def _fewer(passages: Sequence[Passage]) -> list[Passage]:
    """Without the last passage, or half of the only one; none when that is too little."""
    from rag.prompt import shortened

    if len(passages) > 1:
        return list(passages[:-1])
    half = len(passages[0].text) // 2
    return [shortened(passages[0], lambda p: len(p.text) <= half)] if half >= LEAST else []


def _is_held(generator: Generator) -> bool:
    """Whether it keeps to a grammar; what another says is checked afterwards."""
    return "quote" in generator.abilities


def _free(passages: Sequence[Passage]) -> None:
    """No grammar."""


def _doubt(said: Written, question: Question) -> str | None:
    """Why a sentence's quotes do not support it, or None; what was asked it may repeat."""
    from rag.support import doubt

    asked = [question.text, *(m.content for m in question.history if isinstance(m.content, str))]
    headings = [quote.hit.chunk.heading or "" for quote in said.quotes]
    quotes = [quote.text for quote in said.quotes]
    return doubt(said.text, quotes, context="\n".join((*asked, *headings)))
