"""Checkpoints fetched by the real huggingface_hub client from a server that plays the hub."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backbone import hub
from backbone.errors import CheckpointError
from backbone.files import Model
from backbone.hub import Hub
from tests.backbone.checkpoints import reshard
from tests.backbone.played import NAME, PlayedHub

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def repository(folder, tmp_path):
    """A checkpoint in two shards as the hub has it, with files that nobody needs."""
    copy = shutil.copytree(folder, tmp_path / "repository")
    reshard(copy, files=2)
    (copy / "LICENSE").write_text("LFM Open License v1.0\n")
    (copy / "README.md").write_text("---\nlicense: other\n---\n")
    (copy / "pytorch_model.bin").write_bytes(b"x" * 1000)
    (copy / "onnx").mkdir()
    (copy / "onnx" / "config.json").write_text("{}")
    return copy


@pytest.fixture
def played(repository):
    with PlayedHub(repository) as server:
        yield server


@pytest.fixture
def there(played, tmp_path):
    return Hub(endpoint=played.address, cache=tmp_path / "cache")


def test_pulling_fetches_what_is_needed_and_nothing_else_once(there, played, repository):
    told = []
    folder = there.pull(NAME, licensed=lambda name, licence: told.append(licence))
    assert Model.read(folder) == replace(Model.read(repository), folder=folder)
    fetched = played.fetched()
    assert len(fetched) == len(set(fetched))
    assert {"config.json", "tokenizer.json", "LICENSE"} < set(fetched)
    assert "pytorch_model.bin" not in fetched
    assert not (folder / "onnx").exists()
    assert [(licence.name, licence.text) for licence in told] == [
        ("lfm1.0", "LFM Open License v1.0\n")
    ]
    assert there.pull("LFM2-350M", licensed=lambda *_: told.append(None)) == folder
    assert played.fetched() == fetched
    assert len(told) == 1
    assert there.cached(NAME) == folder
    assert there.all_cached() == [(NAME, folder)]


def test_a_transfer_that_breaks_off_goes_on_where_it_was(there, played, repository, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    shard = "model-00001-of-00002.safetensors"
    played.cut = shard
    folder = there.pull(NAME)
    ranges = [r for m, p, r in played.requests if m == "GET" and p.endswith(shard)]
    half = (repository / shard).stat().st_size // 2
    assert ranges == [None, f"bytes={half // 1000 * 1000}-"]
    assert (folder / shard).read_bytes() == (repository / shard).read_bytes()


def test_a_pull_that_was_stopped_keeps_the_files_it_has(there, played, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Hub, "_check_space", full)
    with pytest.raises(CheckpointError, match=r"the disk filled up.*rag models pull"):
        there.pull(NAME)
    assert there.cached(NAME) is None
    monkeypatch.undo()
    there.pull(NAME)
    assert played.fetched().count("config.json") == 1
    assert there.cached(NAME)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, "RepoNotFound"), "the hub has no LiquidAI/LFM2-350M, or it is private"),
        ((403, "GatedRepo"), "accepted its terms.*huggingface.co/LiquidAI/LFM2-350M.*HF_TOKEN"),
        ((500, "Broken"), "could not be downloaded.*check the network"),
    ],
)
def test_what_the_hub_refuses_is_said_with_what_to_do(there, played, answer, message):
    played.answer = answer
    with pytest.raises(CheckpointError, match=message):
        there.pull(NAME)


def test_an_unknown_name_is_answered_with_the_nearest(there):
    with pytest.raises(CheckpointError, match=r"did you mean LiquidAI/LFM2-350M\?"):
        there.pull("LiquidAI/LFM2-350")
    with pytest.raises(CheckpointError, match=r"did you mean LiquidAI/LFM2-24B-A2B\?"):
        there.pull("lfm2-24b-a2b")
    with pytest.raises(CheckpointError, match=r"neither a folder nor a hub name"):
        there.pull("a b/c:d")


def test_without_a_network_it_says_so(tmp_path):
    nowhere = Hub(endpoint="http://127.0.0.1:9", cache=tmp_path)
    with pytest.raises(CheckpointError, match=r"could not be downloaded.*refused.*network"):
        nowhere.pull(NAME)


def test_another_kind_of_model_is_refused_before_its_weights_are_fetched(there, played, repository):
    (repository / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match=r"'llama'"):
        there.pull(NAME)
    assert not [file for file in played.fetched() if file.endswith(".safetensors")]
    assert there.all_cached() == []


def test_a_disk_without_room_is_refused_before_anything_large_is_fetched(there, played):
    played.claimed = {"model-00001-of-00002.safetensors": 10**18}
    with pytest.raises(CheckpointError, match=r"needs 1000000000.0 GB.*GB free.*HF_HOME"):
        there.pull(NAME)
    assert not [file for file in played.fetched() if file.endswith(".safetensors")]


def test_the_hub_and_the_cache_are_where_the_environment_says(played, tmp_path):
    code = f"from backbone.hub import Hub; print(Hub().pull({NAME!r}))"
    settings = {"HF_ENDPOINT": played.address, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home")
    assert f"fetching 0.0 GB of {NAME}\n" in done.stderr
    assert f"{NAME} comes under lfm1.0: " in done.stderr
    assert "Fetching" not in done.stderr  # no progress bars


@pytest.mark.parametrize("name", ["LiquidAI/LFM2-1.2B", "a/b"])
def test_hub_names_have_an_owner(name):
    assert hub.is_name(name)
    assert not hub.is_name(name.split("/")[1])
    assert not hub.is_name(f"./{name}")
