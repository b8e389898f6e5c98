"""Tiny models with random weights that were never in a file, and engines to run them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from backbone.cache import Cache
from backbone.config import Config, Routing
from backbone.engine import Engine
from backbone.generation import Generation
from backbone.lfm2 import Lfm2
from backbone.request import GREEDY, Sampling
from backbone.sampling import Sampler
from backbone.span import Span, blocks_for
from backbone.speculate import Drafter

VOCABULARY = 60
DENSE = Config(
    vocab=VOCABULARY + 4, hidden=32, attends=(False, True, False, True), heads=4, kv_heads=2,
    head_dim=8, width=48, kernel=3, theta=10_000.0, eps=1e-5, tied=True, context=1024,
)  # fmt: skip
MIXTURE = Config(
    vocab=VOCABULARY + 4, hidden=32, attends=(False, True, False), heads=4, kv_heads=1,
    head_dim=8, width=48, kernel=3, theta=10_000.0, eps=1e-5, tied=True, context=1024,
    routing=Routing(
        experts=8, used=3, width=24, first_layer=1, bias=True, normalised=True, scale=1.0
    ),
)  # fmt: skip


class RandomWeights:
    """Weights wide enough that every layer matters; the same ones every time."""

    def __init__(self) -> None:
        self._random = torch.Generator().manual_seed(0)

    def take(self, name: str, *shape: int, exact: bool = False) -> torch.Tensor:
        scale = 1.0 if len(shape) == 1 else 0.3
        return torch.randn(shape, generator=self._random) * scale


def model_of(config: Config) -> Lfm2:
    return Lfm2.load(RandomWeights(), config)


def logprobs_of(model: Lfm2, ids: list[int]) -> torch.Tensor:
    """What the model says of a sequence alone, in one pass: [T, vocabulary]."""
    cache = Cache(model.config, blocks=blocks_for(len(ids)), rows=1)
    blocks = cache.take_blocks(blocks_for(len(ids)))
    span = Span(ids, 0, blocks, cache.take_row(), logits=len(ids))
    return model.run([span], cache).log_softmax(-1)


def engine_of(
    model: Lfm2, *, blocks: int = 60, rows: int = 8, spare: int = 4, **options: int
) -> Engine:
    """An engine whose memory holds the worst that fresh memory can hold."""
    cache = Cache(model.config, blocks=blocks, rows=rows, spare=spare)
    for store in (*cache.keys.values(), *cache.values.values(), *cache.conv.values()):
        store.fill_(torch.nan)
    return Engine(model, cache, vocabulary=VOCABULARY, **options)


@dataclass
class Heard:
    """What a listener heard."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    tops: list[dict[int, float]] = field(default_factory=list)
    reason: str | None = None
    cached: int = 0
    error: Exception | None = None

    def token(self, token: int, logprob: float, top=(), /) -> bool:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.tops.append(dict(top))
        return False

    def end(self, reason, logprob, cached, /) -> None:
        assert self.reason is None
        assert abs(logprob - sum(self.logprobs)) < 1e-3
        self.reason, self.cached = reason, cached

    def fail(self, error, /) -> None:
        self.error = error


def generation(
    prompt: list[int], max_tokens: int = 10, *, sampling: Sampling = GREEDY, **options
) -> Generation:
    return Generation(
        list(prompt),
        len(prompt) - 1,
        max_tokens=max_tokens,
        stop=frozenset(),
        sampler=Sampler(sampling, vocabulary=VOCABULARY, prompt=prompt),
        listener=Heard(),
        **{"matcher": None, "drafter": Drafter(len(prompt)), "alternatives": VOCABULARY, **options},
    )


def run(engine: Engine, *jobs: Generation) -> list[Heard]:
    """Let the engine run jobs until it is idle."""
    for job in jobs:
        engine.add(job)
    while engine.busy:
        engine.step()
    return [job.listener for job in jobs]
