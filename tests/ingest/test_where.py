"""Filters: what is refused with which words, and spellings that mean the same."""

import pytest

from ingest.where import Where


@pytest.mark.parametrize("value", ["2024-13", "2024-02-31", "2023-02-29", "2024-00", "0000"])
def test_a_date_that_no_calendar_has_is_refused(value):
    with pytest.raises(ValueError, match=f"no such day or month as {value}"):
        Where.parse(f"date>={value}")


@pytest.mark.parametrize("value", ["2024", "2024-12", "2024-02-29"])
def test_a_date_of_the_calendar_is_taken_as_it_is_written(value):
    assert Where.parse(f"date>={value}").parameters == (value,)


@pytest.mark.parametrize(
    ("text", "operator"), [("source==a.md", "=="), ("page=>3", "=>"), ("date<>2024", "<>")]
)
def test_an_operator_that_does_not_exist_is_named(text, operator):
    with pytest.raises(ValueError, match=f"there is no {operator};"):
        Where.parse(text)


@pytest.mark.parametrize("text", ["source=a/* or source=b/*", "page=1 OR date>2024 and page=2"])
def test_conditions_joined_by_or_are_refused(text):
    with pytest.raises(ValueError, match="joined by ' and ' alone"):
        Where.parse(text)


def test_a_value_may_hold_the_word_or_and_in_quotes_anything():
    assert Where.parse("source=this or that.md").parameters == ("this or that.md",) * 2
    assert Where.parse('source="a or page=1" and page=2').parameters[0] == "a or page=1"
    assert Where.parse('source="==="').parameters[0] == "==="


@pytest.mark.parametrize(
    "text", ["source='docs/*'", 'source="docs/*"', "source=./docs/*", "source = './docs/*'"]
)
def test_quotes_of_either_kind_and_a_leading_dot_are_no_part_of_the_value(text):
    assert Where.parse(text) == Where.parse("source=docs/*")
