"""Drafts come from the best place, grow while they prove right, and end when they do not."""

from backbone.speculate import MISSES, Drafter


class Grammar:
    def __init__(self, certain=(), valid=99) -> None:
        self._certain, self._valid = list(certain), valid

    def certain(self):
        return self._certain

    def valid(self, tokens):
        return min(self._valid, len(tokens))


PASSAGE = [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_what_followed_the_same_tokens_is_drafted():
    ids = [*PASSAGE, 50, 51, 2, 3, 4]
    assert Drafter(len(ids)).draft(ids, None, 8) == [5, 6]
    assert Drafter(len(ids)).draft(ids, None, 1) == [5]
    assert Drafter(len(ids)).draft(ids, None, 0) == []
    assert Drafter(len(ids)).draft([*PASSAGE, 50, 2, 4, 3], None, 8) == []


def test_the_place_that_agrees_longest_wins_and_then_the_prompt():
    prompt = [1, 2, 3, 4, 60, 61, 9, 2, 3, 4, 70, 71]
    assert Drafter(len(prompt)).draft([*prompt, 1, 2, 3, 4], None, 8) == [60, 61]
    assert Drafter(len(prompt)).draft([*prompt, 9, 2, 3, 4], None, 8) == [70, 71]
    said = [*prompt, 30, 2, 3, 4, 80, 31, 2, 3, 4]
    assert Drafter(len(prompt)).draft(said, None, 8)[0] in (60, 70)


def test_places_in_the_reply_are_found_as_it_grows():
    drafter, ids = Drafter(3), [11, 12, 13]
    assert drafter.draft(ids, None, 8) == []
    ids += [21, 22, 23, 24, 25, 21, 22, 23]
    assert drafter.draft(ids, None, 8) == [24, 25]


def test_drafts_grow_when_right_and_end_after_some_misses():
    ids = [*PASSAGE, 50, 1, 2, 3]
    drafter = Drafter(len(ids))
    drafter.learn(2, 2)
    assert len(drafter.draft(ids, None, 8)) == 4
    drafter.learn(4, 1)
    assert len(drafter.draft(ids, None, 8)) == 4
    drafter.learn(4, 0)
    assert len(drafter.draft(ids, None, 8)) == 2
    for _ in range(MISSES - 1):
        drafter.learn(2, 0)
    assert drafter.draft(ids, None, 8) == []


def test_two_tokens_are_enough_where_a_grammar_checks():
    ids = [*PASSAGE, 50, 2, 3]
    assert Drafter(len(ids)).draft(ids, None, 8) == []
    assert Drafter(len(ids)).draft(ids, Grammar(), 8) == [4, 5]


def test_a_grammar_comes_first_and_cuts_what_it_forbids():
    ids = [*PASSAGE, 50, 1, 2, 3]
    assert Drafter(len(ids)).draft(ids, Grammar(certain=[7, 7, 7]), 2) == [7, 7]
    assert Drafter(len(ids)).draft(ids, Grammar(valid=1), 8) == [4]
    assert Drafter(len(ids)).draft(ids, Grammar(valid=0), 8) == []
