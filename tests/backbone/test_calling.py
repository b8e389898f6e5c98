"""A reply that may call tools: its text streams, its calls are read, and it keeps to the choice."""

import json

import pytest

from backbone.calling import CallReader
from backbone.errors import CallError, GrammarError, Unsupported
from backbone.grammar import Grammar
from backbone.reply import Reply
from backbone.request import Message, Sampling, Stream, ToolCall
from backbone.tokenizer import Tokenizer
from backbone.tools import Tool

ASK = [Message("user", "Where is it warm?")]
CITY = Tool(
    "city",
    "Its weather.",
    {
        "properties": {"name": {"enum": ["Paris", "Rome"]}, "days": {"enum": [1, 2]}},
        "required": ["name"],
    },
)
NOW = Tool("now", "The time.", {"properties": {}})
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]}


def wild(backbone, *, seed, **options):
    options.setdefault("tools", [CITY, NOW])
    options.setdefault("max_tokens", 60)
    return backbone.submit(ASK, sampling=Sampling(temperature=4, seed=seed), **options)


@pytest.mark.parametrize("choice", ["required", "city"])
def test_a_required_call_is_made_and_is_valid(backbone, choice):
    names = set()
    for seed in range(8):
        stream = wild(backbone, seed=seed, tool_choice=choice, max_tokens=900)
        completion = stream.result()
        assert "".join(stream) == completion.text == ""
        if completion.finish_reason == "length":  # 64 calls in one block
            continue
        assert completion.finish_reason == "tool_calls"
        names |= {call.name for call in completion.tool_calls}
        ids = [call.id for call in completion.tool_calls]
        assert len(set(ids)) == len(ids) and all(id.startswith("call_") for id in ids)
        for call in completion.tool_calls:
            assert call.arguments.get("name", "Rome") in ("Paris", "Rome")
    assert names == ({"city"} if choice == "city" else {"city", "now"})


def test_one_call_at_a_time_when_asked(backbone):
    for seed in range(6):
        completion = wild(
            backbone, seed=seed, tool_choice="required", parallel_calls=False
        ).result()
        assert len(completion.tool_calls) == 1


def test_with_choice_none_there_are_no_calls_and_the_tools_stay_in_the_prompt(backbone):
    shown = wild(backbone, seed=0, tool_choice="none").result()
    hidden = wild(backbone, seed=0, tools=[]).result()
    assert shown.tool_calls == () and shown.prompt_tokens > hidden.prompt_tokens
    assert "<|tool_call" not in shown.text


def test_a_schema_beside_tools_means_json_or_calls(backbone):
    reasons = set()
    for seed in range(10):
        completion = wild(backbone, seed=seed, schema=SCHEMA, max_tokens=900).result()
        reasons.add(completion.finish_reason)
        if completion.finish_reason == "stop":
            assert json.loads(completion.text) == {"a": 1} and not completion.tool_calls
    assert {"tool_calls", "stop"} <= reasons


def test_a_schema_alone_is_a_grammar_of_json(backbone):
    assert json.loads(backbone.submit(ASK, schema=SCHEMA).result().text) == {"a": 1}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grammar": Grammar.regex("a")}, ValueError, "a grammar says all"),
        ({"tool_choice": "other"}, ValueError, "'other' is neither"),
        ({"tools": [], "tool_choice": "required"}, ValueError, "no tools were given"),
        ({"tools": [NOW, NOW]}, ValueError, "two tools are named now"),
        ({"schema": 3}, GrammarError, "mapping or a pydantic"),
        ({"tools": [Tool("f", "", {"properties": {}, "minProperties": 1})]}, GrammarError, "minP"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_runs(backbone, options, error, message):
    with pytest.raises(error, match=message):
        wild(backbone, seed=0, **options)


def test_raw_text_and_readers_have_no_tools(backbone, reader):
    with pytest.raises(ValueError, match="raw text"):
        backbone.submit("text", tools=[NOW])
    with pytest.raises(Unsupported, match="not made to call tools"):
        reader.submit(ASK, tools=[NOW])


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder)


def told(tokenizer, text, *, bare=True, reason="stop", stop=()):
    """What a stream gets of a reply, by pieces, and its completion."""
    stream = Stream()
    calls = CallReader(tokenizer, [CITY, NOW], bare=bare)
    reply = Reply(stream, None, stop=stop, prompt_tokens=1, calls=calls)
    pieces = []
    stream.subscribe(pieces.append)
    for token in tokenizer.encode_template(text):
        if reply.token(token):
            break
    before_the_end = "".join(pieces)
    reply.end(reason, 0.0)
    return before_the_end, stream.result()


BLOCK = '<|tool_call_start|>[city(name="Rome"), now()]<|tool_call_end|>'
CALLS = [("city", {"name": "Rome"}), ("now", {})]


def called(completion):
    return [(call.name, call.arguments) for call in completion.tool_calls]


def test_text_around_a_block_streams_and_the_block_does_not(tokenizer):
    pieces, completion = told(tokenizer, f"Let me see.{BLOCK} Wait.")
    assert pieces == completion.text == "Let me see. Wait."
    assert called(completion) == CALLS and completion.finish_reason == "tool_calls"
    assert completion.completion_tokens == len(
        tokenizer.encode_template(f"Let me see.{BLOCK} Wait.")
    )


@pytest.mark.parametrize("reason", ["length", "cancelled"])
def test_a_block_that_was_cut_short_is_no_call(tokenizer, reason):
    _, completion = told(tokenizer, f"So: {BLOCK[:-19]}", reason=reason)
    assert (completion.text, completion.tool_calls) == ("So: ", ())
    assert completion.finish_reason == reason


def test_a_bare_call_is_held_back_until_it_is_one(tokenizer):
    pieces, completion = told(tokenizer, ' {"name": "now", "arguments": {}}')
    assert pieces == completion.text == ""
    assert called(completion) == [("now", {})] and completion.finish_reason == "tool_calls"
    pieces, completion = told(tokenizer, '{"name": "then", "arguments": {}}')
    assert pieces == "" and completion.text == '{"name": "then", "arguments": {}}'
    assert completion.finish_reason == "stop"


def test_json_streams_where_no_bare_call_can_be_meant(tokenizer):
    text = '{"name": "now", "arguments": {}}'
    pieces, completion = told(tokenizer, text, bare=False)
    assert pieces == completion.text == text and not completion.tool_calls


def test_a_stop_string_ends_the_text_and_not_a_call(tokenizer):
    pieces, completion = told(tokenizer, f"a{BLOCK} Rome and more", stop=["Rome"])
    assert pieces == completion.text == "a "
    assert called(completion) == CALLS


def test_an_end_without_a_beginning_is_nothing(tokenizer):
    _, completion = told(tokenizer, "a<|tool_call_end|>b")
    assert (completion.text, completion.tool_calls) == ("ab", ())


def test_a_block_that_no_tool_allows_is_an_error(tokenizer):
    with pytest.raises(CallError, match="there is no tool 'f'"):
        told(tokenizer, "<|tool_call_start|>[f()]<|tool_call_end|>")


def test_results_of_calls_go_back_into_the_conversation(backbone):
    call = ToolCall("city", {"name": "Rome"}, id="call_1")
    history = [*ASK, Message("assistant", "", (call,)), Message("tool", "25 °C", call_id="call_1")]
    completion = backbone.submit(history, tools=[CITY], max_tokens=3).result()
    assert completion.prompt_tokens > backbone.submit(ASK, tools=[CITY]).result().prompt_tokens
