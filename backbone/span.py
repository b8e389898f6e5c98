"""The part of one sequence that a forward pass runs, and the blocks that its tokens lie in.

Plain numbers, so that whoever decides what runs needs no tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BLOCK = 64  # tokens whose keys and values lie together


def blocks_for(tokens: int) -> int:
    """How many blocks hold that many tokens."""
    return -(-tokens // BLOCK)


def common(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    for at, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            return at
    return min(len(one), len(two))


@dataclass(frozen=True, slots=True)
class Span:
    """The part of one sequence that a forward pass runs.

    `ids` stand at positions `position`, `position + 1`, … The cache holds the sequence in `blocks`
    (in order) and its convolution rows in `row`. For the first `reread` tokens the keys and values
    already cached at their positions are read and nothing is written: the window of a prefix hit.
    Logits come back for the last `logits` tokens.
    """

    ids: Sequence[int]
    position: int
    blocks: Sequence[int]
    row: int
    reread: int = 0
    logits: int = 1

    @property
    def end(self) -> int:
        """The length of the sequence after this span."""
        return self.position + len(self.ids)
