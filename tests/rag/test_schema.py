"""`ask(schema=…)`: an object that fits, whose values rest on citations, or a clear reason."""

import json

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, field_validator

from backbone.errors import GrammarError
from rag.answer import Quote, Usage
from rag.errors import SchemaError, Unsupported
from rag.ground import NOT_FOUND
from rag.prompt import content_text
from rag.reader import Reading
from rag.schema import supported
from tests.fakes import FakeEncoder, FakeGenerator
from tests.rag.test_pipeline import docs, number_of, open_rag  # noqa: F401


class Sizes(BaseModel):
    cache: int | None = Field(None, description="How much does the cache take per token?")
    weights: float = Field(description="How large are the weights?")


SCHEMA = {
    "type": "object",
    "properties": {
        "cache": {"type": "integer", "description": "cache"},
        "inside": {
            "type": ["object", "null"],
            "properties": {"weights": {"type": "string", "description": "weights"}},
            "required": ["weights"],
        },
        "color": {"type": ["string", "null"], "description": "color"},
        "size": {"type": "string", "description": "size"},
    },
    "required": ["cache", "inside", "color"],
}


@pytest.fixture
def reads(monkeypatch):
    """Makes the reader point at these words where a question holds their key."""
    monkeypatch.setattr("ingest.encode.load_encoder", lambda name, **_: FakeEncoder(name))

    def reads(**words):
        def read(generator, question, hits, *, encoder, strict=False):
            text = next((t for key, t in words.items() if key in question), None)
            if text is None:
                return Reading("", (), 0.1, False, "below_threshold", Usage(1, 0))
            hit = next(hit for hit in hits if text in hit.chunk.text)
            start = hit.chunk.start + hit.chunk.text.find(text)
            quote = Quote(hit, start, start + len(text), text)
            return Reading(text, (quote,), 0.9, True, None, Usage(7, 1))

        monkeypatch.setattr("rag.reader.read", read)

    return reads


@pytest.fixture
def quoting(open_rag):  # noqa: F811
    return open_rag(generator=FakeGenerator(abilities=["quote", "score"]))


def check(rag, answer, schema):
    Draft202012Validator(schema).validate(answer.data)
    for citation in answer.citations:
        assert rag.text(citation.source)[citation.start : citation.end] == citation.quote
    for sentence in answer.sentences:
        assert sentence.supported == bool(sentence.citations)


def test_a_quoting_generator_fills_field_by_field_with_a_citation_each(quoting, reads):
    reads(cache="take\n12 KB per token.", weights="Weights take 2 GB.")
    answer = quoting.ask("cache weights", schema=SCHEMA)
    assert answer.data == {"cache": 12, "inside": {"weights": "Weights take 2 GB."}, "color": None}
    assert answer.text == "cache: 12\ninside.weights: Weights take 2 GB."
    assert [s.citations for s in answer.sentences] == [(1,), (2,)]
    assert answer.usage == Usage(16, 2) and answer.to_json()["data"] == answer.data
    check(quoting, answer, SCHEMA)


def test_an_object_of_which_nothing_is_said_is_null_or_left_out(quoting, reads):
    reads(cache="12 KB per token.")
    assert quoting.ask("cache weights", schema=SCHEMA).data == {
        "cache": 12,
        "inside": None,
        "color": None,
    }


def test_what_is_required_and_not_said_is_an_error_that_names_it(quoting, reads):
    reads(weights="Weights take 2 GB.")
    with pytest.raises(SchemaError, match=r"do not say cache, which the schema requires"):
        quoting.ask("cache weights", schema=SCHEMA)


def test_when_nothing_is_said_there_is_no_answer_and_no_data(quoting, reads):
    reads()
    answer = quoting.ask("cache weights", schema=SCHEMA)
    assert (answer.answered, answer.data, answer.reason) == (False, None, "below_threshold")


def test_a_pydantic_model_is_a_schema(quoting, reads):
    reads(weights="Weights take 2 GB.")
    answer = quoting.ask("cache weights", schema=Sizes)
    assert Sizes.model_validate(answer.data) == Sizes(weights=2)
    check(quoting, answer, Sizes.model_json_schema())


def test_what_no_quote_can_fill_is_refused_before_anything_runs(quoting, reads):
    with pytest.raises(Unsupported, match="list of objects"):
        quoting.ask("cache", schema={"properties": {"a": {"type": "array", "items": SCHEMA}}})
    with pytest.raises(GrammarError, match="mapping or a pydantic"):
        quoting.ask("cache", schema=[1])


CHATTY = ["chat", "quote", "schema", "score"]


@pytest.fixture
def chatting(open_rag):  # noqa: F811
    """Says the quote of a passage with this text, and then this object."""

    def chatting(text, value, *, abilities=CHATTY):
        rag = open_rag(generator=FakeGenerator(abilities=abilities))
        n = number_of(rag, "cache weights", text)
        rag.generator.replies = [f'[{n}] "{text}"', json.dumps(value)]
        return rag

    return chatting


def test_a_chatting_generator_quotes_first_and_then_writes_the_object(chatting):
    value = {"cache": 12, "inside": None, "color": "blue"}
    rag = chatting("take 12 KB per token.".removeprefix("take "), value)
    answer = rag.ask("cache weights", schema=SCHEMA)
    assert answer.data == value
    assert [c.quote for c in answer.citations] == ["12 KB per token."]
    assert [(s.text, s.supported) for s in answer.sentences] == [
        ("12 KB per token.", True),
        ("color: blue", False),
    ]
    check(rag, answer, SCHEMA)
    (first, _), (second, grammar) = rag.generator.requests
    assert "(wanted: cache: cache; inside; color: color" in content_text(first[1].content)
    assert "[1] 12 KB per token." in content_text(second[1].content) and grammar is not None
    assert answer.usage.prompt_tokens == 20


def test_without_a_quote_no_object_is_written(open_rag):  # noqa: F811
    rag = open_rag(NOT_FOUND, generator=FakeGenerator(NOT_FOUND, abilities=CHATTY))
    answer = rag.ask("cache", schema=SCHEMA)
    assert (answer.answered, answer.data) == (False, None)
    assert len(rag.generator.requests) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"cache": "many"}, "does not fit its schema: data"),
        ([], "does not fit its schema: data must be object"),
    ],
)
def test_an_object_that_does_not_fit_is_an_error(chatting, value, message):
    with pytest.raises(SchemaError, match=message):
        chatting("12 KB per token.", value).ask("cache weights", schema=SCHEMA)


def test_an_object_that_was_cut_short_is_an_error(chatting):
    rag = chatting("12 KB per token.", {})
    rag.generator.replies[1] = '{"cache": 1'
    with pytest.raises(SchemaError, match=r"fake wrote no complete object \(stop\)"):
        rag.ask("cache weights", schema=SCHEMA)


class Picky(BaseModel):
    weights: int

    @field_validator("weights")
    @classmethod
    def even(cls, weights):
        if weights % 2:
            raise ValueError("odd weights")
        return weights


def test_a_model_class_has_the_last_word(chatting):
    assert chatting("12 KB per token.", {"weights": 2}).ask("cache weights", schema=Picky).data
    with pytest.raises(SchemaError, match=r"refused by Picky: (.|\n)*odd weights"):
        chatting("12 KB per token.", {"weights": 3}).ask("cache weights", schema=Picky)


def test_a_chatting_generator_without_schemas_is_refused_by_name(chatting):
    rag = chatting("12 KB per token.", {}, abilities=["chat", "quote"])
    with pytest.raises(Unsupported, match="fake cannot keep to a schema"):
        rag.ask("cache weights", schema=SCHEMA)
    assert not rag.generator.requests


def test_a_schema_that_no_grammar_keeps_is_refused_before_anything_runs(chatting):
    rag = chatting("12 KB per token.", {})
    with pytest.raises(GrammarError, match="uniqueItems"):
        rag.ask("cache weights", schema={"type": "array", "uniqueItems": True})
    assert not rag.generator.requests


def test_a_value_is_supported_by_the_words_or_the_number_of_a_quote():
    texts = ["It costs 1,400 euros in total."]
    assert supported("in  Total", texts) and supported(1400, texts) and supported(None, texts)
    assert not supported("in part", texts) and not supported(14, texts)
