"""How much memory a model takes, and how many sequences of a length fit beside it.

The same numbers size the cache on loading and are shown before anything is fetched. Knows shapes
and bytes; nothing of tensors, requests or what memory this machine has.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbone.config import Config
from backbone.span import BLOCK, blocks_for

GIB = 1 << 30
RESERVE = 6 * GIB  # of a large GPU: activations, graphs and the libraries themselves
RESERVE_HERE = GIB  # of a machine's own memory, besides what other programs have


@dataclass(frozen=True, slots=True)
class Format:
    """A number format: bits a value, scales included. `planned` ones cannot be loaded yet."""

    name: str
    bits: float
    planned: bool = False

    def bytes(self, values: int) -> int:
        """How many bytes hold that many values."""
        return round(values * self.bits / 8)


FLOAT32 = Format("float32", 32)
BFLOAT16 = Format("bfloat16", 16)
FP8 = Format("fp8", 8, planned=True)
INT4 = Format("int4", 4.125, planned=True)  # groups of 128 that share a scale of 16 bits
FORMATS = {each.name: each for each in (FLOAT32, BFLOAT16, FP8, INT4)}

# What weights and cache of a GPU may be: today's, then the planned ones.
COMBINATIONS = (
    (BFLOAT16, BFLOAT16),
    (BFLOAT16, FP8),
    (FP8, BFLOAT16),
    (FP8, FP8),
    (INT4, BFLOAT16),
    (INT4, FP8),
)


def parameters(config: Config) -> int:
    """How many numbers a model of this shape holds; a tied head is counted once."""
    return _parameters(config, 0 if config.routing is None else config.routing.experts)


def active_parameters(config: Config) -> int:
    """How many of them one token is computed with: all, but of the experts only those used."""
    return _parameters(config, 0 if config.routing is None else config.routing.used)


def _parameters(config: Config, experts: int) -> int:
    h = config.hidden
    queries, pairs = config.heads * config.head_dim, config.kv_heads * config.head_dim
    attention = 2 * h * queries + 2 * h * pairs + 2 * config.head_dim
    convolution = 4 * h * h + h * config.kernel
    attending = sum(config.attends)
    dense, routing = config.layers, config.routing
    sparse = 0
    if routing is not None:
        dense = min(routing.first_layer, config.layers)
        router = routing.experts * (h + routing.bias)
        sparse = (config.layers - dense) * (router + experts * 3 * h * routing.width)
    return (
        config.vocab * h * (1 if config.tied else 2)
        + attending * attention
        + (config.layers - attending) * convolution
        + dense * 3 * h * config.width
        + sparse
        + (2 * config.layers + 1) * h  # the norms
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The memory of one model, in bytes, with weights and cache in some formats.

    `spare` convolution rows beyond those of the model are kept a sequence, for drafts. With
    `packed` weights a head that is tied to the embedding is a copy of it. `here` is this machine's
    own memory, else a GPU's.
    """

    config: Config
    weights: Format = BFLOAT16
    cache: Format = BFLOAT16
    spare: int = 0
    packed: bool = False
    here: bool = False

    @classmethod
    def of(cls, config: Config, number_format: str, *, device: str, spare: int) -> Plan:
        """What a model takes on a torch device, computed in a format by its name."""
        numbers, here = FORMATS[number_format], device == "cpu"
        return cls(
            config, numbers, numbers, spare=spare, packed=here and numbers is FLOAT32, here=here
        )

    @property
    def planned(self) -> bool:
        """Whether it needs a format that cannot be loaded yet."""
        return self.weights.planned or self.cache.planned

    @property
    def weight_bytes(self) -> int:
        """All weights."""
        head = self.config.vocab * self.config.hidden * (self.packed and self.config.tied)
        return self.weights.bytes(parameters(self.config) + head)

    @property
    def active_bytes(self) -> int:
        """The weights that are read for one token of one sequence."""
        return self.weights.bytes(active_parameters(self.config))

    @property
    def token_bytes(self) -> int:
        """Keys and values of one token."""
        pairs = 2 * self.config.kv_heads * self.config.head_dim
        return self.cache.bytes(sum(self.config.attends) * pairs)

    @property
    def block_bytes(self) -> int:
        """Keys and values of a block of tokens."""
        return BLOCK * self.token_bytes

    @property
    def row_bytes(self) -> int:
        """What the convolutions remember of one sequence, however long; never below 16 bits."""
        kept = self.config.kernel - 1 + self.spare
        convolutions = self.config.layers - sum(self.config.attends)
        bits = max(self.cache.bits, BFLOAT16.bits)
        return round(convolutions * kept * self.config.hidden * bits / 8)

    def cache_bytes(self, *, blocks: int, rows: int) -> int:
        """A cache of so many blocks and convolution rows."""
        return blocks * self.block_bytes + rows * self.row_bytes

    def blocks(self, *, agents: int, context: int, shared: int = 0) -> int:
        """The blocks of so many sequences of `context` tokens, the first `shared` of them equal.

        Only whole blocks can be shared.
        """
        common = min(shared, context) // BLOCK
        return common * (agents > 0) + agents * (blocks_for(context) - common)

    def agents(self, memory: int, *, context: int, shared: int = 0, reserve: int = 0) -> int:
        """How many sequences of `context` tokens fit, whole and at once, beside the weights.

        `memory` bytes are there, `reserve` of them kept free for other things.
        """
        common = self.blocks(agents=1, context=min(shared, context) // BLOCK * BLOCK)
        left = memory - reserve - self.weight_bytes - common * self.block_bytes
        each = (blocks_for(context) - common) * self.block_bytes + self.row_bytes
        return max(0, left // each)

    def blocks_that_fit(self, memory: int, *, rows: int, reserve: int = 0) -> int:
        """How many blocks a cache with so many rows can have in `memory` bytes beside the weights.

        The engine admits a sequence when its blocks and a row are free, so that with as many rows
        exactly `agents` of them are admitted.
        """
        left = memory - reserve - self.weight_bytes - rows * self.row_bytes
        return max(0, left // self.block_bytes)

    def reserve(self, memory: int) -> int:
        """What of so much free memory is kept free for everything else."""
        return RESERVE_HERE if self.here else min(RESERVE, memory // 8)

    def blocks_to_take(self, free: int | None, *, rows: int, wanted: int) -> int:
        """The blocks of a cache when nobody says how many. 0 = not even the weights fit.

        `free` bytes were there before the weights came; None = not known. Of this machine's own
        memory no more than are `wanted` are taken; of a GPU's, all that so many sequences of the
        whole context can come to hold.
        """
        if free is None:
            return wanted
        fit = self.blocks_that_fit(free, rows=rows, reserve=self.reserve(free))
        return min(fit, wanted if self.here else rows * blocks_for(self.config.context))


@dataclass(frozen=True, slots=True)
class Speed:
    """What a processor does: multiplications and additions, and bytes read, each a second."""

    operations: float
    bandwidth: float


def decode_speed(plan: Plan, speed: Speed, *, context: int) -> float:
    """Tokens a second of one sequence, at most: the bytes of a token over the bandwidth.

    Every token reads the active weights and the keys and values before it, and computes two
    operations a weight; whichever takes longer counts.
    """
    read = (plan.active_bytes + context * plan.token_bytes) / speed.bandwidth
    return 1 / max(read, 2 * active_parameters(plan.config) / speed.operations)


def prefill_speed(plan: Plan, speed: Speed, *, context: int, batch: int = 256) -> float:
    """Prompt tokens a second, at most, on the average over a prompt of `context` tokens.

    Two operations a weight but for the head, four a pair of positions and head dimension in
    attention, over the rate; a pass of `batch` tokens also reads all the weights once.
    """
    config = plan.config
    head = config.vocab * config.hidden
    attention = 4 * sum(config.attends) * config.heads * config.head_dim * context / 2
    token = (2 * (active_parameters(config) - head) + attention) / speed.operations
    return 1 / max(token, plan.weight_bytes / speed.bandwidth / batch)
