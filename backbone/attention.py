"""Attention over cached blocks: what one token sees of its sequence, wherever its blocks lie.

Pieces of prompts lay their sequence's blocks in a row and attend at once. Tokens of sequences that
decode read blocks where they are, those that several share only once, and join what each part
gives by its share of the softmax (as in arXiv:2205.14135 §3). Knows nothing of layers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from backbone.batch import Batch, Shared
from backbone.span import blocks_for


def attend(q: Tensor, keys: Tensor, values: Tensor, batch: Batch) -> Tensor:
    """Each query of q [T, heads, head_dim] looks at its own sequence up to its own position.

    Keys and values, of this batch too, are read from the cache of a layer [blocks, kv_heads, BLOCK,
    head_dim]. -> [T, heads * head_dim].
    """
    out = torch.empty_like(q)
    for start, stop, blocks, end in batch.pieces:
        out[start:stop] = _piece(q[start:stop], keys, values, blocks, end)
    if batch.single is not None:
        out[batch.single] = _singles(q[batch.single], keys, values, batch)
    return out.flatten(1)


def _piece(q: Tensor, keys: Tensor, values: Tensor, blocks: Tensor, end: int) -> Tensor:
    """Several queries of one sequence, which stand at its end."""
    k, v = (_in_a_row(cached, blocks[: blocks_for(end)])[:, :, :end] for cached in (keys, values))
    whole = len(q) == end
    mask = None
    if not whole:
        at = torch.arange(end, device=q.device)
        mask = at <= at[end - len(q) :, None]
    out = F.scaled_dot_product_attention(
        q.transpose(0, 1)[None], k, v, attn_mask=mask, is_causal=whole, enable_gqa=True
    )
    return out[0].transpose(0, 1)


def _in_a_row(cached: Tensor, blocks: Tensor) -> Tensor:
    """The blocks [B] of a sequence behind each other: [1, kv_heads, B * BLOCK, head_dim]."""
    found = cached[blocks].transpose(0, 1)
    return found.reshape(1, found.shape[0], -1, found.shape[3])


def _singles(q: Tensor, keys: Tensor, values: Tensor, batch: Batch) -> Tensor:
    """Queries that each have a length of their own: q [R, heads, head_dim] -> the same shape."""
    kv_heads, dim = keys.shape[1], q.shape[2]
    q = (q * dim**-0.5).view(len(q), kv_heads, -1, dim)
    rests = batch.rests
    whole = _part(q, keys[rests], values[rests], batch.visible)
    for shared in batch.shared:
        k, v = (_blocks(cached, shared) for cached in (keys, values))
        mine = q[shared.rows].transpose(0, 1).flatten(1, 2)[None]
        heads = (kv_heads, -1, q.shape[2])
        part = [x.view(*heads, x.shape[3]).transpose(0, 1) for x in _part(mine, k, v)]
        _join(whole, part, shared.rows)
    out, _, weight = whole
    return (out / weight).flatten(1, 2).to(q.dtype)


def _blocks(cached: Tensor, shared: Shared) -> Tensor:
    """[1, B, kv_heads, BLOCK, head_dim], without copying where they lie side by side."""
    found = cached[shared.start : shared.stop] if shared.blocks is None else cached[shared.blocks]
    return found[None]


def _part(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None) -> list[Tensor]:
    """Attention over some of the blocks, before it is divided by the sum of its weights.

    q [N, kv_heads, queries, dim]; k and v [N, B, kv_heads, BLOCK, dim]; visible [N, B, BLOCK]. ->
    that, the highest score, and the sum of the weights, each [N, kv_heads, queries, dim or 1].
    """
    scores = (q[:, None] @ k.transpose(-1, -2)).float()
    if visible is not None:
        scores = scores.masked_fill(~visible[:, :, None, None], -torch.inf)
    highest = scores.amax((1, 4), keepdim=True)
    weights = (scores - highest).exp_()
    out = (weights.to(v.dtype) @ v).sum(1)
    return [out, highest[:, 0], weights.sum((1, 4))[..., None]]


def _join(whole: list[Tensor], part: list[Tensor], rows: Tensor) -> None:
    """Add to the whole what some rows see besides."""
    out, highest, weight = (x[rows] for x in whole)
    top = highest.maximum(part[1])
    mine, theirs = (highest - top).exp(), (part[1] - top).exp()
    whole[0][rows] = (out * mine + part[0] * theirs).to(out.dtype)
    whole[1][rows] = top
    whole[2][rows] = weight * mine + part[2] * theirs
