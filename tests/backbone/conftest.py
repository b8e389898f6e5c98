"""Tiny checkpoints that the tests of this package share; torch runs on one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backbone.backbone import Backbone
from tests.backbone.checkpoints import MARKS, SPECIAL, write_checkpoint


@pytest.fixture(autouse=True)  # a test may have loaded a model that set another number
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A chat checkpoint; read-only, copy it to break it."""
    return write_checkpoint(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="session")
def reader_folder(tmp_path_factory) -> Path:
    """A checkpoint whose tokenizer has the reader's marks; read-only."""
    return write_checkpoint(tmp_path_factory.mktemp("reader"), special=(*SPECIAL, *MARKS))


@pytest.fixture(scope="session")
def backbone(folder) -> Iterator[Backbone]:
    with Backbone.load(folder, threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def reader(reader_folder) -> Iterator[Backbone]:
    with Backbone.load(reader_folder, threads=1) as loaded:
        yield loaded
