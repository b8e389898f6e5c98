"""Text survives the way to ids and back, nothing in it is special, no character is split."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.errors import CheckpointError
from backbone.tokenizer import Detokenizer, Tokenizer
from tests.backbone.checkpoints import SPECIAL, TEXTS, write_tokenizer

DANGEROUS = (
    "<|im_end|>",
    "<|im_start|>system\n",
    "<|startoftext|>",
    "<added>",
    "a<|im_end|>b<added>",
)


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder)


def pieces(tokenizer, ids, **options):
    detokenizer = Detokenizer(tokenizer, **options)
    return [detokenizer.push(number) for number in ids]


@pytest.mark.parametrize("text", [*TEXTS, *DANGEROUS, "", " ", "\n\n", "\x00", "🏳️‍🌈"])
def test_text_comes_back_as_it_was(tokenizer, text):
    assert "".join(pieces(tokenizer, tokenizer.encode(text))) == text


@settings(max_examples=200, deadline=None)
@given(text=st.text())
def test_any_text_comes_back_in_whole_characters(tokenizer, text):
    found = pieces(tokenizer, tokenizer.encode(text))
    assert "".join(found) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in found)


@settings(max_examples=100, deadline=None)
@given(text=st.text() | st.sampled_from([text * 20 for text in TEXTS]))
def test_a_text_takes_no_fewer_tokens_than_is_said_without_cutting_it(tokenizer, text):
    assert tokenizer.least(text) <= len(tokenizer.encode(text))
    assert tokenizer.least("x" * 1_000_000) > 1000


@pytest.mark.parametrize("text", DANGEROUS)
def test_plain_text_never_becomes_an_added_token(tokenizer, text):
    assert not set(tokenizer.encode(text)) & set(tokenizer.added.values())


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.sampled_from([*SPECIAL, "<added>", "<", "|", ">", " ", "im_end", "x"])))
def test_no_mixture_of_pieces_becomes_an_added_token(tokenizer, parts):
    assert not set(tokenizer.encode("".join(parts))) & set(tokenizer.added.values())


def test_a_word_that_is_a_special_token_is_still_a_word_in_plain_text(tmp_path):
    write_tokenizer(tmp_path, (*SPECIAL, "treaty"))
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.encode_template("treaty") == [tokenizer.added["treaty"]]
    plain = tokenizer.encode("treaty")
    assert tokenizer.added["treaty"] not in plain
    assert "".join(pieces(tokenizer, plain)) == "treaty"


def test_a_template_may_write_added_tokens(tokenizer):
    ids = tokenizer.encode_template("<|im_start|>user\n<added>")
    assert ids[0] == tokenizer.added["<|im_start|>"] and ids[-1] == tokenizer.added["<added>"]
    assert ids[1:-1] == tokenizer.encode("user\n")


def test_ids_are_those_of_the_tokenizers_library(tokenizer, folder):
    from tokenizers import Tokenizer as Theirs

    theirs = Theirs.from_file(str(folder / "tokenizer.json"))
    for text in (*TEXTS, "<|im_start|>user\nHello<|im_end|>\n<added>"):
        assert tokenizer.encode_template(text) == theirs.encode(text).ids


def test_a_character_appears_when_its_last_byte_does(tokenizer):
    ids = [number for byte in "🧀".encode() for number in [byte_token(tokenizer, byte)]]
    assert pieces(tokenizer, ids) == ["", "", "", "🧀"]
    assert pieces(tokenizer, ids[:3]) == ["", "", ""]


def test_a_special_token_in_the_middle_of_a_character_drops_it(tokenizer):
    ids = [byte_token(tokenizer, "🧀".encode()[0]), tokenizer.added["<|im_end|>"]]
    assert "".join(pieces(tokenizer, [*ids, *tokenizer.encode("hi")])) == "hi"


def byte_token(tokenizer, byte):
    return next(n for n in range(tokenizer.size) if tokenizer.bytes_of(n) == bytes([byte]))


def test_special_tokens_are_shown_only_on_request(tokenizer):
    ids = [tokenizer.added["<|im_end|>"], *tokenizer.encode("hi")]
    assert "".join(pieces(tokenizer, ids)) == "hi"
    assert "".join(pieces(tokenizer, ids, show_special=True)) == "<|im_end|>hi"


def test_ids_without_a_token_are_silent(tokenizer):
    assert pieces(tokenizer, [tokenizer.size + 5]) == [""]


def test_merges_in_the_old_form_give_the_same_ids(folder, tokenizer, tmp_path):
    raw = json.loads((folder / "tokenizer.json").read_text())
    raw["model"]["merges"] = [" ".join(pair) for pair in raw["model"]["merges"]]
    raw |= {
        "truncation": {
            "max_length": 3,
            "stride": 0,
            "strategy": "LongestFirst",
            "direction": "Right",
        }
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))
    assert Tokenizer.load(tmp_path).encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"type": "Unigram"}},
        {"decoder": {"type": "Metaspace"}},
        {"model": None},
        {"added_tokens": 3},
    ],
)
def test_another_kind_of_tokenizer_is_refused(folder, tmp_path, change):
    shutil.copytree(folder, tmp_path / "x")
    path = tmp_path / "x" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path / "x")
