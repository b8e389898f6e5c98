"""Chat completions: what is asked reaches the model, what it says reaches the client."""

import json

import pytest

from backbone.errors import BackboneError, Busy, GrammarError, Unsupported
from backbone.request import Message, ToolCall
from rag.server.wire import DEFAULT
from tests.rag.server.client import FakeBackbone, serving

HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}
WEATHER = {
    "name": "weather",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = ToolCall("weather", {"city": 'Köln "x"'})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def chat(model=None, **changes):
    model = model or FakeBackbone()
    return serving(model).post("/v1/chat/completions", {**HELLO, **changes}), model


def test_a_reply_has_the_form_that_clients_expect():
    reply, _ = chat()
    assert reply.status == 200
    assert reply.json["object"] == "chat.completion"
    [choice] = reply.json["choices"]
    assert choice["message"]["content"] == "one two three"
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "stop"
    assert reply.json["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_a_stream_says_what_the_whole_reply_says():
    whole, _ = chat()
    streamed, _ = chat(stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    chunks = streamed.chunks
    assert {name for name, _ in streamed.events} == {None}  # Together's client skips named ones
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    assert text == whole.json["choices"][0]["message"]["content"]
    assert [c["choices"][0]["finish_reason"] for c in chunks][-2:] == [None, "stop"]
    assert chunks[-1]["usage"] == whole.json["usage"]
    assert len({c["id"] for c in chunks}) == 1


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for():
    reply, _ = chat(stream=True, stream_options={"include_usage": True})
    *chunks, last = reply.chunks
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 10
    assert all(chunk["usage"] is None for chunk in chunks)


def test_the_conversation_reaches_the_model():
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Köln"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    _, model = chat(messages=messages)
    assert model.asked[0]["messages"] == [
        Message("system", "be brief"),
        Message("user", "ab"),
        Message("assistant", "", tool_calls=(ToolCall("weather", {"city": "Köln"}, "call_1"),)),
        Message("tool", "rain", call_id="call_1"),
    ]


def test_how_to_choose_tokens_reaches_the_model():
    _, model = chat(
        temperature=0, top_p=0.5, top_k=-1, min_p=0.1, repetition_penalty=1.1,
        presence_penalty=1, frequency_penalty=-1, logit_bias={"5": -100}, seed=3,
        stop="END", max_completion_tokens=9,
    )  # fmt: skip
    asked = model.asked[0]
    sampling = asked["sampling"]
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (
        0,
        0.5,
        0,
        0.1,
    )
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (1, -1)
    assert sampling.logit_bias == ((5, -100),)
    assert sampling.repetition_penalty == 1.1
    assert sampling.seed == 3
    assert asked["stop"] == ("END",)
    assert asked["max_tokens"] == 9


def test_what_is_left_out_is_what_lfm2_is_recommended_with():
    _, model = chat()
    assert model.asked[0]["sampling"] == DEFAULT
    assert model.asked[0]["max_tokens"] == model.context_length


def test_several_choices_differ_by_their_seeds_and_count_the_prompt_once():
    reply, model = chat(n=3, seed=5)
    assert [asked["sampling"].seed for asked in model.asked] == [5, 6, 7]
    assert [choice["index"] for choice in reply.json["choices"]] == [0, 1, 2]
    assert reply.json["usage"]["prompt_tokens"] == 7
    assert reply.json["usage"]["completion_tokens"] == 9
    streamed, _ = chat(n=3, seed=5, stream=True)
    ends = [c["choices"][0] for c in streamed.chunks if c["choices"][0]["finish_reason"]]
    assert sorted(choice["index"] for choice in ends) == [0, 1, 2]
    assert [chunk["usage"] is None for chunk in streamed.chunks].count(False) == 1


@pytest.mark.parametrize(
    ("asked", "alternatives"),
    [
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 2}, 2),
        ({"logprobs": 2}, 2),
        ({"logprobs": False}, None),
        ({}, None),
    ],
)
def test_logprobs_are_asked_for_in_either_spelling(asked, alternatives):
    reply, model = chat(**asked)
    assert model.asked[0]["logprobs"] == alternatives
    assert (reply.json["choices"][0]["logprobs"] is None) == (alternatives is None)


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_are_in_openais_form_and_in_togethers(stream):
    reply, _ = chat(logprobs=2, stream=stream)
    choice = (reply.chunks[-1] if stream else reply.json)["choices"][0]
    logprobs = choice["logprobs"]
    assert [token["token"] for token in logprobs["content"]] == ["one", " two", " three"]
    first = logprobs["content"][0]
    assert first["bytes"] == list(b"one")
    assert first["top_logprobs"][1] == {"token": "é", "logprob": -9999.0, "bytes": [195, 169]}
    assert logprobs["tokens"] == ["one", " two", " three"]
    assert logprobs["token_logprobs"] == [-0.5] * 3
    assert logprobs["token_ids"] == [0, 1, 2]
    assert logprobs["top_logprobs"][0] == {"one": -0.5, "é": -9999.0}


@pytest.mark.parametrize(
    ("format_", "schema"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_object", "schema": SCHEMA}, SCHEMA),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, SCHEMA),
        ({"type": "json_schema", "schema": SCHEMA}, SCHEMA),
    ],
)
def test_every_spelling_of_a_format_is_understood(format_, schema):
    _, model = chat(response_format=format_)
    assert model.asked[0]["schema"] == schema
    assert model.asked[0]["grammar"] is None


def test_a_pattern_becomes_a_grammar():
    _, model = chat(response_format={"type": "regex", "pattern": "[0-9]+"})
    assert "[0-9]+" in model.asked[0]["grammar"].lark


@pytest.mark.parametrize(
    "choice", ["auto", "none", "required", {"type": "function", "function": {"name": "weather"}}]
)
def test_tools_reach_the_model(choice):
    _, model = chat(
        tools=[{"type": "function", "function": WEATHER}],
        tool_choice=choice,
        parallel_tool_calls=False,
    )
    asked = model.asked[0]
    assert [tool.as_json() for tool in asked["tools"]] == [WEATHER]
    assert asked["tool_choice"] == (choice if isinstance(choice, str) else "weather")
    assert asked["parallel_calls"] is False


def test_calls_reach_the_client():
    reply, _ = chat(FakeBackbone("", calls=(CALL, CALL)))
    [choice] = reply.json["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    calls = choice["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [CALL.arguments] * 2
    assert len({call["id"] for call in calls}) == 2
    assert [call["index"] for call in calls] == [0, 1]


def test_streamed_calls_come_with_their_name_first_and_then_their_arguments():
    reply, _ = chat(FakeBackbone("", calls=(CALL,)), stream=True)
    deltas = [
        delta
        for chunk in reply.chunks
        for delta in chunk["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert deltas[0]["id"]
    assert deltas[0]["type"] == "function"
    assert deltas[0]["function"] == {"name": "weather", "arguments": ""}
    assert json.loads("".join(d["function"]["arguments"] for d in deltas)) == CALL.arguments
    assert {delta["index"] for delta in deltas} == {0}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (GrammarError("bad schema"), 400, "invalid_grammar"),
        (Unsupported("no tools"), 400, "unsupported"),
        (ValueError("no"), 400, "invalid_value"),
        (Busy("full"), 429, "busy"),
        (BackboneError("closed"), 503, "unavailable"),
        (ZeroDivisionError("secret"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused_at_the_door_has_its_status(error, status, code, stream):
    reply, _ = chat(FakeBackbone(error=error), stream=stream)
    assert reply.status == status
    assert reply.error["code"] == code
    assert "secret" not in reply.error["message"]
    assert ("retry-after" in reply.headers) == (status in (429, 503))


def test_a_failure_on_the_way_is_told_in_the_stream():
    reply, _ = chat(FakeBackbone(late_error=BackboneError("out of memory")), stream=True)
    assert reply.status == 200
    assert reply.events[-1][1]["error"]["message"] == "out of memory"


def test_a_failure_on_the_way_has_its_status_without_a_stream():
    reply, _ = chat(FakeBackbone(late_error=BackboneError("out of memory")))
    assert (reply.status, reply.error["message"]) == (503, "out of memory")


def test_a_prompt_that_cannot_fit_is_refused():
    reply, _ = chat(messages=[{"role": "user", "content": "x" * 30_000}])
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")


def test_more_tokens_than_the_context_has_are_refused_or_cut_as_asked():
    reply, _ = chat(max_tokens=5000)
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
    _, model = chat(max_tokens=5000, context_length_exceeded_behavior="truncate")
    assert model.asked[0]["max_tokens"] == model.context_length


def test_a_model_that_only_quotes_cannot_chat_and_says_what_can():
    reply, _ = chat(FakeBackbone(abilities=("quote", "score")))
    assert reply.status == 400
    assert "rag serve --model" in reply.error["message"]


def test_an_unknown_model_is_not_found_and_the_known_are_named():
    reply = serving().post("/v1/chat/completions", {**HELLO, "model": "gpt"})
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert "tiny" in reply.error["message"]


@pytest.mark.parametrize("field", ["user", "metadata", "store", "service_tier", "prompt_cache_key"])
def test_harmless_fields_are_accepted(field):
    reply, _ = chat(**{field: "x"})
    assert reply.status == 200


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"frobnicate": 1}, "frobnicate"),
        ({"functions": []}, "functions"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.user"),
        ({"stop": [""]}, "stop"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "poem"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "name"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"seed": 0.5}, "seed"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(changes, named):
    reply, model = chat(**changes)
    assert reply.status == 400, reply.body
    assert reply.error["type"] == "invalid_request_error"
    assert named in reply.error["message"]
    assert not model.asked


def test_everything_is_also_where_togethers_client_looks_for_it():
    reply = serving().post("/v1/v1/chat/completions", HELLO)
    assert reply.status == 200
