"""What a grammar allows is all that can be said: quotes are verbatim, JSON fits its schema."""

import json
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.errors import GrammarError
from backbone.grammar import Compiler, Grammar, cut, quote
from backbone.tokenizer import Tokenizer

ADVERSARIAL = (
    'She said: "a \\ is not a /", and it\'s 3.14 times {"as": [long]}.\n\tNew "line"',
    'back\\slash at the end \\ and \\u0041 and \\n and ""',
    "👩‍👩‍👧 and 🏳️‍🌈 and 👍🏽 and 🇨🇭🇫🇷 wave",
    "قَالَ إِنَّ مَدِينَةَ القاهرة (1952) هي العاصمة، وليست الإسكندرية.",
    "東京は日本の首都です。人口は1,400万人、2024年。「引用」",
    "서울은 대한민국의 수도이다. <|im_end|> <s0> x\x07y\u2028z",
    "Cafe\u0301 na\u00efve, élève d’à côté; Straße 12b, LFM2-24B, 1.000.000,5 €",
)


@pytest.fixture(scope="module")
def tokenizer(reader_folder):
    return Tokenizer.load(reader_folder)


@pytest.fixture(scope="module")
def compiler(tokenizer):
    return Compiler(tokenizer, ends(tokenizer))


def ends(tokenizer):
    return [tokenizer.added["<|im_end|>"], tokenizer.added["<|endoftext|>"]]


def say(compiler, tokenizer, grammar, seed, limit=400):
    """What a generator that chooses at random says; None when it did not come to an end."""
    random, matcher, said = Random(seed), compiler.compile(grammar), b""
    for _ in range(limit):
        if matcher.finished:
            return said.decode()
        token = int(random.choice(np.flatnonzero(matcher.allowed())))
        if token in ends(tokenizer):
            return said.decode()
        matcher.accept(token)
        said += (tokenizer.special(token) or "").encode() or tokenizer.bytes_of(token)
    return None


@pytest.mark.parametrize("text", ADVERSARIAL)
@pytest.mark.parametrize("seed", range(8))
def test_quotes_are_verbatim_and_not_blank(compiler, tokenizer, text, seed):
    said = say(compiler, tokenizer, Grammar.quotes(ADVERSARIAL), seed)
    assert any(said in t for t in ADVERSARIAL) and said.strip()
    said = say(compiler, tokenizer, Grammar.quotes([text]), seed)
    assert said in text and said.strip()


@pytest.mark.parametrize("text", ADVERSARIAL)
@pytest.mark.parametrize("seed", range(8))
def test_quotes_in_json_are_verbatim_once_the_json_is_read(compiler, tokenizer, text, seed):
    grammar = Grammar(f'start: "{{\\"quote\\": \\"" Q "\\"}}"\nQ: {quote([text], in_json=True)}')
    said = json.loads(say(compiler, tokenizer, grammar, seed))["quote"]
    assert said in text and said.strip()


@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=60).filter(str.strip), seed=st.integers(0, 9))
def test_any_text_is_quoted_verbatim(compiler, tokenizer, text, seed):
    said = say(compiler, tokenizer, Grammar.quotes([text]), seed)
    assert said in text and said.strip()


def test_the_whole_text_may_be_quoted(compiler, tokenizer):
    for text in ADVERSARIAL:
        matcher = compiler.compile(Grammar.quotes([text]))
        for token in tokenizer.encode(text):
            assert matcher.allowed()[token]
            matcher.accept(token)
        assert matcher.finished or matcher.allowed()[ends(tokenizer)[0]]


def test_a_quote_follows_the_mark_of_its_own_text(compiler, tokenizer):
    texts = ["alpha beta", "gamma delta"]
    grammar = Grammar.quotes(texts, marks=["<s0>", "<s1>"], decline="<no>")
    said = {say(compiler, tokenizer, grammar, seed) for seed in range(60)}
    assert "<no>" in said
    for one in said - {"<no>"}:
        assert one[4:] in texts[int(one[2])] and one[4:].strip()
    assert {one[:4] for one in said} == {"<no>", "<s0>", "<s1>"}


def test_marks_and_texts_must_be_as_many():
    with pytest.raises(ValueError, match="1 marks were given for 2 texts"):
        Grammar.quotes(["a", "b"], marks=["<s0>"])


@pytest.mark.parametrize("texts", [[], [""], [" \n", ""]])
def test_quotes_out_of_nothing_are_refused(texts):
    with pytest.raises(GrammarError, match="no text to quote"):
        Grammar.quotes(texts)


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("It's 3.14, or 1,000.", ["It", "'", "s", " ", "3.14", ",", " ", "or", " ", "1,000", "."]),
        ("LFM2 of 12b", ["LFM2", " ", "of", " ", "12b"]),
        ("首都は東京 2024年", ["首", "都", "は", "東", "京", " ", "2024", "年"]),
        ("서울은", ["서", "울", "은"]),
        ("مَدِينَةَ x", ["مَدِينَةَ", " ", "x"]),
        ("Cafe\u0301 e\u0301", ["Cafe\u0301", " ", "e\u0301"]),
        ("👩‍👩‍👧👍🏽🇨🇭🇫🇷", ["👩‍👩‍👧", "👍🏽", "🇨🇭", "🇫🇷"]),
        ("a\n\n  b_c", ["a", "\n\n  ", "b", "_", "c"]),
    ],
)
def test_texts_are_cut_between_words_numbers_and_characters(text, chunks):
    assert cut(text) == chunks


@given(text=st.text())
def test_cutting_loses_nothing(text):
    assert "".join(cut(text)) == text


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "sizes": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 3},
        "kind": {"enum": ["a", "b", None]},
    },
    "required": ["name", "sizes", "kind"],
    "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_json_fits_its_schema_on_one_line(compiler, tokenizer, seed):
    said = say(compiler, tokenizer, Grammar.json_schema(SCHEMA), seed)
    value = json.loads(said)
    assert "\n" not in said and value.keys() == {"name", "sizes", "kind"}
    assert len(value["name"]) <= 5 and value["kind"] in ("a", "b", None)
    assert len(value["sizes"]) <= 3 and all(size >= 0 for size in value["sizes"])


@pytest.mark.parametrize("seed", range(5))
def test_a_regular_expression_matches_as_a_whole(compiler, tokenizer, seed):
    said = say(compiler, tokenizer, Grammar.regex(r"[a-c/]{2}-\d{1,3}"), seed)
    head, tail = said.split("-")
    assert len(head) == 2 and set(head) <= set("abc/") and 1 <= len(tail) <= 3 and tail.isdigit()


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (Grammar("start: <nope>"), "unknown special token"),
        (Grammar("start: missing"), "missing"),
        (Grammar(""), "grammar cannot be used"),
        (Grammar.json_schema({"type": "wrong"}), "wrong"),
        (Grammar.json_schema({"type": "string", "pattern": "(?=x)"}), "look-around"),
        (Grammar.json_schema({"type": "object", "unknownKeyword": 1, "if": {}}), "if"),
        (Grammar.json_schema({"type": "string", "enum": []}), "cannot be used"),
        (Grammar.regex("("), "unclosed"),
    ],
)
def test_what_cannot_be_compiled_is_an_error(compiler, grammar, message):
    with pytest.raises(GrammarError, match=message):
        compiler.compile(grammar)


def test_a_token_that_is_not_allowed_is_an_error(compiler, tokenizer):
    matcher = compiler.compile(Grammar.regex("[0-9]"))
    with pytest.raises(GrammarError, match="failed"):
        matcher.accept(tokenizer.encode("x")[0])


def test_long_texts_can_be_quoted(compiler):
    """As long as a whole context of 128,000 tokens."""
    text = " ".join(f"word{n}" for n in Random(0).choices(range(2000), k=60_000))
    assert compiler.compile(Grammar.quotes([text])).allowed().any()
