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

LEAST = 1e-6  # smaller temperatures and penalties mean the same, and would overflow float32
FEW = 512  # tokens that nearly always hold all that top-p keeps


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
            penalty = min(max(sampling.repetition_penalty, LEAST), 1 / LEAST)
            logits = penalise(logits, self._seen, penalty)
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
        temperature = max(self._sampling.temperature, LEAST)
        shares, tokens = candidates((logits - logits.max()) / temperature, self._sampling)
        heights = shares.cumsum(0, dtype=torch.float64)
        point = torch.rand((), generator=self._random, dtype=torch.float64) * heights[-1]
        place = int(torch.searchsorted(heights, point, right=True))
        if place == len(shares):  # rounded up to the very end
            place = int(shares.nonzero()[-1])
        return place if tokens is None else int(tokens[place])


def candidates(scores: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """The shares of the tokens that may be drawn, and these tokens; None = those at their place.

    Sorting a whole vocabulary takes longer than all else here, so it is done only if it must be.
    """
    if sampling.top_k:
        values, tokens = scores.topk(min(sampling.top_k, len(scores)))
        shares = values.softmax(0)
    else:
        shares = scores.softmax(0)
        if sampling.top_p == 1:
            least = sampling.min_p * shares.max()
            return shares.where(shares >= least, 0), None
        shares, tokens = _highest(shares, sampling.top_p)
    kept = keep(shares, sampling)
    return shares[:kept], tokens[:kept]


def _highest(shares: Tensor, mass: float) -> tuple[Tensor, Tensor]:
    """At least so many of the highest shares that they sum to `mass`, sorted, and their places."""
    values, places = shares.topk(min(FEW, len(shares)))
    if float(values.sum()) < mass:
        values, places = shares.sort(descending=True)
    return values, places


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
