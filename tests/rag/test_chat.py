"""A conversation: its turns, and saving and loading it."""

import json
import threading

import pytest

from backbone.request import Stream
from rag import Chat, Rag, RagError
from rag.ground import NOT_FOUND
from tests.fakes import FakeEncoder, FakeGenerator

CACHE = "# Cache\n\nKeys and values take\n12 KB per token.\n"
REPLY = '[1] "values take 12 KB per token."'


@pytest.fixture
def rag(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cache.md").write_text(CACHE, encoding="utf-8")
    with Rag.open(tmp_path / ".rag", generator=FakeGenerator(), encoder=FakeEncoder()) as rag:
        rag.index([tmp_path / "docs"])
        yield rag


def test_each_question_is_asked_after_those_before_it(rag):
    rag.generator.replies = [REPLY, NOT_FOUND, REPLY]
    chat = rag.chat()
    first = chat.ask("How large is the cache?")
    assert chat.ask("Who won the cup?").reason == "not_in_passages"
    chat.ask("Per what?")
    assert [turn.question for turn in chat.turns] == [
        "How large is the cache?",
        "Who won the cup?",
        "Per what?",
    ]
    assert chat.turns[0].answer is first
    assert [m.role for m in chat.history] == ["user", "assistant", "user", "user", "assistant"]
    said = str(rag.generator.requests[-1][0][-1].content)
    assert said.count("Earlier question: ") == 2


def test_a_streamed_answer_becomes_a_turn_once_it_is_complete(rag):
    rag.generator.replies = [REPLY]
    chat = rag.chat()
    stream = chat.stream("How large is the cache?")
    assert not chat.turns
    assert "".join(stream) == stream.result().text
    assert [turn.answer for turn in chat.turns] == [stream.result()]


def test_an_answer_that_was_stopped_is_no_turn_and_its_request_is_cancelled(rag):
    cancelled, stream = threading.Event(), Stream()
    writing = Stream(on_cancel=cancelled.set)
    writing.push('[1] "values take 12 KB per token."\n')
    rag.generator.submit = lambda messages, **_: writing
    chat = rag.chat()
    stream = chat.stream("How large is the cache?")
    next(stream.sentences())
    stream.close()
    assert cancelled.is_set()
    assert not chat.turns


def test_a_question_that_fails_leaves_the_conversation_as_it_was(rag):
    rag.generator.replies = [REPLY]
    chat = rag.chat(where="color=red")
    with pytest.raises(ValueError, match="color"):
        chat.ask("How large is the cache?")
    chat.where = None
    chat.ask("How large is the cache?")
    assert len(chat.turns) == 1


def test_a_saved_conversation_comes_back_as_it_was(rag, tmp_path):
    rag.generator.replies = [REPLY, NOT_FOUND]
    chat = rag.chat()
    chat.ask("How large is\u2028the “cache”?")
    chat.ask("誰が勝った？")
    chat.save(tmp_path / "talk.jsonl")
    back = Chat.load(tmp_path / "talk.jsonl", rag, where="source=docs/*")
    assert back.where == "source=docs/*"
    assert [t.question for t in back.turns] == [t.question for t in chat.turns]
    assert [t.time for t in back.turns] == [t.time for t in chat.turns]
    for one, two in zip(back.turns, chat.turns, strict=True):
        assert one.answer.to_json() == two.answer.to_json()
        assert one.answer.citations == two.answer.citations
    assert back.history == chat.history
    back.save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "talk.jsonl").read_bytes()


def test_an_empty_conversation_can_be_saved(rag, tmp_path):
    rag.chat().save(tmp_path / "talk.jsonl")
    assert Chat.load(tmp_path / "talk.jsonl", rag).turns == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda turn: "{", "no JSON"),
        (lambda turn: "", "no JSON"),
        (lambda turn: "[]", "must be an object"),
        (lambda turn: json.dumps({"question": "x"}), "time is missing|answer is missing"),
        (lambda turn: json.dumps(turn | {"mood": "good"}), "mood is unknown"),
        (lambda turn: json.dumps(turn | {"question": 5}), "question must be a text, not 5"),
        (lambda turn: _with(turn, "text", None), r"answer\.text must be a text"),
        (lambda turn: _with(turn, "reason", "bored"), r"answer\.reason must be one of"),
        (lambda turn: _with(turn, "citations", [{}]), r"answer\.citations\[0\]\.number is missing"),
        (lambda turn: _with(turn, "passages", [{"score": "x"}]), r"passages\[0\]\.score"),
    ],
)
def test_a_line_that_is_no_turn_is_named(rag, tmp_path, change, said):
    rag.generator.replies = [REPLY, REPLY]
    chat = rag.chat()
    chat.ask("How large is the cache?")
    chat.ask("Really?")
    path = tmp_path / "talk.jsonl"
    chat.save(path)
    good, bad = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{good}\n{change(json.loads(bad))}\n", encoding="utf-8")
    with pytest.raises(RagError, match=f"line 2: .*(?:{said})"):
        Chat.load(path, rag)


def _with(turn, name, value):
    return json.dumps(turn | {"answer": turn["answer"] | {name: value}})


def test_a_file_in_another_encoding_is_named(rag, tmp_path):
    (tmp_path / "talk.jsonl").write_bytes(b'{"question": "\xff"}\n')
    with pytest.raises(RagError, match="line 1: it is not UTF-8"):
        Chat.load(tmp_path / "talk.jsonl", rag)
