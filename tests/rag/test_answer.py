"""The JSON form of an answer is a contract: names, order, types."""

import dataclasses
import json

import pytest

from ingest.document import Chunk, Hit
from rag.answer import Answer, Citation, Conflict, Sentence, Timings, Usage, hit_to_json

HIT = Hit(
    Chunk("docs/a.pdf", 0, 9, "12 KB. 東京", page=3, heading="Sizes", date="2024-03-31"), score=0.71
)
ANSWER = Answer(
    question="How large?",
    answered=True,
    text="12 KB.",
    citations=(Citation(1, "12 KB.", "docs/a.pdf", 3, "Sizes", 0, 6),),
    hits=(HIT,),
    sentences=(Sentence("12 KB.", (1,), supported=True),),
    conflicts=(Conflict((1, 2), ("12 KB", "13 KB")),),
    notes=("read twice",),
    model="fake",
    usage=Usage(10, 2),
    timings=Timings(0.1, 0.2, 0.3),
)


def test_an_answer_as_json_has_exactly_the_agreed_shape():
    assert json.loads(json.dumps(ANSWER.to_json())) == {
        "question": "How large?",
        "answered": True,
        "text": "12 KB.",
        "citations": [
            {
                "number": 1,
                "quote": "12 KB.",
                "source": "docs/a.pdf",
                "page": 3,
                "heading": "Sizes",
                "start": 0,
                "end": 6,
                "date": None,
                "url": None,
                "retrieved": None,
            }
        ],
        "passages": [
            {
                "source": "docs/a.pdf",
                "page": 3,
                "heading": "Sizes",
                "start": 0,
                "end": 9,
                "text": "12 KB. 東京",
                "score": 0.71,
                "date": "2024-03-31",
                "url": None,
                "retrieved": None,
            }
        ],
        "sentences": [{"text": "12 KB.", "citations": [1], "supported": True, "doubt": None}],
        "conflicts": [{"passages": [1, 2], "quotes": ["12 KB", "13 KB"]}],
        "reason": None,
        "data": None,
        "notes": ["read twice"],
        "model": "fake",
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
        "timings": {"retrieve": 0.1, "first_token": 0.2, "total": 0.3},
    }


def test_the_names_come_in_the_agreed_order():
    assert list(ANSWER.to_json()) == [
        *("question", "answered", "text", "citations", "passages", "sentences", "conflicts"),
        *("reason", "data", "notes", "model", "usage", "timings"),
    ]
    assert list(hit_to_json(HIT)) == [
        *("source", "page", "heading", "start", "end", "text", "score", "date", "url", "retrieved")
    ]


def test_an_answer_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ANSWER.text = "13 KB."
