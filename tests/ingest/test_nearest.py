"""Which index is meant where none is named."""

import pytest

from ingest.errors import IndexMissing
from ingest.nearest import nearest_index


def test_the_nearest_index_upwards_is_meant(tmp_path, monkeypatch):
    (tmp_path / ".rag").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert nearest_index(create=True) == tmp_path / ".rag"
    (tmp_path / "a" / ".rag").mkdir()
    assert nearest_index(create=False) == tmp_path / "a" / ".rag"


def test_without_any_index_one_may_be_made_here_or_the_command_for_it_is_said(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert nearest_index(create=True) == tmp_path / ".rag"
    with pytest.raises(IndexMissing, match="rag index PATH"):
        nearest_index(create=False)
    assert not (tmp_path / ".rag").exists()
