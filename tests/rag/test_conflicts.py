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
