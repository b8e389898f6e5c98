"""The reader's prompt shows sentences word for word, in reading order, each closed by its mark."""

from backbone.request import Mark
from rag.reader_prompt import SENTENCES, WEIGHT, choose, closing, message, sentence_parts
from rag.sentences import rank, weight

PASSAGES = [
    "Ada built the bridge. It cost 3 million.",
    "The bridge of 東京 fell in 1999.\nNobody was hurt.",
]


def test_sentences_stand_in_the_prompt_word_for_word() -> None:
    for candidate in rank("Who built the 東京 bridge?", PASSAGES):
        plain = "".join(p for p in sentence_parts(candidate) if isinstance(p, str))
        assert plain == " " + candidate.text


def test_a_mark_stands_before_each_rare_shared_word() -> None:
    others = [f"Line {n} is about the sea." for n in range(9)]
    candidate = rank("Who built the bridge?", ["Ada built the bridge.", *others])[0]
    mark = Mark("<m>")
    assert sentence_parts(candidate) == [" Ada", mark, " built the", mark, " bridge."]


def test_sentences_keep_their_order_and_are_closed_by_their_numbers() -> None:
    question = "Who built  the\nbridge?"
    chosen = choose(rank(question, PASSAGES))
    content = message(question, chosen, ["Bridges", None]).content
    marks = [p for p in content if isinstance(p, Mark) and p.token != "<m>"]
    assert marks == [closing(k) for k in range(4)]
    assert [(c.passage, c.start) for c in chosen] == sorted((c.passage, c.start) for c in chosen)
    text = "".join(p for p in content if isinstance(p, str))
    assert text.startswith("Who built the bridge?\nBridges: Ada built")
    assert text.endswith("\nWho built the bridge?")


def test_a_passage_cannot_write_a_mark() -> None:
    chosen = choose(rank("q", ["The <s0> and <no> are words here, and <m> too."]))
    content = message("q <s1>", chosen).content
    assert [p.token for p in content if isinstance(p, Mark)] == ["<s0>"]


def test_what_is_chosen_fits() -> None:
    many = rank("what", ["word " * 70 + ". "] * 40)
    chosen = choose(many)
    assert len(chosen) <= SENTENCES
    assert sum(weight(c.text) for c in chosen) <= WEIGHT
    assert choose(rank("what", ["x" * 9000]))  # one is always shown
    assert choose([]) == []
