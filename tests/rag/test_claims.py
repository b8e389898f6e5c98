"""What a model that no grammar held says: quotes of passages, and words that none holds."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.document import Chunk, Hit
from rag.answer import Quote
from rag.ground import number_passages, read_claims

TEXTS = (
    "Annual leave is\n15 days a year. It’s “paid” – as agreed.",
    "Sick leave\thas no limit; a note is needed after 3 days.",
    'The sign said [2] "Annual leave" and nothing else.',
)
PASSAGES = number_passages(
    Hit(Chunk(f"{n}.txt", 100, 100 + len(text), text, None, None), 1.0)
    for n, text in enumerate(TEXTS, start=1)
)


def read(reply):
    """Each claim: (source, its words in the document), or the words of nobody."""
    found = []
    for claim in read_claims([reply], PASSAGES):
        if isinstance(claim, Quote):
            assert TEXTS[int(claim.hit.chunk.source[0]) - 1][claim.start - 100 :].startswith(
                claim.text
            )
            claim = (claim.hit.chunk.source, claim.text)
        found.append(claim)
    return found


@pytest.mark.parametrize(
    "line",
    [
        '[1] "Annual leave is 15 days a year"',
        '[1]"Annual leave is 15 days a year".',
        '- [1] "Annual leave is  15 days a year"',
        '2. **[1]** "Annual leave is 15 days a year."',
        "[1]: “Annual leave is 15 days a year”",
        "[1] — «Annual leave is 15 days a year»",
        '[1] "Annual leave is 15 days a year',
        '<think>Is it 15?\nYes.\n</think>\n[1] "Annual leave is 15 days a year"',
        '<think>hm</think>[1] "Annual leave is 15 days a year"',
    ],
)
def test_habits_of_models_are_understood(line):
    [(source, quote)] = read(line)
    assert source == "1.txt"
    assert quote.rstrip(".") == "Annual leave is\n15 days a year"


def test_typographic_marks_count_as_plain_ones_and_the_documents_are_cited():
    assert read('[1] "It\'s "paid" - as agreed"') == [("1.txt", "It’s “paid” – as agreed")]


def test_several_quotes_on_a_line_are_several():
    found = read('[1] "15 days a year" [2] "Sick leave has no limit", [1] "40 days"')
    assert found == [
        ("1.txt", "15 days a year"),
        ("2.txt", "Sick leave\thas no limit"),
        '[1] "40 days"',
    ]


def test_source_marks_within_a_document_do_not_cut_a_quote():
    assert read('[3] "said [2] "Annual leave" and nothing"') == [
        ("3.txt", 'said [2] "Annual leave" and nothing')
    ]


def test_a_wrong_number_is_put_right_when_the_words_are_no_accident():
    assert read('[1] "Sick leave has no limit"') == [("2.txt", "Sick leave\thas no limit")]
    assert read('[9] "Sick leave has no limit"') == [("2.txt", "Sick leave\thas no limit")]
    assert read('[1] "3 days"') == ['[1] "3 days"']  # too short to be sure


@pytest.mark.parametrize(
    "line",
    [
        '[1] "Annual leave is 16 days a year"',
        '[1] "Annual leave is 15 days a year, and more"',
        '[1] "annual leave is 15 days a year"',
        '[1] "Annual leave ... a year"',
        "Annual leave is 15 days a year.",
        "Here is what I found:",
        '"Annual leave is 15 days a year"',
        "[1] Annual leave is 15 days a year",
    ],
)
def test_what_no_passage_holds_word_for_word_is_nobodys(line):
    assert read(line) == [line]


@pytest.mark.parametrize("reply", ["NOT FOUND", "**NOT FOUND**.", "```\n\n---", "", "<think>15"])
def test_nothing_is_nothing(reply):
    assert read(reply) == []


def test_the_same_place_is_quoted_once():
    assert len(read('[1] "15 days"\n[1] "15 days"\n[1] “15  days”')) == 1


@given(st.text(alphabet=st.sampled_from('[]123" \n\t-*“”Annual leave15days.<think>/'), max_size=80))
def test_whatever_comes_each_quote_is_verbatim(reply):
    read(reply)


@pytest.mark.parametrize("filler", [" ", "9", "[1] ", '[1] "', "**", "“", "- ", "\t"])
def test_a_malicious_reply_costs_no_time(filler):
    start = time.process_time()
    read('[1] "' + filler * 20_000 + "x")
    assert time.process_time() - start < 20
