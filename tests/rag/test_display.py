"""Answers and passages as text for people."""

from unicodedata import east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.document import Chunk, Hit
from rag.answer import Citation, Conflict, Sentence
from rag.display import conflict_text, doubt_text, harmless, one_line, place, snippet, wrap

LONG = "The ferry is slow. " * 20 + "The cache takes 12 KB. " + "It is kept. " * 30


def columns(line: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in line)


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "累计工作满10年不满20年的职工，请病假累计3个月以上的；" * 8,
        "昭和八年三月三日の早朝に太平洋岸を襲った津浪は、非常に高かった。" * 8,
        "연차 휴가는 일 년에 십오 일이다. " * 10,
        "يستغرق الشحن ثلاثة أيام. " * 10,
    ],
)
def test_wrapped_text_fits_and_loses_nothing(text):
    lines = wrap(text, width=40, indent="  ").split("\n")
    assert all(columns(line) <= 42 and line.startswith("  ") for line in lines)
    assert len(lines) < len(text) / 8
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line.strip()[0] in "，；。、" for line in lines)


@pytest.mark.parametrize("word", ["Hamburg”", "2,400€", "1868–1873", "KB、", "‘Bahnhof’"])
def test_no_line_is_broken_inside_a_word_or_before_what_closes_it(word):
    for width in range(len(word) + 2, 30):
        assert word in wrap(f"The warehouse stands in {word} today.", width=width)


@given(st.text(), st.integers(1, 30))
def test_wrapping_keeps_every_visible_character(text, width):
    assert "".join(wrap(text, width=width).split()) == "".join(text.split())


def test_without_a_width_a_text_stays_on_its_line():
    assert wrap(LONG, width=None, indent="  ") == "  " + LONG


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text):
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in one_line(text))
    assert not any(c in harmless(text) for c in "\x1b\x07\x08\r\x9b")


def test_a_place_names_source_page_heading_and_characters():
    whole = Citation(1, "q", "docs/a.pdf", 3, "Cache > Size", 120, 188)
    assert place(whole) == 'docs/a.pdf, page 3, "Cache > Size" (120–188)'
    assert place(Chunk("a.txt", 0, 9, "text")) == "a.txt (0–9)"


def test_numbers_after_an_arabic_heading_keep_their_order():
    assert place(Chunk("a.html", 0, 9, "", heading="عنوان")).endswith('"عنوان"\u200e (0–9)')


def test_a_snippet_shows_what_is_nearest_to_the_query():
    assert snippet("Short\ntext.", "cache") == "Short text."
    shown = snippet(LONG, "how large is the cache")
    assert "The cache takes 12 KB." in shown
    assert shown.startswith("… ") and shown.endswith(" …") and len(shown) < 310


def test_a_conflict_shows_both_sides_with_their_dates():
    hits = [
        Hit(Chunk("a.md", 0, 9, "Fee: 3 €.", date="2024-03-01T00:00:00Z"), 1.0),
        Hit(Chunk("b.md", 0, 9, "Fee: 6\x1b €."), 0.9),
    ]
    conflict = Conflict((1, 2), ("Fee: 3 €.", "Fee: 6\x1b €."))
    lines = conflict_text(conflict, hits, width=60, bold=str.upper).split("\n")
    assert lines[0] == "THE DOCUMENTS DISAGREE:"
    assert lines[1] == "  a.md (0–9), 2024-03-01"
    assert lines[2] == "    “Fee: 3 €.”"
    assert lines[3] == "  b.md (0–9)"
    assert "\x1b" not in lines[4]


def test_a_doubt_says_what_became_of_the_sentence():
    assert doubt_text(Sentence("A.", doubt="it is odd")) == "left out, since it is odd: A."
    assert doubt_text(Sentence("A.", (1,), doubt="it is odd")) == "doubtful, since it is odd: A."
    assert doubt_text(Sentence("A.")) == "left out, since no passage holds it: A."
