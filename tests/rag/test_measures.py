"""The measures, against a reference and against what they must hold."""

import math
import random

import pytest

from rag import measures


def random_runs(count=60):
    """Rankings of made-up documents, and their grades: question -> (ranked, grades)."""
    chance = random.Random(7)
    runs = {}
    for number in range(count):
        documents = [f"d{i}" for i in range(chance.randint(3, 40))]
        chance.shuffle(documents)
        relevant = chance.sample(documents, chance.randint(1, min(12, len(documents))))
        grades = {one: chance.randint(1, 3) for one in relevant}
        grades["never found"] = 2
        runs[f"q{number}"] = (documents[: chance.randint(1, len(documents))], grades)
    return runs


@pytest.mark.parametrize("k", [1, 6, 10])
def test_rankings_are_judged_as_by_ir_measures(k):
    ir = pytest.importorskip("ir_measures")
    runs = random_runs()
    qrels = [ir.Qrel(q, d, grade) for q, (_, grades) in runs.items() for d, grade in grades.items()]
    found = [
        ir.ScoredDoc(q, d, -rank)
        for q, (ranked, _) in runs.items()
        for rank, d in enumerate(ranked)
    ]
    ours = {
        ir.nDCG @ k: lambda ranked, grades: measures.ndcg(ranked, grades, k=k),
        ir.R @ k: lambda ranked, grades: measures.recall(ranked, grades, k=k),
        ir.P @ k: lambda ranked, grades: measures.precision(ranked, grades, k=k),
        ir.RR @ k: lambda ranked, grades: measures.reciprocal_rank(ranked, grades, k=k),
    }
    theirs = list(ir.iter_calc(list(ours), qrels, found))
    assert len(theirs) == len(ours) * len(runs)
    for value in theirs:
        assert ours[value.measure](*runs[value.query_id]) == pytest.approx(value.value, abs=1e-9)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("The  KV cache!", "kv cache"),
        ("(Christopher Latham Sholes)", "Christopher Latham Sholes"),
        ("der Bundestag", "Bundestag"),
        ("l’école", "école"),
        ("La Habana", "habana"),
        ("o Conselho", "conselho"),
        ("المدرسة", "مدرسة"),
        ("مَدْرَسَة", "مدرسة"),
        ("三百%", "三百 %"),
        ("３００", "300"),
        ("300%", "300 %"),
        ("津浪が襲来。", "津浪が 襲来"),
        ("서울, 대한민국", "서울 대한민국"),
    ],
)
def test_case_articles_punctuation_and_width_make_no_difference(said, answer):
    assert measures.exact_match(said, [answer]) == 1
    assert measures.f1(said, [answer]) == 1
    assert measures.holds_answer(said, [answer]) == 1


@pytest.mark.parametrize(
    ("said", "answer"),
    [("15 days", "16 days"), ("école", "ecole"), ("30 %", "30"), ("well-known", "wellknown")],
)
def test_other_words_numbers_and_accents_are_other_answers(said, answer):
    assert measures.exact_match(said, [answer]) == 0


def test_chinese_japanese_and_korean_are_compared_by_the_character():
    assert measures.f1("年休假十五天", ["十五天"]) == pytest.approx(2 * 3 / (6 + 3))
    assert measures.f1("서울에서", ["서울"]) == pytest.approx(2 * 2 / (4 + 2))
    assert measures.holds_answer("その日は津浪が襲来した", ["津浪が襲来"]) == 1


def test_the_nearest_accepted_answer_counts():
    assert measures.f1("fifteen days", ["a fortnight", "fifteen days of leave"]) == pytest.approx(
        2 * 2 / (2 + 4)
    )
    assert measures.f1("fifteen days", []) == 0


def test_an_answer_is_held_as_whole_words_in_order():
    assert measures.holds_answer("the boat leaves at 17:55 sharp", ["at 17:55"]) == 1
    assert measures.holds_answer("in 19115", ["1911"]) == 0
    assert measures.holds_answer("55 17", ["17 55"]) == 0
    assert measures.holds_answer("anything", ["..."]) == 0


def test_a_text_of_articles_alone_keeps_them():
    assert measures.tokens("The Who") == ["who"]
    assert measures.exact_match("the", ["an"]) == 0


def test_citations_are_judged_by_the_places_they_stand_in():
    assert measures.citations_right([]) == (None, 0.0)
    assert measures.citations_right([[True, False], [False, False]]) == (0.5, 0.5)
    assert measures.citations_right([[True, False], [False, True]]) == (1.0, 1.0)


def test_percentiles_are_values_that_were_measured():
    assert measures.percentile([3, 1, 2], 0.5) == 2
    assert measures.percentile([4, 1, 2, 3], 0.5) == 2
    assert measures.percentile([1, 2], 0.95) == 2
    assert measures.percentile([5], 0.0) == 5


def test_an_interval_holds_the_mean_is_narrower_with_more_and_never_claims_certainty():
    few, many = [1.0, 0.0] * 5, [1.0, 0.0] * 200
    for values in (few, many, [0.1, 0.7, 0.4]):
        low, high = measures.interval(values)
        assert 0 <= low < measures.mean(values) < high <= 1
    width = [math.dist([low], [high]) for low, high in map(measures.interval, (few, many))]
    assert width[1] < width[0] / 4
    low, high = measures.interval([1.0] * 8)
    assert low < 0.7
    assert high == 1
    assert measures.interval([1.0]) is None


def test_the_bootstrap_is_the_same_each_time_and_knows_chance_from_change():
    mixed = [0.0] * 90 + [0.5] * 5 + [-0.5] * 5
    assert measures.bootstrap(mixed) == measures.bootstrap(mixed)
    low, high = measures.bootstrap(mixed)
    assert low < 0 < high
    assert measures.bootstrap([-1.0] + [0.0] * 99)[1] == 0
    assert measures.bootstrap([-1.0] * 8 + [0.0] * 92)[1] < 0
