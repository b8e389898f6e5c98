"""The nouns of rag: an Answer, made of Sentences, proved by Citations, which are checked Quotes.

Plain values and their JSON form. They know nothing of how an answer is found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ingest.document import Hit

Reason = Literal["nothing_found", "not_in_passages", "below_threshold"]


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a hit, at their place in its document: `document.text[start:end] == text`."""

    hit: Hit
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quote: `document.text[start:end] == quote` for the document named by `source`.

    `date` is when the document was written, as far as it is known; `url` and `retrieved` are where
    and when a web page was read. Times are ISO 8601.
    """

    number: int
    quote: str
    source: str
    page: int | None
    heading: str | None
    start: int
    end: int
    date: str | None = None
    url: str | None = None
    retrieved: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Passages that contradict each other, by their numbers (from 1), with the words that do."""

    passages: tuple[int, ...]
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of the answer's text, with the numbers of the citations that support it.

    `doubt` says why they may not, where `supported` is false.
    """

    text: str
    citations: tuple[int, ...] = ()
    supported: bool = False
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written by the generator; both 0 when it was not asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds from the question until the passages were found, the first text, and the end."""

    retrieve: float = 0.0
    first_token: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the documents say to a question, or why they say nothing.

    `text` is empty when `answered` is false, and `reason` then says why: no passage was found, none
    of them holds the answer, or none does well enough. `hits` are the passages that were read, the
    best first; `sentences` ends with what a model said that no passage holds, without citations and
    not in `text`; `conflicts` are passages that contradict each other; `data` is the object that a
    schema asked for; `notes` say what a reader of the answer should know about how it was made;
    `confidence` is the model's own estimate (0..1) that the passages answer, where it makes one.
    """

    question: str
    answered: bool
    text: str = ""
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    reason: Reason | None = None
    data: Any = None
    notes: tuple[str, ...] = ()
    confidence: float | None = None
    model: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()

    def to_json(self) -> dict[str, Any]:
        """The answer as plain JSON values, with the names and order of `rag ask --json`."""
        return {
            "question": self.question,
            "answered": self.answered,
            "text": self.text,
            "citations": [asdict(citation) for citation in self.citations],
            "passages": [hit_to_json(hit) for hit in self.hits],
            "sentences": [asdict(s) | {"citations": list(s.citations)} for s in self.sentences],
            "conflicts": [
                {"passages": list(c.passages), "quotes": list(c.quotes)} for c in self.conflicts
            ],
            "reason": self.reason,
            "data": self.data,
            "notes": list(self.notes),
            "model": self.model,
            "usage": asdict(self.usage),
            "timings": asdict(self.timings),
        }


def hit_to_json(hit: Hit) -> dict[str, Any]:
    """A hit as plain JSON values, with the names and order of `rag search --json`."""
    chunk = hit.chunk
    return {
        "source": chunk.source,
        "page": chunk.page,
        "heading": chunk.heading,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "score": hit.score,
        "date": chunk.date,
        "url": chunk.url,
        "retrieved": chunk.retrieved,
    }
