"""A packed batch: parts of several sequences side by side, as the tensors that `forward` takes.

Index arithmetic only. Which sequences run, and which blocks they hold, is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from backbone.span import BLOCK, Span, blocks_for

__all__ = ["BLOCK", "Batch", "Span", "blocks_for"]


@dataclass(frozen=True, slots=True)
class Batch:
    """T tokens of S sequences; tensors are int64 on the model's device.

    `taps` and `kept` index the rows of `[rows remembered of each sequence; rows of this batch]`:
    what each tap of the convolution but the last meets at each token, and what to remember then.
    """

    ids: Tensor  # [T]
    positions: Tensor  # [T]
    slots: Tensor  # [T] block * BLOCK + offset; -1 = read what is cached there, write nothing
    written: Tensor | None  # [W] the tokens that have a slot; None = all of them
    starts: tuple[int, ...]  # [S + 1] cumulative counts of tokens
    ends: tuple[int, ...]  # [S] length of each sequence, this batch included
    blocks: Tensor  # [S, blocks in use of the longest], filled up with the last
    rows: Tensor  # [S]
    taps: Tensor  # [kernel - 1, T]
    kept: Tensor  # [S, rows remembered a sequence]
    wanted: Tensor  # [N] the tokens whose logits are asked for

    @classmethod
    def pack(
        cls, spans: Sequence[Span], *, kernel: int, kept: int, device: str | torch.device = "cpu"
    ) -> Batch:
        """Lay spans side by side, for convolutions of `kernel` taps that remember `kept` rows."""

        def tensor(values: Sequence[int] | Sequence[Sequence[int]]) -> Tensor:
            return torch.tensor(values, dtype=torch.int64, device=device)

        counts = [len(span.ids) for span in spans]
        wanted = [
            token
            for span, end in zip(spans, accumulate(counts), strict=True)
            for token in range(end - span.logits, end)
        ]
        starts = (0, *accumulate(counts))
        tables = [list(span.blocks[: blocks_for(span.end)]) for span in spans]
        longest = max(map(len, tables))
        blocks = tensor([table + table[-1:] * (longest - len(table)) for table in tables])
        sequences = torch.arange(len(spans), device=device)
        owner = sequences.repeat_interleave(tensor(counts), output_size=starts[-1])  # [T]
        first = tensor(starts[:-1])
        offset = torch.arange(starts[-1], device=device) - first[owner]
        positions = offset + tensor([span.position for span in spans])[owner]
        slots = blocks[owner, positions // BLOCK] * BLOCK + positions % BLOCK
        written = None
        if any(span.reread for span in spans):
            slots = slots.where(offset >= tensor([span.reread for span in spans])[owner], -1)
            written = (slots >= 0).nonzero()[:, 0]

        def source(sequence: Tensor, relative: Tensor) -> Tensor:
            """Where a sequence's row lies; negative `relative` = remembered from before."""
            fresh = len(spans) * kept + first[sequence] + relative
            return fresh.where(relative >= 0, (sequence + 1) * kept + relative)

        back = torch.arange(1 - kernel, 0, device=device)[:, None]
        memory = torch.arange(-kept, 0, device=device)
        return cls(
            ids=tensor([i for span in spans for i in span.ids]),
            positions=positions,
            slots=slots,
            written=written,
            starts=starts,
            ends=tuple(span.end for span in spans),
            blocks=blocks,
            rows=tensor([span.row for span in spans]),
            taps=source(owner, offset + back),
            kept=source(sequences[:, None], tensor(counts)[:, None] + memory),
            wanted=tensor(wanted),
        )
