"""A test set is read as it is written, or every wrong line is told."""

import json

import pytest

from rag.errors import QuestionsError
from rag.testset import read_cases, refuse


def told(tmp_path, *lines):
    """What reading these lines complains of."""
    path = tmp_path / "questions.jsonl"
    path.write_bytes(
        b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines)
    )
    with pytest.raises(QuestionsError) as error:
        refuse(read_cases(path)[1])
    return str(error.value)


def test_a_line_is_read_with_all_that_it_says(tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": "年假几天？", "answers": ["十五天", "15天"], "source": "年.txt", "page": 2},
        {"question": "b", "source": ["x", "y"], "quote": "words", "where": "page>=3", "note": "hm"},
        {"question": "c", "answers": "one", "source": "x", "start": 3, "end": 9, "id": "other"},
        {"question": "d", "answers": [], "source": None},
        {"question": "e", "answerable": False, "source": "x"},
    ]
    text = "\r\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (first, second, third, fourth, fifth), _ = read_cases(path)
    assert (first.answers, first.sources, first.page) == (("十五天", "15天"), ("年.txt",), 2)
    assert (first.id, first.line, first.answerable) == ("年假几天？", 1, True)
    assert (second.sources, second.quotes, second.where) == (("x", "y"), ("words",), "page>=3")
    assert (second.line, second.answerable) == (3, True)
    assert (third.id, third.answers, third.span) == ("other", ("one",), (3, 9))
    assert not fourth.answerable
    assert not fifth.answerable


def test_mappings_are_read_like_lines():
    [case], _ = read_cases([{"question": "a", "answers": ("b",)}])
    assert (case.question, case.answers, case.line) == ("a", ("b",), 1)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"question": "a"', "no JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "no"),
        (b'["a"]', "a JSON object"),
        ({"answers": ["b"]}, '"question" is missing'),
        ({"question": "  "}, "not empty"),
        ({"question": "a", "answer": ["b"]}, "did you mean 'answers'?"),
        ({"question": "a", "zzz": 1}, "there are question, answers"),
        ({"question": "a", "answers": [1]}, "answers must be"),
        ({"question": "a", "answers": ["b"], "page": 0, "source": "x"}, "page must be a number"),
        ({"question": "a", "answers": ["b"], "page": True, "source": "x"}, "page must be a number"),
        ({"question": "a", "answers": ["b"], "quote": "b"}, 'need the "source"'),
        ({"question": "a", "source": "x", "start": 5}, "span"),
        ({"question": "a", "source": "x", "start": 5, "end": 5}, "span"),
        ({"question": "a", "source": "x", "quote": "b", "page": 1}, "exclude each other"),
        ({"question": "a", "source": ["x", "y"], "start": 1, "end": 2}, "several"),
        ({"question": "a", "answerable": "no"}, "true or false"),
        ({"question": "a", "answerable": True}, "give its answers"),
        ({"question": "a", "answerable": False, "answers": ["b"]}, "take one"),
        ({"question": "a", "where": "page is 3"}, "cannot read the filter"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path, line, complaint):
    message = told(tmp_path, {"question": "fine"}, b"", line)
    assert message.startswith("line 3: ")
    assert complaint in message
    assert len(message) < 500


def test_all_wrong_lines_are_told_at_once_up_to_ten(tmp_path):
    message = told(tmp_path, *([{"no": "question"}] * 12))
    assert [line.partition(":")[0] for line in message.splitlines()[:10]] == [
        f"line {n}" for n in range(1, 11)
    ]
    assert message.endswith("and 2 more")


def test_the_same_question_twice_needs_ids(tmp_path):
    row = {"question": "a", "answers": ["b"]}
    assert "the same as line 1" in told(tmp_path, row, row)
    assert len(read_cases([row, row | {"id": "again"}])[0]) == 2


def test_no_question_is_an_error(tmp_path):
    assert "no question" in told(tmp_path, b"", b"  ")
