"""A prefix survives a restart, for the same model only; damage costs time and nothing else."""

import logging
import os
import time

import pytest

from backbone.backbone import Backbone
from backbone.engine import Engine
from backbone.request import Message
from backbone.span import BLOCK
from backbone.store import PrefixStore, fingerprint
from tests.backbone.models import DENSE, VOCABULARY, engine_of, generation, model_of, run
from tests.backbone.test_engine import assert_same, text

PROMPT = text(5 * BLOCK + 10)


@pytest.fixture(scope="module")
def model():
    return model_of(DENSE)


def stored(model, folder, *, name="a", **options) -> Engine:
    engine = engine_of(model)
    store = PrefixStore(folder, engine._cache, fingerprint=name, **options)
    return Engine(model, engine._cache, vocabulary=VOCABULARY, store=store)


def asked(model, folder, prompt=PROMPT, **options):
    engine = stored(model, folder, **options)
    (heard,) = run(engine, generation(prompt, 5))
    engine.close()
    return heard


def test_a_prefix_is_there_after_a_restart_and_says_the_same(model, tmp_path):
    first = asked(model, tmp_path)
    again = asked(model, tmp_path)
    assert (first.cached, again.cached) == (0, 5 * BLOCK - model.window)
    assert_same(again, first)
    longer = asked(model, tmp_path, [*PROMPT[: 4 * BLOCK + 3], 1, 2, 3])
    assert longer.cached == 4 * BLOCK - model.window


def test_another_model_finds_nothing(model, tmp_path):
    asked(model, tmp_path)
    assert asked(model, tmp_path, name="b").cached == 0


def test_a_short_prefix_is_not_worth_a_file(model, tmp_path):
    asked(model, tmp_path, PROMPT[: 3 * BLOCK])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "empty"])
def test_a_damaged_file_is_dropped_with_a_warning(model, tmp_path, damage, caplog):
    reference = asked(model, tmp_path)
    path = next(tmp_path.glob("*-2.block"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "cut": lambda: path.write_bytes(data[:-7]),
        "flipped": lambda: path.write_bytes(data),
        "gone": path.unlink,
        "empty": lambda: path.write_bytes(b""),
    }[damage]()
    with caplog.at_level(logging.WARNING):
        heard = asked(model, tmp_path)
    assert ("damaged" in caplog.text) == (damage != "gone")
    assert heard.cached == 2 * BLOCK - model.window
    assert_same(heard, reference)
    assert asked(model, tmp_path).cached == 5 * BLOCK - model.window  # it was written anew


def test_the_least_recently_used_goes_first_and_ends_before_beginnings(model, tmp_path):
    asked(model, tmp_path)
    size = next(tmp_path.glob("*.block")).stat().st_size
    for path in tmp_path.glob("*.block"):
        os.utime(path, (time.time() - 1000,) * 2)
    other = text(4 * BLOCK + 5, seed=9)
    asked(model, tmp_path, other, limit=7 * size)
    assert len(list(tmp_path.glob("*.block"))) == 7
    assert asked(model, tmp_path, other).cached == 4 * BLOCK - model.window
    assert asked(model, tmp_path).cached == 3 * BLOCK - model.window


def test_what_was_half_written_is_cleared_away(model, tmp_path):
    (tmp_path / "x-1.part").write_bytes(b"half")
    asked(model, tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_a_disk_that_cannot_be_written_is_survived(model, tmp_path, caplog, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    assert asked(model, tmp_path).reason == "length"
    assert "disk full" in caplog.text


def test_a_backbone_keeps_its_prefixes(folder, tmp_path):
    import torch

    messages = [Message("user", "Paris is the capital of France. " * 20)]
    found = []
    for _ in range(2):
        with Backbone.load(folder, threads=1, prefix_store=tmp_path) as backbone:
            found.append(backbone.submit(messages, max_tokens=5).result())
    assert found[0].text == found[1].text
    assert found[0].cached_tokens == 0
    assert found[1].cached_tokens > 200
    assert fingerprint(folder, torch.float32) != fingerprint(folder, torch.bfloat16)
