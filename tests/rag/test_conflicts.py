"""Passages that answer a question differently are shown together; others are left alone."""

import pytest

from ingest.document import Chunk, Hit
from rag.answer import Answer
from rag.conflicts import contested, contradictions


def hits(*texts: str, same_source: bool = False) -> list[Hit]:
    return [
        Hit(Chunk("a.txt" if same_source else f"{n}.txt", 0, len(text), text), 1 / (n + 1))
        for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (
            "How long is the notice period?",
            "The notice period of the contract is 3 months.",
            "The notice period of the contract is 6 months.",
        ),
        (
            "Who acquired the company?",
            "In 2012 the company was acquired by Facebook for a billion.",
            "In 2012 the company was acquired by Apple for a billion.",
        ),
        (
            "Are pets allowed in the flat?",
            "Pets are allowed in the flat at any time.",
            "Pets are not allowed in the flat at any time.",
        ),
        (
            "How many people live in the town of Alba?",
            "Some 4,000 people live in the town of Alba.",
            "In the town of Alba, near the river, live 5,200 people.",
        ),
        ("2019年军运会在哪个城市举办", "2019年军运会在武汉举办。", "2019年军运会在成都举办。"),
        ("解約の予告期間は?", "解約の予告期間は三か月とする。", "解約の予告期間は六か月とする。"),
    ],
)
def test_a_different_value_is_a_conflict(question, one, other):
    [conflict] = contradictions(question, hits(one, "Bananas grow fast.", other))
    assert conflict.passages == (1, 3)
    assert conflict.quotes == (one, other)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (  # the same
            "How long is the notice period?",
            "The notice period of the contract is 3 months.",
            "The notice period of the contract is 3 months.",
        ),
        (  # of different things: the question asks for one of them
            "What was the revenue in 2015?",
            "The revenue of the company in 2015 was 5 million.",
            "The revenue of the company in 2016 was 6 million.",
        ),
        (  # other words, not another value
            "How long is the notice period?",
            "The notice period of the contract is clearly 3 months.",
            "The notice period of the contract is usually 3 months.",
        ),
        (
            "Who built the tower?",
            "Ada Jones built the tower in 1901 for the city.",
            "The tower is 40 m high and stands in Porto.",
        ),
    ],
)
def test_what_differs_in_another_way_is_none(question, one, other):
    assert contradictions(question, hits(one, other)) == []


def test_one_document_does_not_contradict_itself():
    texts = ("The fee of the first part is 3 euros.", "The fee of the first part is 6 euros.")
    assert contradictions("What is the fee?", hits(*texts))
    assert not contradictions("What is the fee?", hits(*texts, same_source=True))


def test_an_answer_tells_what_its_passages_contradict_each_other_in():
    texts = ("The fee of the first part is 3 euros.", "The fee of the first part is 6 euros.")
    answer = Answer("What is the fee?", True, hits=tuple(hits(*texts)))
    assert [c.passages for c in contested(answer).conflicts] == [(1, 2)]
    assert contested(Answer("What is the fee?", False)) == Answer("What is the fee?", False)


def headed(*pairs: tuple[str, str]) -> list[Hit]:
    return [
        Hit(Chunk(f"{n}.md", 0, len(text), text, heading=heading), 1 / (n + 1))
        for n, (heading, text) in enumerate(pairs)
    ]


RENT = "The monthly rent of the flat is {} euros."


def test_passages_whose_headings_name_two_things_do_not_contradict_each_other():
    question = "How high is the monthly rent of the flat?"
    two = headed(("Lease: Acme GmbH", RENT.format(900)), ("Lease: Beta AG", RENT.format(700)))
    assert contradictions(question, two) == []
    for other in ("Lease: Acme GmbH", "Lease of 2019", "Prices"):
        [conflict] = contradictions(
            question, headed(("Lease: Acme GmbH", RENT.format(900)), (other, RENT.format(700)))
        )
        assert conflict.passages == (1, 2)


def test_a_passage_without_the_name_that_is_asked_for_contradicts_none_that_has_it():
    question = "What is the monthly rent of the flat of Acme GmbH?"
    of_acme = "Acme GmbH is the tenant.\n" + RENT.format(900)
    assert contradictions(question, hits(of_acme, RENT.format(700))) == []
    assert contradictions(question, hits(of_acme, "Acme GmbH again.\n" + RENT.format(700)))


def test_what_has_nothing_to_do_with_the_question_is_none():
    one = "Visitors must register at the front desk of the house."
    other = "Visitors must not register at the front desk of the house."
    assert contradictions("What was the revenue of the company in 2022?", hits(one, other)) == []
    assert contradictions("Must visitors register?", hits(one, other))


def test_copies_of_a_document_do_not_repeat_a_conflict():
    texts = [RENT.format(900), RENT.format(700), RENT.format(700), RENT.format(900)]
    [conflict] = contradictions("How high is the monthly rent of the flat?", hits(*texts))
    assert conflict.passages == (1, 2)
