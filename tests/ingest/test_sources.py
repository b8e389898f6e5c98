"""Which files are found under which roots, and what they are called."""

import io
import os
import unicodedata
from pathlib import Path

import pytest

from ingest.sources import STDIN, Skipped, Source, find, missing, source_name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(roots, home, **options) -> list[str]:
    return [found.name for found in find(roots, home=home, **options) if isinstance(found, Source)]


def test_a_folder_gives_its_files_to_the_bottom_in_order(home):
    for name in ("docs/b.md", "docs/a.md", "docs/deep/er/c.txt"):
        put(home / name)
    assert names(["docs"], home) == ["docs/a.md", "docs/b.md", "docs/deep/er/c.txt"]


def test_a_source_reads_its_file(home):
    put(home / "a.txt", "hello")
    (source,) = find(["a.txt"], home=home)
    assert isinstance(source, Source) and source.read() == b"hello"


def test_hidden_files_and_folders_of_tools_are_left_out(home):
    for name in (".git/x", ".hidden.md", "node_modules/y.md", "__pycache__/z.txt", "kept.md"):
        put(home / name)
    assert names(["."], home) == ["kept.md"]


def test_a_hidden_file_that_is_named_is_taken(home):
    put(home / ".notes.md")
    assert names([".notes.md"], home) == [".notes.md"]


def test_a_folder_with_an_index_in_it_is_left_out(home):
    put(home / "kept.md")
    put(home / "index" / "catalog.sqlite")
    put(home / "index" / "words" / "meta.json")
    assert names(["."], home) == ["kept.md"]


def test_patterns_find_files_and_folders(home):
    for name in ("docs/a.md", "docs/b.txt", "docs/sub/c.md"):
        put(home / name)
    assert names(["docs/*.md"], home) == ["docs/a.md"]
    assert names(["docs/**/*.md"], home) == ["docs/a.md", "docs/sub/c.md"]
    assert names(["doc*"], home) == ["docs/a.md", "docs/b.txt", "docs/sub/c.md"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(home):
    put(home / "a[1].md")
    put(home / "a1.md")
    assert names(["a[1].md"], home) == ["a[1].md"]


def test_each_file_comes_once_however_often_it_is_named(home):
    put(home / "docs" / "a.md")
    assert names(["docs", "docs/a.md", "docs/*.md", str(home / "docs")], home) == ["docs/a.md"]


def test_ignore_patterns_look_at_the_name_and_at_the_source(home):
    for name in ("docs/a.md", "docs/b.log", "docs/old/c.md"):
        put(home / name)
    assert names(["docs"], home, ignore=["*.log", "docs/old"]) == ["docs/a.md"]


def test_what_is_not_there_is_told(home):
    assert list(find(["gone.md"], home=home)) == [Skipped("gone.md", "no such file or folder")]
    assert list(find(["*.pdf"], home=home)) == [Skipped("*.pdf", "no file matches this pattern")]


def test_links_are_told_and_never_followed_in_circles(home):
    put(home / "docs" / "a.md")
    (home / "docs" / "loop").symlink_to(home / "docs")
    (home / "docs" / "dead.md").symlink_to(home / "nothing")
    found = list(find(["docs"], home=home))
    assert [each for each in found if isinstance(each, Skipped)] == [
        Skipped("docs/dead.md", "a link to nothing")
    ]
    assert names(["docs"], home) == ["docs/a.md"]


def test_a_pipe_is_not_waited_for(home):
    os.mkfifo(home / "pipe")
    assert list(find(["."], home=home)) == [Skipped("pipe", "neither a file nor a folder")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_that_may_not_be_read_is_told(home):
    (home / "shut").mkdir(mode=0)
    (skipped,) = find(["."], home=home)
    assert skipped == Skipped("shut", "Permission denied")


def test_standard_input_is_a_source(home):
    (source,) = find(["-"], home=home, stdin=io.BytesIO(b"piped"))
    assert (source.name, source.read()) == (STDIN, b"piped")
    with pytest.raises(ValueError, match="stdin"):
        list(find(["-"], home=home))


def test_a_name_is_relative_below_home_and_absolute_elsewhere(home):
    assert source_name(home / "docs" / "a.md", home) == "docs/a.md"
    assert source_name("docs/../docs/a.md", home) == "docs/a.md"
    outside = home.parent / "elsewhere.md"
    assert source_name(outside, home) == outside.as_posix()


def test_a_name_is_the_same_through_a_linked_folder(home):
    put(home / "real" / "docs" / "a.md")
    (home / "link").symlink_to(home / "real")
    assert source_name(home / "link" / "docs" / "a.md", home / "real") == "docs/a.md"
    assert source_name(home / "real" / "docs" / "a.md", home / "link") == "docs/a.md"


def test_a_linked_file_keeps_its_own_name(home):
    put(home / "a.md")
    (home / "b.md").symlink_to(home / "a.md")
    assert names(["."], home) == ["a.md", "b.md"]


def test_names_are_composed_and_never_half_characters(home):
    put(home / unicodedata.normalize("NFD", "é.md"))
    assert names(["."], home) == ["é.md"]
    (home / os.fsdecode(b"bad\xff.md")).write_text("x")
    assert names(["."], home)[0].encode("utf-8").startswith(b"bad")


def test_a_source_with_nothing_behind_it_is_a_mistake():
    with pytest.raises(ValueError, match="neither a file nor bytes"):
        Source("a").read()


def test_roots_with_nothing_behind_them_are_named_with_the_reason(home):
    put(home / "docs" / "a.md")
    roots = ["docs", "docs/*.md", "-", "https://example.org/a", "nowhere", Path("docs/*.pdf")]
    assert missing(roots) == [
        Skipped("nowhere", "no such file or folder"),
        Skipped("docs/*.pdf", "no file matches this pattern"),
    ]
