"""What a model remembers of its sequences: keys and values in blocks, convolution rows.

Hands out blocks and rows and takes them back. Decides nothing: who runs, who waits and what is
shared is the business of its caller.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from backbone.config import Config
from backbone.span import BLOCK


class Cache:
    """The memory of one model, by layer.

    `keys` (after RoPE) and `values` of attention layers are [blocks, kv_heads, BLOCK, head_dim].
    `conv` of the others is [rows, kernel - 1 + spare, hidden]: the last inputs of the convolution,
    of which `spare` serve to take back drafted tokens.
    """

    def __init__(
        self,
        config: Config,
        *,
        blocks: int,
        rows: int,
        spare: int = 0,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        self.kernel = config.kernel
        self.kept = config.kernel - 1 + spare
        self.spare = spare
        self.device = device

        def empty(attends: bool, *shape: int) -> dict[int, Tensor]:
            # Memory that nobody touched costs nothing, so a large cache is free until it is used.
            layers = [layer for layer, kind in enumerate(config.attends) if kind is attends]
            return {layer: torch.empty(shape, dtype=dtype, device=device) for layer in layers}

        self.keys = empty(True, blocks, config.kv_heads, BLOCK, config.head_dim)
        self.values = empty(True, blocks, config.kv_heads, BLOCK, config.head_dim)
        self.conv = empty(False, rows, self.kept, config.hidden)
        self._blocks = list(reversed(range(blocks)))
        self._rows = list(reversed(range(rows)))

    @property
    def free_blocks(self) -> int:
        """How many blocks nobody holds."""
        return len(self._blocks)

    @property
    def free_rows(self) -> int:
        """How many convolution rows nobody holds."""
        return len(self._rows)

    def take_blocks(self, count: int) -> list[int]:
        """Blocks for the caller to fill and give back; IndexError when there are not so many."""
        blocks = [self._blocks.pop() for _ in range(count)]
        for store in (*self.keys.values(), *self.values.values()):
            # What lies behind a sequence's end is read and masked, but 0 times NaN is NaN.
            store[blocks] = 0
        return blocks

    def give_blocks(self, blocks: Iterable[int]) -> None:
        """Free blocks that `take_blocks` gave."""
        self._blocks.extend(blocks)

    def take_row(self) -> int:
        """A convolution row at the state of an empty sequence; IndexError when there is none."""
        row = self._rows.pop()
        for conv in self.conv.values():
            conv[row] = 0
        return row

    def give_row(self, row: int) -> None:
        """Free a row that `take_row` gave."""
        self._rows.append(row)

    def copy_block(self, source: int, target: int) -> None:
        """Make one block equal to another, in every layer."""
        for store in (*self.keys.values(), *self.values.values()):
            store[target] = store[source]

    def take_back(self, row: int, tokens: int) -> None:
        """Forget the newest tokens of a row, at most the `spare` ones of the constructor."""
        if not 0 <= tokens <= self.spare:
            raise ValueError(f"cannot take back {tokens} tokens of {self.kept} remembered rows")
        if tokens:
            for conv in self.conv.values():
                conv[row] = conv[row].roll(tokens, 0)
