"""A sound index has no faults; each thing that can be wrong is found, and cured as it says."""

import shutil
import subprocess
import sys

import pytest

from ingest.errors import EncoderError
from ingest.health import MEND, examine
from ingest.index import LocalIndex
from ingest.sync import sync
from ingest.words import WordIndex
from tests.fakes import FakeEncoder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with two documents and an index of them."""
    monkeypatch.setattr("ingest.changes._RECENT", 0)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"The words of {name}, in a row.\n")
    index = LocalIndex.open(tmp_path / ".rag", encoder=FakeEncoder())
    sync(index, [tmp_path], encoder=FakeEncoder(), home=tmp_path)
    index.close()
    return tmp_path


def look(home, load=FakeEncoder):
    return examine(home / ".rag", load_encoder=load)


def search(home):
    """What MEND stands for."""
    index = LocalIndex.open(home / ".rag", encoder=FakeEncoder(), create=False)
    index.search("words", FakeEncoder().encode_queries(["words"])[0], k=3)
    index.close()


def test_a_sound_index_has_no_faults(home):
    health = look(home)
    assert (health.faults, health.notes) == ([], [])
    assert (health.documents, health.chunks, health.encoder) == (2, 2, "fake")
    assert all(size > 0 for size in health.sizes.values())


def test_looking_changes_nothing(home):
    (home / ".rag" / "vectors.json").unlink()
    before = {p: p.read_bytes() for p in (home / ".rag").rglob("*") if p.is_file()}
    look(home)
    after = {p: p.read_bytes() for p in (home / ".rag").rglob("*") if p.is_file()}
    lock = home / ".rag" / "writer.lock"
    assert {**before, lock: b""} == {**after, lock: b""}


def test_an_empty_index_has_no_faults(tmp_path):
    LocalIndex.open(tmp_path / ".rag", encoder=FakeEncoder()).close()
    assert look(tmp_path).faults == []


@pytest.mark.parametrize("part", ["vectors.json", "words"])
def test_a_missing_part_is_found_and_mended_as_it_says(home, part):
    path = home / ".rag" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    [fault] = look(home).faults
    assert fault.fix == MEND
    search(home)
    assert look(home).faults == []


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize("pattern", ["vectors-*.faiss", "words/*.store"])
def test_a_damaged_part_is_found_and_mended_as_it_says(home, pattern):
    flip(max((home / ".rag").glob(pattern), key=lambda path: path.stat().st_size))
    [fault] = look(home).faults
    assert fault.fix == MEND
    search(home)
    assert look(home).faults == []


def test_parts_of_another_index_are_found(home, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.txt").write_text("Other words altogether.")
    index = LocalIndex.open(other / ".rag", encoder=FakeEncoder())
    sync(index, [other], encoder=FakeEncoder(), home=other)
    index.close()
    shutil.rmtree(home / ".rag" / "words")
    shutil.copytree(other / ".rag" / "words", home / ".rag" / "words")
    [fault] = look(home).faults
    assert "another state" in fault.what
    search(home)
    assert look(home).faults == []


def test_a_damaged_catalogue_is_found(home):
    path = home / ".rag" / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 6000] = b"\xff" * 6000
    path.write_bytes(data)
    [fault] = look(home).faults
    assert "catalog" in fault.what
    assert "rag index PATH" in fault.fix


def test_a_truncated_catalogue_is_cured_by_the_command_that_is_said(home):
    (home / ".rag" / "catalog.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    [fault] = look(home).faults
    assert fault.fix == f"rm -r {home / '.rag'} && rag index PATH"
    shutil.rmtree(home / ".rag")
    index = LocalIndex.open(home / ".rag", encoder=FakeEncoder())
    sync(index, [home], encoder=FakeEncoder(), home=home)
    index.close()
    assert look(home).faults == []


def test_the_commands_name_a_folder_that_they_would_not_find(home):
    (home / "a.txt").unlink()
    [fault] = examine(home / ".rag", load_encoder=FakeEncoder, named=True).faults
    assert fault.fix == f"rag index --prune --index {home / '.rag'}"


def test_no_catalogue_is_a_fault_with_the_command_that_makes_one(tmp_path):
    [fault] = look(tmp_path).faults
    assert fault.fix == "rag index PATH"


def test_an_encoder_that_has_changed_or_is_gone_is_found(home):
    [fault] = look(home, lambda name: FakeEncoder("changed")).faults
    assert fault.fix == "rag index --rebuild --encoder fake"

    def gone(name):
        raise EncoderError("no such model")

    [fault] = look(home, gone).faults
    assert fault.fix == "rag index --rebuild --encoder builtin"


def test_files_that_are_gone_or_have_changed_are_told_apart(home):
    (home / "a.txt").unlink()
    (home / "b.txt").write_text("Longer than it was before, by far and away.")
    health = look(home)
    assert [fault.fix for fault in health.faults] == ["rag index --prune"]
    assert "1 source files have changed" in health.notes[0]


def test_however_many_files_are_gone_one_command_cures_all(home):
    for i in range(20):
        (home / f"{i}.txt").write_text(f"Number {i}.")
    (home / "kept.txt").symlink_to(home / "b.txt")
    index = LocalIndex.open(home / ".rag", encoder=FakeEncoder())
    sync(index, [home], encoder=FakeEncoder(), home=home)
    for path in home.glob("*.txt"):
        if not path.is_symlink():
            path.unlink()
    health = look(home)
    [fault] = health.faults
    assert fault.what.startswith("22 source files are gone: ")
    assert fault.fix == "rag index --prune"
    assert health.notes == ["1 source files cannot be read now, and were not looked at"]
    sync(index, [], encoder=FakeEncoder(), home=home, prune=True)
    index.close()
    assert look(home).faults == []


def test_while_another_process_writes_its_parts_are_left_alone(home):
    (home / ".rag" / "vectors.json").unlink()
    hold = (
        "import sys, pathlib; from ingest.disk import WriterLock;"
        "lock = WriterLock(pathlib.Path(sys.argv[1]));"
        "print(lock.attempt(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(home / ".rag" / "writer.lock")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdout.readline() == "True\n"
        health = look(home)
        writer.stdin.close()
    assert health.faults == []
    assert "another process writes" in health.notes[0]


def test_a_word_index_that_lacks_passages_is_found(home):
    index = WordIndex.open(home / ".rag" / "words")
    index.update([], [1], mark=index.mark)
    [fault] = look(home).faults
    assert "holds 1 passages of 2" in fault.what
    shutil.rmtree(home / ".rag" / "words")
    search(home)
    assert look(home).faults == []
