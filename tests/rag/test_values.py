"""Values are read out of quotes only where the quote leaves no doubt."""

import pytest

from rag.values import choices, dates, items, numbers, only, yes_or_no


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("It takes 12 KB per token.", [12]),
        ("12KB", [12]),
        ("1,400 people", [1400]),
        ("1.400,50 Euro", [1400.5]),
        ("$1,200.50", [1200.5]),
        ("3.14 or 3,14", [3.14, 3.14]),
        ("1.234", [1.234]),
        ("1.234.567", [1234567]),
        ("1’400 and 1\u202f500", [1400, 1500]),
        ("3.5 million", [3500000]),
        ("5 Millionen, 2 Mrd", [5000000, 2000000000]),
        ("人口は1,400万人", [14000000]),
        ("-5 °C", [-5]),
        ("LFM2-24B of version 2.0", [2]),
        ("between 10-12", []),
        ("on 2024-05-03 at 10:30", []),
        ("no number", []),
    ],
)
def test_numbers_are_what_they_mean(text, values):
    assert [n.value for n in numbers(text)] == values


def test_a_lone_point_before_three_digits_groups_only_whole_numbers():
    assert [n.value for n in numbers("1.234 km", whole=True)] == [1234]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("signed on 3 May 1947.", ["1947-05-03"]),
        ("May 3rd, 1947", ["1947-05-03"]),
        ("am 3. Mai 1947 und am 04.05.1947", ["1947-05-04", "1947-05-03"]),
        ("le 1er février 2020", ["2020-02-01"]),
        ("el 5 de mayo de 1862", ["1862-05-05"]),
        ("2024年5月3日、2024년 6월 1일", ["2024-05-03", "2024-06-01"]),
        ("2024-05-03", ["2024-05-03"]),
        ("5/3/1947", []),
        ("31 February 2020", []),
    ],
)
def test_dates_are_days(text, values):
    assert [d.value for d in dates(text)] == values


def test_yes_and_no_only_where_they_are_said():
    assert [f.value for f in yes_or_no("Refundable: yes")] == [True]
    assert [f.value for f in yes_or_no("Nein, das geht nicht.")] == [False]
    assert [f.value for f in yes_or_no("可退款：否")] == [False]
    assert yes_or_no("Smoking is not allowed.") == []
    assert yes_or_no("Nothing is refundable.") == []


def test_a_choice_is_a_whole_word_and_the_longest():
    assert [f.value for f in choices("The A+ class", ["A", "A+", "B"])] == ["A+"]
    assert [f.value for f in choices("A cat is not dogged.", ["dog", "cat"])] == ["cat"]
    assert [f.value for f in choices("in progress now", ["in_progress", "done"])] == ["in_progress"]
    assert [f.value for f in choices("状态：已完成。", ["已完成", "未完成"])] == ["已完成"]
    assert [f.value for f in choices("level 2 of 5", [1, 2, True, None])] == [2]


def test_what_is_listed_behind_a_colon_is_taken_apart():
    assert [i.value for i in items("Colours: red, dark green, and blue.")] == [
        "red",
        "dark green",
        "blue",
    ]
    assert [i.value for i in items("颜色：红色、绿色")] == ["红色", "绿色"]
    assert [i.value for i in items("We like red\nand blue.")] == ["We like red and blue."]


@pytest.mark.parametrize(
    ("text", "question", "value"),
    [
        ("It takes 12 KB.", "How much does it take?", 12),
        ("The rent of flat 12 is 900 euros.", "What is the rent of flat 12?", 900),
        ("Weights take 2 GB and the cache 12 KB.", "How much do the weights take?", 2),
        ("Signed in 1947 by 12 ministers.", "In which year was it signed?", 1947),
        ("There are 3 and 4 and 5.", "How many?", None),
        ("3 rent 4", "What is the rent?", None),
        ("Nothing.", "How many?", None),
    ],
)
def test_one_number_answers_or_none_does(text, question, value):
    found = only(numbers(text), text, question)
    assert (found.value if found else None) == value
