"""Sentences are found in nine languages, and ranked by what they repeat of a question."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import rank, split, terms, weight


def texts(text: str) -> list[str]:
    return [text[start:end] for start, end in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two. Three four! Five?", ["One two.", "Three four!", "Five?"]),
        (
            "Dr. A. B. Smith paid 3.5 euros. He left.",
            ["Dr. A. B. Smith paid 3.5 euros.", "He left."],
        ),
        ("Am 3. Mai kam er. Sie ging.", ["Am 3. Mai kam er.", "Sie ging."]),
        ("It opened at 15. The door was red.", ["It opened at 15.", "The door was red."]),
        ("今日は雨だ。明日は晴れる！", ["今日は雨だ。", "明日は晴れる！"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("هل وصل؟ نعم وصل.", ["هل وصل؟", "نعم وصل."]),
        ("a title\n\nand a line\f next page", ["a title", "and a line", "next page"]),
        ("비가 왔다. 그래서 집에 있었다.", ["비가 왔다.", "그래서 집에 있었다."]),
        ("*** --- ***", []),
        (
            "The ferry leaves from pier 4 at 08:40 and the last boat leaves at\n17:55. Wear shoes.",
            [
                "The ferry leaves from pier 4 at 08:40 and the last boat leaves at\n17:55.",
                "Wear shoes.",
            ],
        ),
        (
            "Name: Ada Lovelace; Born: 1815; Field: mathematics\nName: Alan Turing; Born: 1912",
            [
                "Name: Ada Lovelace; Born: 1815; Field: mathematics",
                "Name: Alan Turing; Born: 1912",
            ],
        ),
        (
            "The shop is closed on these days:\n1. Sundays\n2. Mondays\nOtherwise come by.",
            ["The shop is closed on these days:\n1. Sundays\n2. Mondays", "Otherwise come by."],
        ),
        (
            "1. Sundays\n2. Mondays",
            ["1. Sundays", "2. Mondays"],
        ),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@given(st.text(alphabet=st.sampled_from("ab .!?。\n\f,; 漢字-()3"), max_size=1500))
def test_spans_are_in_order_trimmed_short_and_lose_no_letter(text: str) -> None:
    spans = split(text)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert all(text[a:b] == text[a:b].strip() and a < b for a, b in spans)
    assert all(weight(text[a:b]) <= 400 for a, b in spans)
    covered = {i for a, b in spans for i in range(a, b)}
    assert all(i in covered for i, c in enumerate(text) if c.isalnum())


def test_terms_fold_case_and_inflection_and_pair_cjk_characters() -> None:
    assert [t.key for t in terms("Regulations regulation")] == ["regula", "regula"]
    assert [t.key for t in terms("東京都")] == ["東京", "京都"]
    assert [t.key for t in terms("東")] == ["東"]
    text = "in 東京 Bay"
    assert [text[t.start : t.end] for t in terms(text)] == ["in", "東京", "Bay"]


def test_the_sentence_that_repeats_the_rarest_words_comes_first() -> None:
    passages = [
        "The house was built in 1900. The house is red. The garden of the house is small.",
        "The architect of the tower was Ada Jones. The tower is high.",
    ]
    best = rank("Who was the architect of the tower?", passages)[0]
    assert best.text == "The architect of the tower was Ada Jones."
    assert passages[best.passage][best.start : best.end] == best.text
    matched = [best.text[a:b] for a, b in best.matches]
    assert matched == ["architect"]  # the others are not rare among these sentences


def test_a_heading_lends_weight_to_its_passage() -> None:
    passages = ["It opened in 1901.", "It opened in 1955."]
    assert rank("When did the museum open?", passages, [None, "The museum"])[0].passage == 1


def test_no_passage_or_no_words_gives_no_candidate() -> None:
    assert rank("anything", []) == []
    assert rank("anything", ["…", "  "]) == []
    assert {c.overlap for c in rank("?!", ["Some words."])} == {0.0}


def test_a_line_that_leads_in_stays_with_what_it_leads_to() -> None:
    text = "Open at these times:\n\nMonday 9 to 5.\nTuesday closed."
    found = [text[start:end] for start, end in split(text)]
    assert found == ["Open at these times:\n\nMonday 9 to 5.", "Tuesday closed."]


def test_questions_and_headings_are_no_answers() -> None:
    passage = "Resetting the valve\n\nHow is the valve reset? Hold the button. It clicks."
    heading = "Manual > Resetting the valve"
    found = [c.text for c in rank("How is the valve reset?", [passage], [heading])]
    assert found == ["Hold the button.", "It clicks."]
    assert [c.text for c in rank("Who?", ["Who is it?"])] == ["Who is it?"]


def test_a_title_that_a_file_carries_in_its_text_is_no_answer() -> None:
    for title in ("## Sick leave", "title: Employee handbook", "Subject: Sick leave"):
        found = rank("What of sick leave?", [f"{title}\n\nA note is needed from day three."])
        assert [c.text for c in found] == ["A note is needed from day three."]
