"""What a model takes is computed from its shape: the figures of the family, and our own cache's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backbone import official
from backbone.backbone import DRAFTED, Backbone
from backbone.cache import Cache
from backbone.checkpoint import load
from backbone.config import Config
from backbone.errors import CheckpointError
from backbone.plan import (
    BFLOAT16,
    COMBINATIONS,
    FLOAT32,
    FP8,
    GIB,
    INT4,
    RESERVE,
    Plan,
    Speed,
    active_parameters,
    decode_speed,
    parameters,
    prefill_speed,
)
from backbone.span import BLOCK, blocks_for
from tests.backbone.checkpoints import CONFIG

CONTEXT = 32_768


def shape(name):
    return official.find(name).config


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("LFM2-350M", 354_483_968),
        ("LFM2-700M", 742_489_344),
        ("LFM2-1.2B", 1_170_340_608),
        ("LFM2-2.6B", 2_569_272_320),
        ("LFM2.5-2.6B", 2_697_198_592),
        ("LFM2-8B-A1B", 8_339_930_560),
        ("LFM2.5-8B-A1B", 8_467_856_832),
        ("LFM2-24B-A2B", 23_843_661_440),
    ],
)
def test_the_official_shapes_have_the_parameters_that_their_cards_say(name, count):
    assert parameters(shape(name)) == count


def test_a_mixture_of_experts_computes_with_a_part_of_its_parameters():
    assert active_parameters(shape("LFM2-8B-A1B")) == 1_557_740_992
    assert active_parameters(shape("LFM2-24B-A2B")) == 2_326_881_920
    assert active_parameters(shape("LFM2-1.2B")) == parameters(shape("LFM2-1.2B"))


@pytest.mark.parametrize(
    ("name", "token", "row"),
    [
        ("LFM2-350M", 12_288, 40 * 1024),
        ("LFM2-700M", 12_288, 60 * 1024),
        ("LFM2-1.2B", 12_288, 80 * 1024),
        ("LFM2-2.6B", 16_384, 176 * 1024),
        ("LFM2-8B-A1B", 12_288, 144 * 1024),
        ("LFM2-24B-A2B", 20_480, 240 * 1024),
    ],
)
def test_a_token_and_a_sequence_take_what_they_take(name, token, row):
    plan = Plan(shape(name))
    assert (plan.token_bytes, plan.row_bytes) == (token, row)
    assert Plan(shape(name), cache=FP8).token_bytes == token // 2


@pytest.mark.parametrize(
    ("weights", "cache", "agents"),
    [
        (BFLOAT16, BFLOAT16, 141),
        (BFLOAT16, FP8, 283),
        (FP8, BFLOAT16, 177),
        (FP8, FP8, 354),
        (INT4, BFLOAT16, 194),
        (INT4, FP8, 388),
    ],
)
def test_full_agents_of_the_largest_model_on_one_large_gpu(weights, cache, agents):
    plan = Plan(shape("LFM2-24B-A2B"), weights, cache)
    assert plan.agents(139 * GIB, context=CONTEXT, reserve=RESERVE) == agents
    assert plan.planned == ((weights, cache) != (BFLOAT16, BFLOAT16))


def test_agents_that_share_a_prefix_store_it_once():
    plan = Plan(shape("LFM2-24B-A2B"))
    shared = plan.agents(139 * GIB, context=CONTEXT, shared=24 * 1024, reserve=RESERVE)
    assert shared == 563
    assert plan.blocks(agents=3, context=256, shared=200) == 3 + 3 * 1
    assert plan.blocks(agents=0, context=256, shared=200) == 0


def test_the_table_names_every_shape_once_and_finds_it_by_either_name():
    names = [name for each in official.OFFICIAL for name in each.names]
    assert len(set(names)) == len(names)
    assert official.find("LiquidAI/LFM2-1.2B-RAG") is official.find("LFM2-1.2B")
    assert official.find("someone/LFM2-1.2B") is None
    assert official.find("LFM9") is None
    assert len({(w.name, c.name) for w, c in COMBINATIONS}) == len(COMBINATIONS)


def test_a_loaded_model_takes_as_many_bytes_as_planned(folder):
    model = load(folder)
    plan = Plan.of(model.config, "float32", device="cpu", spare=3)
    tensors = []

    def collect(value):
        if isinstance(value, torch.Tensor):
            tensors.append(value)
        elif isinstance(value, list | tuple):
            for each in value:
                collect(each)
        else:
            for name in getattr(value, "__slots__", ()):
                collect(getattr(value, name))

    collect(model)
    assert sum(tensor.numel() for tensor in tensors) * 4 == plan.weight_bytes


@pytest.mark.parametrize(("plan_format", "dtype"), [(FLOAT32, "float32"), (BFLOAT16, "bfloat16")])
def test_a_cache_takes_as_many_bytes_as_planned(plan_format, dtype):
    config = Config.parse(CONFIG)
    cache = Cache(config, blocks=5, rows=3, spare=2, dtype=getattr(torch, dtype))
    stores = (*cache.keys.values(), *cache.values.values(), *cache.conv.values())
    plan = Plan(config, plan_format, plan_format, spare=2)
    assert sum(store.nbytes for store in stores) == plan.cache_bytes(blocks=5, rows=3)


@given(
    memory=st.integers(0, 20 * GIB),
    context=st.integers(1, CONTEXT),
    shared=st.integers(0, CONTEXT),
    spare=st.integers(0, 8),
)
def test_the_agents_that_fit_are_those_that_a_cache_of_that_size_admits(
    memory, context, shared, spare
):
    plan = Plan(shape("LFM2-350M"), spare=spare)
    fit = plan.agents(memory, context=context, shared=shared)
    for agents in (fit, fit + 1):
        needed = plan.blocks(agents=agents, context=context, shared=shared)
        room = plan.weight_bytes + plan.cache_bytes(blocks=needed, rows=agents) <= memory
        admitted = plan.blocks_that_fit(memory, rows=agents) >= needed
        if agents:
            assert room == admitted == (agents <= fit)


@given(context=st.integers(1, CONTEXT))
def test_a_sequence_takes_whole_blocks(context):
    plan = Plan(shape("LFM2-350M"))
    assert plan.blocks(agents=1, context=context) == blocks_for(context)
    assert plan.blocks(agents=2, context=context, shared=context) == blocks_for(context) + (
        context % BLOCK > 0
    )


def test_speeds_follow_from_bytes_and_operations():
    plan = Plan(shape("LFM2-24B-A2B"))
    fast = Speed(operations=1e18, bandwidth=4.8e12)
    assert decode_speed(plan, fast, context=0) == pytest.approx(1031, abs=5)
    slow = Speed(operations=1e12, bandwidth=1e18)
    assert prefill_speed(plan, slow, context=1) == pytest.approx(1e12 / 4.385e9, rel=0.01)
    assert prefill_speed(plan, slow, context=CONTEXT) < prefill_speed(plan, slow, context=1)


def test_a_cache_takes_what_is_wanted_here_and_all_of_a_gpu_if_it_fits():
    config, room = shape("LFM2-24B-A2B"), {"rows": 141, "wanted": 1024}
    here, there = (
        Plan.of(config, "bfloat16", device=device, spare=2) for device in ("cpu", "cuda:0")
    )
    assert here.blocks_to_take(139 * GIB, **room) == 1024
    assert there.blocks_to_take(139 * GIB, **room) // blocks_for(CONTEXT) == 141
    assert there.blocks_to_take(None, **room) == 1024
    assert here.blocks_to_take(40 * GIB, **room) == 0
    small = here.weight_bytes + here.cache_bytes(blocks=7, rows=141) + here.reserve(0)
    assert here.blocks_to_take(small, **room) == 7


def test_an_engine_has_no_more_cache_than_fits(folder, monkeypatch):
    plan = Plan.of(Config.load(folder), "float32", device="cpu", spare=DRAFTED)
    free = plan.weight_bytes + plan.cache_bytes(blocks=5, rows=2) + GIB
    monkeypatch.setattr("backbone.processor.free_memory", lambda device: free)
    with Backbone.load(folder, concurrent=2, threads=1) as backbone:
        assert backbone.stats().blocks == 5
        assert backbone.context_length == 5 * BLOCK
    with Backbone.load(folder, concurrent=2, threads=1, cached_tokens=640) as backbone:
        assert backbone.stats().blocks == 10
    free = GIB
    with pytest.raises(CheckpointError, match=r"does not fit.*rag doctor --model"):
        Backbone.load(folder, concurrent=2, threads=1)


def test_weights_that_cannot_be_copied_into_memory_are_refused_before(folder, monkeypatch):
    monkeypatch.setattr("backbone.checkpoint.free_memory", lambda device: 1000)
    with pytest.raises(CheckpointError, match="memory are free"):
        load(folder)
