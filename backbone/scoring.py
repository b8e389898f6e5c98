"""How likely a model finds given continuations of one prompt, which is run once.

Works on tokens, over a model and its cache; knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from backbone.batch import BLOCK, Span, blocks_for
from backbone.cache import Cache
from backbone.lfm2 import Lfm2


def blocks_needed(prompt: int, longest: int) -> int:
    """Blocks that are enough to score a prompt's continuations; its last block may need a copy."""
    return blocks_for(prompt + longest) + 1


def score(
    model: Lfm2,
    cache: Cache,
    prompt: Sequence[int],
    continuations: Sequence[Sequence[int]],
    *,
    chunk: int = 512,
) -> list[float]:
    """log P(continuation | prompt) of each, summed over its tokens, natural logarithm.

    At most about `chunk` tokens go through the model at a time.
    """
    blocks, row = cache.take_blocks(blocks_for(len(prompt))), cache.take_row()
    try:
        first = prefill(model, cache, prompt, blocks, row, chunk=chunk).log_softmax(0)
        scores = [float(first[ids[0]]) if ids else 0.0 for ids in continuations]
        longer = [number for number, ids in enumerate(continuations) if len(ids) > 1]
        while longer:
            group = longer[: _how_many([len(continuations[n]) for n in longer], cache, chunk)]
            endings = [continuations[number] for number in group]
            rests = _rests(model, cache, len(prompt), endings, blocks, row)
            for number, rest in zip(group, rests, strict=True):
                scores[number] += rest
            del longer[: len(group)]
    finally:
        cache.give_blocks(blocks)
        cache.give_row(row)
    return scores


def prefill(
    model: Lfm2, cache: Cache, ids: Sequence[int], blocks: Sequence[int], row: int, *, chunk: int
) -> Tensor:
    """Run a whole prompt -> logits [vocabulary] of the token after it."""
    cuts = [*range(0, len(ids), chunk), len(ids)]
    for start, end in pairwise(cuts):
        logits = model.run([Span(ids[start:end], start, blocks, row)], cache)
    return logits[0]


def _how_many(lengths: Sequence[int], cache: Cache, chunk: int) -> int:
    """How many continuations fit a pass and the free part of the cache; at least one."""
    tokens = blocks = count = 0
    for length in lengths[: cache.free_rows]:
        tokens, blocks = tokens + length, blocks + blocks_for(BLOCK + length)
        if tokens > chunk or blocks > cache.free_blocks:
            break
        count += 1
    return max(1, count)


def _rests(
    model: Lfm2,
    cache: Cache,
    length: int,
    continuations: Sequence[Sequence[int]],
    blocks: Sequence[int],
    row: int,
) -> list[float]:
    """What the tokens after the first add, for continuations of a cached prompt of that length.

    Each reads the prompt's blocks (the last one in a copy if it is not full) and writes its own.
    """
    full = length // BLOCK
    spans, taken, rows = [], [], []
    try:
        for ids in continuations:
            own = cache.take_blocks(blocks_for(length + len(ids)) - full)
            taken += own
            if full < len(blocks):
                cache.copy_block(blocks[full], own[0])
            rows.append(cache.take_row())
            cache.copy_row(row, rows[-1])
            spans.append(
                Span(ids[:-1], length, [*blocks[:full], *own], rows[-1], logits=len(ids) - 1)
            )
        logits = model.run(spans, cache)
    finally:
        cache.give_blocks(taken)
        for own_row in rows:
            cache.give_row(own_row)
    targets = torch.tensor(
        [token for ids in continuations for token in ids[1:]], device=logits.device
    )
    found = logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)
    owner = [number for number, ids in enumerate(continuations) for _ in ids[1:]]
    sums = torch.zeros(len(continuations), device=logits.device)
    return sums.index_add(0, torch.tensor(owner, device=logits.device), found).tolist()
