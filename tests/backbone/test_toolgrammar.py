"""What the grammar of calls lets a model write is read back as written, valid, and retold."""

import ast
import json
import sys
from random import Random

import pytest
from jsonschema import Draft202012Validator

from backbone.calls import parse_calls, write_calls
from backbone.chat import CALL_END, CALL_START, Chat
from backbone.coerce import same
from backbone.errors import GrammarError
from backbone.grammar import Compiler, Grammar
from backbone.request import Message
from backbone.tokenizer import Tokenizer
from backbone.toolgrammar import tools_grammar
from backbone.tools import Tool
from tests.backbone.templates import ALL
from tests.backbone.walks import document, parameters, walk


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder)


@pytest.fixture(scope="module")
def compiler(tokenizer):
    return Compiler(tokenizer, [tokenizer.added["<|im_end|>"]])


def admits(compiler, tokenizer, grammar, text):
    matcher = compiler.compile(grammar)
    for token in tokenizer.encode_template(text):
        if not matcher.allowed()[token]:
            return False
        matcher.accept(token)
    return matcher.finished or bool(matcher.allowed()[tokenizer.added["<|im_end|>"]])


def block(inner):
    return f"{CALL_START}[{inner}]{CALL_END}"


SEARCH = Tool(
    "search",
    "",
    {
        "properties": {
            "query": {"type": "string"},
            "k": {"type": "integer"},
            "kind": {"enum": ["it's", None, True, 3]},
            "any": {},
            "where": {"$ref": "#/$defs/where"},
        },
        "required": ["k"],
        "$defs": {"where": {"properties": {"a": {"type": "boolean"}}, "type": "object"}},
    },
)
PING = Tool("ping-all.v2", "", {})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain\ntext", True),
        ("", True),
        (block("search(k=1)"), True),
        (f"a {block('search(k=1)')} b", True),
        (block('search(query="x", k=1)'), True),
        (block("search(query='say \"x\"', k=1)"), True),
        (block('search(query="it\\"s\\n", k=1), ping-all.v2()'), True),
        (block("search(k=1, kind='it\\'s')"), True),
        (block('search(k=1, kind="it\'s", any=None)'), True),
        (block("search(k=1, kind=True, any=[1, {\"a\": null}])"), True),
        (block('search(k=1, where={"a": true})'), True),
        (block("search()"), False),
        (block("search(query=\"x\")"), False),
        (block('search(k="1")'), False),
        (block("search(k=1.5)"), False),
        (block('search(k=1, query="x")'), False),
        (block("search(k=1, k=1)"), False),
        (block("search(k=1, other=1)"), False),
        (block("search(k=1, kind='other')"), False),
        (block('search(k=1, where={"b": true})'), False),
        (block("delete()"), False),
        (block(""), False),
        (block("ping-all.v2()") * 2, False),
        (CALL_START, False),
        ("<|im_start|>", False),
    ],
)  # fmt: skip
def test_calls_are_as_declared(compiler, tokenizer, text, wanted):
    assert admits(compiler, tokenizer, tools_grammar([SEARCH, PING]), text) is wanted


@pytest.mark.parametrize(
    ("options", "good", "bad"),
    [
        ({"choice": "none"}, ["text"], [block("search(k=1)")]),
        ({"choice": "required"}, [block("search(k=1), search(k=2)")], ["text", "", block("x()")]),
        ({"choice": "ping-all.v2"}, [block("ping-all.v2()")], [block("search(k=1)"), "text"]),
        ({"parallel": False}, [block("search(k=1)")], [block("search(k=1), search(k=2)")]),
        (
            {"schema": {"properties": {"a": {"type": "null"}}, "type": "object"}},
            ['{"a": null}', block("search(k=1)")],
            ["text", "{}" + block("search(k=1)"), '{"b": 1}'],
        ),
        ({"free": ["<added>"]}, ["a<added>b", f"<added>{block('search(k=1)')}"], ["<|im_start|>"]),
    ],
)
def test_a_choice_decides_what_may_be_said(compiler, tokenizer, options, good, bad):
    grammar = tools_grammar([SEARCH, PING], **options)
    assert [admits(compiler, tokenizer, grammar, text) for text in good] == [True] * len(good)
    assert [admits(compiler, tokenizer, grammar, text) for text in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"properties": {}, "minProperties": 1}, "tool f: .*'minProperties'"),
        ({"properties": {}, "if": {}}, "tool f: .*'if'"),
        ({"properties": {"a": {"$ref": "#"}}}, "argument a: '#' must point into"),
        ({"properties": {"a": {"items": [{"$ref": "#/properties/a"}]}}}, "must point into"),
        ({"properties": {"a": False}}, "False is no JSON schema"),
        ({"properties": {"a": {"uniqueItems": True}}}, "uniqueItems"),
        ({"properties": {"a": {"type": "text"}}}, "text"),
        ({"properties": {"a": {"enum": []}}}, "cannot be used"),
    ],
)
def test_parameters_that_no_grammar_keeps_are_refused(compiler, parameters, message):
    with pytest.raises(GrammarError, match=message):
        compiler.compile(tools_grammar([Tool("f", "", parameters)], choice="required"))


def decoded(text, tools):
    """The calls of a block by what the grammar says of its form; knows no other way of writing."""
    known = {tool.name: tool for tool in tools}
    text = text.removeprefix(CALL_START + "[").removesuffix("]" + CALL_END)
    calls = []
    while text:
        name, text = text.removeprefix(", ").split("(", 1)
        arguments = {}
        for argument in known[name].arguments:
            start = (", " if arguments else "") + argument + "="
            if text.startswith(start):
                arguments[argument], text = value(text.removeprefix(start))
        assert text.startswith(")")
        calls.append((name, arguments))
        text = text[1:]
    return calls


def value(text):
    for word, meant in (("True", True), ("False", False), ("None", None)):
        if text.startswith(word):
            return meant, text[len(word) :]
    if text.startswith("'"):
        end = 1
        while text[end] != "'":
            end += 2 if text[end] == "\\" else 1
        return ast.literal_eval(text[: end + 1]), text[end + 1 :]
    number = json.JSONDecoder(parse_float=lambda t: max(min(float(t), LARGEST), -LARGEST))
    found, end = number.raw_decode(text)
    return found, text[end:]


LARGEST = sys.float_info.max
FORMATS = Draft202012Validator.FORMAT_CHECKER


def check_tools(seeds, walks, compiler, tokenizer, chats):
    """Random replies under the grammars of random tools; how many came to an end."""
    ended = 0
    for seed in seeds:
        random = Random(seed)
        tools = [Tool("f", "", parameters(random)), Tool("g-h.x", "", parameters(random))]
        try:
            grammar = tools_grammar(tools, choice="required")
            compiler.compile(grammar)
        except GrammarError:
            continue
        for _ in range(walks):
            said = walk(compiler.compile(grammar), tokenizer, random)
            if said is None:
                continue
            ended += 1
            check_reply(said, tools, tokenizer, chats)
    return ended


def check_reply(said, tools, tokenizer, chats):
    calls = parse_calls(said.removeprefix(CALL_START).removesuffix(CALL_END), tools)
    wanted = decoded(said, tools)
    assert [call.name for call in calls] == [name for name, _ in wanted], said
    for call, (_, arguments) in zip(calls, wanted, strict=True):
        assert same(call.arguments, arguments), said
        parameters = next(t.parameters for t in tools if t.name == call.name)
        Draft202012Validator(parameters, format_checker=FORMATS).validate(call.arguments)
    assert parse_calls(write_calls(calls), tools) == calls
    turns = [Message("user", "x"), Message("assistant", "", tool_calls=calls)]
    start, end = tokenizer.added[CALL_START], tokenizer.added[CALL_END]
    for name, chat in chats.items():
        ids = chat.encode(turns, tools)
        inner = ids[ids.index(start) + 1 : ids.index(end)]
        retold = b"".join(map(tokenizer.bytes_of, inner)).decode()
        assert parse_calls(retold, tools) == calls, (name, retold)


@pytest.fixture(scope="module")
def chats(folder, tokenizer):
    from backbone.chat import _environment

    names = {"bos_token": "<|startoftext|>"}
    environment = _environment()
    return {
        name: Chat(environment.from_string(source), names, tokenizer, source=source)
        for name, source in ALL.items()
    }


def test_decoded_calls_parse_validate_and_survive_every_template(compiler, tokenizer, chats):
    assert check_tools(range(20), 2, compiler, tokenizer, chats) > 20


@pytest.mark.slow
def test_decoded_calls_of_200_tools_parse_validate_and_survive(compiler, tokenizer, chats):
    assert check_tools(range(100, 200), 10, compiler, tokenizer, chats) > 700  # two tools each


def check_schemas(seeds, compiler, tokenizer):
    """Random JSON under random schemas: how many were refused, and how many replies ended."""
    refused, ended = [], 0
    for seed in seeds:
        random = Random(seed)
        schema = document(random)
        try:
            matcher = compiler.compile(Grammar.json_schema(schema))
        except GrammarError as error:
            refused.append(str(error))
            continue
        said = walk(matcher, tokenizer, random)
        if said is not None:
            ended += 1
            Draft202012Validator(schema, format_checker=FORMATS).validate(json.loads(said))
    return refused, ended


def check_refusals(refused):
    for message in refused:
        assert message.startswith("the JSON schema cannot be used: "), message
        assert "\n" not in message and "%json" not in message


def test_json_under_a_schema_validates_or_the_schema_is_refused(compiler, tokenizer):
    refused, ended = check_schemas(range(100), compiler, tokenizer)
    check_refusals(refused)
    assert ended > 60 and refused


@pytest.mark.slow
def test_json_under_1000_schemas_validates_or_the_schema_is_refused(compiler, tokenizer):
    refused, ended = check_schemas(range(1000, 2000), compiler, tokenizer)
    check_refusals(refused)
    assert ended > 600 and refused
