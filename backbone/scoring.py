"""How likely a model finds given continuations of one prompt.

Each distinct beginning of a continuation is a job like any other: the prompt before it is shared
through the tree of prefixes, so it is run once. Works on tokens; knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from backbone.generation import Rows
from backbone.scheduler import Job

TOGETHER = 8  # jobs of one scoring that are queued at a time, so that others come between


@dataclass(slots=True, eq=False)
class Continuation(Job):
    """A prompt and all but the last token of some continuations of it, which end in `lasts`."""

    lasts: dict[int, list[int]] = field(kw_only=True)  # token: places
    scoring: Scoring = field(kw_only=True)
    total: float = field(default=0.0, init=False)

    def advance(self, rows: Rows) -> bool:
        """Take the logits from token `wanted` on; True when they were the last."""
        count = len(rows.norms)
        known = torch.tensor(self.ids[self.wanted + 1 : self.wanted + 1 + count])
        found = rows.logits[: len(known)].gather(1, known.to(rows.logits.device)[:, None])
        self.total += float(found.double().sum()) - sum(rows.norms[: len(known)])
        self.wanted += count
        if self.wanted < len(self.ids):
            return False
        for token, places in self.lasts.items():
            score = self.total + float(rows.logits[-1, token]) - rows.norms[-1]
            for place in places:
                self.scoring.scores[place] = score
        return True


class Scoring:
    """Scores of continuations, filled in as their jobs end; then `done` or `failed` is called.

    A score is log P(continuation | prompt), summed over its tokens, natural logarithm.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        done: Callable[[list[float]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.scores = [0.0] * len(continuations)
        self._done = done
        self._failed = failed
        self._over = False
        self._prompt = prompt
        starts: dict[tuple[int, ...], dict[int, list[int]]] = {}
        for place, ids in enumerate(continuations):
            if ids:
                lasts = starts.setdefault(tuple(ids[:-1]), {})
                lasts.setdefault(ids[-1], []).append(place)
        self._waiting = sorted(starts.items(), key=lambda item: len(item[0]), reverse=True)
        self._running = 0

    def next(self, *, ended: int = 0) -> list[Continuation]:
        """The jobs to queue now that so many have ended; calls `done` after the last."""
        self._running -= ended
        jobs = []
        while self._waiting and self._running < TOGETHER:
            start, lasts = self._waiting.pop()
            ids, wanted = [*self._prompt, *start], len(self._prompt) - 1
            jobs.append(Continuation(ids, wanted, lasts=lasts, scoring=self))
            self._running += 1
        if not self._running and not self._over:
            self._over = True
            self._done(self.scores)
        return jobs

    def fail(self, error: Exception) -> None:
        """One of the jobs could not go on, so there will be no scores."""
        if not self._over:
            self._over = True
            self._failed(error)
