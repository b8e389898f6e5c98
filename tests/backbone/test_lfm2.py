"""Our logits are those of transformers, however the tokens are packed and cached."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

from backbone import checkpoint
from backbone.batch import BLOCK, Span, blocks_for
from backbone.cache import Cache
from backbone.lfm2 import Lfm2
from tests.backbone.checkpoints import fuse_experts, reshard

CLOSE = 1e-4
LENGTHS = (150, 1, 7, 64, 65, 100)
SHAPE = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
DENSE = {
    **SHAPE, "num_key_value_heads": 2, "full_attn_idxs": [1, 3],
    "intermediate_size": 70, "block_multiple_of": 16,
}  # fmt: skip
WIDE_KERNEL = {
    **DENSE, "full_attn_idxs": [0, 2], "conv_L_cache": 4, "num_key_value_heads": 4,
    "block_auto_adjust_ff_dim": False, "tie_word_embeddings": False,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
}  # fmt: skip
MIXTURE = {
    **SHAPE, "num_key_value_heads": 1, "layer_types": ["conv", "full_attention"] * 2,
    "intermediate_size": 48, "moe_intermediate_size": 24, "num_dense_layers": 1,
    "num_experts": 8, "num_experts_per_tok": 3,
}  # fmt: skip
PLAIN_MIXTURE = {
    **MIXTURE, "num_dense_layers": 0, "use_expert_bias": False, "norm_topk_prob": False,
    "routed_scaling_factor": 1.7, "num_experts_per_tok": 1,
}  # fmt: skip


@dataclass
class Reference:
    """A checkpoint that transformers saved, sequences, and what it says of each alone."""

    folder: Path
    model: Lfm2
    sequences: list[list[int]]
    logits: list[Tensor]


def save_with_transformers(folder: Path, settings: dict) -> list[Tensor]:
    from transformers import Lfm2Config, Lfm2ForCausalLM, Lfm2MoeConfig, Lfm2MoeForCausalLM

    moe = "num_experts" in settings
    config = (Lfm2MoeConfig if moe else Lfm2Config)(**settings)
    model = (Lfm2MoeForCausalLM if moe else Lfm2ForCausalLM)(config).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.3)
    for name, buffer in model.named_buffers():
        if name.endswith("expert_bias"):
            buffer.normal_(0, 0.3)
    model.save_pretrained(folder)
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0] for ids in sequences(settings["vocab_size"])]


def sequences(vocabulary: int) -> list[list[int]]:
    random = torch.Generator().manual_seed(1)
    return [torch.randint(vocabulary, (n,), generator=random).tolist() for n in LENGTHS]


@pytest.fixture(
    scope="module",
    params=[DENSE, WIDE_KERNEL, MIXTURE, PLAIN_MIXTURE],
    ids=["dense", "wide-kernel", "mixture", "plain-mixture"],
)
def reference(request, tmp_path_factory) -> Reference:
    folder = tmp_path_factory.mktemp("reference")
    logits = save_with_transformers(folder, request.param)
    return Reference(
        folder, checkpoint.load(folder), sequences(request.param["vocab_size"]), logits
    )


def new_cache(model: Lfm2, **options: int) -> Cache:
    """A cache whose memory holds the worst that fresh memory can hold."""
    cache = Cache(model.config, blocks=24, rows=len(LENGTHS), **options)
    for store in (*cache.keys.values(), *cache.values.values(), *cache.conv.values()):
        store.fill_(torch.nan)
    return cache


def span(cache: Cache, ids: list[int], **options: int) -> Span:
    return Span(
        ids,
        0,
        cache.take_blocks(blocks_for(len(ids))),
        cache.take_row(),
        **{"logits": len(ids), **options},
    )


def worst(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max())


def test_whole_prompts_match_transformers(reference):
    cache = new_cache(reference.model)
    for ids, logits in zip(reference.sequences, reference.logits, strict=True):
        assert float(logits.std()) > 0.5  # the comparison means something
        assert worst(reference.model.run([span(cache, ids)], cache), logits) < CLOSE


def test_packed_sequences_of_different_lengths_match_each_alone(reference):
    cache = new_cache(reference.model)
    spans = [span(cache, ids) for ids in reference.sequences]
    assert worst(reference.model.run(spans, cache), torch.cat(reference.logits)) < CLOSE


@pytest.mark.parametrize(("size", "length"), [(1, 70), (50, 150), (64, 150)])
def test_prompts_in_chunks_match_whole_ones(reference, size, length):
    cache, ids = new_cache(reference.model), reference.sequences[0][:length]
    whole = span(cache, ids)
    for at in range(0, len(ids), size):
        part = ids[at : at + size]
        found = reference.model.run(
            [Span(part, at, whole.blocks, whole.row, logits=len(part))], cache
        )
        assert worst(found, reference.logits[0][at : at + len(part)]) < CLOSE


@pytest.mark.parametrize("seed", range(2))
def test_any_schedule_gives_the_logits_of_each_sequence_alone(reference, seed):
    """Each step runs some sequences, by one token or by several: decoding beside prompts."""
    cache, random = new_cache(reference.model), Random(seed)
    spans = [span(cache, ids) for ids in reference.sequences]
    done = [0] * len(spans)
    while left := [i for i, s in enumerate(spans) if done[i] < len(s.ids)]:
        chosen = random.sample(left, random.randint(1, len(left)))
        longest = random.choice([1, 50])
        batch, wanted = [], []
        for i in chosen:
            part = spans[i].ids[done[i] : done[i] + random.randint(1, longest)]
            batch.append(Span(part, done[i], spans[i].blocks, spans[i].row, logits=len(part)))
            wanted.append(reference.logits[i][done[i] : done[i] + len(part)])
            done[i] += len(part)
        assert worst(reference.model.run(batch, cache), torch.cat(wanted)) < CLOSE


@pytest.mark.parametrize("boundary", [BLOCK, 100, 149])
def test_a_prefix_is_continued_exactly_by_rereading_the_window(reference, boundary):
    """A fresh row and `window` tokens that write nothing are enough to go on behind cached keys."""
    cache, model, ids = new_cache(reference.model), reference.model, reference.sequences[0]
    first = span(cache, ids[:boundary], logits=1)
    model.run([first], cache)
    blocks = [*first.blocks, *cache.take_blocks(blocks_for(len(ids)) - len(first.blocks))]
    keys = {layer: stored.clone() for layer, stored in cache.keys.items()}
    rest = len(ids) - boundary

    def continued(window: int) -> Tensor:
        start = boundary - window
        fresh = cache.take_row()
        return model.run(
            [Span(ids[start:], start, blocks, fresh, reread=window, logits=rest)], cache
        )

    assert worst(continued(model.window), reference.logits[0][boundary:]) < CLOSE
    fresh = {(blocks[at // BLOCK], at % BLOCK) for at in range(boundary, len(ids))}
    for layer, stored in cache.keys.items():
        differs = stored.view(torch.int32) != keys[layer].view(torch.int32)  # a NaN equals itself
        changed = differs.any(3).any(1).nonzero().tolist()
        assert {tuple(place) for place in changed} == fresh
    assert worst(continued(model.window - 1), reference.logits[0][boundary:]) > CLOSE


def test_drafted_tokens_can_be_taken_back(reference):
    model, ids, spare = reference.model, reference.sequences[0], 4
    cache = new_cache(model, spare=spare)
    whole = span(cache, ids)
    model.run([Span(ids[:90], 0, whole.blocks, whole.row)], cache)
    wrong = [(token + 1) % model.config.vocab for token in ids[90 : 90 + spare]]
    model.run([Span(wrong, 90, whole.blocks, whole.row)], cache)
    cache.take_back(whole.row, spare)
    found = model.run([Span(ids[90:], 90, whole.blocks, whole.row, logits=60)], cache)
    assert worst(found, reference.logits[0][90:]) < CLOSE
    with pytest.raises(ValueError, match="take back"):
        cache.take_back(whole.row, spare + 1)


def test_reused_blocks_and_rows_forget_who_held_them(reference):
    cache = new_cache(reference.model)
    cache.take_blocks(1)  # by somebody else
    for stored in (*cache.keys.values(), *cache.values.values(), *cache.conv.values()):
        stored.fill_(torch.nan)
    spans = [span(cache, ids) for ids in reference.sequences]
    assert worst(reference.model.run(spans, cache), torch.cat(reference.logits)) < CLOSE
    last = [Span(s.ids[-1:], len(s.ids) - 1, s.blocks, s.row) for s in spans]
    assert reference.model.run(last, cache).isfinite().all()


def test_sharded_and_fused_and_old_spellings_load_the_same_model(reference, tmp_path):
    config = json.loads((reference.folder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(
        (reference.folder / "model.safetensors").read_bytes()
    )
    fuse_experts(tmp_path)
    reshard(tmp_path, files=3)
    kinds = config.pop("layer_types")
    config.pop("full_attn_idxs", None)
    if config["model_type"] == "lfm2":
        config["full_attn_idxs"] = [i for i, kind in enumerate(kinds) if kind == "full_attention"]
        config["block_ff_dim"] = config.pop("intermediate_size")
    else:
        config["layer_types"] = kinds
    config["theta"] = config.pop("rope_parameters")["rope_theta"]
    config["tie_embedding"] = config.pop("tie_word_embeddings")
    config["block_norm_eps"] = config.pop("norm_eps")
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = checkpoint.load(tmp_path)
    assert model.config == reference.model.config
    cache = new_cache(model)
    ids = reference.sequences[0]
    assert worst(model.run([span(cache, ids)], cache), reference.logits[0]) < CLOSE
