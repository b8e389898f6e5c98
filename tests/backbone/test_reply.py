"""A reply shows no more than its text: nothing of a stop string, no half characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.reply import Reply
from backbone.request import Stream
from backbone.tokenizer import Detokenizer, Tokenizer


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder)


def told(tokenizer, text, stop):
    """The pieces and the completion of a reply that says a text byte by byte."""
    stream = Stream()
    reply = Reply(stream, Detokenizer(tokenizer), stop=stop, prompt_tokens=3)
    by_byte = {tokenizer.bytes_of(n): n for n in range(tokenizer.size)}
    for byte in text.encode():
        if reply.token(by_byte[bytes([byte])]):
            break
    reply.end("stop", -1.5)
    return list(stream), stream.result()


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(alphabet="ab\né🧀", max_size=20),
    stop=st.lists(st.text(alphabet="ab\né🧀", min_size=1, max_size=4), max_size=3),
)
def test_the_text_ends_before_the_first_stop_string(tokenizer, text, stop):
    pieces, completion = told(tokenizer, text, stop)
    assert "".join(pieces) == completion.text
    # the first to be complete ends it; of those complete at the same character, the first to begin
    ends = [(text.find(s) + len(s), text.find(s)) for s in stop if s in text]
    assert completion.text == (text[: min(ends)[1]] if ends else text)


def test_pieces_come_as_early_as_they_can(tokenizer):
    pieces, _ = told(tokenizer, "aab cab", ["abc"])
    assert pieces == ["a", "ab ", "c", "ab"]


def test_the_completion_counts_tokens(tokenizer):
    _, completion = told(tokenizer, "ab", [])
    assert (completion.prompt_tokens, completion.completion_tokens) == (3, 2)
    assert (completion.finish_reason, completion.logprob) == ("stop", -1.5)
