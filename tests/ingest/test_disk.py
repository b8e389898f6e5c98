"""Small files are written whole or not at all, and what goes wrong is said of the file named."""

import os

import pytest

from ingest.disk import check_targets, write_text


def test_a_text_replaces_what_was_there_and_leaves_nothing_beside_it(tmp_path):
    for text in ("one", "zwei 二"):
        write_text(tmp_path / "a.txt", text)
        assert (tmp_path / "a.txt").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_folder_or_the_name_of_one_is_told_before_anything_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    for write in (
        lambda target: check_targets([target]),
        lambda target: write_text(target, "text"),
    ):
        with pytest.raises(IsADirectoryError, match="give the name of a file") as caught:
            write(tmp_path / "folder")
        assert caught.value.filename == str(tmp_path / "folder")
        with pytest.raises(FileNotFoundError, match="there is no folder") as caught:
            write(tmp_path / "nowhere" / "a.txt")
        assert caught.value.filename == str(tmp_path / "nowhere" / "a.txt")
    check_targets([tmp_path / "a.txt"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="nothing may be written"):
        check_targets([tmp_path / "a.txt"])


def test_a_failure_names_the_file_and_not_the_one_beside_it(tmp_path, monkeypatch):
    def full(temporary, target):
        raise OSError(28, "No space left on device", str(temporary))

    monkeypatch.setattr("ingest.disk.publish", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(tmp_path / "a.txt", "text")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []
