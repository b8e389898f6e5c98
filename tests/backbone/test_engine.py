"""What is generated does not depend on company, caches, memory or drafts; no block is ever lost."""

import threading
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backbone.errors import PromptTooLong
from backbone.request import Sampling
from backbone.scoring import Scoring
from backbone.span import BLOCK
from backbone.speculate import Drafter
from tests.backbone.models import (
    DENSE,
    MIXTURE,
    VOCABULARY,
    engine_of,
    generation,
    logprobs_of,
    model_of,
    run,
)

CLOSE = 1e-4


@pytest.fixture(scope="module", params=[DENSE, MIXTURE], ids=["dense", "mixture"])
def model(request):
    return model_of(request.param)


def text(length: int, seed: int = 0) -> list[int]:
    random = Random(seed)
    return [random.randrange(VOCABULARY) for _ in range(length)]


def assert_same(heard, reference):
    assert heard.error is None
    assert heard.tokens == reference.tokens
    for top, wanted in zip(heard.tops, reference.tops, strict=True):
        assert top.keys() == wanted.keys()
        assert max(abs(top[token] - wanted[token]) for token in wanted) < CLOSE


def test_a_prefix_is_reused_exactly_at_every_token(model):
    first = text(BLOCK + 40)
    engine = engine_of(model, blocks=150)
    run(engine, generation(first, 1))
    for length in range(1, len(first), 1 if model.config.routing is None else 5):
        prompt = [*first[:length], (first[length] + 1) % VOCABULARY, 5]
        (heard,) = run(engine, generation(prompt, 1))
        assert heard.cached == max(0, length - model.window)
        wanted = logprobs_of(model, prompt)[-1]
        assert max(abs(wanted[t] - p) for t, p in heard.tops[0].items()) < CLOSE


def test_a_whole_prompt_that_is_cached_runs_its_window_and_last_token_only(model):
    engine = engine_of(model)
    for length in (BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK):
        prompt = text(length, seed=length)
        once, again = (run(engine, generation(prompt, 5))[0] for _ in range(2))
        assert (once.cached, again.cached) == (0, length - 1 - model.window)
        assert_same(again, once)


def test_the_next_turn_of_a_chat_finds_prompt_and_reply(model):
    engine = engine_of(model)
    (heard,) = run(engine, generation(text(100), 50))
    chat = [*text(100), *heard.tokens, *text(20, seed=1)]
    (after,) = run(engine, generation(chat, 10))
    assert after.cached >= 100 + 49 - model.window
    assert_same(after, run(engine_of(model), generation(chat, 10))[0])


def requests(drafts: bool = True):
    """Prompts of many lengths that share beginnings, and samplings of all kinds."""
    base = text(200)
    options = {} if drafts else {"drafter": None}
    for number in range(9):
        prompt = [*base[: 25 * number], *text(1 + number * 7, seed=number)]
        sampling = Sampling(
            temperature=[0.0, 0.0, 1.0][number % 3], seed=number, presence_penalty=number % 2
        )
        yield generation(prompt, 5 + 3 * number, sampling=sampling, **options)


def test_company_memory_and_drafts_change_nothing(model):
    alone = [run(engine_of(model, drafting=0), job)[0] for job in requests(drafts=False)]
    rich = engine_of(model)
    poor = engine_of(model, blocks=6, rows=5, budget=30)
    for engine in (rich, poor):
        for heard, reference in zip(run(engine, *requests()), alone, strict=True):
            assert_same(heard, reference)
        assert engine.stats.free_blocks == engine.stats.blocks


def test_who_gives_way_goes_on_as_if_nothing_had_happened(model):
    def jobs():
        return [generation(text(BLOCK - 4 - n, seed=n), 15) for n in range(3)]

    engine = engine_of(model, blocks=3, drafting=0)
    for heard, job in zip(run(engine, *jobs()), jobs(), strict=True):
        assert_same(heard, run(engine_of(model, drafting=0), job)[0])
        assert heard.cached == 0
    assert engine.stats.preemptions


class Oracle(Drafter):
    """Knows what will be said, and is wrong now and then."""

    def __init__(self, said: list[int], prompt: int, seed: int) -> None:
        super().__init__(prompt)
        self.said, self.random = said, Random(seed)

    def draft(self, ids, matcher, most):
        at = len(ids) - self._prompt
        right = self.said[at : at + self.random.randint(0, max(0, most))]
        return [(t + (self.random.random() < 0.3)) % VOCABULARY for t in right]


def test_drafts_right_or_wrong_change_only_how_many_passes_there_are(model):
    alone = [run(engine_of(model, drafting=0), job)[0] for job in requests()]
    engine = engine_of(model, drafting=100, rows=4, blocks=16)
    jobs = list(requests())
    for number, (job, reference) in enumerate(zip(jobs, alone, strict=True)):
        job.drafter = Oracle(reference.tokens, len(job.ids), number)
    for heard, reference in zip(run(engine, *jobs), alone, strict=True):
        assert_same(heard, reference)
    assert engine.stats.drafted > engine.stats.accepted > 40


def count_tokens(engine, monkeypatch) -> list[int]:
    """How many tokens go through the model in each pass."""
    counts = []
    plan = engine.scheduler.plan

    def counted():
        planned = plan()
        counts.append(sum(len(span.ids) for _, span in planned))
        return planned

    monkeypatch.setattr(engine.scheduler, "plan", counted)
    return counts


def test_a_prefix_that_many_want_at_once_is_computed_and_stored_once(model, monkeypatch):
    prefix, engine = text(5 * BLOCK), engine_of(model, rows=16)
    counts = count_tokens(engine, monkeypatch)
    jobs = [generation([*prefix, *text(5, seed=n)], 1) for n in range(1, 11)]
    heard = run(engine, *jobs)
    assert sum(counts) < len(prefix) + 10 * (5 + model.window) + BLOCK
    assert max(counts) <= 256 + 10
    held = [node.key for node in engine.tree if len(node.key) == BLOCK]
    assert Counter(held) == Counter(tuple(prefix[at : at + BLOCK]) for at in range(0, 320, BLOCK))
    for job, one in zip(jobs, heard, strict=True):
        wanted = logprobs_of(model, job.ids[: len(prefix) + 5])[-1]
        assert max(abs(wanted[t] - p) for t, p in one.tops[0].items()) < CLOSE


def test_scores_and_replies_share_the_passes(model):
    """Neither waits for the other to be over."""
    engine = engine_of(model, rows=4)
    talk = generation(text(10), 200)
    engine.add(talk)
    engine.step()
    scores = []
    endings = [text(4, seed=n) for n in range(20)]
    engine.add(Scoring(text(30), endings, done=scores.extend, failed=pytest.fail))
    late = generation(text(12, seed=3), 5)
    engine.add(late)
    while not late.listener.reason:
        engine.step()
    assert not scores  # a long scoring does not hold up who came after it
    while not scores:
        engine.step()
    assert not talk.listener.reason  # nor does it wait for a long reply
    for ending, score in zip(endings, scores, strict=True):
        rows = logprobs_of(model, [*text(30), *ending])
        assert score == pytest.approx(
            sum(float(rows[29 + at, token]) for at, token in enumerate(ending)), abs=1e-3
        )


def test_what_can_never_fit_fails_alone(model):
    engine = engine_of(model, blocks=2)
    big, small = run(engine, generation(text(2 * BLOCK + 1), 3), generation(text(9), 3))
    assert isinstance(big.error, PromptTooLong)
    assert small.reason == "length"


MODELS = [model_of(DENSE), model_of(MIXTURE)]


class Memory(RuleBasedStateMachine):
    """Any interleaving of requests, cancellations and scorings, in little memory."""

    @initialize(which=st.integers(0, 1), blocks=st.integers(4, 9), rows=st.integers(1, 4))
    def begin(self, which, blocks, rows):
        self.engine = engine_of(MODELS[which], blocks=blocks, rows=rows, budget=70)
        self.blocks, self.rows, self.jobs, self.scorings = blocks, rows, [], []

    @rule(shared=st.integers(0, 140), own=st.integers(1, 60), tokens=st.integers(1, 40))
    def ask(self, shared, own, tokens):
        prompt = [*text(shared), *text(own, seed=own % 3)]
        self.jobs.append(generation(prompt, min(tokens, 4 * BLOCK - len(prompt)), alternatives=0))
        self.engine.add(self.jobs[-1])

    @rule(shared=st.integers(1, 100), lengths=st.lists(st.integers(0, 70), max_size=4))
    def score(self, shared, lengths):
        ended = []
        self.scorings.append(ended)
        endings = [text(length, seed=length) for length in lengths]
        self.engine.add(Scoring(text(shared), endings, done=ended.append, failed=ended.append))

    @rule(which=st.integers(0, 99))
    def cancel(self, which):
        if self.jobs:
            self.jobs[which % len(self.jobs)].cancelled = True

    @rule(steps=st.integers(1, 10))
    def step(self, steps):
        for _ in range(steps):
            self.engine.step()

    @rule()
    def fault(self):
        self.engine.fail(RuntimeError("out of memory"))

    @invariant()
    def every_block_and_row_is_free_or_held_once(self):
        if not hasattr(self, "engine"):
            return
        cache, running = self.engine._cache, self.engine.scheduler.running
        nodes = list(self.engine.tree)
        own = [block for job in running for block in job.lease.blocks[len(job.lease.nodes) :]]
        held = [*cache._blocks, *own, *(node.block for node in nodes)]
        assert sorted(held) == list(range(self.blocks))
        assert sorted([*cache._rows, *(job.row for job in running)]) == list(range(self.rows))
        holders = Counter(id(node) for job in running for node in job.lease.nodes)
        assert all(node.holders == holders[id(node)] for node in nodes)
        idle = {id(node) for node in nodes if not node.holders}
        assert {id(node) for node in self.engine.tree._idle} == idle

    def teardown(self):
        if hasattr(self, "engine"):
            for _ in range(3000):
                self.engine.step()
                if not self.engine.busy:
                    break
            self.every_block_and_row_is_free_or_held_once()
            assert self.engine.stats.free_blocks == self.blocks
            assert all(job.listener.reason or job.listener.error for job in self.jobs)
            assert all(len(ended) == 1 for ended in self.scorings)


Memory.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestMemory = Memory.TestCase


class EvenOnly:
    """A grammar of even tokens; notes when it was asked to fill its mask."""

    finished = False

    def __init__(self):
        self.filled = threading.Event()

    def prepare(self):
        self.filled.set()

    def allowed(self):
        return np.arange(VOCABULARY) % 2 == 0

    def accept(self, token):
        assert token % 2 == 0
        self.filled.clear()


def test_masks_are_filled_while_the_model_runs(model, monkeypatch):
    grammar = EvenOnly()
    engine = engine_of(model)
    ran = type(model).run

    def slow(self, spans, cache):
        assert not any(span.logits for span in spans) or grammar.filled.wait(30)
        return ran(self, spans, cache)

    monkeypatch.setattr(type(model), "run", slow)
    (heard,) = run(engine, generation(text(50), 10, matcher=grammar, drafter=None))
    assert heard.error is None
    assert len(heard.tokens) == 10
    engine.close()
