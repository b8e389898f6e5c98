"""A checkpoint with random weights in an official shape and layout: for speed, not for sense.

    python -m benchmarks.random_checkpoint LFM2-350M FOLDER

bfloat16 safetensors under the official names, the family's special tokens, a small byte-level BPE whose
unused rows of the embedding are there all the same, and plain ChatML.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from backbone.config import Config
from backbone.official import find

SPECIAL = (
    "<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>",
    "<|im_start|>", "<|im_end|>", "<|tool_list_start|>", "<|tool_list_end|>",
    "<|tool_call_start|>", "<|tool_call_end|>", "<|tool_response_start|>", "<|tool_response_end|>",
)  # fmt: skip
TEMPLATE = (
    "{{- bos_token -}}{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a dense checkpoint, by its official name."""
    hidden, queries = config.hidden, config.heads * config.head_dim
    keys = config.kv_heads * config.head_dim
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config.vocab, hidden),
        "model.embedding_norm.weight": (hidden,),
    }
    for number, attends in enumerate(config.attends):
        layer = f"model.layers.{number}"
        found |= {f"{layer}.{name}_norm.weight": (hidden,) for name in ("operator", "ffn")}
        found |= {
            f"{layer}.feed_forward.w1.weight": (config.width, hidden),
            f"{layer}.feed_forward.w3.weight": (config.width, hidden),
            f"{layer}.feed_forward.w2.weight": (hidden, config.width),
        }
        if attends:
            found |= {
                f"{layer}.self_attn.q_proj.weight": (queries, hidden),
                f"{layer}.self_attn.k_proj.weight": (keys, hidden),
                f"{layer}.self_attn.v_proj.weight": (keys, hidden),
                f"{layer}.self_attn.out_proj.weight": (hidden, queries),
                f"{layer}.self_attn.q_layernorm.weight": (config.head_dim,),
                f"{layer}.self_attn.k_layernorm.weight": (config.head_dim,),
            }
        else:
            found |= {
                f"{layer}.conv.in_proj.weight": (3 * hidden, hidden),
                f"{layer}.conv.conv.weight": (hidden, 1, config.kernel),
                f"{layer}.conv.out_proj.weight": (hidden, hidden),
            }
    return found


def write(name: str, folder: Path) -> Config:
    """Write the checkpoint of an official dense name; returns its config."""
    official = find(name)
    if official is None or official.config.routing is not None:
        raise ValueError(f"{name} is no official dense checkpoint")
    config = official.config
    folder.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(0)
    save_file(
        {
            tensor: torch.ones(shape, dtype=torch.bfloat16)
            if tensor.endswith("norm.weight")
            else (torch.randn(shape, generator=random) * 0.02).bfloat16()
            for tensor, shape in shapes(config).items()
        },
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    fields = {
        "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "dtype": "bfloat16",
        "vocab_size": config.vocab, "hidden_size": config.hidden,
        "intermediate_size": config.width, "block_auto_adjust_ff_dim": False,
        "num_hidden_layers": config.layers,
        "layer_types": ["full_attention" if a else "conv" for a in config.attends],
        "num_attention_heads": config.heads, "num_key_value_heads": config.kv_heads,
        "conv_L_cache": config.kernel, "conv_bias": False, "norm_eps": config.eps,
        "rope_theta": config.theta, "max_position_embeddings": config.context,
        "tie_word_embeddings": config.tied, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 7,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(fields, indent=1) + "\n")
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|pad|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names) + "\n")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    _tokenizer().save(str(folder / "tokenizer.json"))
    return config


def _tokenizer() -> Tokenizer:
    """Bytes, and what a little English gives: enough that a prompt's length can be set."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([__doc__ or ""] * 3, trainer)
    return tokenizer


def main() -> None:
    """Reads the options and writes the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    write(given.name, given.folder)


if __name__ == "__main__":
    main()
