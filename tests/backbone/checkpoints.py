"""Tiny checkpoints with random weights, in the layout of the official ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from backbone.batch import Span, blocks_for
from backbone.cache import Cache
from backbone.checkpoint import load

SPECIAL = (
    *("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>"),
    *("<|im_start|>", "<|im_end|>", "<|tool_list_start|>", "<|tool_list_end|>"),
    *(
        "<|tool_call_start|>",
        "<|tool_call_end|>",
        "<|tool_response_start|>",
        "<|tool_response_end|>",
    ),
)
MARKS = ("<m>", "<no>", "<s0>", "<s1>", "<s2>", "<s3>")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = (
    "The treaty was signed in Paris in 1947 by the ministers of both countries.",
    'She said: "a \\ is not a /", and it\'s 3.14 times {"as": [long]}.',
    "首都は東京です。人口は1,400万人。",
    "عاصمة مصر هي القاهرة، وتقع على نهر النيل.",
    "Les élèves de Zürich 👩‍👩‍👧 aiment le fromage 🧀 à 25 °C.",
    "대한민국의 수도는 서울이다.",
)
TEMPLATE = (
    "{{- bos_token -}}{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
VOCABULARY = 512  # rows of the embedding, more than the tokenizer has tokens
CONFIG = {
    "model_type": "lfm2", "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48,
    "block_auto_adjust_ff_dim": False, "num_hidden_layers": 4,
    "layer_types": ["conv", "full_attention", "conv", "full_attention"],
    "num_attention_heads": 4, "num_key_value_heads": 2, "conv_L_cache": 3, "norm_eps": 1e-5,
    "rope_theta": 10_000.0, "max_position_embeddings": 1024, "tie_word_embeddings": True,
    "eos_token_id": 7,
}  # fmt: skip


def write_tokenizer(folder: Path, special: tuple[str, ...] = SPECIAL) -> None:
    """A byte-level BPE as LFM2 has it, and one added token that is not special."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    tokenizer.add_tokens([AddedToken("<added>", special=False, normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))


def random_weights(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Dense weights under the official names, wide enough that every layer matters."""
    random = torch.Generator().manual_seed(seed)
    hidden, width, taps = config["hidden_size"], config["intermediate_size"], config["conv_L_cache"]
    dim = hidden // config["num_attention_heads"]
    keys = dim * config["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.embedding_norm.weight": (hidden,),
    }
    for number, kind in enumerate(config["layer_types"]):
        layer = f"model.layers.{number}"
        shapes |= {f"{layer}.{name}_norm.weight": (hidden,) for name in ("operator", "ffn")}
        shapes |= {f"{layer}.feed_forward.{name}.weight": (width, hidden) for name in ("w1", "w3")}
        shapes[f"{layer}.feed_forward.w2.weight"] = (hidden, width)
        if kind == "conv":
            shapes[f"{layer}.conv.in_proj.weight"] = (3 * hidden, hidden)
            shapes[f"{layer}.conv.conv.weight"] = (hidden, 1, taps)
            shapes[f"{layer}.conv.out_proj.weight"] = (hidden, hidden)
        else:
            attention = f"{layer}.self_attn"
            shapes |= {f"{attention}.{name}_layernorm.weight": (dim,) for name in "qk"}
            shapes |= {f"{attention}.{name}_proj.weight": (keys, hidden) for name in "kv"}
            shapes |= {f"{attention}.{name}_proj.weight": (hidden, hidden) for name in ("q", "out")}
    return {
        name: torch.randn(shape, generator=random) * (1.0 if len(shape) == 1 else 0.2)
        for name, shape in shapes.items()
    }


def write_checkpoint(
    folder: Path,
    *,
    special: tuple[str, ...] = SPECIAL,
    template: str | None = TEMPLATE,
    **changes: Any,
) -> Path:
    """A whole dense checkpoint; `changes` are to fields of its config."""
    config = {**CONFIG, **changes}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), folder / "model.safetensors")
    write_tokenizer(folder, special)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<|startoftext|>", "eos_token": {"content": "<|im_end|>"}})
    )
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def reshard(folder: Path, files: int) -> None:
    """Spread a single safetensors file over several, with the index that goes with them."""
    whole = folder / "model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    where = {}
    for number in range(files):
        part = dict(list(tensors.items())[number::files])
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        save_file(part, folder / name)
        where |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def fuse_experts(folder: Path) -> None:
    """Rewrite experts stored one by one as the stacks that newer tools write."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    layers = {name.rsplit(".", 3)[0] for name in tensors if ".experts." in name}
    for layer in layers:
        count = sum(
            name.startswith(f"{layer}.") and name.endswith(".w1.weight") for name in tensors
        )

        def part(which: str, layer: str = layer, count: int = count) -> torch.Tensor:
            return torch.stack([tensors.pop(f"{layer}.{i}.{which}.weight") for i in range(count)])

        tensors[f"{layer}.gate_up_proj"] = torch.cat((part("w1"), part("w3")), dim=1)
        tensors[f"{layer}.down_proj"] = part("w2")
    save_file(tensors, path)


def logits_of(folder: Path, ids: list[int]) -> torch.Tensor:
    """What the model itself says of a sequence, in one pass: [T, vocabulary]."""
    model = load(folder)
    cache = Cache(model.config, blocks=blocks_for(len(ids)), rows=1)
    blocks = cache.take_blocks(blocks_for(len(ids)))
    return model.run([Span(ids, 0, blocks, cache.take_row(), logits=len(ids))], cache)
