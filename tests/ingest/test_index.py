"""The local index: its parts agree, whatever happened to them and whoever else is there."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from making import ENCODER, document, opened, paragraphs, put, sources

import ingest.index
from ingest.catalog import Catalog
from ingest.disk import WriterLock
from ingest.errors import EncoderMismatch, IndexLocked, IndexMissing
from ingest.index import LocalIndex
from tests.fakes import FakeEncoder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".rag"


@pytest.fixture
def index(folder):
    with_texts = opened(folder)
    put(
        with_texts,
        "cats.md",
        "Cats sleep in the sun.\n\nCats drink milk.",
        media_type="text/markdown",
    )
    put(with_texts, "dogs.txt", "Dogs bark at the moon.")
    put(with_texts, "tokyo.txt", "東京は日本の首都です。")
    yield with_texts
    with_texts.close()


@pytest.mark.parametrize("mode", ["hybrid", "vector", "words"])
def test_a_question_finds_its_document_in_every_mode(index, mode):
    assert sources(index, "which dogs bark", k=1, mode=mode)[0] == "dogs.txt"


@pytest.mark.parametrize("query", ["首都", "東京", "日"])
def test_one_or_two_characters_of_japanese_find_their_document(index, query):
    assert sources(index, query, mode="words") == ["tokyo.txt"]


def test_every_hit_is_a_span_of_its_source(index):
    for question in ("cats", "the moon", "東京"):
        for hit in index.search(question, ENCODER.encode_queries([question])[0], k=9):
            chunk = hit.chunk
            assert index.text(chunk.source)[chunk.start : chunk.end] == chunk.text


def test_hybrid_is_the_union_of_both_legs_with_everything_filled_in(index):
    vector = ENCODER.encode_queries(["cats drink"])[0]
    both = index.search("cats drink", vector, k=2)
    by_words = index.search("cats drink", vector, k=2, mode="words")
    by_vector = index.search("cats drink", vector, k=2, mode="vector")
    assert {h.chunk for h in both} == {h.chunk for h in by_words} | {h.chunk for h in by_vector}
    for hit in both:
        expected = float(ENCODER.encode_documents([hit.chunk.passage])[0] @ vector)
        assert hit.vector == pytest.approx(expected, abs=1e-3) and hit.score == 0.0
    for hits in (by_words, by_vector):
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert all(h.score == h.words > 0 for h in by_words)
    assert all(h.score == h.vector for h in by_vector)


def test_without_a_vector_only_words_are_looked_at(index):
    hits = index.search("moon", None, k=3)
    assert [hit.chunk.source for hit in hits] == ["dogs.txt"] and hits[0].vector == 0.0
    with pytest.raises(ValueError, match="vector"):
        index.search("moon", None, k=3, mode="vector")


def test_what_only_the_vectors_found_has_its_words_score_too(index):
    for number in range(5):
        put(index, f"bark{number}.txt", f"Dogs bark, and bark {number} times more.")
    question, near = "dogs bark at milk", ENCODER.encode_queries(["Cats drink milk."])[0]
    [by_vector] = index.search(question, near, k=1, mode="vector")
    hits = index.search(question, near, k=1)
    assert [hit.chunk.source for hit in hits if hit.words == 0] == []
    [found] = [hit for hit in hits if hit.chunk == by_vector.chunk]
    exact = index.search(question, None, k=9, mode="words")
    assert found.words == next(hit.words for hit in exact if hit.chunk == found.chunk)


def test_coverage_is_the_share_of_the_questions_rarity(index):
    def coverage(question):
        return index.search(question, None, k=1)[0].coverage

    assert coverage("dogs bark") == pytest.approx(1.0)
    assert 0.3 < coverage("dogs zebra") < 0.5, "an unknown word weighs most"
    assert coverage("the dogs bark") > coverage("the zebra")
    idf = index.idf(["cat", "dog", "unicorn"])
    assert idf["cat"] < idf["dog"] < idf["unicorn"]


def test_headings_are_found_and_covered(folder):
    index = opened(folder)
    made = document("a.md", "It is large.")
    chunk = replace(paragraphs(made)[0], heading="Cache > Size")
    index.add(made, [chunk], ENCODER.encode_documents([chunk.passage]))
    hit = index.search("cache size", None, k=1)[0]
    assert hit.chunk == chunk and hit.coverage == pytest.approx(1.0)
    index.close()


def test_filters_hold_in_every_mode(index):
    for mode in ("hybrid", "words", "vector"):
        assert set(sources(index, "cats the moon", where="source=*.txt", mode=mode)) <= {
            "dogs.txt",
            "tokyo.txt",
        }
        where = "media_type=text/markdown"
        assert sources(index, "moon sun cats", where=where, mode=mode, k=1) == ["cats.md"]
    assert sources(index, "cats", where="source=nowhere/*") == []
    with pytest.raises(ValueError, match="source=GLOB"):
        sources(index, "cats", where="colour=red")


def test_a_replaced_or_removed_document_leaves_no_ghost(index):
    put(index, "cats.md", "Lions roar.")
    for mode in ("words", "vector", "hybrid"):
        texts = [h.chunk.text for h in index.search("cats drink milk", np.ones(64), k=9, mode=mode)]
        assert not any("milk" in text for text in texts)
    assert sources(index, "lions roar")[0] == "cats.md"
    assert index.remove(["dogs.txt", "unknown"]) == ["dogs.txt"]
    assert "dogs.txt" not in sources(index, "dogs bark at the moon", k=9)
    assert [info.source for info in index.documents()] == ["cats.md", "tokyo.txt"]


def test_what_one_index_writes_another_sees_at_its_next_query(index, folder):
    reader = opened(folder)
    assert sources(reader, "dogs", k=1) == ["dogs.txt"]
    put(index, "dogs.txt", "Wolves howl.")
    put(index, "new.txt", "Dogs again.")
    assert sources(reader, "dogs", mode="words") == ["new.txt"]
    assert sources(reader, "wolves howl", k=1, mode="vector") == ["dogs.txt"]
    assert reader.generation == index.generation
    reader.close()


def test_readers_go_on_while_a_writer_holds_the_lock(index, folder):
    reader = opened(folder)
    with index.writing():
        put(index, "new.txt", "Zebras graze.")
        assert sources(reader, "zebras graze", mode="vector", k=1) == ["new.txt"]
        assert sources(reader, "dogs bark", k=1)[0] == "dogs.txt"
        index.remove(["dogs.txt"])
        assert "dogs.txt" not in sources(reader, "dogs bark")
    assert sources(reader, "zebras", mode="words") == ["new.txt"]
    reader.close()


def test_a_second_writer_is_told_who_writes(index, folder, monkeypatch):
    monkeypatch.setattr(ingest.index, "_WAIT", 0.1)
    code = (
        "import sys; from pathlib import Path; from ingest.disk import WriterLock;"
        "lock = WriterLock(Path(sys.argv[1])); lock.acquire(wait=0);"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder / "writer.lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(IndexLocked, match=f"process {other.pid} "):
            put(index, "late.txt", "Too late.")
        assert sources(index, "dogs bark", k=1)[0] == "dogs.txt", "reading goes on"
        other.kill()
        other.wait()
        put(index, "late.txt", "In time.")


def test_two_indexes_of_one_process_do_not_write_together(index, folder, monkeypatch):
    monkeypatch.setattr(ingest.index, "_WAIT", 0.1)
    other = opened(folder)
    with index.writing(), pytest.raises(IndexLocked):
        put(other, "a", "b")
    put(other, "a", "b")
    other.close()


def test_the_lock_is_counted(tmp_path):
    lock, other = WriterLock(tmp_path / "lock"), WriterLock(tmp_path / "lock")
    lock.acquire(wait=0)
    lock.acquire(wait=0)
    lock.release()
    assert not other.attempt()
    lock.release()
    assert other.attempt() and not lock.attempt()


def test_threads_may_share_an_index(index):
    failures = []

    def search():
        try:
            for _ in range(30):
                assert "tokyo.txt" in sources(index, "東京", k=3)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(20):
        put(index, f"{i}.txt", f"Text number {i}.")
    for thread in threads:
        thread.join()
    assert not failures
    assert len(index.documents()) == 23


def damage(name):
    def act(folder):
        for path in list(folder.glob(name)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    return act


def garble(pattern):
    def act(folder):
        for path in folder.glob(pattern):
            path.write_bytes(b"\0" * path.stat().st_size)

    return act


@pytest.mark.parametrize(
    "act",
    [
        damage("words"),
        damage("vectors*"),
        damage("words/meta.json"),
        damage("words/*.idx"),
        garble("words/*.idx"),
        garble("words/*.fast"),
        garble("words/meta.json"),
        garble("words/checks.json"),
        garble("vectors-*.faiss"),
        garble("vectors.json"),
    ],
)
def test_derived_parts_that_are_damaged_or_missing_are_built_again(index, folder, act):
    index.close()
    act(folder)
    for _ in range(2):
        again = opened(folder)
        assert sources(again, "dogs bark", mode="words", k=1) == ["dogs.txt"]
        assert sources(again, "dogs bark", mode="vector", k=1) == ["dogs.txt"]
        put(again, "more.txt", "Zebras graze.")
        assert sources(again, "zebras", mode="words", k=1) == ["more.txt"]
        again.close()
    assert list(folder.glob("vectors-*.faiss")) and (folder / "words" / "meta.json").exists()


def test_derived_parts_that_are_behind_are_caught_up(index, folder):
    sources(index, "dogs")  # brings everything level
    shutil.copytree(folder / "words", folder / "old")
    put(index, "dogs.txt", "Wolves howl.")
    put(index, "new.txt", "Zebras graze.")
    index.close()
    shutil.rmtree(folder / "words")
    shutil.move(folder / "old", folder / "words")  # as if it had been killed before this
    reader = opened(folder)
    for mode in ("words", "vector"):
        assert sources(reader, "zebras graze", mode=mode, k=1) == ["new.txt"]
        assert sources(reader, "wolves howl", mode=mode, k=1) == ["dogs.txt"]
    assert sources(reader, "bark", mode="words") == []
    reader.close()


def test_derived_parts_of_a_later_state_than_the_catalogue_are_built_again(index, folder):
    index.close()
    shutil.copytree(folder, folder.with_name("copy"))
    for i in range(5):
        later = opened(folder)
        put(later, f"later{i}.txt", "Unicorns.")
        later.close()
    for name in ("words", "vectors.json"):  # of the later state, beside the earlier catalogue
        source, target = folder / name, folder.with_name("copy") / name
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    restored = opened(folder.with_name("copy"))
    put(restored, "other.txt", "Zebras graze.")
    assert sources(restored, "unicorns", mode="words") == []
    assert sources(restored, "zebras", mode="words") == ["other.txt"]
    assert sources(restored, "zebras graze", mode="vector", k=1) == ["other.txt"]
    restored.close()


def test_derived_parts_of_another_index_are_not_used(index, folder):
    index.close()
    other = opened(folder.with_name("other"))
    for source in ("cats.md", "dogs.txt", "tokyo.txt"):
        put(other, source, "Unicorns dance.\n\nUnicorns sing.")
    other.close()
    for name in ("words", "vectors.json", *[p.name for p in folder.glob("vectors-*")]):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path = folder.with_name("other") / name
        shutil.move(path, folder / name)
    again = opened(folder)
    assert sources(again, "unicorns", mode="words") == []
    assert sources(again, "dogs bark", mode="words", k=1) == ["dogs.txt"]
    assert sources(again, "dogs bark", mode="vector", k=1) == ["dogs.txt"]
    again.close()


def test_words_are_found_even_while_another_process_builds_their_index(index, folder):
    index.close()
    shutil.rmtree(folder / "words")
    lock = WriterLock(folder / "writer.lock")
    lock.acquire(wait=0)
    reader = opened(folder)
    assert sources(reader, "dogs bark", mode="words", k=1) == ["dogs.txt"]
    assert not (folder / "words").exists()
    lock.release()
    put(reader, "new.txt", "Zebras.")
    assert sources(reader, "zebras", mode="words") == ["new.txt"]
    assert (folder / "words").exists()
    reader.close()


@pytest.mark.skipif(os.name != "posix", reason="permissions of folders are different there")
def test_an_index_that_may_only_be_read_answers_and_says_so_when_written_to(index, folder):
    index.close()
    code = """if True:
        import os, sys, faiss, tantivy, ingest.vectors
        from pathlib import Path
        from making import opened, put, sources
        from ingest.errors import IndexFault
        if os.getuid() == 0:  # whom nothing is forbidden
            os.setuid(65534)
        index = opened(Path(sys.argv[1]))
        for mode in ("words", "vector"):
            print(sources(index, "dogs bark", mode=mode, k=1))
        try:
            put(index, "a", "b")
        except IndexFault as error:
            print(error)
        index.close()
    """
    with tempfile.TemporaryDirectory() as public:  # pytest's own folders are closed to others
        copy = Path(public) / "rag"
        shutil.copytree(folder, copy)
        for path in (Path(public), copy, *copy.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "ingest")])
        environment = {**os.environ, "PYTHONPATH": path}
        command = [sys.executable, "-c", code, str(copy)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        for path in (Path(public), copy, copy / "words"):
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["['dogs.txt']"] * 2 and lines[2].endswith("cannot be changed: read only")


def test_an_index_of_another_encoder_is_refused_with_the_command_that_helps(index, folder):
    with pytest.raises(EncoderMismatch, match=r"--encoder fake.*rag index --rebuild --encoder e5"):
        LocalIndex.open(folder, encoder=FakeEncoder("e5"))
    changed = FakeEncoder()
    changed.fingerprint = "new weights"
    with pytest.raises(EncoderMismatch, match=r"has changed.*rag index --rebuild"):
        LocalIndex.open(folder, encoder=changed)
    assert LocalIndex.open(folder, encoder=None).encoder == "fake"


@pytest.mark.parametrize("other", [FakeEncoder("e5", 32), FakeEncoder("e5")])
def test_encoding_again_gives_the_index_that_the_other_encoder_would_have_made(
    index, folder, other, monkeypatch
):
    if other.dimension == ENCODER.dimension:  # the same size, and other vectors
        encode = other.encode_documents
        monkeypatch.setattr(other, "encode_documents", lambda texts: -encode(texts))
    sources(index, "dogs")
    reader = opened(folder)
    steps = []
    assert index.reencode(other, progress=lambda *step: steps.append(step)) == 4
    assert steps[-1] == (4, 4)
    vector = other.encode_queries(["dogs bark"])[0]
    for each in (index, LocalIndex.open(folder, encoder=other)):
        best = each.search("dogs bark", vector, k=1, mode="vector")[0]
        assert best.chunk.source == "dogs.txt"
        passage = other.encode_documents([best.chunk.passage])[0]
        assert best.score == pytest.approx(float(passage @ vector), abs=1e-3)
    with pytest.raises(EncoderMismatch, match="encoded again"):
        sources(reader, "dogs")
    with pytest.raises(EncoderMismatch, match="encoded again"):
        put(reader, "new.txt", "Zebras.")
    reader.close()


def test_encoding_again_goes_on_where_it_was_stopped(index, monkeypatch):
    other, seen = FakeEncoder("e5", 32), []
    monkeypatch.setattr("ingest.reencode._BATCH", 2)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.reencode(other, progress=stop)
    assert sources(index, "dogs bark", mode="vector", k=1) == ["dogs.txt"], "as before"
    put(index, "cats.md", "Lions roar.")  # meanwhile
    index.reencode(other, progress=lambda *step: seen.append(step))
    assert seen[-1] == (3, 3)
    vector = other.encode_queries(["lions roar"])[0]
    assert index.search("", vector, k=1, mode="vector")[0].chunk.source == "cats.md"


def test_an_index_is_made_only_when_asked_for(folder):
    for options in ({"encoder": ENCODER, "create": False}, {"encoder": None}):
        with pytest.raises(IndexMissing, match="rag index"):
            LocalIndex.open(folder, **options)
    assert not folder.exists()
    index = opened(folder)
    assert index.documents() == [] and sources(index, "anything") == []
    index.close()


def test_what_does_not_fit_together_is_refused(index):
    made = document("a.txt", "Some text.")
    chunks, vectors = paragraphs(made), ENCODER.encode_documents(["x"])
    for bad in (vectors[:, :10], np.repeat(vectors, 2, axis=0), vectors * np.nan):
        with pytest.raises(ValueError, match="vectors"):
            index.add(made, chunks, bad)
    for chunk in (replace(chunks[0], end=4), replace(chunks[0], source="b.txt")):
        with pytest.raises(ValueError, match="no part of this document"):
            index.add(made, [chunk], vectors)
    assert [info.source for info in index.documents()] == ["cats.md", "dogs.txt", "tokyo.txt"]


def test_the_catalogue_alone_tells_everything(index, folder):
    index.close()
    for path in folder.iterdir():
        if path.name not in {"catalog.sqlite"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(Catalog.open(folder).documents()) == 3
    again = opened(folder)
    assert sources(again, "dogs bark", k=1)[0] == "dogs.txt"
    again.close()


def test_documents_are_counted_with_and_without_a_filter(tmp_path):
    index = opened(tmp_path)
    put(index, "a.txt", "One.\n\nTwo.", date="2024-05-06")
    put(index, "b.md", "Three.", date="2023-01-01")
    counts = [index.count(where) for where in (None, "source=*.txt", "date>=2023", "page=9")]
    index.close()
    assert counts == [2, 1, 2, 0]
