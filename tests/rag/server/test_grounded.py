"""Answers out of the index, in chat completions, responses and `/v1/ask`."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from inspect import signature

import pytest

from backbone.errors import Busy
from backbone.request import Completion, Stream
from ingest.errors import IngestError
from rag import Rag
from rag.answer import Sentence
from rag.draft import AnswerStream
from rag.generator import Generator
from rag.ground import NOT_FOUND
from rag.server.asking import Askers, Asking
from rag.server.generations import Generations
from rag.server.watched import Watched
from tests.fakes import FakeEncoder, FakeGenerator
from tests.rag.server.client import serving

TEXT = "Keys and values take\n12 KB per token. Weights [1] take 2 GB.\n"
REPLY = '[1] "Weights [1] take 2 GB."\n[1] "values take 12 KB per token."'
QUESTION = [{"role": "user", "content": "What do weights take?"}]


@pytest.fixture
def rag(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cache size.md").write_text(TEXT, encoding="utf-8")
    generator = FakeGenerator(REPLY)
    with Rag.open(tmp_path / ".rag", generator=generator, encoder=FakeEncoder()) as rag:
        rag.index([tmp_path / "docs"])
        yield rag


def chat(rag, **changes):
    return serving(rag=rag).post(
        "/v1/chat/completions", {"model": "ragbone", "messages": QUESTION, **changes}
    )


def test_citations_are_marks_in_the_text_and_data_beside_it(rag):
    message = chat(rag).json["choices"][0]["message"]
    assert message["content"] == ("Weights [1] take 2 GB. [1]\nvalues take 12 KB per token. [2]")
    assert message["answered"] is True
    first, second = message["citations"]
    assert first["quote"] == "Weights [1] take 2 GB."
    assert rag.text(second["source"])[second["start"] : second["end"]] == second["quote"]
    for citation, annotation in zip(message["citations"], message["annotations"], strict=True):
        assert annotation["type"] == "url_citation"
        inner = annotation["url_citation"]
        mark = message["content"][inner["start_index"] : inner["end_index"]]
        assert mark == f"[{citation['number']}]"
        assert inner["url"] == "docs/cache%20size.md"
    assert message["annotations"][0]["url_citation"]["start_index"] == 23  # not the document's own


def test_a_streamed_answer_is_the_whole_one(rag):
    whole = chat(rag).json["choices"][0]["message"]
    rag.generator.replies = [REPLY]
    chunks = chat(rag, stream=True).chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == whole["content"]
    assert deltas[-1]["citations"] == whole["citations"]
    assert deltas[-1]["annotations"] == whole["annotations"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["prompt_tokens"] == 10


def test_no_answer_says_so_in_words_and_as_data(rag):
    for stream in (False, True):
        rag.generator.replies = [NOT_FOUND]
        reply = chat(rag, stream=stream)
        if stream:
            deltas = [chunk["choices"][0]["delta"] for chunk in reply.chunks]
            text, message = "".join(d.get("content", "") for d in deltas), deltas[-1]
        else:
            message = reply.json["choices"][0]["message"]
            text = message["content"]
        assert text == "The documents do not contain the answer."
        assert (message["answered"], message["reason"]) == (False, "not_in_passages")
        assert message["citations"] == []


def test_what_has_no_effect_is_said(rag):
    earlier = [{"role": "system", "content": "Be brief."}, *QUESTION]
    warnings = chat(rag, temperature=0.5, max_tokens=5, messages=earlier).json["warnings"]
    assert "temperature, max_tokens" in warnings[0]
    assert "system" in warnings[1]


SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What do weights take?"},
    {"role": "assistant", "content": "The documents do not contain the answer."},
    {"role": "user", "content": [{"type": "text", "text": "And keys?"}]},
    {"role": "assistant", "content": "12 KB per token. [1]"},
]


def test_a_follow_up_is_understood_after_the_earlier_messages(rag, monkeypatch):
    histories = []
    search = rag.search

    def noted(query, *, history=(), **options):
        histories.append([(m.role, m.content) for m in history])
        return search(query, history=history, **options)

    monkeypatch.setattr(rag, "search", noted)
    follow_up = {"role": "user", "content": "Per what?"}
    assert chat(rag, messages=[*SAID, follow_up]).status == 200
    said = str(rag.generator.requests[-1][0][-1].content)
    assert said.index("Earlier question: And keys?") < said.index("Question: Per what?")
    assert histories == [
        [
            ("user", "What do weights take?"),
            ("user", "And keys?"),
            ("assistant", "12 KB per token. [1]"),
        ]
    ]


def test_responses_go_on_after_the_earlier_ones(rag):
    client = serving(rag=rag)
    first = client.post("/v1/responses", {"model": "ragbone", "input": "What do weights take?"})
    rag.generator.replies = [REPLY]
    again = {"model": "ragbone", "input": "Why?", "previous_response_id": first.json["id"]}
    assert client.post("/v1/responses", again).status == 200
    said = str(rag.generator.requests[-1][0][-1].content)
    assert "Earlier question: What do weights take?" in said


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n": 2}, "n"),
        ({"stop": "x"}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "regex", "pattern": "x"}}, "pattern"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "question"),
        ({"messages": [{"role": "user", "content": " "}]}, "question"),
    ],
)
def test_what_quotes_cannot_do_is_refused_by_name(rag, changes, named):
    reply = chat(rag, **changes)
    assert reply.status == 400
    assert named in reply.error["message"]
    assert not rag.generator.requests


def test_ask_gives_the_json_of_the_command(rag):
    reply = serving(rag=rag).post("/v1/ask", {"question": "What do weights take?", "k": 3})
    assert reply.status == 200
    rag.generator.replies = [REPLY]
    answer = rag.ask("What do weights take?", k=3).to_json()
    assert {**reply.json, "timings": None} == {**answer, "timings": None}


def test_ask_takes_what_was_said_before(rag):
    asked = {"question": "Per what?", "history": [{"role": "user", "content": "And keys?"}]}
    assert serving(rag=rag).post("/v1/ask", asked).status == 200
    said = str(rag.generator.requests[-1][0][-1].content)
    assert "Earlier question: And keys?" in said
    wrong = {**asked, "history": [{"role": "system", "content": "Obey."}]}
    assert serving(rag=rag).post("/v1/ask", wrong).status == 400


def test_ask_streams_sentences_and_then_the_answer(rag):
    reply = serving(rag=rag).post("/v1/ask", {"question": "What?", "stream": True})
    (first, one), (second, two), (last, answer) = reply.events
    assert [first, second, last] == ["sentence", "sentence", "answer"]
    assert [one["text"], two["text"]] == [s["text"] for s in answer["sentences"]]
    assert one["citations"] == [1]
    assert answer["answered"] is True


@pytest.mark.parametrize(
    "body",
    [{}, {"question": ""}, {"question": " "}, {"question": "x", "k": 0}, {"question": "x", "q": 1}],
)
def test_a_question_that_is_none_is_refused(rag, body):
    assert serving(rag=rag).post("/v1/ask", body).status == 400


def test_a_filter_that_is_none_is_the_clients_fault(rag):
    reply = serving(rag=rag).post("/v1/ask", {"question": "x", "where": "color=red"})
    assert reply.status == 400
    assert "color" in reply.error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_index_that_fails_is_told_as_that(rag, monkeypatch, stream):
    def fail(*args, **kwargs):
        raise IngestError("the index is gone")

    monkeypatch.setattr(rag, "search", fail)
    reply = chat(rag, stream=stream)
    assert reply.status == (200 if stream else 503)
    error = reply.events[-1][1]["error"] if stream else reply.error
    assert error["message"] == "the index is gone"


def test_without_an_index_there_is_no_ragbone():
    client = serving()
    reply = client.post("/v1/ask", {"question": "x"})
    assert (reply.status, "--index" in reply.error["message"]) == (400, True)
    reply = client.post("/v1/chat/completions", {"model": "ragbone", "messages": QUESTION})
    assert reply.status == 404


def test_responses_carry_the_citations_as_annotations(rag):
    reply = serving(rag=rag).post(
        "/v1/responses", {"model": "ragbone", "input": "What do weights take?"}
    )
    [item] = reply.json["output"]
    [part] = item["content"]
    assert part["text"].endswith("[2]")
    first = part["annotations"][0]
    assert first["type"] == "file_citation"
    assert first["filename"] == "cache size.md"
    assert part["text"][first["index"] :].startswith("[1]")
    assert reply.json["citations"][0]["quote"] == "Weights [1] take 2 GB."


def test_a_question_whose_asker_left_is_not_answered_to_its_end():
    closed = threading.Event()

    def steps():
        try:
            while True:
                yield Sentence("x", (1,), True)
        finally:
            closed.set()

    async def leave():
        asking = Asking(lambda: AnswerStream(steps()))
        running = asyncio.get_running_loop().run_in_executor(None, asking.run)
        async for _ in asking.sentences():
            break
        asking.cancel()
        await asyncio.wait_for(running, 5)

    asyncio.run(leave())
    assert closed.is_set()


def test_too_many_questions_are_told_to_come_back():
    go_on = threading.Event()

    def ask():
        go_on.wait()
        raise IngestError("over")

    async def crowd(pool):
        askers, started = Askers(pool, waiting=2), Generations()
        first, second = askers.ask(ask, started), askers.ask(ask, started)
        with pytest.raises(Busy):
            askers.ask(ask, started)
        go_on.set()
        for asking in (first, second):
            with pytest.raises(IngestError):
                await asking.result()
        await asyncio.sleep(0.05)
        with pytest.raises(IngestError):
            await askers.ask(ask, started).result()

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(asyncio.wait_for(crowd(pool), 5))


def test_an_asker_who_leaves_frees_the_generator_at_once(tmp_path):
    class Holding(FakeGenerator):
        def submit(self, messages, **options):
            self.started = Stream(lambda: self.started.finish(Completion("", "cancelled")))
            began.set()
            return self.started

    began, generator = threading.Event(), Holding()
    (tmp_path / "a.md").write_text(TEXT, encoding="utf-8")

    async def leave(rag):
        asking = Asking(lambda: rag.stream("weights?"))
        running = asyncio.get_running_loop().run_in_executor(None, asking.run)
        while not began.is_set():
            await asyncio.sleep(0.01)
        assert not generator.started.done
        asking.cancel()
        assert generator.started.done
        await asyncio.wait_for(running, 5)

    watched = Watched(generator)
    with Rag.open(tmp_path / ".rag", generator=watched, encoder=FakeEncoder()) as rag:
        rag.index([tmp_path / "a.md"])
        asyncio.run(leave(rag))


def test_a_question_taken_back_before_its_turn_is_not_asked():
    async def take_back():
        asking = Asking(lambda: pytest.fail("it was asked"))
        asking.cancel()
        await asyncio.get_running_loop().run_in_executor(None, asking.run)

    asyncio.run(take_back())


def test_a_watched_generator_asks_for_all_that_the_generator_takes():
    assert signature(Watched.submit) == signature(Generator.submit)
    assert signature(Watched.score) == signature(Generator.score)
