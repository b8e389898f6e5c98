"""Several generations advancing together, one packed forward pass a step: tokens in, tokens out.

Single-threaded and without text: whoever owns the engine calls `add`, `step` and `score` from one
thread. Admission is first come, first served; a generation holds all its memory from the start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from backbone import scoring
from backbone.batch import Span, blocks_for
from backbone.cache import Cache
from backbone.grammar import Matcher
from backbone.lfm2 import Lfm2
from backbone.request import FinishReason
from backbone.sampling import Sampler


class Listener(Protocol):
    """Who hears of a generation, on the engine's thread."""

    def token(self, token: int) -> bool:
        """Take one more token; True ends the generation."""
        ...

    def end(self, reason: FinishReason, logprob: float) -> None:
        """The generation is over; `logprob` is that of its tokens under the model alone."""
        ...

    def fail(self, error: Exception) -> None:
        """The generation could not go on."""
        ...


@dataclass(slots=True, eq=False)
class Generation:
    """One generation in flight. `ids` grows; the first `computed` of them are in the cache.

    Any thread may set `cancelled`; everything else belongs to the engine.
    """

    ids: list[int]
    max_tokens: int
    stop: frozenset[int]
    sampler: Sampler
    matcher: Matcher | None
    listener: Listener
    cancelled: bool = False
    produced: int = 0
    computed: int = 0
    logprob: float = 0.0
    blocks: list[int] = field(default_factory=list)
    row: int = -1

    @property
    def room(self) -> int:
        """How many tokens it can come to hold."""
        return len(self.ids) - self.produced + self.max_tokens


class Engine:
    """Runs generations on one model and its cache; at most `chunk` tokens of prompts a step."""

    def __init__(self, model: Lfm2, cache: Cache, *, chunk: int = 512) -> None:
        self._model = model
        self._cache = cache
        self._chunk = chunk
        self._waiting: deque[Generation] = deque()
        self._running: list[Generation] = []

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._waiting or self._running)

    def add(self, generation: Generation) -> None:
        """Queue a generation, whose `room` must fit the cache."""
        self._waiting.append(generation)

    def step(self) -> None:
        """Advance every running generation: by a piece of its prompt or by one token."""
        self._drop_cancelled()
        self._admit()
        if not self._running:
            return
        planned = self._plan()
        logits = self._model.run([span for _, span in planned], self._cache)
        for (generation, span), row in zip(planned, logits, strict=True):
            generation.computed = span.end
            if span.end == len(generation.ids):
                self._advance(generation, row)

    def fail(self, error: Exception) -> None:
        """End everything, running or waiting, with an error."""
        for generation in [*self._running, *self._waiting]:
            self._release(generation)
            generation.listener.fail(error)
        self._waiting.clear()

    def cancel(self) -> None:
        """End everything, running or waiting, as cancelled."""
        for generation in [*self._running, *self._waiting]:
            generation.cancelled = True
        self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        for generation in [*self._running, *self._waiting]:
            if generation.cancelled:
                self._end(generation, "cancelled")
        self._waiting = deque(g for g in self._waiting if not g.cancelled)

    def _admit(self) -> None:
        cache = self._cache
        while self._waiting and cache.free_rows:
            needed = blocks_for(self._waiting[0].room)
            if needed > cache.free_blocks:
                break
            generation = self._waiting.popleft()
            generation.blocks, generation.row = cache.take_blocks(needed), cache.take_row()
            self._running.append(generation)

    def _plan(self) -> list[tuple[Generation, Span]]:
        """Every generation that decodes, and as much of the waiting prompts as the chunk holds."""
        planned, left = [], self._chunk
        for generation in self._running:
            ids = generation.ids[generation.computed :]
            if len(ids) > 1:
                ids = ids[:left]
                left -= len(ids)
            if ids:
                span = Span(ids, generation.computed, generation.blocks, generation.row)
                planned.append((generation, span))
        return planned

    def _advance(self, generation: Generation, logits: Tensor) -> None:
        """Choose the next token from logits [vocabulary]; end the generation if it is the last."""
        try:
            reason = self._choose(generation, logits)
        except Exception as error:  # noqa: BLE001  one request's fault must not end the others
            self._release(generation)
            generation.listener.fail(error)
        else:
            if reason is not None:
                self._end(generation, reason)

    def _choose(self, generation: Generation, logits: Tensor) -> FinishReason | None:
        matcher = generation.matcher
        allowed = None if matcher is None else torch.from_numpy(matcher.allowed())
        token = generation.sampler.choose(logits, allowed)
        if token in generation.stop:
            return "stop"
        generation.ids.append(token)
        generation.produced += 1
        generation.logprob += float(logits[token] - logits.logsumexp(0))
        if matcher is not None:
            matcher.accept(token)
        if generation.listener.token(token) or (matcher is not None and matcher.finished):
            return "stop"
        return "length" if generation.produced == generation.max_tokens else None

    def _end(self, generation: Generation, reason: FinishReason) -> None:
        self._release(generation)
        generation.listener.end(reason, generation.logprob)

    def _release(self, generation: Generation) -> None:
        if generation in self._running:
            self._running.remove(generation)
            self._cache.give_blocks(generation.blocks)
            self._cache.give_row(generation.row)

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[float]:
        """log P(continuation | prompt) of each, summed over its tokens; the prompt is run once.

        The cache must fit the prompt and its longest continuation; generations that hold too much
        of it are advanced until it does.
        """
        room = scoring.blocks_needed(len(prompt), max(map(len, continuations), default=0))
        while self._running and not (
            self._cache.free_blocks >= room and self._cache.free_rows >= 2
        ):
            self.step()
        return scoring.score(self._model, self._cache, prompt, continuations, chunk=self._chunk)
