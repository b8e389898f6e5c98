"""Calls are read as they were meant, checked by their tools, and written so that they can be."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.calls import check_arguments, looks_bare, parse_bare, parse_calls, write_calls
from backbone.errors import CallError
from backbone.request import ToolCall
from backbone.tools import Tool


def tool(name, required=(), **properties):
    return Tool(name, "", {"type": "object", "properties": properties, "required": list(required)})


TEXT, NUMBER, ANY = {"type": "string"}, {"type": "number"}, {}
WEATHER = tool(
    "get_weather", ["city"], city=TEXT, days={"type": "integer"}, exact={"type": "boolean"}
)
MAIL = tool("mail", to={"type": "array", "items": TEXT}, **{"from": TEXT}, extra=ANY)
DASHED = tool("web-search.v2", query=TEXT)
LARGEST = 1.7976931348623157e308
TOOLS = [WEATHER, MAIL, DASHED]


def call(name, **arguments):
    return ToolCall(name, arguments)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('[get_weather(city="Paris", days=2)]', [call("get_weather", city="Paris", days=2)]),
        ("get_weather(city='Paris')", [call("get_weather", city="Paris")]),
        ("[get_weather('Paris', exact=True)]", [call("get_weather", city="Paris", exact=True)]),
        ('[get_weather(city="P", exact=true)]', [call("get_weather", city="P", exact=True)]),
        (
            '[get_weather(city="a"), mail(to=["b", \'c\'])]',
            [call("get_weather", city="a"), call("mail", to=["b", "c"])],
        ),
        ("[mail(extra=null)]", [call("mail", extra=None)]),
        ("[mail(extra=-1.5e3)]", [call("mail", extra=-1500.0)]),
        ("[mail(extra=[1e999, -1e999])]", [call("mail", extra=[LARGEST, -LARGEST])]),
        ('{"name": "mail", "arguments": {"extra": 1e999}}', [call("mail", extra=LARGEST)]),
        ('[mail(extra={"a": [true, null]})]', [call("mail", extra={"a": [True, None]})]),
        ("[mail(extra=(1, 2))]", [call("mail", extra=[1, 2])]),
        (r'[get_weather(city="\ud83d\ude00")]', [call("get_weather", city="😀")]),
        ("[mail()]", [call("mail")]),
        # what Python refuses
        ('[mail(from="x")]', [call("mail", **{"from": "x"})]),
        ('[web-search.v2(query="a, b) ]")]', [call("web-search.v2", query="a, b) ]")]),
        ('[get_weather("say "hi" now", 1)]', [call("get_weather", city='say "hi" now', days=1)]),
        ("[get_weather(city='it's')]", [call("get_weather", city="it's")]),
        ('[get_weather(city="a\nb")]', [call("get_weather", city="a\nb")]),
        ("[get_weather(city='a\nb\\'c')]", [call("get_weather", city="a\nb'c")]),
        (r'[get_weather(city="a\/b")]', [call("get_weather", city="a/b")]),
        (r"[get_weather(city='a\/b')]", [call("get_weather", city="a/b")]),
        ("[get_weather(city=Paris)]", [call("get_weather", city="Paris")]),
        ("[get_weather(city=New York, days=1)]", [call("get_weather", city="New York", days=1)]),
        ('[mail(to=["a", "b], c"], from="d")]', [call("mail", to=["a", "b], c"], **{"from": "d"})]),
        # JSON
        ('{"name": "mail", "arguments": {"extra": 1}}', [call("mail", extra=1)]),
        ('[{"name": "mail", "parameters": {}}]', [call("mail")]),
        ('{"name": "mail", "arguments": "{\\"extra\\": 1}"}', [call("mail", extra=1)]),
        ('{"type": "function", "function": {"name": "mail", "arguments": {}}}', [call("mail")]),
        # coerced by the schema
        ('[get_weather(city="5", days="5")]', [call("get_weather", city="5", days=5)]),
        ("[get_weather(city=75001, days=2.0)]", [call("get_weather", city="75001", days=2)]),
        ('[get_weather(city="a", exact="True")]', [call("get_weather", city="a", exact=True)]),
        ('[mail(to="[\\"a\\"]")]', [call("mail", to=["a"])]),
    ],
)  # fmt: skip
def test_a_call_is_read(text, calls):
    assert parse_calls(text, TOOLS) == tuple(calls)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no tool call"),
        ("[]", "no tool call"),
        ("hello", "no tool call"),
        ("[1, 2]", "no tool call"),
        ('[mail(extra="a]', "no tool call"),
        ("[__import__('os').system('x')]", "no tool"),
        ("[delete(all=True)]", "there is no tool 'delete'; there is: get_weather"),
        ('{"name": "delete", "arguments": {}}', "there is no tool 'delete'"),
        ('[get_weather(city="a", zip=1)]', "get_weather has no 'zip'; there is: city, days, exact"),
        ("[get_weather(days=1)]", "get_weather lacks 'city', which is required"),
        ('[get_weather(city="a", days="soon")]', "get_weather.days must be integer; got"),
        ('[get_weather(city="a", days=1.5)]', "must be integer"),
        ("[get_weather(city=None)]", "city must be string; got null"),
        ('[get_weather("a", city="b")]', "too many"),
        ('[web-search.v2(query="a", query="b")]', "'query' twice"),
        ("[" * 5000, "no tool call"),
        ("[mail(extra=" + "[" * 5000 + ")]", "no tool call"),
    ],
)
def test_what_is_no_allowed_call_is_an_error(text, message):
    with pytest.raises(CallError, match=message):
        parse_calls(text, TOOLS)


def test_code_is_never_run():
    with pytest.raises(CallError):
        parse_calls("[mail(extra=print('x'))]", [tool("mail", extra=NUMBER)])


def test_a_bare_message_is_a_call_only_when_it_is_nothing_else():
    assert parse_bare('{"name": "mail", "arguments": {"to": []}}', TOOLS) == (call("mail", to=[]),)
    assert parse_bare(' [get_weather(city="a")]\n', TOOLS) == (call("get_weather", city="a"),)
    for text in ('{"name": "other"}', '{"a": 1}', "[1]", "get_weather(city=1)", "So: [mail()]", ""):
        assert parse_bare(text, TOOLS) == ()
    assert looks_bare(" [") and looks_bare("") and not looks_bare("a [")


NESTED = {
    "type": "object",
    "properties": {
        "place": {"$ref": "#/$defs/place"},
        "kind": {"enum": ["a", 1, None]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "pair": {"prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "never": False,
    },
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"n": {"type": "number"}, "in": {"$ref": "#/$defs/place"}},
            "required": ["n"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({"place": {"n": "1.5", "in": {"n": 2}}}, {"place": {"n": 1.5, "in": {"n": 2}}}),
        ({"kind": "1"}, {"kind": 1}),
        ({"kind": "None"}, {"kind": None}),
        ({"either": "5"}, {"either": "5"}),
        ({"pair": ["5", "5"]}, {"pair": ["5", 5]}),
        ({"map": {"a": "1"}}, {"map": {"a": 1}}),
    ],
)
def test_arguments_are_coerced_where_they_stand(given_, wanted):
    assert check_arguments(Tool("f", "", NESTED), given_) == wanted


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"place": {"in": {}}}, r"f.place lacks 'n'"),
        ({"place": {"n": 1, "in": {"n": 1, "x": 1}}}, r"f.place.in has no 'x'"),
        ({"kind": True}, r'f.kind must be one of "a", 1, null; got true'),
        ({"either": []}, r"f.either must be integer"),
        ({"pair": ["a", "b"]}, r"f.pair\[1\] must be integer"),
        ({"map": {"a": "x"}}, r"f.map.a must be integer"),
        ({"never": 1}, r"f.never may not"),
    ],
)
def test_an_unfit_argument_is_named(given_, message):
    with pytest.raises(CallError, match=message):
        check_arguments(Tool("f", "", NESTED), given_)


NASTY = st.text(st.sampled_from("\"'\\,()[]{}=: \n\r\t\x00\x7fé東😀\u2028aTN1/u"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | NASTY
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    arguments=st.dictionaries(st.sampled_from(["a", "from", "$x", "two words", "é"]), VALUES),
    name=st.sampled_from(["f", "f-g", "a.b", "x/y:z"]),
    twice=st.booleans(),
)
def test_what_is_written_is_read_back(arguments, name, twice):
    properties = {key: {} for key in ("a", "from", "$x", "two words", "é")}
    one = Tool(name, "", {"type": "object", "properties": properties})
    calls = (ToolCall(name, arguments),) * (1 + twice)
    assert parse_calls(write_calls(calls), [one]) == calls
    as_json = json.dumps([{"name": c.name, "arguments": dict(c.arguments)} for c in calls])
    assert parse_calls(as_json, [one]) == calls


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("mailget_weather()[]{}\"'\\,=: \n1trueNone.-"), max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(CallError):
        assert {call.name for call in parse_calls(text, TOOLS)} <= {tool.name for tool in TOOLS}
