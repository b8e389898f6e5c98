"""LFM2, dense and mixture of experts: token ids in, logits out, over a packed batch.

The layers are the equations of the model card, top to bottom. Knows nothing of files, text,
requests or scheduling; everything a pass needs is in its `Batch` and its `Cache`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from backbone.attention import attend
from backbone.batch import Batch
from backbone.cache import Cache
from backbone.config import Config, Routing
from backbone.linear import linear, packed
from backbone.span import BLOCK, Span


class Weights(Protocol):
    """Where a model gets its tensors from."""

    def take(self, name: str, *shape: int, exact: bool = False) -> Tensor:
        """The tensor of that name, in float32 if `exact`; an error if absent or misshapen."""
        ...


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Scale the last dimension to root mean square 1, in float32, then by `weight`."""
    return F.rms_norm(x.float(), x.shape[-1:], eps=eps).to(x.dtype) * weight


@dataclass(frozen=True, slots=True)
class Rotation:
    """Cosines and sines of each token's position, [T, 1, head_dim] (RoPE, arXiv:2104.09864)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def at(cls, positions: Tensor, config: Config, dtype: torch.dtype) -> Rotation:
        """The rotation of tokens at `positions` [T]."""
        steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=positions.device)
        frequencies = config.theta ** (-steps / config.head_dim)
        angles = (positions[:, None].float() * frequencies).repeat(1, 2)[:, None]
        return cls(angles.cos().to(dtype), angles.sin().to(dtype))

    def turn(self, x: Tensor) -> Tensor:
        """Rotate x [T, heads, head_dim]; the first half of a head pairs with the second."""
        left, right = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat((-right, left), dim=-1) * self.sin


@dataclass(frozen=True, slots=True)
class Attention:
    """Grouped-query attention with normalised queries and keys, over cached blocks."""

    q_proj: Tensor
    k_proj: Tensor
    v_proj: Tensor
    out_proj: Tensor
    q_norm: Tensor
    k_norm: Tensor
    eps: float

    @classmethod
    def load(cls, weights: Weights, prefix: str, config: Config) -> Attention:
        """Take the tensors of `prefix`."""
        hidden, dim = config.hidden, config.head_dim
        queries, keys = config.heads * dim, config.kv_heads * dim
        return cls(
            q_proj=packed(weights.take(f"{prefix}.q_proj.weight", queries, hidden)),
            k_proj=packed(weights.take(f"{prefix}.k_proj.weight", keys, hidden)),
            v_proj=packed(weights.take(f"{prefix}.v_proj.weight", keys, hidden)),
            out_proj=packed(weights.take(f"{prefix}.out_proj.weight", hidden, queries)),
            q_norm=weights.take(f"{prefix}.q_layernorm.weight", dim),
            k_norm=weights.take(f"{prefix}.k_layernorm.weight", dim),
            eps=config.eps,
        )

    def __call__(
        self, x: Tensor, batch: Batch, rotation: Rotation, keys: Tensor, values: Tensor
    ) -> Tensor:
        """x [T, hidden] -> [T, hidden]; writes this batch's keys and values into the cache."""
        heads = (len(x), -1, len(self.q_norm))
        q = rotation.turn(rms_norm(linear(x, self.q_proj).view(heads), self.q_norm, self.eps))
        k = rotation.turn(rms_norm(linear(x, self.k_proj).view(heads), self.k_norm, self.eps))
        v = linear(x, self.v_proj).view(heads)
        store(k, keys, batch)
        store(v, values, batch)
        return linear(attend(q, keys, values, batch), self.out_proj)


def store(fresh: Tensor, cached: Tensor, batch: Batch) -> None:
    """Write fresh [T, kv_heads, head_dim] into the slots of a layer's cache."""
    slots = batch.slots
    if batch.written is not None:
        fresh, slots = fresh[batch.written], slots[batch.written]
    cached[slots // BLOCK, :, slots % BLOCK] = fresh


@dataclass(frozen=True, slots=True)
class ShortConvolution:
    """A depthwise causal convolution of a few taps, gated on both sides."""

    in_proj: Tensor
    kernel: Tensor  # [taps, hidden], the last tap meets the current token
    out_proj: Tensor

    @classmethod
    def load(cls, weights: Weights, prefix: str, config: Config) -> ShortConvolution:
        """Take the tensors of `prefix`."""
        hidden = config.hidden
        kernel = weights.take(f"{prefix}.conv.weight", hidden, 1, config.kernel)
        return cls(
            in_proj=packed(weights.take(f"{prefix}.in_proj.weight", 3 * hidden, hidden)),
            kernel=kernel[:, 0].T.contiguous(),
            out_proj=packed(weights.take(f"{prefix}.out_proj.weight", hidden, hidden)),
        )

    def __call__(self, x: Tensor, batch: Batch, remembered: Tensor) -> Tensor:
        """x [T, hidden] -> [T, hidden]; `remembered` [rows, kept, hidden] is brought up to date."""
        before, after, x = linear(x, self.in_proj).chunk(3, dim=-1)
        x = before * x
        rows = torch.cat((remembered[batch.rows].flatten(0, 1), x))
        remembered[batch.rows] = rows[batch.kept]
        x = x * self.kernel[-1]
        for tap, weight in zip(batch.taps, self.kernel, strict=False):
            x = x + rows[tap] * weight
        return linear(after * x, self.out_proj)


@dataclass(frozen=True, slots=True)
class SwiGLU:
    """A gated feed-forward layer (arXiv:2002.05202): w2(silu(w1 x) * w3 x)."""

    w1: Tensor
    w3: Tensor
    w2: Tensor

    @classmethod
    def load(cls, weights: Weights, prefix: str, hidden: int, width: int) -> SwiGLU:
        """Take the tensors of `prefix`."""
        return cls(
            w1=packed(weights.take(f"{prefix}.w1.weight", width, hidden)),
            w3=packed(weights.take(f"{prefix}.w3.weight", width, hidden)),
            w2=packed(weights.take(f"{prefix}.w2.weight", hidden, width)),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """x [T, hidden] -> [T, hidden]."""
        return linear(F.silu(linear(x, self.w1)) * linear(x, self.w3), self.w2)


@dataclass(frozen=True, slots=True)
class MixtureOfExperts:
    """A few SwiGLUs of many for each token, chosen by biased and weighed by unbiased sigmoids."""

    gate: Tensor
    bias: Tensor | None  # [experts] float32
    experts: tuple[SwiGLU, ...]
    routing: Routing

    @classmethod
    def load(cls, weights: Weights, prefix: str, hidden: int, routing: Routing) -> MixtureOfExperts:
        """Take the tensors of `prefix`; each expert stays where its file holds it."""
        return cls(
            gate=weights.take(f"{prefix}.gate.weight", routing.experts, hidden),
            bias=weights.take(f"{prefix}.expert_bias", routing.experts, exact=True)
            if routing.bias
            else None,
            experts=tuple(
                SwiGLU.load(weights, f"{prefix}.experts.{expert}", hidden, routing.width)
                for expert in range(routing.experts)
            ),
            routing=routing,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """x [T, hidden] -> [T, hidden]; tokens are sorted by expert, so each is one product."""
        shares, chosen = self.route(x)
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        tokens, shares = order // self.routing.used, shares.flatten()[order, None]
        out = torch.zeros_like(x)
        start = 0
        for expert, count in zip(self.experts, counts, strict=True):
            if count:
                mine = slice(start, start + count)
                out.index_add_(0, tokens[mine], expert(x[tokens[mine]]) * shares[mine])
                start += count
        return out

    def route(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The share of each chosen expert and its number, both [T, experts used]."""
        scores = linear(x, self.gate).sigmoid()
        ranks = scores if self.bias is None else scores + self.bias
        chosen = ranks.topk(self.routing.used, dim=-1).indices
        shares = scores.gather(-1, chosen)
        if self.routing.normalised:
            shares = shares / (shares.sum(-1, keepdim=True) + 1e-6)
        return shares * self.routing.scale, chosen


@dataclass(frozen=True, slots=True)
class Layer:
    """One residual layer: an operator that mixes tokens, then a feed-forward for each."""

    operator: Attention | ShortConvolution
    feed_forward: SwiGLU | MixtureOfExperts
    operator_norm: Tensor
    ffn_norm: Tensor

    @classmethod
    def load(cls, weights: Weights, number: int, config: Config) -> Layer:
        """Take the tensors of one layer."""
        prefix, hidden, routing = f"model.layers.{number}", config.hidden, config.routing
        operator: Attention | ShortConvolution
        if config.attends[number]:
            operator = Attention.load(weights, f"{prefix}.self_attn", config)
        else:
            operator = ShortConvolution.load(weights, f"{prefix}.conv", config)
        feed_forward: SwiGLU | MixtureOfExperts
        if routing is not None and number >= routing.first_layer:
            feed_forward = MixtureOfExperts.load(weights, f"{prefix}.feed_forward", hidden, routing)
        else:
            feed_forward = SwiGLU.load(weights, f"{prefix}.feed_forward", hidden, config.width)
        return cls(
            operator=operator,
            feed_forward=feed_forward,
            operator_norm=weights.take(f"{prefix}.operator_norm.weight", hidden),
            ffn_norm=weights.take(f"{prefix}.ffn_norm.weight", hidden),
        )


@dataclass(frozen=True, slots=True)
class Lfm2:
    """The model. `head` is the embedding itself where the checkpoint ties them."""

    config: Config
    embedding: Tensor
    layers: tuple[Layer, ...]
    norm: Tensor
    head: Tensor

    @classmethod
    def load(cls, weights: Weights, config: Config) -> Lfm2:
        """Take every tensor that the config asks for."""
        embedding = weights.take("model.embed_tokens.weight", config.vocab, config.hidden)
        return cls(
            config=config,
            embedding=embedding,
            layers=tuple(Layer.load(weights, number, config) for number in range(config.layers)),
            norm=weights.take("model.embedding_norm.weight", config.hidden),
            head=packed(
                embedding
                if config.tied
                else weights.take("lm_head.weight", config.vocab, config.hidden)
            ),
        )

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights and of the arithmetic."""
        return self.embedding.dtype

    @property
    def window(self) -> int:
        """How many tokens before a cached prefix ends must be run again to continue it exactly."""
        return (self.config.kernel - 1) * self.config.attends.count(False)

    def run(self, spans: Sequence[Span], cache: Cache) -> Tensor:
        """`forward` over spans laid side by side; logits come in their order."""
        batch = Batch.pack(spans, kernel=cache.kernel, kept=cache.kept, device=cache.device)
        return self.forward(batch, cache)

    @torch.inference_mode()
    def forward(self, batch: Batch, cache: Cache) -> Tensor:
        """Run a batch and bring the cache up to date -> float32 logits [N wanted, vocabulary]."""
        eps = self.config.eps
        x = F.embedding(batch.ids, self.embedding)
        rotation = Rotation.at(batch.positions, self.config, x.dtype)
        for number, layer in enumerate(self.layers):
            h = rms_norm(x, layer.operator_norm, eps)
            if isinstance(layer.operator, Attention):
                h = layer.operator(h, batch, rotation, cache.keys[number], cache.values[number])
            else:
                h = layer.operator(h, batch, cache.conv[number])
            x = x + h
            x = x + layer.feed_forward(rms_norm(x, layer.ffn_norm, eps))
        x = rms_norm(x[batch.wanted], self.norm, eps)
        return linear(x, self.head).float()
