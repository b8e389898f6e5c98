"""A model on a server: what is sent, what comes back, and what is said when it goes wrong."""

import pytest

from backbone.errors import Busy, PromptTooLong
from backbone.grammar import Grammar
from backbone.request import Mark, Message, Sampling, ToolCall
from rag import Rag
from rag.errors import RagError, RemoteError, Unsupported
from rag.generator import load_generator
from rag.outgoing import schema_to_json
from rag.remote import Address, RemoteGenerator
from tests.fakes import FakeEncoder
from tests.rag.played import PlayedModel, refused, said

pytest.importorskip("openai")

HELLO = [Message("system", "Be brief."), Message("user", "Hello")]
LEAVE = "Annual leave is\n15 days a year, for all of the staff. It’s taken in summer – mostly."


@pytest.fixture
def play():
    """Starts a server that gives these answers; returns it."""
    running = []

    def start(*answers):
        server = PlayedModel(*answers).__enter__()
        running.append(server)
        return server

    yield start
    for server in running:
        server.__exit__()


def speak(server, **options):
    return RemoteGenerator.open(f"{server.address}#tiny", key="secret", **options)


def test_a_reply_streams_and_is_counted(play):
    server = play(said("Hel", "lo"))
    stream = speak(server).submit(HELLO, max_tokens=9, stop=["."])
    assert list(stream) == ["Hel", "lo"]
    done = stream.result()
    assert (done.text, done.finish_reason) == ("Hello", "stop")
    assert (done.prompt_tokens, done.completion_tokens) == (7, 3)
    [(path, headers, body)] = server.requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer secret"
    assert body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 9,
        "temperature": 0.0,
        "stop": ["."],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_sampling_schema_and_tools_are_sent_as_the_api_has_them(play):
    server = play(said("{}"))
    tool = {"name": "find", "description": "", "parameters": {"type": "object"}}
    sampling = Sampling(temperature=0.5, top_k=7, seed=3, logit_bias=((5, 1.0),))
    speak(server).submit(
        HELLO,
        sampling=sampling,
        schema={"type": "object"},
        tools=[tool],
        tool_choice="find",
        parallel_calls=False,
    ).result()
    [(_, _, body)] = server.requests
    assert (body["temperature"], body["seed"]) == (0.5, 3)
    assert body["top_k"] == 7
    assert body["logit_bias"] == {"5": 1.0}
    assert "min_p" not in body
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["tools"] == [{"type": "function", "function": tool}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "find"}}
    assert body["parallel_tool_calls"] is False


def test_calls_come_in_pieces_and_go_back_with_their_results(play):
    def call(index, **parts):
        return {"tool_calls": [{"index": index, **parts}]}

    first = {"name": "find", "arguments": '{"q": '}
    pieces = [
        call(0, id="a", type="function", function=first),
        call(0, function={"arguments": '"x"}'}),
        call(1, id="b", type="function", function={"name": "stop", "arguments": ""}),
    ]
    server = play(said(*pieces, reason="tool_calls"), said("done"))
    generator = speak(server)
    done = generator.submit(HELLO).result()
    assert done.finish_reason == "tool_calls"
    assert done.tool_calls == (ToolCall("find", {"q": "x"}, "a"), ToolCall("stop", {}, "b"))
    turn = Message("assistant", "", tool_calls=done.tool_calls[:1])
    generator.submit([*HELLO, turn, Message("tool", "found", call_id="a")]).result()
    *_, asked, answered = server.requests[-1][2]["messages"]
    function = {"name": "find", "arguments": '{"q": "x"}'}
    assert asked["tool_calls"] == [{"id": "a", "type": "function", "function": function}]
    assert answered == {"role": "tool", "content": "found", "tool_call_id": "a"}


def test_arguments_that_are_no_json_are_an_error(play):
    bad = {"tool_calls": [{"index": 0, "function": {"name": "find", "arguments": "q=x"}}]}
    stream = speak(play(said(bad, reason="tool_calls"))).submit(HELLO)
    with pytest.raises(RemoteError, match="find with what is no JSON object"):
        stream.result()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refused(401), RemoteError, "401.*set RAG_API_KEY"),
        (refused(404, "no such model"), RemoteError, r"404 \(no such model\).*'tiny'.*end in /v1"),
        (refused(429, "slow down"), Busy, "too many requests.*slow down"),
        (refused(500, "oh"), RemoteError, "500.*try again later"),
        (refused(400, "x", code="context_length_exceeded"), PromptTooLong, "does not fit"),
        (
            refused(400, "This model's maximum context length is 4096 tokens"),
            PromptTooLong,
            "does not fit the context",
        ),
        (
            refused(307, headers={"location": "http://127.0.0.1:1/"}),
            RemoteError,
            "redirects to http://127.0.0.1:1/, and nothing was sent there",
        ),
    ],
)
def test_what_the_server_refuses_is_raised_at_the_door(play, answer, error, message):
    with pytest.raises(error, match=message):
        speak(play(answer)).submit(HELLO)


def test_a_redirect_is_not_followed(play):
    other = play(said("I have it all"))
    redirect = refused(307, headers={"location": f"{other.address}/chat/completions"})
    with pytest.raises(RemoteError, match="redirects"):
        speak(play(redirect)).submit(HELLO)
    assert other.requests == []


def test_too_many_requests_once_is_tried_again(play):
    server = play(refused(429, headers={"x-should-retry": "true"}), said("Hello"))
    assert speak(server).submit(HELLO).result().text == "Hello"
    assert len(server.requests) == 2


def test_a_connection_that_is_refused_says_so():
    nobody = RemoteGenerator.open("http://127.0.0.1:9/v1#tiny", retries=0)
    with pytest.raises(
        RemoteError, match=r"cannot reach http://127\.0\.0\.1:9/v1.*refused.*running"
    ):
        nobody.submit(HELLO)


def test_a_server_that_says_nothing_is_not_waited_for(play):
    server = play(said("Hel", reason=None) | {"silent": 2, "break": True})
    stream = speak(server, silence=0.2, retries=0).submit(HELLO)
    with pytest.raises(RemoteError, match="said nothing for too long"):
        stream.result(10)


@pytest.mark.parametrize(
    "answer",
    [
        said("Hel", reason=None) | {"break": True},
        said("Hel", reason=None),
        said() | {"raw": [b"data: {not json\n\n"]},
        said() | {"raw": [b"<html>hello</html>"]},
        said() | {"raw": [b"data: [1, 2]\n\n"]},
        said() | {"raw": [b'data: {"error": {"message": "out of memory"}}\n\n']},
    ],
    ids=["cut off", "no end", "no json", "a web page", "no object", "an error"],
)
def test_a_reply_that_is_not_whole_is_an_error_and_never_an_answer(play, answer):
    stream = speak(play(answer), retries=0).submit(HELLO)
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1"):
        stream.result(10)


def test_what_a_server_says_cannot_steer_the_terminal(play):
    with pytest.raises(RemoteError) as raised:
        speak(play(refused(400, "\x1b[2Jgone"))).submit(HELLO)
    assert "\x1b" not in str(raised.value)


def test_a_server_cannot_send_without_end(play):
    stream = speak(play(said(*["x" * 10_000] * 3))).submit(HELLO, max_tokens=100)
    with pytest.raises(RemoteError, match="far more than it was asked for"):
        stream.result(10)


def test_cancelling_hangs_up(play):
    server = play(said("Hel", "lo", reason=None) | {"hang": 20})
    stream = speak(server).submit(HELLO)
    assert next(iter(stream)) == "Hel"
    stream.cancel()
    assert stream.result(5).finish_reason == "cancelled"
    assert server.gone.wait(10)


def test_the_context_is_what_the_server_says_or_a_usual_one(play):
    server = play()
    assert speak(server).context_length == 4321
    server.models = [{"id": "tiny", "context_length": 99}]
    assert speak(server).context_length == 99
    server.models = "none"
    assert speak(server).context_length == 32_768


def test_what_cannot_be_done_there_is_refused_before_anything_is_sent(play):
    generator = speak(play())
    for asked in (
        lambda: generator.submit(HELLO, grammar=Grammar('start: "x"')),
        lambda: generator.submit("raw"),
        lambda: generator.submit(HELLO, logprobs=1),
        lambda: generator.submit([Message("user", (Mark("<s0>"),))]),
        lambda: generator.score(HELLO, ["x"]),
    ):
        with pytest.raises(Unsupported):
            asked()


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("https://api.example.com/v1#a/b", "https://api.example.com/v1"),
        ("https://api.example.com#a", "https://api.example.com/v1"),
        ("https://api.example.com/openai/v2/#a", "https://api.example.com/openai/v2"),
        ("http://localhost:8000#a", "http://localhost:8000/v1"),
        ("http://[::1]:8000/v1#a", "http://[::1]:8000/v1"),
    ],
)
def test_an_address_names_a_server_and_a_model(name, base):
    address = Address.parse(name)
    assert (address.base, address.model) == (base, name.partition("#")[2])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("https://host/v1", "name the model behind the address: https://host/v1#MODEL"),
        ("https:///v1#a", "no address"),
        ("https://me:secret@host/v1#a", "RAG_API_KEY"),
        ("https://host/v1?key=1#a", "RAG_API_KEY"),
        ("http://host/v1#a", "use https://, or say --plain-http"),
        ("http://192.168.0.9/v1#a", "for all on the way to read"),
        ("http://localhost.example.com/v1#a", "for all on the way to read"),
    ],
)
def test_an_address_that_will_not_do_says_why(name, message):
    with pytest.raises(RagError, match=message) as raised:
        Address.parse(name)
    assert "secret" not in str(raised.value)


def test_plain_http_elsewhere_is_to_be_insisted_on():
    assert Address.parse("http://host/v1#a", plain_http=True).base == "http://host/v1"


def test_a_name_with_an_address_is_a_model_on_a_server():
    assert isinstance(load_generator("https://host/v1#a"), RemoteGenerator)


@pytest.fixture
def ask(play, tmp_path):
    """Asks an index of one document, with these replies of the server; returns the answer."""

    def ask(*answers):
        server = play(*answers)
        (tmp_path / "leave.txt").write_text(LEAVE)
        generator = speak(server, retries=0)
        with Rag.open(tmp_path / ".rag", encoder=FakeEncoder(), generator=generator) as rag:
            rag.index([tmp_path])
            answer = rag.ask("How long is annual leave?")
            text = rag.text("leave.txt")
        assert all(text[c.start : c.end] == c.quote for c in answer.citations)
        return answer

    return ask


def test_what_it_quotes_is_cited_where_it_stands(ask):
    answer = ask(said('[1] "Annual leave is 15 days', ' a year"\n[1] "It\'s taken in summer"'))
    assert answer.answered
    assert [c.quote for c in answer.citations] == [
        "Annual leave is\n15 days a year",
        "It’s taken in summer",
    ]
    assert all(sentence.supported for sentence in answer.sentences)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 3)


def test_what_it_invents_is_left_out_and_said_so(ask):
    answer = ask(said('[1] "15 days a year"\n[1] "and 3 days of rest"\n[1] "15 days a month"'))
    assert answer.text == "15 days a year"
    assert [c.quote for c in answer.citations] == ["15 days a year"]
    left_out = [s for s in answer.sentences if not s.supported]
    assert [s.text for s in left_out] == ['[1] "and 3 days of rest"', '[1] "15 days a month"']
    assert not [s for s in left_out if s.citations]


def test_an_answer_of_inventions_alone_is_none(ask):
    answer = ask(said("Annual leave is 40 days, as everybody knows."))
    assert (answer.answered, answer.reason, answer.text) == (False, "not_in_passages", "")
    assert [s.supported for s in answer.sentences] == [False]
    assert answer.to_json()["sentences"][0]["supported"] is False


def test_an_object_under_a_schema_comes_with_its_quotes(play, tmp_path):
    server = play(said('[1] "15 days a year"'), said('{"days": 15}'))
    properties = {"days": {"type": "integer"}}
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["days"],
        "additionalProperties": False,
    }
    (tmp_path / "leave.txt").write_text(LEAVE)
    with Rag.open(tmp_path / ".rag", encoder=FakeEncoder(), generator=speak(server)) as rag:
        rag.index([tmp_path])
        answer = rag.ask("How long is annual leave?", schema=schema)
    assert answer.data == {"days": 15}
    assert [c.quote for c in answer.citations] == ["15 days a year"]
    wanted = server.requests[1][2]["response_format"]["json_schema"]
    assert wanted["strict"] is True
    open_ended = {**schema, "additionalProperties": True}
    assert schema_to_json(open_ended)["response_format"]["json_schema"]["strict"] is False


def test_a_connection_lost_in_the_middle_is_an_error(ask):
    with pytest.raises(RemoteError):
        ask(said('[1] "15 days', reason=None) | {"break": True})


def test_fewer_passages_are_sent_when_they_do_not_fit(play, tmp_path):
    too_long = refused(400, code="context_length_exceeded")
    server = play(too_long, said("NOT FOUND"))
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"Annual leave in {name} is 15 days.")
    with Rag.open(tmp_path / ".rag", encoder=FakeEncoder(), generator=speak(server)) as rag:
        rag.index([tmp_path])
        assert rag.ask("How long is annual leave?").reason == "not_in_passages"
    sizes = [len(body["messages"][1]["content"]) for _, _, body in server.requests]
    assert sizes[0] > sizes[1]
