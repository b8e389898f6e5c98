"""Questions about many documents: a line for each that answers, and what was looked through."""

from __future__ import annotations

import re

import pytest

from rag import Rag, Unsupported
from rag.answering import SWEPT
from rag.ground import NOT_FOUND
from rag.prompt import content_text
from rag.sweep import MOST
from tests.fakes import FakeEncoder, FakeGenerator

BIRDS = ("heron", "egret", "stork", "crane", "ibis", "kite", "dove", "rook")


class Attentive(FakeGenerator):
    """Quotes a word (a pattern) of every passage that it is shown and that has it."""

    def __init__(self, word: str, **options) -> None:
        super().__init__(**options)
        self.word = word

    def submit(self, messages, **options):
        said = []
        for line in content_text(messages[-1].content).split("\n"):
            number, _, rest = line.partition("]")
            if number[:1] == "[" and (found := re.search(self.word, rest)):
                said.append(f'{number}] "{found[0]}"')
        self.replies = ["\n".join(said) or NOT_FOUND]
        return super().submit(messages, **options)


@pytest.fixture
def open_rag(tmp_path):
    """Opens an index over contracts, one a bird; every second one has a deposit."""
    opened = []

    def open_rag(generator, *, count=8, padding=""):
        folder = tmp_path / "contracts"
        folder.mkdir()
        for number in range(count):
            bird = f"{BIRDS[number % 8]} number {number}"
            paid = "A deposit of 90 crowns is due." if number % 2 else "Nothing is due."
            text = f"The contract about the {bird} holds. {paid} {padding}It ends in May.\n"
            (folder / f"{number:02}.txt").write_text(text, encoding="utf-8")
        rag = Rag.open(tmp_path / ".rag", generator=generator, encoder=FakeEncoder())
        opened.append(rag)
        rag.index([folder])
        return rag

    yield open_rag
    for rag in opened:
        rag.close()


def cited(answer):
    return sorted(citation.source[-6:-4] for citation in answer.citations)


def test_every_document_that_answers_has_a_line_with_its_name_and_quote(open_rag):
    rag = open_rag(Attentive("deposit"))
    answer = rag.ask("Which of these contracts mention a deposit?", k=1)
    assert cited(answer) == ["01", "03", "05", "07"]
    assert [s.text for s in answer.sentences] == [f"{c.source}: deposit" for c in answer.citations]
    for citation in answer.citations:
        assert rag.text(citation.source)[citation.start : citation.end] == citation.quote
    assert answer.notes == ("looked through 8 of 8 documents, those that fit best; 4 matched",)


def test_documents_are_asked_a_few_at_a_time(open_rag):
    rag = open_rag(Attentive("deposit"))
    rag.ask("Which contracts mention a deposit?")
    asked = [content_text(m[-1].content).count("The contract") for m, _ in rag.generator.requests]
    assert max(asked) <= SWEPT
    assert sum(asked) == 8


def test_a_context_too_small_for_a_few_documents_leaves_none_out(open_rag):
    generator = Attentive("deposit")
    generator.context_length = 250
    rag = open_rag(generator)
    assert cited(rag.ask("Which contracts mention a deposit?")) == ["01", "03", "05", "07"]
    assert len(generator.requests) > 2


def test_a_document_that_was_cut_to_fit_is_asked_again_whole(open_rag):
    generator = Attentive("May")
    generator.context_length = 400
    rag = open_rag(generator, padding="Both sides keep what they know of each other secret. " * 9)
    assert cited(rag.ask("Which contracts end in May?")) == [f"{n:02}" for n in range(8)]


def test_a_document_has_one_line_however_much_of_it_is_quoted(open_rag, tmp_path):
    rag = open_rag(Attentive("deposit"))
    parts = "A deposit is due at once. " * 45, "Another deposit is due later. " * 45
    (tmp_path / "long.txt").write_text("\n\n".join(parts), encoding="utf-8")
    rag.index([tmp_path / "long.txt"])
    answer = rag.ask("Which contracts mention a deposit?")
    assert sum("long.txt" in sentence.text for sentence in answer.sentences) == 1


def test_what_a_model_on_a_server_makes_up_is_no_line(open_rag):
    rag = open_rag(Attentive("deposit", abilities=("chat",)))
    said = ['[1] "deposit"\n[2] "a fee of ten crowns for the boat"', NOT_FOUND]
    rag.generator.submit = lambda messages, **options: FakeGenerator(said.pop(0)).submit(messages)
    answer = rag.ask("Which contracts mention a deposit?")
    assert len(answer.citations) == 1
    assert [s.text for s in answer.sentences if not s.supported] == [
        '[2] "a fee of ten crowns for the boat"'
    ]


def test_a_single_document_is_read_as_ever(open_rag):
    rag = open_rag(Attentive("holds"), count=1)
    answer = rag.ask("Which contracts mention herons?")
    assert answer.answered
    assert answer.notes == ()


def test_a_counting_question_ends_with_the_number(open_rag):
    answer = open_rag(Attentive("deposit")).ask("How many documents mention a deposit?")
    assert answer.sentences[-1].text == "4 of 8 documents"
    assert answer.sentences[-1].citations == (1, 2, 3, 4)


def test_a_count_says_what_it_leaves_open(open_rag, tmp_path):
    rag = open_rag(Attentive("contract"), count=MOST + 3)
    answer = rag.ask("How many of my contracts mention a contract that holds?")
    assert answer.sentences[-1].text == f"at least {MOST} of {MOST + 3} documents"


def test_a_document_that_denies_it_is_counted_apart(open_rag, tmp_path):
    rag = open_rag(Attentive("(?:A|No) deposit"))
    (tmp_path / "no.txt").write_text("No deposit is due for this one.", encoding="utf-8")
    rag.index([tmp_path / "no.txt"])
    answer = rag.ask("How many documents mention a deposit?")
    assert "No deposit" in [citation.quote for citation in answer.citations]
    assert answer.sentences[-1].text == "4 of 9 documents, and 1 that denies it"


def test_a_filter_bounds_what_is_searched(open_rag):
    rag = open_rag(Attentive("deposit"))
    answer = rag.ask("Which contracts mention a deposit?", where="source!=*/03.txt")
    assert cited(answer) == ["01", "05", "07"]
    assert answer.notes[0].startswith("looked through 7 of 7 documents")


def test_of_more_than_can_be_read_the_rest_is_counted(open_rag):
    rag = open_rag(Attentive("contract"), count=MOST + 3)
    answer = rag.ask("Which of my contracts mention a contract that holds?")
    assert len(answer.citations) == MOST
    assert answer.notes[0].endswith("; 3 more may match and were not read")


def test_where_no_document_is_let_through_nothing_is_found(open_rag):
    rag = open_rag(Attentive("deposit"))
    answer = rag.ask("Which contracts mention a deposit?", where="source=*.pdf", sweep=True)
    assert (answer.answered, answer.reason) == (False, "nothing_found")


def test_a_question_like_any_other_is_not_swept(open_rag):
    rag = open_rag(Attentive("deposit"))
    answer = rag.ask("What deposit is due?", k=2)
    assert len(rag.generator.requests) == 1
    assert len(answer.hits) == 2
    assert answer.notes == ()


def test_a_sweep_can_be_asked_for_and_declined(open_rag):
    rag = open_rag(Attentive("deposit"))
    assert cited(rag.ask("What deposit is due?", sweep=True, k=1)) == ["01", "03", "05", "07"]
    assert len(rag.ask("Which contracts mention a deposit?", k=2, sweep=False).hits) == 2
    with pytest.raises(Unsupported, match="schema"):
        rag.ask("What deposit is due?", sweep=True, schema={"type": "object"})


def test_a_sweep_that_finds_nothing_by_itself_gives_way_to_the_usual_answer(open_rag):
    rag = open_rag(Attentive("unicorn"))
    answer = rag.ask("Which contracts mention a unicorn?", k=2)
    assert (answer.answered, answer.reason, len(answer.hits)) == (False, "not_in_passages", 2)
    assert answer.notes == ("looked through 8 of 8 documents, those that fit best; none matched",)
    asked = rag.ask("Which contracts mention a unicorn?", sweep=True)
    assert (asked.answered, len(asked.hits)) == (False, 8)


def test_the_built_in_reader_points_at_a_sentence_of_each_document(open_rag):
    rag = open_rag("builtin")
    answer = rag.ask("Which of these contracts mention a deposit of crowns?")
    assert cited(answer) == ["01", "03", "05", "07"]
    assert {c.quote for c in answer.citations} == {"A deposit of 90 crowns is due."}
    named = rag.ask("Which contracts mention the stork?")
    assert [c.quote for c in named.citations] == ["The contract about the stork number 2 holds."]
    assert not rag.ask("Which contracts mention stork number 5?", sweep=True).answered
    assert len(rag.ask("Which contracts were about the stork?", sweep=True).citations) == 1
