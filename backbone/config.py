"""`config.json` of an LFM2 checkpoint, in every form that was published, as one frozen Config.

Knows the names of the fields; nothing of files of weights, tensors or tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbone.errors import CheckpointError

ARCHITECTURES = ("lfm2", "lfm2_moe")

# Configs of the first generation (65,536 tokens of vocabulary) say 128,000 where the model cards
# promise 32,768; those of the second, with the larger vocabulary, mean what they say.
CLAIMED_CONTEXT = 128_000
PROMISED_CONTEXT = 32_768
FIRST_VOCABULARY = 65_536


@dataclass(frozen=True, slots=True)
class Routing:
    """The mixture-of-experts part of a config; layers before `first_layer` stay dense."""

    experts: int
    used: int
    width: int
    first_layer: int
    bias: bool
    normalised: bool
    scale: float


@dataclass(frozen=True, slots=True)
class Config:
    """The shape of one LFM2 model; sizes count elements, `context` counts tokens."""

    vocab: int
    hidden: int
    attends: tuple[bool, ...]  # one a layer: attention, else short convolution
    heads: int
    kv_heads: int
    head_dim: int
    width: int  # of the dense feed-forward
    kernel: int  # taps of the short convolution
    theta: float
    eps: float
    tied: bool
    context: int
    routing: Routing | None = None
    eos: tuple[int, ...] = ()

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return len(self.attends)

    @classmethod
    def load(cls, folder: Path) -> Config:
        """Read `config.json` in a folder; CheckpointError when missing or not of this family."""
        return cls.parse(read_json(folder / "config.json"))

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Config:
        """Normalise the fields of a `config.json`; CheckpointError names the wrong one."""
        kind = raw.get("model_type")
        if kind not in ARCHITECTURES:
            raise CheckpointError(
                f"config.json is of architecture {kind!r};"
                f" this program runs {' and '.join(ARCHITECTURES)}"
            )
        try:
            config = _parse(raw, moe=kind == "lfm2_moe")
        except KeyError as missing:
            raise CheckpointError(f"config.json lacks the field {missing}") from None
        except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise CheckpointError(f"config.json holds a value of the wrong kind: {error}") from None
        _check(config, raw)
        return config


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a checkpoint; CheckpointError when missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} holds no {path.name}; is it a model folder?"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} should hold a JSON object, got {type(value).__name__}")
    return value


def _parse(raw: Mapping[str, Any], *, moe: bool) -> Config:
    heads = int(raw["num_attention_heads"] if "num_attention_heads" in raw else raw["num_heads"])
    vocab, hidden = int(raw["vocab_size"]), int(raw["hidden_size"])
    return Config(
        vocab=vocab,
        hidden=hidden,
        attends=_attends(raw),
        heads=heads,
        kv_heads=int(raw["num_key_value_heads"]),
        head_dim=int(raw.get("head_dim") or hidden // heads),
        width=int(raw["intermediate_size"]) if moe else _dense_width(raw),
        kernel=int(raw.get("conv_L_cache", 3)),
        theta=_theta(raw),
        eps=float(raw.get("norm_eps", raw.get("block_norm_eps", 1e-5))),
        tied=bool(raw.get("tie_embedding", raw.get("tie_word_embeddings", True))),
        context=_context(int(raw.get("max_position_embeddings", CLAIMED_CONTEXT)), vocab),
        routing=_routing(raw) if moe else None,
        eos=parse_ids(raw.get("eos_token_id")),
    )


def _attends(raw: Mapping[str, Any]) -> tuple[bool, ...]:
    layers = int(raw["num_hidden_layers"])
    types = raw.get("layer_types")
    if types is None:
        indices = raw.get("full_attn_idxs")
        attending = set(range(layers) if indices is None else indices)
        return tuple(layer in attending for layer in range(layers))
    if unknown := set(types) - {"conv", "full_attention"}:
        raise CheckpointError(f"config.json has layers of unknown type {sorted(unknown)}")
    if len(types) != layers:
        raise CheckpointError(f"config.json lists {len(types)} layer_types for {layers} layers")
    return tuple(kind == "full_attention" for kind in types)


def _dense_width(raw: Mapping[str, Any]) -> int:
    """The feed-forward width, by the rule that transformers applies to dense models."""
    width = int(raw["block_ff_dim"] if "block_ff_dim" in raw else raw["intermediate_size"])
    if not raw.get("block_auto_adjust_ff_dim", True):
        return width
    width = int(2 * width / 3)
    factor = raw.get("block_ffn_dim_multiplier", 1.0)
    if factor is None:
        return width
    multiple = int(raw.get("block_multiple_of", 256))
    return multiple * -(-int(factor * width) // multiple)


def _theta(raw: Mapping[str, Any]) -> float:
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise CheckpointError(f"config.json asks for rope_type {kind!r}; only 'default' is known")
    return float(rope.get("rope_theta") or raw.get("rope_theta") or raw.get("theta") or 1e6)


def _context(claimed: int, vocab: int) -> int:
    if claimed == CLAIMED_CONTEXT and vocab <= FIRST_VOCABULARY:
        return PROMISED_CONTEXT
    return claimed


def _routing(raw: Mapping[str, Any]) -> Routing:
    return Routing(
        experts=int(raw["num_experts"]),
        used=int(raw["num_experts_per_tok"]),
        width=int(raw["moe_intermediate_size"]),
        first_layer=int(raw.get("num_dense_layers", 2)),
        bias=bool(raw.get("use_expert_bias", True)),
        normalised=bool(raw.get("norm_topk_prob", True)),
        scale=float(raw.get("routed_scaling_factor", 1.0)),
    )


def parse_ids(value: int | list[int] | None) -> tuple[int, ...]:
    """Token ids as these files write them: one, several or none."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _check(config: Config, raw: Mapping[str, Any]) -> None:
    if raw.get("conv_bias"):
        raise CheckpointError("config.json sets conv_bias; no LFM2 checkpoint known here has it")
    positive = (
        config.vocab, config.hidden, config.layers, config.heads, config.kv_heads,
        config.head_dim, config.width, config.kernel, config.context,
    )  # fmt: skip
    if min(positive) < 1:
        raise CheckpointError("config.json holds a size below 1")
    if config.heads % config.kv_heads:
        raise CheckpointError(
            f"config.json has {config.heads} heads,"
            f" not a multiple of its {config.kv_heads} key-value heads"
        )
    routing = config.routing
    if routing is not None and not 1 <= routing.used <= routing.experts:
        raise CheckpointError(
            f"config.json uses {routing.used} of {routing.experts} experts for each token"
        )
