"""Proposed questions hold what they say, over a real index."""

import json

import pytest

from rag import Rag
from rag.propose import propose
from rag.testset import read_cases
from tests.fakes import FakeEncoder, FakeGenerator

TEXTS = {
    "boats.txt": "The last boat of the day leaves the island at 17:55 from pier four. "
    "The ferry company was founded by Elsa Lindholm after the long war.",
    "books.txt": "The harbour library keeps 48,200 books on its three floors. "
    "The reading room will be closed for painting before 21 July.",
    'odd "name".txt': "The odd one has been repaired 99 times since the flood.",
    "休假.txt": "职工累计工作已满十年不满二十年的，年休假为10天，按规定享受。",
    "津浪.txt": "その年の三月三日に起った現象は「三陸大津浪」と呼ばれている。",
    "twice.txt": "The pump is run for 77 minutes on every morning of the week.\n\n" * 2,
}


@pytest.fixture
def index(tmp_path):
    """Opens an index of these texts with a generator; the built-in's abilities without one."""
    docs = tmp_path / "docs"
    docs.mkdir()
    opened = []

    def index(texts=TEXTS, generator=None):
        for name, text in texts.items():
            (docs / name).write_text(text, encoding="utf-8")
        generator = generator or FakeGenerator(abilities=("quote", "score"))
        rag = Rag.open(tmp_path / ".rag", encoder=FakeEncoder(), generator=generator)
        opened.append(rag)
        rag.index([docs])
        return rag

    yield index
    for rag in opened:
        rag.close()


def test_each_proposal_is_a_line_that_holds(index):
    rag = index()
    made = propose(rag, 20)
    cases, wrong = read_cases([one.to_json() for one in made])
    assert (len(cases), wrong) == (len(made), [])
    for one in made:
        text = " ".join(rag.text(one.source).split())
        assert one.quote in text
        assert one.answer in one.quote
        assert one.answer not in one.question
    found = rag.evaluate([one.to_json() for one in made], retrieval_only=True)
    assert found.measures["recall"].mean == 1


def test_proposals_are_spread_over_languages_and_documents(index):
    sources = [one.source for one in propose(index(), 4)]
    assert len(set(sources)) == 4
    assert {"docs/休假.txt", "docs/津浪.txt"} <= set(sources[:3])


def test_a_seed_gives_the_same_again_and_another_seed_others(index):
    rag = index()
    assert propose(rag, 3, seed=1) == propose(rag, 3, seed=1)
    assert len({tuple(propose(rag, 3, seed=seed)) for seed in range(6)}) > 1


def test_what_stands_twice_or_cannot_be_filtered_is_not_asked_about(index):
    quotes = " ".join(one.quote for one in propose(index(), 50))
    assert "77 minutes" not in quotes
    assert "99 times" not in quotes


def test_every_fifth_is_to_be_declined_with_its_document_left_out(index):
    made = propose(index(), 5)
    assert [one.left_out for one in made] == [False] * 4 + [True]
    line = made[-1].to_json()
    assert line["answerable"] is False
    assert "answers" not in line
    assert "source" not in line
    assert line["where"] == f'source!="{made[-1].source}"'


def test_a_question_that_another_document_answers_too_is_not_to_be_declined(index):
    texts = {
        f"{n}.txt": f"Report {n}x says boats of the {n} fleet leave at 17:55." for n in "abcde"
    }
    assert not [one for one in propose(index(texts), 5) if one.left_out]


def reply(question, quote, answer):
    return json.dumps({"question": question, "quote": quote, "answer": answer})


ONE = {"boats.txt": "The last boat of the day leaves the island at 17:55 from\npier four. Mind it."}


def test_a_generator_that_fills_schemas_writes_the_questions(index):
    said = reply(
        "When is the way home cut off?", "leaves the island at 17:55 from pier four", "17:55"
    )
    generator = FakeGenerator(said, abilities=("chat", "quote", "schema"))
    [one] = propose(index(ONE, generator), 1)
    assert one.question == "When is the way home cut off?"
    assert (one.quote, one.answer) == ("leaves the island at 17:55 from pier four", "17:55")
    assert "fake" in one.note
    [(messages, grammar)] = generator.requests
    assert grammar is not None
    assert "17:55" not in str(messages[0])


@pytest.mark.parametrize(
    "said",
    [
        reply("When is it?", "leaves the island at 18:00", "18:00"),
        reply("When is it?", "leaves the island at 17:55", "18:00"),
        reply("Is it at 17:55?", "leaves the island at 17:55", "17:55"),
        '{"question": "When',
        '["no"]',
        '{"question": 3, "quote": "a", "answer": "b"}',
    ],
)
def test_what_it_writes_wrongly_is_left_out_for_a_gap(index, said):
    generator = FakeGenerator(said, abilities=("chat", "quote", "schema"))
    [one] = propose(index(ONE, generator), 1)
    assert one.question.startswith("The last boat of the day leaves the island at ____")


def test_progress_is_told_and_an_empty_index_has_nothing_to_propose(index):
    heard = []
    made = propose(index(), 2, progress=lambda *told: heard.append(told))
    assert heard == [(n, 2, one.question) for n, one in enumerate(made)]


def test_documents_without_prose_have_nothing_to_propose(index):
    assert propose(index({"a.txt": "nothing here\n"}), 3) == []
