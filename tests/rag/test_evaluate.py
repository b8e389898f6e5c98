"""An evaluation over a real index, with a generator that says what the test tells it."""

import json

import pytest

from rag import Rag
from rag.errors import QuestionsError, RemoteError
from rag.evaluation import MEASURES, Evaluation
from rag.ground import NOT_FOUND
from tests.fakes import FakeEncoder, FakeGenerator

CACHE = "# Cache\n\nKeys and values take 12 KB per token.\n\n# Weights\n\nWeights take 2 GB.\n"
LEAVE = "Annual leave is 15 days.\n"
KEYS = "Keys and values take 12 KB per token."
QUESTIONS = [
    {
        "question": "keys and values per token",
        "answers": ["12 KB"],
        "source": "docs/cache.md",
        "quote": "take 12 KB per token",
    },
    {"question": "how long is annual leave", "answers": ["15 days"], "source": "docs/leave.txt"},
    {"question": "who built the Eiffel Tower"},
]


class Knowing(FakeGenerator):
    """Quotes the text that belongs to a question; NOT FOUND without one. Or raises it."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def submit(self, messages, **options):
        prompt = "".join(str(part) for message in messages for part in message.content)
        said = next((text for asked, text in self.said.items() if asked in prompt), None)
        if isinstance(said, BaseException):
            raise said
        line = next((x for x in prompt.splitlines() if said and said in x), "")
        self.replies = [f'{line.split(" ")[0]} "{said}"' if line else NOT_FOUND]
        return super().submit(messages, **options)


@pytest.fixture
def evaluated(tmp_path):
    """Evaluates questions against two documents; `said` is what is quoted for which question."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "cache.md").write_text(CACHE, encoding="utf-8")
    (docs / "leave.txt").write_text(LEAVE, encoding="utf-8")

    def evaluated(questions, said=(), *, generator=None, **options):
        generator = generator or Knowing(dict(said))
        encoder = FakeEncoder("builtin")  # as the reader expects
        with Rag.open(tmp_path / ".rag", encoder=encoder, generator=generator) as rag:
            rag.index([docs])
            return rag.evaluate(questions, **options)

    return evaluated


def means(evaluation):
    return {key: found.mean for key, found in evaluation.measures.items()}


def test_right_answers_and_rightly_declined_questions_have_full_marks(evaluated):
    said = {"keys and values": "12 KB", "annual leave": "15 days"}
    found = evaluated(QUESTIONS, said)
    assert found.complete
    assert [result.right for result in found.results] == [True, True, True]
    wanted = dict.fromkeys((m.key for m in MEASURES), 1.0) | {"declined_wrongly": 0.0}
    assert means(found).keys() == wanted.keys()
    assert {k: v for k, v in means(found).items() if k != "precision"} == {
        k: v for k, v in wanted.items() if k != "precision"
    }
    assert means(found)["precision"] == pytest.approx(1 / 6)
    assert found.measures["right"].count == 3
    assert found.measures["holds"].count == 2


def test_wrong_silent_and_talkative_answers_are_told_apart(evaluated):
    said = {"keys and values": "Weights take 2 GB.", "Eiffel": "15 days"}
    wrong, silent, talkative = evaluated(QUESTIONS, said).results
    assert wrong.answered
    assert wrong.values["holds"] == 0
    assert (wrong.values["citation_precision"], wrong.values["citation_recall"]) == (0, 0)
    assert [part.right for part in wrong.citations] == [False]
    assert (silent.answered, silent.reason) == (False, "not_in_passages")
    assert silent.values["declined_wrongly"] == 1
    assert silent.values["f1"] == 0
    assert "citation_precision" not in silent.values
    assert talkative.values == {"declined_rightly": 0.0, "right": 0.0}
    assert [r.right for r in (wrong, silent, talkative)] == [False, False, False]


def test_the_right_place_with_the_wrong_words_is_not_right(evaluated):
    asked = QUESTIONS[0] | {"quote": KEYS}
    [result] = evaluated([asked], {"keys and values": "Keys and values"}).results
    assert result.values["citation_recall"] == 1
    assert result.right is False


def test_without_accepted_answers_the_right_place_is_right(evaluated):
    asked = {"question": "keys and values per token", "source": "docs/cache.md", "quote": KEYS}
    [cited] = evaluated([asked], {"keys and values": "12 KB"}).results
    assert cited.right
    assert "holds" not in cited.values
    [elsewhere] = evaluated([asked], {"keys and values": "Weights take 2 GB."}).results
    assert elsewhere.right is False


def test_recall_and_precision_are_of_the_passages_that_are_read(evaluated):
    asked = {"question": "12 KB per token", "source": "docs/leave.txt"}
    [read] = evaluated([asked], retrieval_only=True, k=3).results
    assert (read.values["recall"], read.values["precision"]) == (1, pytest.approx(1 / 3))
    [cut] = evaluated([asked], retrieval_only=True, k=1).results
    assert (cut.values["recall"], cut.values["precision"]) == (0, 0)
    assert cut.values["ndcg"] == read.values["ndcg"] > 0
    assert cut.values["mrr"] == read.values["mrr"] > 0


def test_a_reader_s_confidence_is_kept(evaluated):
    reader = FakeGenerator(abilities=("quote", "score"))
    results = evaluated(QUESTIONS, generator=reader).results
    assert all(0 <= result.confidence <= 1 for result in results)
    assert evaluated(QUESTIONS).results[0].confidence is None


def test_what_was_found_and_cited_is_kept_for_each_question(evaluated):
    [first, *_] = evaluated(QUESTIONS, {"keys and values": "12 KB"}).results
    assert first.passages[0].source == "docs/cache.md"
    assert first.passages[0].right
    assert sum(part.right for part in first.passages) == 1
    [citation] = first.citations
    assert (citation.text, citation.right) == ("12 KB", True)
    assert CACHE[citation.start : citation.end] == "12 KB"
    assert list(first.seconds) == ["retrieve", "first", "total"]


def test_only_retrieval_asks_no_generator(evaluated):
    found = evaluated(QUESTIONS, {"keys": RemoteError("asked")}, retrieval_only=True)
    assert set(means(found)) == {"ndcg", "recall", "mrr", "precision"}
    assert found.facts.model is None
    assert [result.right for result in found.results] == [True, True, None]
    assert not found.errors
    assert list(found.seconds) == ["retrieve"]


def test_a_filter_of_a_question_holds(evaluated):
    asked = QUESTIONS[1] | {"where": "source!=docs/leave.txt"}
    [result] = evaluated([asked], {"annual leave": "15 days"}).results
    assert not result.answered
    assert result.values["recall"] == 0
    assert {part.source for part in result.passages} == {"docs/cache.md"}


def test_a_question_that_cannot_be_asked_stops_no_other_and_counts_as_neither(evaluated):
    said = {"keys and values": RemoteError("gone"), "Eiffel": RemoteError("gone")}
    found = evaluated(QUESTIONS, said)
    first, second, third = found.results
    assert (first.error, second.error, third.error) == ("gone", None, "gone")
    assert first.values["declined_wrongly"] == 0
    assert first.values["holds"] == 0
    assert third.values["declined_rightly"] == 0
    assert found.errors == [first, third]
    assert first.values["recall"] == 1


def test_stopping_keeps_what_was_measured(evaluated):
    found = evaluated(QUESTIONS, {"annual leave": KeyboardInterrupt()})
    assert not found.complete
    assert [result.case.question for result in found.results] == [QUESTIONS[0]["question"]]


def test_nothing_is_asked_of_a_set_with_mistakes(evaluated):
    said = {"keys and values": AssertionError("was asked")}
    wrong = {"question": "x", "source": "docs/leaf.txt"}
    with pytest.raises(QuestionsError, match=r"line 2: .*did you mean docs/leave.txt"):
        evaluated([QUESTIONS[0], wrong], said)


def test_progress_is_told_before_each_question(evaluated):
    heard = []
    evaluated(QUESTIONS, progress=lambda *told: heard.append(told))
    assert heard == [(n, 3, q["question"]) for n, q in enumerate(QUESTIONS)]


def test_the_json_says_what_makes_runs_comparable_and_reads_back_the_same(evaluated, tmp_path):
    found = evaluated(QUESTIONS, {"keys and values": "12 KB"}, k=3)
    assert (found.facts.k, found.facts.encoder, found.facts.model) == (3, "builtin", "fake")
    assert found.facts.generation > 0
    assert found.facts.documents == 2
    found.save(tmp_path / "run.json")
    assert Evaluation.load(tmp_path / "run.json") == found
    stored = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert list(stored) == ["format", "facts", "complete", "measures", "seconds", "questions"]
    assert stored == json.loads(json.dumps(found.to_json()))


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 99}',
        "[]",
        "nonsense",
        '{"format": 1}',
        '{"format": 1, "facts": {"no": 1}, "complete": true, "questions": []}',
        '{"format": 1, "facts": {}, "complete": true, "questions": [3]}',
    ],
)
def test_a_file_that_is_no_run_is_refused_with_what_to_do(tmp_path, text):
    path = tmp_path / "old.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(QuestionsError, match="--save"):
        Evaluation.load(path)


def test_lines_that_are_wrong_and_lines_that_name_what_is_not_there_are_told_together(evaluated):
    rows = [
        {"question": "a", "source": "docs/nope.md"},
        {"question": "b", "sauce": "c"},
        {"question": "d", "source": "docs/cache.md", "page": 9},
    ]
    with pytest.raises(QuestionsError) as error:
        evaluated(rows)
    assert [line[:7] for line in str(error.value).splitlines()] == ["line 1:", "line 2:", "line 3:"]
