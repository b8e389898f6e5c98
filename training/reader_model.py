"""The reader as it is trained: LFM2 on whole padded batches, and the losses that teach it to point.

Parameter names are the official ones, so that the weights go into a checkpoint as they are. Knows
nothing of data, optimisers or files; what answers questions is `backbone/`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN, HEADS, FEED, LAYERS, VOCABULARY = 256, 4, 640, 6, 16384
ATTENTION = (1, 3, 5)  # which layers attend; the others are short convolutions
HEAD = HIDDEN // HEADS
THETA = 10_000.0
MARKS = range(7, 23)  # ids of <s0> … <s15>


class Norm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), 1e-5)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(HIDDEN, HIDDEN, bias=False))
        self.q_layernorm, self.k_layernorm = Norm(HEAD), Norm(HEAD)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states; and the queries and keys [B, heads, T, 64], for the pointing loss."""
        b, t, _ = x.shape
        q, k, v = (
            p(x).view(b, t, HEADS, HEAD).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = _rotated(self.q_layernorm(q), cos, sin), _rotated(self.k_layernorm(k), cos, sin)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(out.transpose(1, 2).reshape(b, t, HIDDEN)), q, k


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat((-right, left), -1) * sin


class ShortConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.in_proj = nn.Linear(HIDDEN, 3 * HIDDEN, bias=False)
        self.out_proj = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.conv = nn.Conv1d(HIDDEN, HIDDEN, 3, groups=HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, scale, x = self.in_proj(x).chunk(3, -1)
        gated = F.pad(gate * x, (0, 0, 2, 0))
        taps = self.conv.weight[:, 0].to(
            x.dtype
        )  # the kernel as three shifted products: faster than conv1d
        mixed = gated[:, :-2] * taps[:, 0] + gated[:, 1:-1] * taps[:, 1] + gated[:, 2:] * taps[:, 2]
        return self.out_proj(scale * mixed)


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w3 = (nn.Linear(HIDDEN, FEED, bias=False) for _ in range(2))
        self.w2 = nn.Linear(FEED, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Layer(nn.Module):
    def __init__(self, attends: bool) -> None:
        super().__init__()
        if attends:
            self.self_attn = Attention()
        else:
            self.conv = ShortConvolution()
        self.feed_forward = FeedForward()
        self.operator_norm, self.ffn_norm = Norm(HIDDEN), Norm(HIDDEN)


class Reader(nn.Module):
    """LFM2 for training: whole padded batches, no cache. Parameter names are the official ones."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Layer(i in ATTENTION) for i in range(LAYERS))
        self.embedding_norm = Norm(HIDDEN)
        for name, p in self.named_parameters():
            if p.ndim > 1:
                deep = (
                    1 / math.sqrt(2 * LAYERS)
                    if name.endswith(("out_proj.weight", "w2.weight"))
                    else 1.0
                )
                nn.init.normal_(
                    p, std=(0.02 if "embed" in name else p.shape[-1] ** -0.5 * 0.7) * deep
                )

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """ids [B, T] → normed hidden states [B, T, h], those before the last layer, its queries and keys."""
        x = self.embed_tokens(ids) * 1.0
        angle = torch.arange(ids.shape[1], device=ids.device)[:, None] * THETA ** -(
            torch.arange(0, HEAD, 2, device=ids.device) / HEAD
        )
        angle = torch.cat((angle, angle), -1)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        q = k = before = x
        for layer in self.layers:
            before = x
            h = layer.operator_norm(x)
            if hasattr(layer, "self_attn"):
                h, q, k = layer.self_attn(h, cos, sin)
            else:
                h = layer.conv(h)
            x = x + h
            x = x + layer.feed_forward(layer.ffn_norm(x))
        return self.embedding_norm(x), before, q, k


class Pointer(nn.Module):
    """A head for training alone: which sentence, read off the states below the last attention.

    The attention itself learns slowly from 600 positions; choosing among a dozen marks with this head
    teaches the layers below what a right sentence is several times faster, and the attention follows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = Norm(HIDDEN)
        self.ask = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.each = nn.Linear(HIDDEN, 1)
        self.nothing = nn.Linear(HIDDEN, 1)

    def forward(self, states: Tensor, marks: Tensor, asked: Tensor, target: Tensor) -> Tensor:
        """states [n, T, h], which positions close a sentence [n, T], the asking position [n] → loss.

        `target` [n] is the position of the right mark, or 0 when no sentence is right.
        """
        states = self.norm(states)
        query = states[torch.arange(len(asked)), asked]
        scores = (
            torch.einsum("nth,nh->nt", states, self.ask(query)) / math.sqrt(HIDDEN)
            + self.each(states)[..., 0]
        ).float()
        scores = scores.masked_fill(~marks, -1e9)
        scores = torch.cat(
            (self.nothing(query).float(), scores[:, 1:]), 1
        )  # position 0 stands for none
        return F.cross_entropy(scores, target)


def losses(
    model: nn.Module, pointer: Pointer, ids: Tensor, places: Tensor, light: Tensor, head: Tensor
) -> tuple[Tensor, ...]:
    """Cross-entropy of the chosen mark and of the rest of the reply, where the last attention looks for
    either, the pointing head, and a light language-model loss on 10 % of the prompt."""
    hidden, before, q, k = model(ids)
    row, at, target = places.unbind(1)
    first = torch.ones_like(row, dtype=torch.bool)
    first[1:] = row[1:] != row[:-1]
    logits = (hidden[row, at] @ head.T.to(hidden.dtype)).float()
    reply = F.cross_entropy(logits, ids[row, at + 1], reduction="none")
    scores = torch.einsum("mhd,mhtd->mht", q[row, :, at].float(), k[row].float()) / math.sqrt(HEAD)
    future = torch.arange(ids.shape[1], device=ids.device)[None, None] > at[:, None, None]
    looked = F.log_softmax(scores.masked_fill(future, -1e9), -1)
    looked = -looked.gather(2, target.clamp(min=0)[:, None, None].expand(-1, HEADS, 1))[
        ..., 0
    ].mean(1)
    asking = row[first]
    marks = (ids[asking] >= MARKS.start) & (ids[asking] < MARKS.stop)
    marks &= torch.arange(ids.shape[1], device=ids.device)[None] <= at[first][:, None]
    pointed = pointer(before[asking], marks, at[first], target[first])
    b, t = light.nonzero(as_tuple=True)
    text = F.cross_entropy((hidden[b, t] @ head.T.to(hidden.dtype)).float(), ids[b, t + 1])
    copied = ~first & (target >= 0)
    return (
        reply[first].mean(),
        reply[~first].mean(),
        looked[first].mean(),
        looked[copied].sum() / copied.sum().clamp(min=1),
        pointed,
        text,
    )


WEIGHTS = (1.5, 1.0, 0.7, 0.5, 1.0, 0.1)  # of the losses, in their order
