"""One reply in the making: logits in, tokens out to whoever listens.

Drafted tokens are taken only where they are what would have been chosen anyway, so a draft changes
the speed and nothing else. Knows nothing of batches and blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from backbone.grammar import Matcher
from backbone.request import FinishReason
from backbone.sampling import Sampler
from backbone.scheduler import Job
from backbone.speculate import Drafter


class Listener(Protocol):
    """Who hears of a generation, on the engine's thread."""

    def token(self, token: int, logprob: float, top: Sequence[tuple[int, float]], /) -> bool:
        """Take one more token, its log-probability and the likeliest ones; True ends it all."""
        ...

    def end(self, reason: FinishReason, logprob: float, cached_tokens: int, /) -> None:
        """The generation is over; `logprob` is that of its tokens under the model alone."""
        ...

    def fail(self, error: Exception, /) -> None:
        """The generation could not go on."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """The logits [n, vocabulary] that one job asked for, with what is cheaper found in one go.

    `best` are the likeliest real tokens, `norms` the logarithms of the sums of exponentials.
    """

    logits: Tensor
    best: list[int]
    norms: list[float]


@dataclass(slots=True, eq=False, kw_only=True)
class Generation(Job):
    """One generation. With `alternatives` the listener hears of so many likeliest tokens."""

    max_tokens: int
    stop: frozenset[int]
    sampler: Sampler
    matcher: Matcher | None
    listener: Listener
    drafter: Drafter | None = None
    alternatives: int = 0
    produced: int = field(default=0, init=False)
    logprob: float = field(default=0.0, init=False)

    def advance(self, rows: Rows) -> FinishReason | None:
        """Choose the token after `ids` and after each draft that proves right; why it is over."""
        draft, self.draft = self.draft, []
        for at, guess in enumerate([*draft, None]):
            token = self._choose(rows, at)
            if token in self.stop:
                return "stop"
            if reason := self._say(token, rows, at):
                return reason
            if token != guess:
                break
        return None

    def propose(self, most: int) -> None:
        """Draft up to `most` tokens of what may follow."""
        left = self.max_tokens - self.produced - 1
        self.draft = []
        if self.drafter is not None:
            self.draft = self.drafter.draft(self.ids, self.matcher, min(most, left))

    def _choose(self, rows: Rows, at: int) -> int:
        if self.matcher is None and self.sampler.plain:
            return rows.best[at]
        allowed = None if self.matcher is None else torch.from_numpy(self.matcher.allowed())
        return self.sampler.choose(rows.logits[at], allowed)

    def _say(self, token: int, rows: Rows, at: int) -> FinishReason | None:
        logits, norm = rows.logits[at], rows.norms[at]
        logprob = float(logits[token]) - norm
        top: list[tuple[int, float]] = []
        if self.alternatives:
            values, tokens = logits[: self.sampler.vocabulary].topk(self.alternatives)
            top = list(zip(tokens.tolist(), (values - norm).tolist(), strict=True))
        self.ids.append(token)
        self.wanted = len(self.ids) - 1
        self.produced += 1
        self.logprob += logprob
        if self.matcher is not None:
            self.matcher.accept(token)
        if self.listener.token(token, logprob, top):
            return "stop"
        if self.matcher is not None and self.matcher.finished:
            return "stop"
        return "length" if self.produced == self.max_tokens else None
