"""Sentences that their quotes support pass; what a model may get wrong about a quote is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.support import doubt

TOWER = "Ada Jones built the tower in Porto in 1901, and it is 40 m high."


@pytest.mark.parametrize(
    ("sentence", "quotes"),
    [
        ("The tower was built in 1901.", [TOWER]),
        ("In Porto, Ada Jones built a tower of 40 metres.", [TOWER]),
        ("The EU has 27 members.", ["The European Union has 27 members."]),
        ("The European Union has 27 members.", ["The E.U. has 27 members."]),
        ("The office has 2 doors.", ["There are two doors in the office."]),
        ("It costs 1,200 dollars.", ["It costs $1200."]),
        ("It happened on 4 May 1947.", ["It happened on May 4, 1947."]),
        ("Germany's exports grew.", ["The exports of Germany grew."]),
        ("Der Mieter zahlt die Miete am 5. Mai.", ["Die Miete zahlt der Mieter am 5. Mai."]),
        ("该塔高40米。", ["该塔建于1901年，高40米。"]),
        ("Die Brücke ist 40 m lang.", ["The bridge is 40 m long."]),
    ],
)
def test_what_quotes_support_is_not_doubted(sentence, quotes):
    assert doubt(sentence, quotes) is None


@pytest.mark.parametrize(
    ("sentence", "quotes", "why"),
    [
        ("The tower was built in 1902.", [TOWER], "a number that its quotes do not have"),
        ("The tower is 40 km high.", [TOWER], "a number with another unit"),
        ("It was on 5 May 1947.", ["It was on 4 May 1947."], "a date that its quotes"),
        ("Bob Miller built the tower in Porto.", [TOWER], "do not name Bob Miller"),
        ("Lisbon is where the tower was built.", [TOWER], "do not name Lisbon"),
        ("The tower was not built in 1901.", [TOWER], "denies what its quotes say"),
        ("The rent is due.", ["The rent is not due."], "deny what it says"),
        ("Bananas grow fast.", [TOWER], "speak of something else"),
        ("Die Miete ist nicht fällig.", ["Die Miete ist am 5. fällig."], "denies what"),
        ("Le loyer n'est pas dû le 5.", ["Le loyer est dû le 5."], "denies what"),
        ("El alquiler no se paga el 5.", ["El alquiler se paga el 5."], "denies what"),
        ("O aluguel não é pago no dia 5.", ["O aluguel é pago no dia 5."], "denies what"),
        ("لا يدفع المستأجر الإيجار.", ["يدفع المستأجر الإيجار كل شهر."], "denies what"),
        ("塔不是1901年建的。", ["该塔是1901年建的。"], "denies what"),
        ("この塔は1901年に建てられていない。", ["この塔は1901年に建てられた。"], "denies what"),
        ("이 탑은 1901년에 지어지지 않았다.", ["이 탑은 1901년에 지어졌다."], "denies what"),
        ("组装在东京进行。", ["香蕉长得很快。"], "speak of something else"),
        ("組み立てはトゥールーズで行われた。", ["組み立てはパリで行われた。"], "name トゥールーズ"),
    ],
)
def test_what_quotes_do_not_support_is_doubted(sentence, quotes, why):
    assert why in (doubt(sentence, quotes) or "")


def test_what_was_asked_may_be_repeated_without_support():
    quotes = ["It was completed in 1889 by the engineer's company."]
    sentence = "The Eiffel Tower was completed in 1889."
    assert doubt(sentence, quotes) is not None
    assert doubt(sentence, quotes, context="When was the Eiffel Tower completed?") is None


def test_any_of_several_quotes_may_give_the_support():
    quotes = ["The rent is 900 euros.", "The tenant is Ada Jones."]
    assert doubt("Ada Jones pays a rent of 900 euros as the tenant.", quotes) is None


@given(st.text())
def test_a_quote_supports_itself(text):
    assert not text.strip() or doubt(text, [text]) is None
