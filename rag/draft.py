"""An answer in the making: what is said is checked first, and then never taken back.

Knows documents and quotes; neither the models that find them nor the words they are asked with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from time import perf_counter
from typing import Any

from ingest.document import Document, Hit
from ingest.errors import IngestError
from rag.answer import Answer, Citation, Conflict, Quote, Reason, Sentence, Timings, Usage
from rag.ground import cite

_log = logging.getLogger(__name__)


class AnswerStream:
    """An answer as it is found: iterate its text, take its `sentences()`, or wait for `result()`.

    What it has yielded is checked and is never taken back. The joined text is the answer's `text`.
    Nothing runs until it is asked for; errors are raised where it is consumed.
    """

    def __init__(self, steps: Generator[Sentence, None, Answer]) -> None:
        self._steps = steps
        self._said: list[Sentence] = []
        self._answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        """Yield the text in pieces, from the beginning."""
        for number, sentence in enumerate(self.sentences()):
            yield "\n" + sentence.text if number else sentence.text

    def sentences(self) -> Iterator[Sentence]:
        """Yield the answer's sentences, from the first."""
        at = 0
        while at < len(self._said) or self._advance():
            yield self._said[at]
            at += 1

    def result(self) -> Answer:
        """The whole answer."""
        while self._advance():
            pass
        if self._answer is None:
            raise RuntimeError("this answer was closed, or failed, before it was complete")
        return self._answer

    def close(self) -> None:
        """Stop working on the answer; the generator's request is cancelled."""
        self._steps.close()

    def _advance(self) -> bool:
        """Wait for the next sentence; False at the end."""
        try:
            self._said.append(next(self._steps))
        except StopIteration as end:
            self._answer = self._answer or end.value
            return False
        return True


class Draft:
    """An answer in the making: every quote is held against its document before it counts.

    `document` gives the document of a source, or raises IngestError when it is gone.
    """

    def __init__(
        self, question: str, document: Callable[[str], Document], *, notes: Sequence[str] = ()
    ) -> None:
        self.question = question
        self.retrieved = 0.0
        self._document = cache(document)
        self._started = perf_counter()
        self._first: float | None = None
        self._sentences: list[Sentence] = []
        self._citations: list[Citation] = []
        self._unsupported: list[Sentence] = []
        self._conflicts: list[Conflict] = []
        self._notes = list(notes)

    def clock(self) -> float:
        """Seconds since the question came."""
        return perf_counter() - self._started

    def say(
        self, text: str, quotes: Sequence[Quote], *, doubt: str | None = None
    ) -> Sentence | None:
        """Add a sentence with the quotes behind it; None when no quote stands the check.

        `doubt` says why they may not support it. A quote that was cited before keeps its number.
        """
        numbers = []
        for quote in quotes:
            try:
                document = self._document(quote.hit.chunk.source)
            except IngestError as error:  # it was removed while the question was answered
                _log.warning("left out, since its document cannot be read: %s", error)
                continue
            citation = cite(self._number(quote), quote, document)
            if citation:
                if citation.number > len(self._citations):
                    self._citations.append(citation)
                numbers.append(citation.number)
        if not numbers:
            return None
        if self._first is None:
            self._first = self.clock()
        sentence = Sentence(text, tuple(numbers), supported=doubt is None, doubt=doubt)
        self._sentences.append(sentence)
        return sentence

    def leave_out(self, text: str, doubt: str | None = None) -> None:
        """Note words that no document holds: `sentences` ends with them, `text` is without."""
        self._unsupported.append(Sentence(text, doubt=doubt))

    def disagree(self, conflict: Conflict) -> None:
        """Note passages that contradict each other."""
        self._conflicts.append(conflict)

    def note(self, text: str) -> None:
        """Note something that a reader of the answer should know, once."""
        if text not in self._notes:
            self._notes.append(text)

    def _number(self, quote: Quote) -> int:
        """The number of a quote: that of the same place, if it was cited before."""
        place = (quote.hit.chunk.source, quote.start, quote.end)
        places = [(c.source, c.start, c.end) for c in self._citations]
        return 1 + (places.index(place) if place in places else len(places))

    def finish(
        self,
        *,
        hits: Sequence[Hit] = (),
        model: str = "",
        usage: Usage = Usage(),  # noqa: B008
        reason: Reason | None = None,
        data: Any = None,
        confidence: float | None = None,
    ) -> Answer:
        """The answer. Without a sentence there is none, for `reason` or since no passage has it."""
        total = self.clock()
        first = total if self._first is None else self._first
        return Answer(
            question=self.question,
            answered=bool(self._sentences),
            text="\n".join(s.text for s in self._sentences),
            citations=tuple(self._citations),
            hits=tuple(hits),
            sentences=(*self._sentences, *self._unsupported),
            reason=None if self._sentences else reason or "not_in_passages",
            conflicts=tuple(self._conflicts),
            data=data,
            notes=tuple(self._notes),
            confidence=confidence,
            model=model,
            usage=usage,
            timings=Timings(self.retrieved, first, total),
        )
