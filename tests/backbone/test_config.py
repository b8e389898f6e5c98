"""Every published form of config.json means the same Config; what is not LFM2 is refused."""

import pytest

from backbone.config import Config
from backbone.errors import CheckpointError

MODERN = {
    "model_type": "lfm2", "vocab_size": 65536, "hidden_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192,
    "block_auto_adjust_ff_dim": False, "norm_eps": 1e-5, "conv_L_cache": 3,
    "layer_types": ["full_attention" if i in (2, 5, 8, 10, 12, 14) else "conv" for i in range(16)],
    "max_position_embeddings": 128_000, "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "eos_token_id": 7,
}  # fmt: skip
LEGACY = {
    "model_type": "lfm2", "vocab_size": 65536, "hidden_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "num_heads": 32, "block_ff_dim": 12288,
    "block_auto_adjust_ff_dim": True, "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 256,
    "block_norm_eps": 1e-5, "conv_L_cache": 3, "full_attn_idxs": [2, 5, 8, 10, 12, 14],
    "max_position_embeddings": 128_000, "tie_embedding": True, "theta": 1e6, "eos_token_id": [7],
    "block_dim": 2048, "block_use_swiglu": True, "conv_dim": 2048, "use_pos_enc": True,
}  # fmt: skip
MIXTURE = {
    "model_type": "lfm2_moe", "vocab_size": 65536, "hidden_size": 2048, "num_hidden_layers": 40,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 11776,
    "moe_intermediate_size": 1536, "num_experts": 64, "num_experts_per_tok": 4,
    "num_dense_layers": 2, "norm_topk_prob": True, "use_expert_bias": True,
    "routed_scaling_factor": 1.0, "max_position_embeddings": 128_000, "rope_theta": 1e6,
    "layer_types": ["full_attention" if i % 4 == 2 else "conv" for i in range(40)],
}  # fmt: skip


def test_old_and_new_spellings_mean_the_same():
    assert Config.parse(LEGACY) == Config.parse(MODERN)
    assert Config.parse(MODERN).head_dim == 64


@pytest.mark.parametrize(("given", "width"), [(6656, 4608), (10240, 6912), (12288, 8192)])
def test_the_feed_forward_width_is_adjusted_as_in_the_published_models(given, width):
    assert Config.parse(LEGACY | {"block_ff_dim": given}).width == width


def test_the_width_of_a_mixture_is_taken_as_it_is():
    config = Config.parse(MIXTURE)
    assert config.width == 11776
    assert config.routing is not None
    assert (config.routing.experts, config.routing.used, config.routing.width) == (64, 4, 1536)
    assert config.attends.count(True) == 10


@pytest.mark.parametrize(
    ("claimed", "vocabulary", "context"),
    [(128_000, 65_536, 32_768), (128_000, 128_000, 128_000), (2048, 16_384, 2048)],
)
def test_the_context_is_what_the_model_cards_promise(claimed, vocabulary, context):
    raw = MODERN | {"max_position_embeddings": claimed, "vocab_size": vocabulary}
    assert Config.parse(raw).context == context


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "lfm3"}, "architecture 'lfm3'"),
        ({"model_type": None}, "architecture None"),
        ({"hidden_size": None}, "wrong kind"),
        ({"hidden_size": "big"}, "wrong kind"),
        ({"layer_types": ["conv"]}, "1 layer_types for 16"),
        ({"layer_types": ["sliding_attention"] * 16}, "sliding_attention"),
        ({"conv_bias": True}, "conv_bias"),
        ({"num_key_value_heads": 7}, "not a multiple"),
        ({"num_attention_heads": 0}, "wrong kind|below 1"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6}}, "yarn"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(change, message):
    with pytest.raises(CheckpointError, match=message):
        Config.parse(MODERN | change)


def test_a_missing_field_is_named():
    with pytest.raises(CheckpointError, match="vocab_size"):
        Config.parse({k: v for k, v in MODERN.items() if k != "vocab_size"})


def test_more_experts_than_there_are_is_refused():
    with pytest.raises(CheckpointError, match="65 of 64 experts"):
        Config.parse(MIXTURE | {"num_experts_per_tok": 65})
