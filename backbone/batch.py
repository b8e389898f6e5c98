"""A packed batch: parts of several sequences side by side, as the tensors that `forward` takes.

Index arithmetic only. Which sequences run, and which blocks they hold, is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
from torch import Tensor

from backbone.span import BLOCK, Span, blocks_for, common

__all__ = ["BLOCK", "Batch", "Shared", "Span", "blocks_for"]

FEW = 16  # tokens of one sequence that attend one by one rather than as a piece
SHORT = 4  # blocks that are rather copied than read where they are


@dataclass(frozen=True, slots=True)
class Shared:
    """Blocks that `rows` of a batch's single tokens see whole: from start to stop, or listed."""

    rows: Tensor
    start: int
    stop: int
    blocks: Tensor | None


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
    pieces: list[tuple[int, int, Tensor, int]]  # tokens from, to, blocks and length of sequences
    single: Tensor | None  # [R] tokens that attend one by one
    shared: list[Shared]  # the blocks that they see whole
    rests: Tensor  # [R, B] the other blocks, filled up with the last
    visible: Tensor  # [R, B, BLOCK] what each sees in them
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
        starts = [0, *accumulate(counts)]
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
        pieces = [
            (start, start + count, tensor(table), span.end)
            for start, count, table, span in zip(starts, counts, tables, spans, strict=False)
            if count > FEW
        ]
        few = [n for n, count in enumerate(counts) if count <= FEW]
        single = [(n, at) for n in few for at in range(counts[n])]
        whole = [tables[n][: (spans[n].position + at) // BLOCK] for n, at in single]
        shared, read = [], [0] * len(single)
        for rows, run in _runs(whole, list(range(len(single))), 0):
            shared.append(_shared(rows, run, tensor))
            for row in rows:
                read[row] += len(run)
        rests = [
            tables[n][read[row] : (spans[n].position + at) // BLOCK + 1]
            for row, (n, at) in enumerate(single)
        ]
        most = max(map(len, rests), default=0)
        slot = torch.arange(most * BLOCK, device=device)
        last = tensor(
            [spans[n].position + at - read[row] * BLOCK for row, (n, at) in enumerate(single)]
        )
        return cls(
            ids=tensor([i for span in spans for i in span.ids]),
            positions=positions,
            slots=slots,
            written=written,
            pieces=pieces,
            single=tensor([starts[n] + at for n, at in single]) if single else None,
            shared=shared,
            rests=tensor([rest + rest[-1:] * (most - len(rest)) for rest in rests]),
            visible=(slot <= last[:, None]).view(len(single), most, BLOCK),
            rows=tensor([span.row for span in spans]),
            taps=source(owner, offset + back),
            kept=source(sequences[:, None], tensor(counts)[:, None] + memory),
            wanted=tensor(wanted),
        )


def _runs(
    tables: Sequence[list[int]], rows: list[int], depth: int
) -> Iterator[tuple[list[int], list[int]]]:
    """The runs of blocks from `depth` on that the same rows have, where reading them once pays."""
    rows = sorted((row for row in rows if len(tables[row]) > depth), key=lambda r: tables[r][depth])
    for _, group in groupby(rows, key=lambda row: tables[row][depth]):
        members = list(group)
        run = tables[members[0]][depth:]
        for row in members[1:]:
            run = run[: common(run, tables[row][depth:])]
        if len(members) > 1 or len(run) > SHORT:
            yield members, run
            if len(members) > 1:
                yield from _runs(tables, members, depth + len(run))


def _shared(rows: list[int], run: list[int], tensor: Callable[[list[int]], Tensor]) -> Shared:
    start, stop = run[0], run[0] + len(run)
    in_place = run == list(range(start, stop))
    return Shared(tensor(rows), start, stop, None if in_place else tensor(run))
