"""An answer out of its JSON is the answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.document import Chunk, Hit
from rag.answer import Answer, Citation, Conflict, Sentence, Timings, Usage
from rag.restore import restore

TEXT, PLACE = st.text(), st.integers(0, 10**9)
MAYBE = st.none() | TEXT
CHUNKS = st.builds(Chunk, TEXT, PLACE, PLACE, TEXT, st.none() | PLACE, MAYBE, MAYBE, MAYBE)
ANSWERS = st.builds(
    Answer,
    question=TEXT,
    answered=st.booleans(),
    text=TEXT,
    citations=st.lists(
        st.builds(Citation, PLACE, TEXT, TEXT, st.none() | PLACE, MAYBE, PLACE, PLACE, MAYBE)
    ).map(tuple),
    hits=st.lists(st.builds(Hit, CHUNKS, st.floats(0, 1))).map(tuple),
    sentences=st.lists(
        st.builds(Sentence, TEXT, st.lists(PLACE).map(tuple), st.booleans(), MAYBE)
    ).map(tuple),
    conflicts=st.lists(
        st.builds(Conflict, st.lists(PLACE).map(tuple), st.lists(TEXT).map(tuple))
    ).map(tuple),
    reason=st.sampled_from([None, "nothing_found", "not_in_passages", "below_threshold"]),
    data=st.none() | st.dictionaries(TEXT, PLACE | TEXT | st.lists(st.booleans())),
    notes=st.lists(TEXT).map(tuple),
    model=TEXT,
    usage=st.builds(Usage, PLACE, PLACE),
    timings=st.builds(Timings, st.floats(0, 9), st.floats(0, 9), st.floats(0, 9)),
)


@given(ANSWERS)
def test_an_answer_comes_back_from_its_json(answer):
    assert restore(Answer, json.loads(json.dumps(answer.to_json()))) == answer


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"question": "x"}, "answered is missing"),
        ({"question": "x", "answered": 1}, "answered must be true or false, not 1"),
        ({"question": "x", "answered": True, "notes": "n"}, "notes must be a list"),
        ({"question": "x", "answered": True, "hits": 3}, "hits must be a list"),
        ({"question": "x", "answered": True, "usage": {"tokens": 1}}, r"usage\.tokens is unknown"),
        (
            {"question": "x", "answered": True, "usage": {"prompt_tokens": True}},
            r"usage\.prompt_tokens must be a whole number, not True",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value, said):
    with pytest.raises(ValueError, match=said):
        restore(Answer, value)
