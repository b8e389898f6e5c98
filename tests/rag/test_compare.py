"""A run beside an earlier one: what counts as a regression, and what is compared at all."""

from dataclasses import replace

import pytest

from rag.compare import compare
from rag.errors import QuestionsError
from rag.evaluation import Evaluation, Facts, Result
from rag.evaluation_text import comparison_text, evaluation_text
from rag.testset import Case

FACTS = Facts("0.1", "2026-01-01T00:00:00+00:00", "a processor", "builtin", "builtin", 6, 3, 2, 40)


def run(*values, key="holds", facts=FACTS):
    """A run whose questions have these values of one measure."""
    results = [
        Result(
            Case(f"q{n}", f"question {n}?", True, ("yes",), line=n), {key: value, "right": value}
        )
        for n, value in enumerate(values, start=1)
    ]
    return Evaluation(facts, tuple(results))


def regressed(before, now, **options):
    return [change.measure.key for change in compare(before, now, **options).regressions]


def test_the_same_run_is_no_regression():
    same = run(*([1.0, 0.0, 0.5] * 10))
    found = compare(same, same)
    assert not found.regressions
    assert not found.broken
    assert found.compared == 30
    assert {change.interval for change in found.changes} == {(0, 0)}


def test_a_large_loss_is_a_regression_however_few_the_questions():
    assert regressed(run(1.0, 1.0), run(1.0, 0.0)) == ["right", "holds"]
    assert regressed(run(1.0), run(0.0)) == ["right", "holds"]
    assert not regressed(run(1.0, 1.0), run(1.0, 0.0), tolerance=0.5)


def test_a_small_loss_is_a_regression_only_beyond_chance():
    perfect = run(*[1.0] * 200)
    assert not regressed(perfect, run(*[0.0], *[1.0] * 199))
    assert regressed(perfect, run(*[0.0] * 8, *[1.0] * 192)) == ["right", "holds"]


def test_losses_that_gains_make_up_for_are_chance():
    before = run(*[1.0, 0.0] * 100)
    now = run(*[0.0, 1.0] * 5, *[1.0, 0.0] * 95)
    assert not regressed(before, now)
    assert len(compare(before, now).broken) == 5
    assert len(compare(before, now).mended) == 5


def test_getting_better_is_no_regression_and_less_may_be_better():
    assert not regressed(run(0.0, 0.0), run(1.0, 1.0))
    key = "declined_wrongly"
    assert key in regressed(run(0.0, 0.0, key=key), run(1.0, 1.0, key=key))
    assert key not in regressed(run(1.0, 1.0, key=key), run(0.0, 0.0, key=key))


def test_only_questions_that_are_the_same_in_both_are_compared():
    before = run(1.0, 1.0, 1.0)
    one, two, three = run(1.0, 1.0, 0.0).results
    edited = replace(two, case=replace(two.case, answers=("no",)))
    moved = replace(one, case=replace(one.case, line=70))
    new = replace(three, case=Case("new", "new?", True, ("yes",)))
    found = compare(before, Evaluation(FACTS, (moved, edited, new)))
    assert (found.compared, found.edited, found.added, found.gone) == (1, 1, 1, 1)
    assert not found.regressions


def test_runs_with_nothing_in_common_cannot_be_compared():
    with pytest.raises(QuestionsError, match="none of these questions"):
        compare(run(1.0), Evaluation(FACTS, ()))


def test_a_measure_that_one_run_does_not_have_is_not_compared():
    before, now = run(1.0, 1.0, key="holds"), run(1.0, 1.0, key="ndcg")
    assert [change.measure.key for change in compare(before, now).changes] == ["right"]


def test_other_conditions_are_told_and_the_date_is_none():
    other = replace(FACTS, model="LFM2", generation=9, date="2027")
    found = compare(run(1.0), run(1.0, facts=other))
    assert found.conditions == (("model", "builtin", "LFM2"), ("generation", "3", "9"))
    text = comparison_text(found, tolerance=0.05)
    assert "other model: builtin → LFM2" in text
    assert "other generation of the index: 3 → 9" in text


def test_the_text_names_what_got_worse_and_the_questions_that_broke():
    found = compare(run(1.0, 1.0), run(1.0, 0.0))
    text = comparison_text(found, tolerance=0.05)
    assert "1.000 → 0.500" in text
    assert text.splitlines()[-1] == (
        "regression of answers: right, answers: holds an accepted answer"
    )
    assert "was right and is wrong:\n  line 2: question 2?" in text
    assert comparison_text(compare(run(1.0), run(1.0)), tolerance=0.05).endswith(
        "no regression beyond chance or 0.05"
    )
    assert found.to_json()["broken"] == ["q2"]
    assert found.to_json()["regressions"] == ["right", "holds"]


def test_the_table_has_a_line_for_each_measure_that_was_made_and_is_safe_to_print():
    [result] = run(0.0).results
    hostile = replace(result, case=replace(result.case, question="\x1b[2Jhidden\n?"), error=None)
    text = evaluation_text(Evaluation(FACTS, (hostile, replace(hostile, error="\x1b]0;x"))))
    assert "\x1b" not in text
    assert "nDCG" not in text
    assert "holds an accepted answer" in text
    assert "could not be asked:\n  line 1: " in text
    assert "went wrong:\n  line 1: " in text


def test_long_lists_of_questions_are_cut():
    text = evaluation_text(run(*[0.0] * 25))
    assert text.count("line ") == 10
    assert "and 15 more" in text


def test_a_run_that_was_stopped_says_so():
    assert "1 question (stopped early)" in evaluation_text(replace(run(1.0), complete=False))
