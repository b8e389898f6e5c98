"""Passages: spans that are exact, light enough, complete, and cut at good places."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk
from ingest.document import Document, Heading
from ingest.markdown import read_markdown


def weight(text: str) -> int:
    """Known to the tests by the agreement only: East Asian characters count three."""
    return sum(3 if ord(c) >= 0x1100 and not 0x2000 <= ord(c) < 0x2E80 else 1 for c in text)


def plain(text: str, **facts) -> Document:
    return Document("a.txt", text, "0" * 64, **facts)


def marked(text: str) -> Document:
    content = read_markdown(text)
    return plain(content.text, headings=content.headings)


def paged(*pages: str) -> Document:
    starts, at = [], 0
    for page in pages:
        starts.append(at)
        at += len(page) + 1
    return plain("\f".join(pages), pages=tuple(starts))


pieces = st.sampled_from(
    [
        "word",
        "Antidisestablishmentarianism",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\n   \n",
        "\t",
        "# Title\n",
        "### Deep\n\n",
        "Ends here. ",
        "x" * 70,
        "中文字。",
        "日本語、かな",
        "한국어 문장. ",
        "e\u0301" * 5,
        "- item\n",
        "| a | b |\n",
        "    code()\n",
    ]
)
texts = st.lists(pieces, max_size=120).map("".join)


@settings(max_examples=150, deadline=None)
@given(texts, st.integers(3, 120))
def test_chunks_are_exact_ordered_light_and_hold_every_word(text, limit):
    document = marked(text)
    chunks = chunk(document, limit=limit)
    end = 0
    for each in chunks:
        assert document.text[each.start : each.end] == each.text == each.text.strip() != ""
        assert weight(each.text) <= limit
        assert not document.text[end : each.start].strip()  # nothing between two chunks, no overlap
        assert each.start >= end
        assert each.heading == document.heading_at(each.start)
        end = each.end
    assert not document.text[end:].strip()


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6))
def test_no_chunk_spans_two_pages(pages):
    document = paged(*pages)
    for each in chunk(document, limit=60):
        assert "\f" not in each.text
        assert each.page == document.page_at(each.start) == document.page_at(each.end - 1)


def test_a_short_document_is_one_chunk():
    (only,) = chunk(plain("\n  A note.\n\nAnd another.\n"))
    assert (only.text, only.start, only.source) == ("A note.\n\nAnd another.", 3, "a.txt")
    assert (only.page, only.heading) == (None, None)


def test_there_is_no_chunk_of_nothing():
    assert chunk(plain("")) == chunk(plain(" \n\t \n")) == []


def test_an_east_asian_character_weighs_three():
    assert len(chunk(plain("a" * 99), limit=99)) == 1
    assert len(chunk(plain("中" * 33), limit=99)) == 1
    assert len(chunk(plain("中" * 34), limit=99)) == 2


def test_a_limit_that_holds_nothing_is_refused():
    with pytest.raises(ValueError, match="limit of 2"):
        chunk(plain("中"), limit=2)


def test_no_chunk_ends_on_a_heading():
    titles = [f"## The section with the number {n} and its somewhat long title" for n in range(40)]
    bodies = ["Some words of it. " * (n * 7 % 23 + 1) for n in range(40)]
    document = marked("\n\n".join(f"{t}\n\n{b}" for t, b in zip(titles, bodies, strict=True)))
    for limit in (150, 300, 1000):
        for each in chunk(document, limit=limit):
            assert each.text.split("\n")[-1] not in titles


@pytest.mark.parametrize("paragraph", ["A sentence of words. " * 40, "x" * 900, "字" * 300])
def test_a_heading_stays_with_the_first_words_below_it(paragraph):
    document = marked("Before.\n\n" * 9 + "## Title of some length\n\n" + paragraph)
    (holder,) = [each for each in chunk(document, limit=120) if "## Title" in each.text]
    assert len(holder.text.partition("of some length")[2].strip()) > 20


@pytest.mark.parametrize("words", [12, 15, 40])
def test_sections_are_not_mixed_when_they_are_long_enough(words):
    body = "Words about the matter at hand. " * words
    document = marked(f"## One\n\n{body}\n\n## Two\n\n{body}\n\n## Three\n\n{body}")
    chunks = chunk(document)
    assert all(each.text.count("## ") <= 1 for each in chunks)
    assert {each.heading for each in chunks if "## " in each.text} == {"One", "Two", "Three"}


def test_short_sections_are_put_together():
    document = marked("\n\n".join(f"### {n}\n\nA line." for n in range(8)))
    assert len(chunk(document)) == 1


def test_paragraphs_and_sentences_are_kept_whole_where_they_fit():
    sentences = [f"This is the sentence number {n} of all. " for n in range(60)]
    document = plain("\n\n".join("".join(sentences[n : n + 5]) for n in range(0, 60, 5)))
    for each in chunk(document, limit=500):
        assert each.text.startswith("This is") and each.text.endswith("of all.")
        assert each.text.count("\n\n") + 1 == each.text.count("number") / 5  # whole paragraphs


def test_rows_and_tables_are_kept_whole():
    rows = "\n".join(f"name: person {n}; city: town {n % 7}; amount: {n * 13}" for n in range(500))
    for each in chunk(plain(rows)):
        assert all(
            line.startswith("name: ") and "amount: " in line for line in each.text.split("\n")
        )
    table = "| a | b |\n| --- | --- |\n" + "| one | two |\n" * 20
    prose = "Words before and after the table. " * 24
    chunks = chunk(marked(f"{prose}\n\n{table}\n\n{prose}"))
    assert sum(table.strip() in each.text for each in chunks) == 1


def test_the_functions_of_a_program_are_kept_whole():
    functions = [f"def f{n}(x):\n    y = x + {n}\n\n    return y * {n}" for n in range(60)]
    for each in chunk(plain("\n\n\n".join(functions)), limit=200):
        assert each.text.startswith("def ") and each.text.split("\n")[-1].startswith("    return")


def test_the_last_chunk_is_no_scrap():
    words = "word " * 210  # 1,050 characters
    first, second = chunk(plain(words))
    assert min(len(first.text), len(second.text)) > 350


def test_no_chunk_begins_with_an_accent():
    for each in chunk(plain("e\u0301" * 400), limit=99):
        assert each.text[0] == "e"


HOSTILE = {
    "one line of words": "lorem ipsum " * 80_000,
    "one word": "x" * 1_000_000,
    "blank lines": "a" + "\n" * 1_000_000 + " b",
    "blank lines with spaces": "a" + " \n" * 400_000 + " b",
    "spaces": "a" + " " * 1_000_000 + "b",
    "full stops": "." * 1_000_000,
    "Chinese": "汉字" * 150_000,
    "steps": "".join(" " * (n % 20_000) + "x\n" for n in range(1_000)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear_in_the_text(text):
    started = time.process_time()
    chunk(plain(text))
    assert time.process_time() - started < 5  # a quadratic search would take minutes


def test_twenty_thousand_headings_do_not_matter():
    headings = tuple(Heading(start=8 * n, level=n % 6 + 1, text="Title") for n in range(20_000))
    document = plain("# Title\n" * 20_000, headings=headings)
    started = time.process_time()
    chunk(document)
    assert time.process_time() - started < 5
