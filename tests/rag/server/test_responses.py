"""The Responses protocol: items in, items out, the events of a stream, and what is remembered."""

import json

import pytest

from backbone.errors import BackboneError
from backbone.request import Message, ToolCall
from rag.server.stored import Stored, Turn
from tests.rag.server.client import FakeBackbone, serving

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
CALL = ToolCall("weather", {"city": "Köln"})
URL = "/v1/responses"


def respond(model=None, **changes):
    model = model or FakeBackbone()
    return serving(model).post(URL, {"model": "tiny", "input": "hello", **changes}), model


def test_a_response_has_the_form_that_clients_expect():
    reply, model = respond(instructions="Be brief.", metadata={"a": "b"}, max_output_tokens=5)
    body = reply.json
    assert (body["object"], body["status"]) == ("response", "completed")
    [item] = body["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    [part] = item["content"]
    assert (part["type"], part["text"], part["annotations"]) == ("output_text", "one two three", [])
    assert body["usage"]["input_tokens_details"] == {"cached_tokens": 4}
    assert body["usage"]["total_tokens"] == 10
    assert body["metadata"] == {"a": "b"}
    assert model.asked[0]["messages"] == [Message("system", "Be brief."), Message("user", "hello")]
    assert model.asked[0]["max_tokens"] == 5


def test_the_events_of_a_stream_build_up_the_response():
    reply, _ = respond(stream=True)
    names = [name for name, _ in reply.events]
    assert names[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert names[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    values = [value for _, value in reply.events]
    assert [value["type"] for value in values] == names
    assert [value["sequence_number"] for value in values] == list(range(len(values)))
    said = "".join(v["delta"] for v in values if v["type"] == "response.output_text.delta")
    final = values[-1]["response"]
    assert said == final["output"][0]["content"][0]["text"] == "one two three"
    assert values[0]["response"]["id"] == final["id"]
    assert final["status"] == "completed"


def test_calls_are_items_and_come_back_as_items():
    reply, model = respond(
        FakeBackbone("", calls=(CALL,)),
        tools=[TOOL],
        tool_choice={"type": "function", "name": "weather"},
    )
    [item] = reply.json["output"]
    assert (item["type"], item["name"]) == ("function_call", "weather")
    assert json.loads(item["arguments"]) == CALL.arguments
    assert model.asked[0]["tool_choice"] == "weather"
    output = {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"}
    given = [{"role": "user", "content": "weather?"}, item, output]
    _, model = respond(input=given)
    call = ToolCall("weather", CALL.arguments, item["call_id"])
    assert model.asked[0]["messages"] == [
        Message("user", "weather?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "rain", call_id=item["call_id"]),
    ]


def test_a_streamed_call_is_announced_filled_and_done():
    reply, _ = respond(FakeBackbone("", calls=(CALL, CALL)), stream=True, tools=[TOOL])
    values = [value for _, value in reply.events]
    kinds = [v["type"].removeprefix("response.") for v in values]
    one = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert kinds == ["created", "in_progress", *one, *one, "completed"]
    assert [v["output_index"] for v in values if "output_index" in v] == [0] * 4 + [1] * 4
    assert json.loads(values[3]["delta"]) == CALL.arguments


def test_messages_of_every_kind_are_understood():
    given = [
        {"type": "message", "role": "developer", "content": "brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {
            "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        },
        {"role": "user", "content": "again"},
    ]  # fmt: skip
    _, model = respond(input=given)
    assert model.asked[0]["messages"] == [
        Message("system", "brief"),
        Message("user", "hi"),
        Message("assistant", "hello"),
        Message("user", "again"),
    ]


def test_a_conversation_goes_on_from_what_is_stored_without_its_instructions():
    client = serving(model := FakeBackbone())
    first = client.post(URL, {"model": "tiny", "input": "a", "instructions": "Be brief."}).json
    body = {"model": "tiny", "input": "b", "previous_response_id": first["id"]}
    client.post(URL, body)
    assert model.asked[1]["messages"] == [
        Message("user", "a"),
        Message("assistant", "one two three"),
        Message("user", "b"),
    ]
    assert client.get(f"{URL}/{first['id']}").json == first


def test_what_is_not_stored_or_forgotten_is_not_there():
    client = serving()
    kept = client.post(URL, {"model": "tiny", "input": "a"}).json["id"]
    loose = client.post(URL, {"model": "tiny", "input": "a", "store": False}).json["id"]
    assert client.request("DELETE", f"{URL}/{kept}").json["deleted"] is True
    for gone in (kept, loose, "resp_never"):
        assert client.get(f"{URL}/{gone}").status == 404
        assert client.request("DELETE", f"{URL}/{gone}").status == 404
        body = {"model": "tiny", "input": "b", "previous_response_id": gone}
        reply = client.post(URL, body)
        assert (reply.status, reply.error["code"]) == (400, "previous_response_not_found")


def test_memory_of_responses_is_bounded_and_forgets_the_least_used():
    stored = Stored(most=2, characters=10_000)
    turn = Turn({"id": "x"}, (Message("user", "x"),))
    stored.put("a", turn)
    stored.put("b", turn)
    assert stored.get("a")
    stored.put("c", turn)
    assert [stored.get(id_) is not None for id_ in "abc"] == [True, False, True]
    stored.put("huge", Turn({}, (Message("user", "x" * 20_000),)))
    assert stored.get("huge") is None
    stored.put("d", turn)
    assert stored.get("d")


def test_a_format_becomes_a_schema():
    schema = {"type": "object"}
    format_ = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    reply, model = respond(text={"format": format_})
    assert model.asked[0]["schema"] == schema
    assert reply.json["text"]["format"]["schema"] == schema


def test_logprobs_come_when_they_are_asked_for():
    reply, model = respond(include=["message.output_text.logprobs"], top_logprobs=2)
    [part] = reply.json["output"][0]["content"]
    assert model.asked[0]["logprobs"] == 2
    assert [token["token"] for token in part["logprobs"]] == ["one", " two", " three"]


def test_a_reply_that_was_cut_says_so():
    reply, _ = respond(FakeBackbone(finish="length"))
    assert reply.json["status"] == "incomplete"
    assert reply.json["incomplete_details"] == {"reason": "max_output_tokens"}
    streamed, _ = respond(FakeBackbone(finish="length"), stream=True)
    assert streamed.events[-1][0] == "response.incomplete"


def test_a_failure_on_the_way_is_an_event():
    reply, _ = respond(FakeBackbone(late_error=BackboneError("no memory")), stream=True)
    name, value = reply.events[-1]
    assert name == "response.failed"
    assert value["response"]["error"]["message"] == "no memory"
    reply, _ = respond(FakeBackbone(late_error=BackboneError("no memory")))
    assert reply.status == 503


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input"),
        (
            {"input": [{"type": "message", "role": "user", "content": [{"type": "input_image"}]}]},
            "input",
        ),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"frobnicate": 1}, "frobnicate"),
        (
            {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "["}]},
            "JSON",
        ),
    ],
)
def test_what_is_not_understood_is_refused_by_name(changes, named):
    reply, model = respond(**changes)
    assert reply.status == 400
    assert named in reply.error["message"]
    assert not model.asked
