"""The official LFM2 checkpoints: what they are called on the hub, their shapes and their licence.

Data only, so that what a model would need can be said before any of it is fetched. A folder's own
`config.json` always counts for more.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbone.config import Config, Routing

LICENCE = "LFM Open License v1.0"
OWNER = "LiquidAI"


@dataclass(frozen=True, slots=True)
class Official:
    """Checkpoints of one shape: `names` without their owner, the plainest first."""

    names: tuple[str, ...]
    config: Config

    @property
    def hub_names(self) -> tuple[str, ...]:
        """The names as the hub knows them."""
        return tuple(f"{OWNER}/{name}" for name in self.names)


def find(name: str) -> Official | None:
    """The entry that a hub name, or the part of it behind the owner, means."""
    owner, _, bare = name.rpartition("/")
    if owner not in ("", OWNER):
        return None
    return next((o for o in OFFICIAL if bare in o.names), None)


def _config(
    *,
    hidden: int,
    layers: int,
    attends: tuple[int, ...],
    heads: int,
    width: int,
    vocab: int = 65_536,
    context: int = 32_768,
    theta: float = 1e6,
    routing: Routing | None = None,
) -> Config:
    """What all of them share, and what they do not."""
    return Config(
        vocab=vocab,
        hidden=hidden,
        attends=tuple(layer in attends for layer in range(layers)),
        heads=heads,
        kv_heads=8,
        head_dim=64,
        width=width,
        kernel=3,
        theta=theta,
        eps=1e-5,
        tied=True,
        context=context,
        routing=routing,
    )


def _routing(*, experts: int, width: int) -> Routing:
    return Routing(
        experts=experts, used=4, width=width, first_layer=2, bias=True, normalised=True, scale=1.0
    )


_SIXTEEN = (2, 5, 8, 10, 12, 14)
_THIRTY = (2, 5, 9, 13, 17, 21, 24, 27)
_TWENTY_FOUR = (2, 6, 10, 14, 18, 21)
_FORTY = tuple(range(2, 40, 4))  # how many there are is certain; which they are is read on loading
_SECOND_VOCABULARY = 128_000

OFFICIAL = (
    Official(
        ("LFM2-350M", "LFM2-350M-Extract", "LFM2-350M-Math", "LFM2-350M-PII-Extract-JP"),
        _config(hidden=1024, layers=16, attends=_SIXTEEN, heads=16, width=4608),
    ),
    Official(
        ("LFM2-700M",),
        _config(hidden=1536, layers=16, attends=_SIXTEEN, heads=24, width=6912),
    ),
    Official(
        (
            *("LFM2-1.2B", "LFM2-1.2B-RAG", "LFM2-1.2B-Tool", "LFM2-1.2B-Extract"),
            *("LFM2.5-1.2B-Base", "LFM2.5-1.2B-Instruct", "LFM2.5-1.2B-Thinking", "LFM2.5-1.2B-JP"),
        ),
        _config(hidden=2048, layers=16, attends=_SIXTEEN, heads=32, width=8192),
    ),
    Official(
        ("LFM2-2.6B",),
        _config(hidden=2048, layers=30, attends=_THIRTY, heads=32, width=10_752),
    ),
    Official(
        ("LFM2.5-2.6B",),
        _config(
            hidden=2048, layers=30, attends=_THIRTY, heads=32, width=10_752,
            vocab=_SECOND_VOCABULARY, context=128_000,
        ),
    ),
    Official(
        ("LFM2-8B-A1B",),
        _config(
            hidden=2048, layers=24, attends=_TWENTY_FOUR, heads=32, width=7168,
            routing=_routing(experts=32, width=1792),
        ),
    ),
    Official(
        ("LFM2.5-8B-A1B",),
        _config(
            hidden=2048, layers=24, attends=_TWENTY_FOUR, heads=32, width=7168,
            vocab=_SECOND_VOCABULARY, context=128_000, theta=5e6,
            routing=_routing(experts=32, width=1792),
        ),
    ),
    Official(
        ("LFM2-24B-A2B",),
        _config(
            hidden=2048, layers=40, attends=_FORTY, heads=32, width=11_776,
            routing=_routing(experts=64, width=1536),
        ),
    ),
)  # fmt: skip
