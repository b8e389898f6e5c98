"""An index follows its files: nothing twice, nothing lost, nothing silently left out."""

import io
import os
import time
import zipfile
from pathlib import Path

import pytest
from making import ENCODER, opened, sources

import ingest.sync
from ingest.errors import IndexLocked, PasswordNeeded
from ingest.sync import sync
from ingest.worker import Workers


class CountingEncoder:
    """The tests' encoder, counting what it encodes."""

    name, fingerprint, dimension = ENCODER.name, ENCODER.fingerprint, ENCODER.dimension

    def __init__(self):
        self.encoded = []

    def encode_queries(self, texts):
        return ENCODER.encode_queries(texts)

    def encode_documents(self, texts):
        self.encoded += texts
        return ENCODER.encode_documents(texts)


class Home:
    """A folder of files beside an index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = opened(path / ".rag")
        self.encoder = CountingEncoder()

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def sync(self, *roots, **options):
        roots = [self.path / root for root in roots or ["."]]
        return sync(self.index, roots, encoder=self.encoder, home=self.path, **options)

    def held(self) -> dict[str, str]:
        return {info.source: self.index.text(info.source) for info in self.index.documents()}


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.index.close()


def archive(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("_", "."), text)
    return packed.getvalue()


def test_files_are_added_once_and_then_unchanged(home):
    for i in range(20):
        home.write(f"docs/{i:02}.md", f"# Number {i}\n\nSome text about {i}.\n")
    first = home.sync("docs")
    assert first.added == tuple(f"docs/{i:02}.md" for i in range(20))
    assert (first.updated, first.removed, first.unchanged, first.skipped) == ((), (), 0, ())
    assert first.chunks == len(home.encoder.encoded) == 20
    generation = home.index.generation
    second = home.sync("docs")
    assert (second.added, second.updated, second.unchanged, second.chunks) == ((), (), 20, 0)
    assert home.index.generation == generation and len(home.encoder.encoded) == 20


def test_every_chunk_is_a_span_of_the_text_that_is_shown(home):
    home.write(
        "a.md", "# One\n\nText of one.\n\n## Two\n\n" + "A longer text, 漢字, ünïcode. " * 200
    )
    home.write("b.csv", "name,city\n" + "".join(f"person {i},city {i}\n" for i in range(300)))
    home.sync()
    for question in ("longer text", "person 17 city", "two"):
        vector = ENCODER.encode_queries([question])[0]
        hits = home.index.search(question, vector, k=20)
        assert hits
        for hit in hits:
            text = home.index.text(hit.chunk.source)
            assert text[hit.chunk.start : hit.chunk.end] == hit.chunk.text


def test_a_document_without_a_date_has_that_of_its_file(home):
    path = home.write("docs/a.md", "Some text.")
    os.utime(path, (0, 1_700_000_000))
    home.sync()
    assert home.index.document("docs/a.md").date == "2023-11-14T22:13:20+00:00"


def test_an_edited_file_replaces_its_document(home):
    path = home.write("a.txt", "Cats sleep.")
    home.sync()
    path.write_text("Dogs bark.")  # as long, and at once: the time stamp may be the same
    os.utime(path, ns=(10**18, 10**18))
    report = home.sync()
    assert (report.added, report.updated, report.unchanged) == ((), ("a.txt",), 0)
    assert home.held() == {"a.txt": "Dogs bark."}
    assert sources(home.index, "cats sleep", mode="words") == []


def test_an_edit_that_keeps_size_and_time_of_modification_is_noticed(home):
    path = home.write("a.txt", "Cats sleep.")
    os.utime(path, ns=(10**18, 10**18))
    home.sync()
    path.write_text("Dogs bark..")
    os.utime(path, ns=(10**18, 10**18))
    assert home.sync().updated == ("a.txt",)


def test_a_touched_file_is_unchanged_and_an_old_one_is_not_even_read(home, monkeypatch):
    path = home.write("a.txt", "Cats sleep.")
    home.sync()
    path.touch()
    assert home.sync().unchanged == 1 and len(home.encoder.encoded) == 1
    monkeypatch.setattr("ingest.changes._RECENT", -60 * 10**9)  # as if it were long ago
    home.sync()
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read again"))
    assert home.sync().unchanged == 1


def test_a_file_that_is_gone_is_removed_only_when_asked_and_only_under_the_roots(home):
    for name in ("docs/a.txt", "docs/b.txt", "docs-old/c.txt", "notes/d.txt", "e.md"):
        home.write(name, f"Text of {name}.")
    home.sync()
    for name in ("docs/a.txt", "docs-old/c.txt", "notes/d.txt", "e.md"):
        (home.path / name).unlink()
    assert home.sync().removed == () and len(home.held()) == 5
    assert home.sync("docs", prune=True).removed == ("docs/a.txt",)
    assert home.sync("notes/*.md", prune=True).removed == ()
    assert home.sync("notes/*.txt", prune=True).removed == ("notes/d.txt",)
    assert home.sync("e.md", prune=True).removed == ("e.md",)
    assert home.sync("missing", prune=True).removed == ()
    assert sorted(home.held()) == ["docs-old/c.txt", "docs/b.txt"]
    assert home.sync(prune=True).removed == ("docs-old/c.txt",)
    assert sources(home.index, "text of docs", mode="words") == ["docs/b.txt"]


def test_files_under_the_roots_that_are_gone_are_listed_unless_they_gave_no_document(
    home, monkeypatch
):
    monkeypatch.setattr("ingest.changes._RECENT", -60 * 10**9)  # as if it were long ago
    for name, text in (("docs/a.txt", "A."), ("docs/empty.txt", ""), ("notes/b.txt", "B.")):
        home.write(name, text)
    home.write("docs/z.zip", archive(a_txt="Cats sleep.", b_txt="Dogs bark."))
    assert home.sync().gone == ()
    for name in ("docs/a.txt", "docs/empty.txt", "docs/z.zip", "notes/b.txt"):
        (home.path / name).unlink()
    assert home.sync("docs").gone == ("docs/a.txt", "docs/z.zip")
    assert home.sync("notes/b.txt").gone == ("notes/b.txt",)
    assert home.sync().gone == ("docs/a.txt", "docs/z.zip", "notes/b.txt")
    pruned = home.sync(prune=True)
    assert (len(pruned.removed), pruned.gone) == (4, ())


def test_pruning_without_a_root_removes_whatever_is_gone_but_nothing_piped(home, monkeypatch):
    monkeypatch.setattr("ingest.changes._RECENT", -60 * 10**9)
    home.write("a.txt", "A.")
    home.write("docs/b.txt", "B.")
    options = {"encoder": ENCODER, "home": home.path, "stdin": io.BytesIO(b"Piped.")}
    sync(home.index, [home.path, "-"], stdin_name="notes/c.txt", **options)
    (home.path / "a.txt").unlink()
    (home.path / "docs" / "b.txt").unlink()
    assert home.sync().gone == ("a.txt", "docs/b.txt")
    pruned = sync(home.index, [], prune=True, **options)
    assert pruned.removed == ("a.txt", "docs/b.txt")
    assert home.held() == {"notes/c.txt": "Piped."}


def test_pruning_leaves_what_is_not_a_file_under_the_root(home, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "far.txt"
    outside.write_text("Far away.")
    home.write("a.txt", "Near.")
    sync(home.index, [outside, "-"], encoder=ENCODER, home=home.path, stdin=io.BytesIO(b"Piped."))
    outside.unlink()
    report = home.sync(prune=True)
    assert report.removed == () and report.added == ("a.txt",)
    assert outside.as_posix() in home.held() and len(home.held()) == 3
    gone = sync(home.index, [outside.parent], encoder=ENCODER, home=home.path, prune=True)
    assert gone.removed == (outside.as_posix(),)


def test_pruning_keeps_what_is_there_but_was_not_looked_at(home):
    home.write("docs/a.txt", "Kept.")
    home.write("docs/b.txt", "Kept too.")
    home.sync()
    report = home.sync("docs", prune=True, ignore=["b.txt"])
    assert report.removed == () and sorted(home.held()) == ["docs/a.txt", "docs/b.txt"]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes only there")
def test_a_file_whose_name_is_no_text_is_kept_when_pruning(home):
    path = home.path / os.fsdecode(b"\xff.txt")
    try:
        path.write_text("Strange name.")
    except OSError:
        pytest.skip("this file system refuses the name")
    assert home.sync(prune=True).added == ("\ufffd.txt",)
    report = home.sync(prune=True)
    assert (report.removed, report.unchanged) == ((), 1)


def test_a_bad_file_is_listed_with_its_reason_in_every_run_and_stops_nothing(home, monkeypatch):
    home.write("a.txt", "Good.")
    home.write("b.pdf", b"%PDF-1.7 this is no PDF")
    home.write("c.txt", b"")
    home.write("d.txt", "Also good.")
    first = home.sync()
    assert first.added == ("a.txt", "d.txt")
    assert [skip.source for skip in first.skipped] == ["b.pdf", "c.txt"]
    assert all(skip.reason for skip in first.skipped)
    monkeypatch.setattr(Workers, "extract", lambda *_, **__: pytest.fail("read again"))
    second = home.sync()
    assert second.skipped == first.skipped and second.unchanged == 2


def test_a_bad_file_is_tried_again_when_it_is_named_or_has_changed(home):
    path = home.write("b.txt", b"")
    assert home.sync().skipped
    calls = []
    extract = Workers.extract

    def watched(self, data, name, passwords=(), **options):
        calls.append(name)
        return extract(self, data, name, passwords, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workers, "extract", watched)
        assert home.sync().skipped and calls == []
        assert home.sync("b.txt").skipped and calls == ["b.txt"]
    path.write_text("Now it is good.")
    assert home.sync().added == ("b.txt",)
    assert home.sync().skipped == ()


def test_a_crash_of_a_reader_costs_its_file_only(home, monkeypatch):
    for name in "abc":
        home.write(f"{name}.txt", f"Text {name}.")
    extract = Workers.extract

    def broken(self, data, name, passwords=(), **options):
        if name == "b.txt":
            raise RuntimeError("a bug")
        return extract(self, data, name, passwords, **options)

    monkeypatch.setattr(Workers, "extract", broken)
    report = home.sync()
    assert report.added == ("a.txt", "c.txt")
    assert [skip.source for skip in report.skipped] == ["b.txt"]
    assert "a bug" in report.skipped[0].reason


def test_a_file_that_can_no_longer_be_read_does_not_answer_with_its_old_text(home):
    path = home.write("a.txt", "Cats sleep.")
    home.sync()
    path.write_bytes(b"")
    report = home.sync()
    assert report.removed == ("a.txt",) and report.skipped[0].source == "a.txt"
    assert home.held() == {}


def test_a_file_that_cannot_be_opened_keeps_its_document(home, monkeypatch):
    home.write("a.txt", "Cats sleep.")
    home.sync()

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    report = home.sync(prune=True)
    assert [(s.source, s.reason) for s in report.skipped] == [("a.txt", "Permission denied")]
    assert report.removed == () and home.held() == {"a.txt": "Cats sleep."}


def test_locked_files_are_tried_again_only_with_passwords(home, monkeypatch):
    home.write("a.txt", "secret")
    extract, calls = Workers.extract, []

    def locked(self, data, name, passwords=(), **options):
        calls.append(tuple(passwords))
        if "sesame" not in passwords:
            raise PasswordNeeded("needs a password")
        return extract(self, data, name, passwords, **options)

    monkeypatch.setattr(Workers, "extract", locked)
    assert home.sync().skipped[0].reason == "needs a password"
    assert home.sync().skipped[0].reason == "needs a password" and len(calls) == 1
    assert home.sync(passwords=["wrong"]).skipped and len(calls) == 2
    assert home.sync(passwords=["sesame"]).added == ("a.txt",)
    assert home.sync().unchanged == 1 and home.sync(passwords=["sesame"]).unchanged == 1
    assert len(calls) == 3


def test_an_archive_gives_its_members_and_takes_them_back(home):
    home.write("z.zip", archive(a_txt="Cats sleep.", b_txt="Dogs bark.", c_txt=""))
    first = home.sync()
    assert first.added == ("z.zip!a.txt", "z.zip!b.txt")
    assert [skip.source for skip in first.skipped] == ["z.zip!c.txt"]
    second = home.sync()
    assert second.unchanged == 2 and second.skipped == first.skipped
    with_password = home.sync(passwords=["x"])  # reads it again, for its third member
    assert with_password.unchanged == 2 and not with_password.updated
    home.write("z.zip", archive(b_txt="Dogs howl.", d_txt="Zebras graze."))
    third = home.sync()
    assert third.added == ("z.zip!d.txt",) and third.updated == ("z.zip!b.txt",)
    assert third.removed == ("z.zip!a.txt",) and third.skipped == ()
    (home.path / "z.zip").unlink()
    assert sorted(home.sync(prune=True).removed) == ["z.zip!b.txt", "z.zip!d.txt"]
    assert home.held() == {} and home.index.files() == {}


def test_stopping_keeps_what_was_committed_and_the_next_run_goes_on(home, monkeypatch):
    monkeypatch.setattr(ingest.sync, "_BATCH", 1)
    for i in range(10):
        home.write(f"{i}.txt", f"Number {i}.")

    def stop(progress):
        if progress.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        home.sync(progress=stop)
    assert len(home.held()) == 4
    assert sources(home.index, "number 2", mode="words", k=1) == ["2.txt"]
    report = home.sync()
    assert len(report.added) == 6 and report.unchanged == 4
    assert len(home.encoder.encoded) == 10


def test_progress_tells_every_file(home):
    for i in range(5):
        home.write(f"{i}.txt", f"Number {i}.")
    steps = []
    home.sync(progress=steps.append)
    assert [(s.source, s.done, s.total) for s in steps] == [
        (f"{i}.txt", i + 1, 5) for i in range(5)
    ]


def test_a_root_that_is_not_there_is_said(home):
    report = home.sync("nowhere", "*.docx")
    assert len(report.skipped) == 2 and report.added == ()


def test_many_small_files_are_encoded_together(home):
    batches = []
    encode = home.encoder.encode_documents
    home.encoder.encode_documents = lambda texts: batches.append(len(texts)) or encode(texts)
    for i in range(100):
        home.write(f"{i}.txt", f"Number {i}.")
    home.sync()
    assert sum(batches) == 100 and len(batches) <= 3


def test_two_runs_at_once_do_not_mix(home, monkeypatch):
    monkeypatch.setattr("ingest.index._WAIT", 0.1)
    home.write("a.txt", "Cats.")
    other = opened(home.path / ".rag")
    with other.writing(), pytest.raises(IndexLocked, match="is writing"):
        home.sync()
    assert home.sync().added == ("a.txt",)
    other.close()


def test_a_second_run_over_hundreds_of_files_is_quick(home):
    for i in range(400):
        home.write(f"docs/{i}.txt", f"Text number {i} of many. " * 30)
    home.sync()
    started = time.process_time()
    assert home.sync().unchanged == 400
    assert time.process_time() - started < 2
