"""A broken folder is refused with the name of what is wrong; a good one is mapped, not copied."""

import json
import shutil

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from backbone import checkpoint, processor
from backbone.backbone import Backbone
from backbone.errors import CheckpointError
from backbone.linear import linear
from tests.backbone.checkpoints import reshard, write_checkpoint


@pytest.fixture
def broken(folder, tmp_path):
    """A copy that a test may break."""
    return shutil.copytree(folder, tmp_path / "model")


def refused(path, message):
    with pytest.raises(CheckpointError, match=message):
        Backbone.load(path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(broken, name):
    (broken / name).unlink()
    refused(broken, name)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_truncated_file_is_named(broken, name, kept):
    data = (broken / name).read_bytes()
    (broken / name).write_bytes(data[: int(kept * len(data))])
    refused(broken, name)


def test_a_missing_shard_is_named(broken):
    reshard(broken, files=3)
    (broken / "model-00002-of-00003.safetensors").unlink()
    refused(broken, "model-00002-of-00003.safetensors")


def change_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_a_missing_tensor_is_named(broken):
    change_tensors(broken, lambda tensors: tensors.pop("model.layers.1.self_attn.q_proj.weight"))
    refused(broken, "lacks the tensor model.layers.1.self_attn.q_proj.weight")


def test_a_tensor_of_another_shape_is_named(broken):
    wrong = {"model.embedding_norm.weight": torch.zeros(31)}
    change_tensors(broken, lambda tensors: tensors.update(wrong))
    refused(broken, r"embedding_norm.weight has shape \[31\].*\[32\]")


def test_a_tensor_without_a_place_is_named(broken):
    extra = {"model.layers.0.conv.conv.bias": torch.zeros(32)}
    change_tensors(broken, lambda tensors: tensors.update(extra))
    refused(broken, "model.layers.0.conv.conv.bias")


def test_a_number_format_that_is_not_known_is_named(broken):
    wrong = {"model.embedding_norm.weight": torch.zeros(32, dtype=torch.int8)}
    change_tensors(broken, lambda tensors: tensors.update(wrong))
    refused(broken, "I8")


def test_another_architecture_is_refused(broken):
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    refused(broken, "'llama'")


def test_a_tokenizer_larger_than_the_model_is_refused(broken):
    path = broken / "tokenizer.json"
    raw = json.loads(path.read_text())
    raw["added_tokens"][-1]["id"] = 100_000
    path.write_text(json.dumps(raw))
    refused(broken, "100001 tokens")


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "/nowhere", "nothing"])
def test_a_name_that_is_neither_folder_nor_hub_name_is_refused(name):
    refused(name, "neither a folder nor a hub name")


def test_a_hub_name_is_looked_up_in_the_local_cache_first(monkeypatch, folder):
    from backbone.hub import Hub

    asked = []
    monkeypatch.setattr(Hub, "cached", lambda self, name: asked.append("cached"))
    monkeypatch.setattr(Hub, "pull", lambda self, name: asked.append("pull") or folder)
    assert checkpoint.find("LiquidAI/LFM2-none") == folder
    assert asked == ["cached", "pull"]
    monkeypatch.setattr(Hub, "cached", lambda self, name: folder)
    assert checkpoint.find("LiquidAI/LFM2-none") == folder
    assert asked == ["cached", "pull"]


def test_an_untied_head_is_used(broken):
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    refused(broken, "lm_head.weight")
    head = torch.ones(config["vocab_size"], config["hidden_size"])
    change_tensors(broken, lambda tensors: tensors.update({"lm_head.weight": head}))
    hidden = torch.eye(config["hidden_size"])
    assert torch.equal(linear(hidden, checkpoint.load(broken).head), hidden @ head.T)


def test_a_small_model_computes_in_float32_whatever_its_file_holds(broken):
    def halve(tensors):
        tensors.update({name: tensor.bfloat16() for name, tensor in tensors.items()})

    change_tensors(broken, halve)
    assert checkpoint.load(broken).dtype is torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_a_large_model_stays_bfloat16_only_where_that_is_fast(broken, monkeypatch, native):
    change_tensors(
        broken, lambda tensors: tensors.update({n: t.bfloat16() for n, t in tensors.items()})
    )
    monkeypatch.setattr(processor, "SMALL", 0)
    monkeypatch.setattr(processor, "bfloat16_is_fast", lambda: native)
    model = checkpoint.load(broken)
    assert model.dtype is (torch.bfloat16 if native else torch.float32)
    with Backbone.load(broken) as backbone:
        from backbone.request import Message

        assert backbone.submit([Message("user", "hello")], max_tokens=3).result().completion_tokens


def test_what_must_be_exact_is_float32_in_a_bfloat16_model(broken, monkeypatch):
    def halve(tensors):
        tensors.update({n: t.bfloat16() for n, t in tensors.items() if "norm" not in n})

    change_tensors(broken, halve)
    monkeypatch.setattr(processor, "SMALL", 0)
    monkeypatch.setattr(processor, "bfloat16_is_fast", lambda: True)
    weights = checkpoint.SafeTensors.open(broken)
    stored = load_file(broken / "model.safetensors")["model.embedding_norm.weight"]
    assert weights.take("model.embedding_norm.weight", 32).dtype is torch.bfloat16
    assert torch.equal(weights.take("model.embedding_norm.weight", 32, exact=True), stored)


def test_weights_are_mapped_and_not_read_when_they_are_taken(tmp_path):
    """50 MB of them take next to no memory."""
    folder = write_checkpoint(tmp_path / "large", vocab_size=400_000)
    memory = psutil.Process().memory_info
    before = memory().rss
    embedding = checkpoint.SafeTensors.open(folder).take("model.embed_tokens.weight", 400_000, 32)
    assert memory().rss - before < 10_000_000
    assert embedding.nbytes > 50_000_000


def test_the_clock_decides_about_bfloat16():
    assert processor.bfloat16_is_fast() in (True, False)
