"""Answer by pointing, with a generator that quotes and scores: the built-in model.

The sentences of the hits are laid out (`reader_prompt`), the generator says how likely each holds
the answer, and that is mixed with how much of the question the sentence repeats, how near it is to
it, and how well its passage was found. The best sentence is the quote. The weights of the mixture,
and how much support an answer needs, were fitted on training questions (`training/calibrate.py`).
Knows no tensor; its Quotes are checked against the documents by whoever cites them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from backbone.request import Message
from ingest.document import Hit
from rag.answer import Quote, Reason, Usage
from rag.reader_prompt import NOTHING, choose, closing, message
from rag.sentences import Candidate, paired, rank, weight
from rag.wording import language, telling

if TYPE_CHECKING:
    from ingest.encode import Encoder
    from rag.generator import Generator

__all__ = ["Evidence", "Mixture", "Quote", "Reading", "read", "weigh"]

QUOTES = 5  # sentences cited for an answer, at most
STRICT = 0.65  # the probability of support below which a strict reader declines
# What makes a sentence belong to the answer that another of its passage gives: its signals, the
# logarithm of its weight, the share of the question's telling words, being the passage's first. All
# but the last were fitted on train questions that ask for no name, number or date
# (`training/belonging.py`).
_BELONGING = (0.242, 3.040, 1.541, 0.572, 2.592, 1.0)
_BELONGS = 0.12  # the odds, against the likeliest, from which a sentence is cited, if it
_BELONGS_NEAR = 0.3  # repeats a telling word of the question or is so near to it (cosine)
_COSINE, _SHARED = 2, 4  # which of the signals these are
_AS_GOOD = 0.5  # the share of the best one's from which it is said, too
_FEW = 3  # hits: too few to have a middle one that tells; the mean over training questions counts
_ABOVE = 0.15
_NEARNESS = 0.5  # of a cosine beside an overlap, when sentences are chosen for the prompt


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader found: its answer and the quotes behind it, or the reason for none.

    `text` is the best sentence and `quotes` holds it. `more` are sentences of the same passage that
    may as well be the answer, `beside` those that belong to it. `confidence` is the estimated
    probability (0..1) that the hits answer the question.
    """

    text: str
    quotes: tuple[Quote, ...]
    confidence: float
    answered: bool
    reason: Reason | None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    more: tuple[Quote, ...] = ()
    beside: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a question and its hits before anything is decided.

    `signals[i]` belongs to `candidates[i]`: log-probability of its mark, overlap, cosine to the
    question, and its hit's score. `support` describes the hits as a whole (see `_support`).
    `paired` says that the question's script has no short words, so that overlap counts pairs of
    characters: it then means more, and the cosine less.
    """

    candidates: tuple[Candidate, ...]
    signals: tuple[tuple[float, ...], ...]
    support: tuple[float, ...]
    paired: bool = False


@dataclass(frozen=True, slots=True)
class Mixture:
    """Fitted weights: of a candidate's signals, by the question's script; of the support (the last
    one its bias); and the probability of support below which a question is declined."""

    choice: tuple[float, ...]
    choice_paired: tuple[float, ...]
    support: tuple[float, ...]
    threshold: float

    @classmethod
    @cache
    def load(cls) -> Mixture:
        """The weights that were fitted for the built-in model."""
        values = json.loads(Path(__file__).with_name("reader.json").read_text(encoding="utf-8"))
        return cls(
            choice=tuple(values["choice"]),
            choice_paired=tuple(values["choice_paired"]),
            support=tuple(values["support"]),
            threshold=values["threshold"],
        )

    def shares(self, evidence: Evidence) -> list[float]:
        """How likely each candidate is the one that holds the answer; together 1."""
        weights = self.choice_paired if evidence.paired else self.choice
        values = [_dot(weights, signals) for signals in evidence.signals]
        most = max(values)
        powers = [math.exp(value - most) for value in values]
        total = sum(powers)
        return [power / total for power in powers]

    def best(self, evidence: Evidence) -> int:
        """The candidate that most likely holds the answer."""
        shares = self.shares(evidence)
        return max(range(len(shares)), key=shares.__getitem__)

    def confidence(self, evidence: Evidence) -> float:
        """The probability that the hits answer the question.

        It rests on the support and on how clearly one candidate leads.
        """
        *weights, bias = self.support
        known = (*evidence.support, max(self.shares(evidence)))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, _dot(weights, known) + bias))))


def read(
    generator: Generator,
    question: str,
    hits: Sequence[Hit],
    *,
    encoder: Encoder,
    mixture: Mixture | None = None,
    force: bool = False,
    strict: bool = False,
) -> Reading:
    """Answer a question from hits, the best first; `force` answers whatever the support.

    A `strict` reader answers only where an answer in the hits is about twice as likely as none.
    `encoder` compares sentences with the question: the built-in one, as the weights expect.
    """
    mixture = mixture or Mixture.load()
    evidence = weigh(generator, question, hits, encoder=encoder)
    if not evidence.candidates:
        return Reading("", (), 0.0, False, "nothing_found")
    confidence = mixture.confidence(evidence)
    least = max(mixture.threshold, STRICT) if strict else mixture.threshold
    if confidence < least and not force:
        return Reading("", (), confidence, False, "below_threshold")
    best, more, beside = _cited(question, evidence, mixture)
    quotes, *others = [
        tuple(_quote(evidence.candidates[i], hits) for i in part) for part in ([best], more, beside)
    ]
    return Reading(quotes[0].text, quotes, confidence, True, None, more=others[0], beside=others[1])


def _cited(question: str, evidence: Evidence, mixture: Mixture) -> tuple[int, list[int], list[int]]:
    """The best candidate; those of its passage that are nearly as good; those that belong to it."""
    best, shares = mixture.best(evidence), mixture.shares(evidence)
    signals = {
        i: belonging(question, evidence, i)
        for i, candidate in enumerate(evidence.candidates)
        if candidate.passage == evidence.candidates[best].passage
    }
    odds = {i: _dot(_BELONGING, known) for i, known in signals.items()}
    least = max(odds.values()) + math.log(_BELONGS)
    related = {i for i, s in signals.items() if s[_SHARED] > 0 or s[_COSINE] >= _BELONGS_NEAR}
    near = [i for i in odds if i != best and i in related and odds[i] >= least]
    near = sorted(near, key=lambda i: -odds[i])[: QUOTES - 1]
    more = [i for i in near if shares[i] >= _AS_GOOD * shares[best]]
    return best, more, [i for i in near if i not in more]


def belonging(question: str, evidence: Evidence, number: int) -> tuple[float, ...]:
    """What `_BELONGING` weighs, of one candidate."""
    candidate, (score, overlap, cosine, _) = evidence.candidates[number], evidence.signals[number]
    lang = language(question)
    asked = {term.key for term in telling(question, lang=lang)}
    shared = asked & {term.key for term in telling(candidate.text, lang=lang)}
    length, first = math.log(weight(candidate.text)), float(candidate.start == 0)
    return (score, overlap, cosine, length, len(shared) / max(1, len(asked)), first)


def _quote(candidate: Candidate, hits: Sequence[Hit]) -> Quote:
    hit = hits[candidate.passage]
    at = hit.chunk.start
    return Quote(hit, at + candidate.start, at + candidate.end, candidate.text)


def prompt(question: str, hits: Sequence[Hit], *, encoder: Encoder) -> list[Message]:
    """What `read` shows the generator; nothing, where the hits hold no sentence."""
    chosen, _ = _chosen(question, hits, encoder)
    headings = [hit.chunk.heading for hit in hits]
    return [message(question, chosen, headings)] if chosen else []


def weigh(
    generator: Generator, question: str, hits: Sequence[Hit], *, encoder: Encoder
) -> Evidence:
    """Everything that the decision rests on; the generator runs once."""
    chosen, cosines = _chosen(question, hits, encoder)
    if not chosen:
        return Evidence((), (), ())
    marks = [*map(closing, range(len(chosen))), NOTHING]
    asked = message(question, chosen, [hit.chunk.heading for hit in hits])
    scores = generator.score([asked], [(mark,) for mark in marks])
    signals = tuple(
        (score, c.overlap, cosine, hits[c.passage].score)
        for c, cosine, score in zip(chosen, cosines, scores, strict=False)
    )
    support = _support(hits, signals, scores[-1])
    return Evidence(tuple(chosen), signals, support, paired=paired(question))


def _chosen(
    question: str, hits: Sequence[Hit], encoder: Encoder
) -> tuple[list[Candidate], list[float]]:
    """The sentences for the prompt, in reading order, and the cosine of each to the question."""
    passages = [hit.chunk.text for hit in hits]
    ranked = rank(question, passages, [hit.chunk.heading for hit in hits])
    if not ranked:
        return [], []
    query = encoder.encode_queries([question])[0]
    near = encoder.encode_documents([c.text for c in ranked]) @ query
    cosines = {id(c): float(x) for c, x in zip(ranked, near, strict=True)}
    ranked.sort(key=lambda c: -(c.overlap + _NEARNESS * cosines[id(c)]))
    chosen = choose(ranked)
    return chosen, [cosines[id(c)] for c in chosen]


def _support(
    hits: Sequence[Hit], signals: Sequence[Sequence[float]], nothing: float
) -> tuple[float, ...]:
    """What speaks for an answer in the hits, each about 0..1 or a log-probability:

    the best coverage of the question's words, the best cosine of a hit and how far it is above the
    middle one's, the best overlap and the best cosine of a sentence, the generator's
    log-probability of its best sentence and of `<no>`.
    """
    coverage = max(hit.coverage for hit in hits)
    vector = max(hit.vector for hit in hits)
    above = vector - median(hit.vector for hit in hits) if len(hits) > _FEW else _ABOVE
    score, overlap, cosine = (max(s[i] for s in signals) for i in range(3))
    return (coverage, vector, above, overlap, cosine, score, nothing)


def _dot(weights: Sequence[float], values: Sequence[float]) -> float:
    return sum(w * v for w, v in zip(weights, values, strict=True))
