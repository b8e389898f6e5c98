"""The reader quotes the sentence that its signals agree on, word for word, or declines."""

from collections.abc import Sequence

import pytest

from backbone.request import Content, Mark, Message
from ingest.document import Chunk, Hit
from rag.reader import Mixture, read, weigh
from tests.fakes import FakeEncoder

TEXT = "Preface. Ada Jones built the tower in 1901. It is high. Bob lives there."
HITS = [
    Hit(Chunk("a.txt", 9, len(TEXT), TEXT[9:], heading="Towers"), 0.9, vector=0.5, coverage=0.8),
    Hit(Chunk("b.txt", 0, 16, "A river is wide."), 0.2),
]
MODEL = (1.0, 0.0, 0.0, 0.0)
MODEL_ONLY = Mixture(MODEL, MODEL, (0.0,) * 8 + (9.0,), 0.5)


class Pointing:
    """A generator that finds the sentence holding some words, and says `<no>` is this likely."""

    name = "pointing"
    context_length = 4096
    abilities = frozenset({"quote", "score"})

    def __init__(self, words: str, nothing: float = -5.0) -> None:
        self.words = words
        self.nothing = nothing
        self.asked: list[Message] = []

    def score(self, messages: Sequence[Message], continuations: Sequence[Content]) -> list[float]:
        self.asked += messages
        sentence, closed = "", {}
        for part in messages[0].content:
            if isinstance(part, str):
                sentence += part
            elif part.token != "<m>":
                closed[part] = sentence
                sentence = ""
        return [
            self.nothing if mark == Mark("<no>") else 0.0 if self.words in closed[mark] else -9.0
            for (mark,) in continuations
        ]


def test_the_quote_is_the_sentence_at_its_place_in_the_document() -> None:
    reading = read(Pointing("Bob"), "Who?", HITS, encoder=FakeEncoder(), mixture=MODEL_ONLY)
    (quote,) = reading.quotes
    assert reading.answered
    assert reading.text == quote.text == "Bob lives there."
    assert TEXT[quote.start : quote.end] == quote.text
    assert quote.hit is HITS[0]


def test_every_signal_can_decide() -> None:
    question = "Who built the tower?"
    for choice, expected in [
        ((1.0, 0.0, 0.0, 0.0), "A river is wide."),
        ((0.0, 1.0, 0.0, 0.0), "Ada Jones built the tower in 1901."),
        ((0.0, 0.0, 1.0, 0.0), "Ada Jones built the tower in 1901."),
    ]:
        mixture = Mixture(choice, MODEL, MODEL_ONLY.support, 0.5)
        reading = read(Pointing("river"), question, HITS, encoder=FakeEncoder(), mixture=mixture)
        assert reading.text == expected


def test_too_little_support_declines_unless_an_answer_is_forced() -> None:
    shy = Mixture(MODEL, MODEL, (0.0,) * 6 + (-1.0, 0.0, 0.0), 0.5)
    sure, unsure = Pointing("Bob", nothing=-8.0), Pointing("Bob", nothing=2.0)
    assert read(sure, "Who?", HITS, encoder=FakeEncoder(), mixture=shy).answered
    reading = read(unsure, "Who?", HITS, encoder=FakeEncoder(), mixture=shy)
    assert (reading.answered, reading.reason, reading.quotes) == (False, "below_threshold", ())
    assert reading.confidence == pytest.approx(0.119, abs=0.001)
    assert read(unsure, "Who?", HITS, encoder=FakeEncoder(), mixture=shy, force=True).answered


def test_scripts_without_short_words_have_weights_of_their_own() -> None:
    overlap = (0.0, 1.0, 0.0, 0.0)
    mixture = Mixture(MODEL, overlap, MODEL_ONLY.support, 0.5)
    hits = [Hit(Chunk("a.txt", 0, 21, "塔は1901年に建てられた。川は広い。"), 0.9)]
    for question, expected in [
        ("塔はいつ建てられたか。", "塔は1901年に建てられた。"),
        ("When?", "川は広い。"),
    ]:
        reading = read(Pointing("川"), question, hits, encoder=FakeEncoder(), mixture=mixture)
        assert reading.text == expected


def test_a_clear_lead_of_one_sentence_is_support() -> None:
    torn = Mixture((0.0,) * 4, MODEL, (0.0,) * 7 + (4.0, -2.0), 0.5)
    clear = Mixture(MODEL, MODEL, torn.support, 0.5)
    evidence = weigh(Pointing("Bob"), "Who?", HITS, encoder=FakeEncoder())
    assert torn.shares(evidence) == [0.25] * 4
    assert torn.confidence(evidence) < 0.5 < clear.confidence(evidence)


def test_hits_without_words_answer_nothing() -> None:
    blank = [Hit(Chunk("a.txt", 0, 3, "…"), 1.0)]
    for hits in ([], blank):
        reading = read(Pointing(""), "Who?", hits, encoder=FakeEncoder(), mixture=MODEL_ONLY)
        assert (reading.answered, reading.reason) == (False, "nothing_found")


def test_the_generator_is_shown_headings_and_asked_once() -> None:
    generator = Pointing("Ada")
    evidence = weigh(generator, "Who built it?", HITS, encoder=FakeEncoder())
    (message,) = generator.asked
    assert "\nTowers:" in message.content
    assert [c.passage for c in evidence.candidates] == [0, 0, 0, 1]
    assert len(evidence.signals) == 4
    assert evidence.support[:2] == (0.8, 0.5)


def test_the_shipped_weights_fit_the_signals() -> None:
    mixture = Mixture.load()
    evidence = weigh(Pointing("Ada"), "Who built it?", HITS, encoder=FakeEncoder())
    assert 0 <= mixture.best(evidence) < 4
    assert 0 < mixture.confidence(evidence) < 1
    assert 0 < mixture.threshold < 1


LONG = (
    "The ferry crosses the bay. It was built in Porto by Ada Jones. Its hull is of steel and oak."
    " The cook sings. It was painted white in Porto by her brother."
)
LEVEL = Mixture((1.0, 3.0, 3.0, 0.0), (1.0, 3.0, 3.0, 0.0), MODEL_ONLY.support, 0.5)


def test_sentences_that_belong_to_an_answer_come_with_it() -> None:
    hits = [Hit(Chunk("a.txt", 5, 5 + len(LONG), LONG), 0.9), HITS[1]]
    question = "How was it built and painted in Porto?"
    reading = read(Pointing("by"), question, hits, encoder=FakeEncoder(), mixture=LEVEL)
    cited = [*reading.quotes, *reading.more, *reading.beside]
    assert reading.text == reading.quotes[0].text
    assert {"built in Porto" in quote.text or "painted" in quote.text for quote in cited[:2]} == {
        True
    }
    assert len(cited) <= 3
    assert all(quote.hit is hits[0] for quote in cited)
    assert all(LONG[q.start - 5 : q.end - 5] == q.text for q in cited)
    assert len({quote.start for quote in cited}) == len(cited)


def test_a_strict_reader_wants_an_answer_that_is_clearly_likelier_than_none() -> None:
    some = Mixture(MODEL, MODEL, (0.0,) * 8 + (-0.5,), 0.2)
    assert read(Pointing("Bob"), "Who?", HITS, encoder=FakeEncoder(), mixture=some).answered
    declined = read(Pointing("Bob"), "Who?", HITS, encoder=FakeEncoder(), mixture=some, strict=True)
    assert declined.reason == "below_threshold"
    assert declined.confidence == pytest.approx(0.378, abs=0.001)


def test_an_only_hit_is_neither_nearer_nor_farther_than_others() -> None:
    one = Hit(HITS[0].chunk, 0.9, vector=0.5, coverage=0.8)
    alone = weigh(Pointing("Bob"), "Who?", [one], encoder=FakeEncoder())
    assert alone.support[2] == 0.15
    many = weigh(Pointing("Bob"), "Who?", [one, *HITS[1:] * 3], encoder=FakeEncoder())
    assert many.support[2] == 0.5


def test_a_sentence_that_has_nothing_of_the_question_does_not_come_with_the_answer() -> None:
    text = "Hello from the first line. One enters 4711 to unlock it."
    hits = [Hit(Chunk("a.txt", 0, len(text), text), 0.9)]
    reading = read(Pointing("4711"), "Which code opens?", hits, encoder=Far(), mixture=MODEL_ONLY)
    cited = [quote.text for quote in (*reading.quotes, *reading.more, *reading.beside)]
    assert cited == ["One enters 4711 to unlock it."]


class Far(FakeEncoder):
    """To which all texts are strangers."""

    def encode_queries(self, texts):
        return 0 * super().encode_queries(texts)
