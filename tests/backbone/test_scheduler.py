"""Everybody's turn comes: who speaks first, prompts fairly, and the youngest gives way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.errors import PromptTooLong
from backbone.prefix import PrefixTree
from backbone.scheduler import PIECE, Job, Scheduler
from backbone.span import BLOCK
from tests.backbone import test_prefix

WINDOW = 6


class Memory(test_prefix.Memory):
    def __init__(self, blocks: int, rows: int) -> None:
        super().__init__(blocks)
        self.rows = list(range(rows))

    @property
    def free_rows(self) -> int:
        return len(self.rows)

    def take_row(self) -> int:
        return self.rows.pop()

    def give_row(self, row: int) -> None:
        self.rows.append(row)


class Talk(Job):
    """Says `left` more tokens after its prompt."""

    left: int = 1


def talk(length: int, say: int = 5, first: int = 0) -> Talk:
    job = Talk([first, *range(1, length)], length - 1)
    job.left = say
    return job


def scheduler(*, blocks: int = 100, rows: int = 8, budget: int = 200) -> Scheduler:
    memory = Memory(blocks, rows)
    return Scheduler(memory, PrefixTree(memory), window=WINDOW, budget=budget)


def step(found: Scheduler) -> dict[Job, int]:
    """Plan a pass and do as if it had been run -> the tokens of each job."""
    planned = found.plan()
    for job, span in planned:
        assert span.ids == [*job.ids, *job.draft][span.position : span.end]
        assert len(span.blocks) * BLOCK >= span.end
        assert span.reread in (0, min(WINDOW, job.computed))
        found.computed(job, span.end - len(job.draft))
        if span.logits:
            job.left -= 1
            job.ids.append(900 + job.age)
            job.wanted += 1
            if job.left == 0:
                found.remove(job)
    return {job: len(span.ids) for job, span in planned}


def test_who_speaks_comes_first_and_prompts_share_what_is_left():
    found = scheduler(budget=2 * PIECE + 1)
    speaker, one, two, three = talk(5, 50), *(talk(1000, first=n) for n in (1, 2, 3))
    found.add(speaker)
    step(found)
    for job in (one, two, three):
        found.add(job)
    for _ in range(6):
        counts = step(found)
        assert counts[speaker] == 1
        assert sum(counts.values()) <= 2 * PIECE + 1
        assert counts[one] == PIECE  # the oldest always gets on
    assert two.computed == three.computed == 3 * PIECE


def test_a_prompt_alone_gets_the_whole_budget():
    found = scheduler(budget=200)
    job = talk(450)
    found.add(job)
    assert [step(found)[job] for _ in range(4)] == [200, 200, 50, 1]


def test_prompts_get_on_however_many_speak():
    found = scheduler(rows=50, budget=20)
    speakers = [talk(2, 99, first=n) for n in range(40)]
    for job in speakers:
        found.add(job)
    for _ in range(60):
        step(found)
    late = talk(100, first=77)
    found.add(late)
    assert step(found)[late] == PIECE


def test_the_youngest_gives_way_and_goes_on_later():
    found = scheduler(blocks=5)
    old, young = talk(2 * BLOCK - 3, 70), talk(2 * BLOCK - 5, 70, first=1)
    found.add(old)
    found.add(young)
    while not found.preemptions:
        step(found)
    said = list(young.ids)
    assert found.running == [old]
    assert found.waiting == [young]
    while found.busy:
        step(found)
    assert young.ids[: len(said)] == said
    assert (old.left, young.left) == (0, 0)


def test_a_follower_waits_for_whoever_computes_its_prefix():
    found = scheduler(budget=PIECE)
    leader, follower, stranger = talk(5 * BLOCK), talk(4 * BLOCK + 9), talk(90, first=5)
    for job in (leader, follower, stranger):
        found.add(job)
    step(found)
    assert found.running == [leader, stranger]  # who shares nothing overtakes
    while follower.lease is None:
        step(found)
    assert follower.cached == 4 * BLOCK - WINDOW


def test_a_follower_does_not_wait_for_who_is_gone():
    found = scheduler(budget=PIECE)
    leader, follower = talk(5 * BLOCK), talk(4 * BLOCK + 9)
    found.add(leader)
    found.add(follower)
    step(found)
    found.remove(leader)
    assert step(found)[follower]
    assert follower.cached == BLOCK - WINDOW


def test_a_guess_is_worth_nobodys_memory():
    found = scheduler(blocks=1)
    job = talk(BLOCK - 2, 9)
    found.add(job)
    step(found)
    for draft, run in (([1], 2), ([1, 2], 1)):
        job.draft = draft
        ((_, span),) = found.plan()
        assert len(span.ids) == run
    assert job.draft == []
    assert found.preemptions == 0


def test_what_all_the_memory_would_not_hold_is_refused():
    found = scheduler(blocks=2)
    with pytest.raises(PromptTooLong, match=r"129 tokens.*128"):
        found.add(talk(2 * BLOCK + 1))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.integers(1, 60), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    ),
    st.integers(5, 9),
    st.integers(1, 4),
)
def test_everybody_ends_in_whatever_memory_holds_the_longest(asked, blocks, rows):
    found = scheduler(blocks=blocks, rows=rows, budget=100)
    jobs = [talk(length, say, first) for length, say, first in asked]
    for job in jobs:
        found.add(job)
    for _ in range(5000):
        if not found.busy:
            break
        assert step(found), "nobody got on"
    assert not found.busy
    assert all(job.left == 0 for job in jobs)
    assert found._tree.available == blocks
    assert found._memory.free_rows == rows
