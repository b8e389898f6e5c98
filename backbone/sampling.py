"""Logits -> the next token, as one request's Sampling asks.

One Sampler serves one request, with its own random numbers: what it draws does not depend on the
requests that run beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from backbone.request import GREEDY, Sampling


class Sampler:
    """Chooses the tokens of one request.

    `vocabulary` is the number of real tokens: logits beyond it belong to padding and are never
    chosen. `prompt` counts as seen for the repetition penalty, not for the other two.
    """

    def __init__(self, sampling: Sampling, *, vocabulary: int, prompt: Sequence[int] = ()) -> None:
        self.vocabulary = vocabulary
        self.plain = sampling == replace(GREEDY, seed=sampling.seed)
        self._sampling = sampling
        self._said: Counter[int] = Counter()
        self._seen: Tensor | None = None
        if sampling.repetition_penalty != 1.0:
            self._seen = torch.zeros(vocabulary, dtype=torch.bool)
            self._seen[torch.tensor(sorted(set(prompt)), dtype=torch.int64)] = True
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    def choose(self, logits: Tensor, allowed: Tensor | None = None) -> int:
        """The next token by logits [vocabulary or more], among `allowed` [vocabulary] if given."""
        logits = self._adjusted(logits[: self.vocabulary].cpu())
        if allowed is not None:
            logits = logits.masked_fill(~allowed, -torch.inf)
        token = self._draw(logits) if self._sampling.temperature > 0 else int(logits.argmax())
        self._said[token] += 1
        if self._seen is not None:
            self._seen[token] = True
        return token

    def _adjusted(self, logits: Tensor) -> Tensor:
        """Logits after the penalties and the biases, in a copy if there are any."""
        sampling = self._sampling
        if self._seen is not None:
            logits = penalise(logits, self._seen, sampling.repetition_penalty)
        presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
        changes = dict(sampling.logit_bias)
        if presence or frequency:
            for token, times in self._said.items():
                changes[token] = changes.get(token, 0.0) - presence - frequency * times
        if not changes:
            return logits
        tokens = torch.tensor(list(changes))
        return logits.index_add(0, tokens, torch.tensor([*changes.values()], dtype=logits.dtype))

    def _draw(self, logits: Tensor) -> int:
        sampling = self._sampling
        count = min(sampling.top_k or len(logits), len(logits))
        values, tokens = (logits / sampling.temperature).topk(count)
        shares = values.softmax(0)
        kept = keep(shares, sampling)
        heights = shares[:kept].cumsum(0)
        point = torch.rand((), generator=self._random) * heights[-1]
        return int(tokens[min(int(torch.searchsorted(heights, point, right=True)), kept - 1)])


def penalise(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make seen tokens less likely: divide logits above 0, multiply others (arXiv:1909.05858)."""
    worse = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, worse, logits)


def keep(shares: Tensor, sampling: Sampling) -> int:
    """How many of the probabilities, sorted from the highest, pass top-p and min-p; at least one.

    Top-p keeps the fewest that sum to `top_p` (arXiv:1904.09751), min-p those of at least `min_p`
    times the highest (arXiv:2407.01082).
    """
    before = shares.cumsum(0) - shares
    good = (before < sampling.top_p) & (shares >= sampling.min_p * shares[0]) & (shares > 0)
    return max(1, int(good.sum()))
