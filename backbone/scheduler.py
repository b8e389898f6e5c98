"""Who runs in the next forward pass, and how much of each.

Every sequence that decodes comes first, then pieces of prompts, under a budget of tokens. Sequences
are admitted in the order they came, when there is memory for what they hold, and take more as they
grow; when there is none the youngest gives way and waits to be run again. The oldest is never in
that place, so everybody's turn comes. Decides only: no tensors, no text.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Protocol

from backbone.errors import PromptTooLong
from backbone.prefix import Blocks, Lease, PrefixTree
from backbone.span import BLOCK, Span

PIECE = 64  # tokens of a prompt that are worth a place in a pass


class Memory(Blocks, Protocol):
    """Blocks, and convolution rows: a Cache."""

    @property
    def free_rows(self) -> int:
        """How many rows nobody holds."""
        ...

    def take_row(self) -> int:
        """A row at the state of an empty sequence."""
        ...

    def give_row(self, row: int) -> None:
        """Take it back."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """One sequence to run. `ids` may grow; the first `computed` of them are in the cache.

    Logits are asked for from token `wanted` on. `draft` are guesses of what follows `ids`, run with
    them. Any thread may set `cancelled`; everything else belongs to the engine.
    """

    ids: list[int]
    wanted: int
    cancelled: bool = field(default=False, kw_only=True)
    draft: list[int] = field(default_factory=list, kw_only=True)
    computed: int = field(default=0, init=False)
    cached: int = field(default=-1, init=False)  # tokens that it found, and was spared; -1 = waits
    served: int = field(default=0, init=False)  # tokens run since it was admitted
    age: int = field(default=-1, init=False)
    lease: Lease | None = field(default=None, init=False)
    row: int = field(default=-1, init=False)
    fresh: bool = field(default=True, init=False)  # the row knows nothing of what was computed
    leader: Job | None = field(default=None, init=False)  # who computes what this one waits for
    awaited: int = field(default=0, init=False)  # how many tokens of it

    @property
    def pending(self) -> int:
        """How many known tokens are not computed."""
        return len(self.ids) - self.computed


@dataclass(frozen=True, slots=True)
class Stats:
    """What an engine is doing, and what it did since it was loaded (the token counts)."""

    running: int = 0
    waiting: int = 0
    free_blocks: int = 0
    blocks: int = 0
    free_rows: int = 0
    prefix_hit_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    preemptions: int = 0
    drafted: int = 0
    accepted: int = 0


class Scheduler:
    """Plans passes of about `budget` tokens over a memory and the tree of prefixes in it.

    `window` is how many tokens before the end of a cached prefix must be run again.
    """

    def __init__(self, memory: Memory, tree: PrefixTree, *, window: int, budget: int) -> None:
        self._memory = memory
        self._tree = tree
        self._window = window
        self._budget = budget
        self._blocks = memory.free_blocks
        self._rows = memory.free_rows
        self._ages = count()
        self.running: list[Job] = []  # the oldest first
        self.waiting: list[Job] = []
        self.preemptions = 0
        self.prefix_hit_tokens = 0

    def __iter__(self) -> Iterator[Job]:
        """Everybody, running or waiting."""
        return iter([*self.running, *self.waiting])

    @property
    def busy(self) -> bool:
        """Whether anybody runs or waits."""
        return bool(self.running or self.waiting)

    @property
    def room(self) -> int:
        """How many tokens one sequence can come to hold."""
        return self._blocks * BLOCK

    def add(self, job: Job) -> None:
        """Queue a job; PromptTooLong when all of the memory would not hold it."""
        if len(job.ids) > self.room:
            raise PromptTooLong(
                f"{len(job.ids)} tokens do not fit the cache, which has room for {self.room}:"
                " send fewer, or load the model with more `cached_tokens`"
            )
        job.age = next(self._ages)
        self.waiting.append(job)

    def remove(self, job: Job) -> None:
        """Forget a job, wherever it is; what it computed stays in the tree."""
        if job.lease is None:
            self.waiting.remove(job)
        else:
            self.running.remove(job)
            self._release(job)

    def plan(self) -> list[tuple[Job, Span]]:
        """The next pass: everybody in it has the blocks that it needs."""
        self._admit()
        planned = []
        for job in list(self.running):  # the oldest first: only younger ones can be in its way
            if job.lease is not None and job.pending == 1 and self._grow(job):
                planned.append((job, self._span(job, 1)))
        left = self._budget - sum(len(span.ids) for _, span in planned)
        prompts = [job for job in self.running if job.pending > 1]
        # The oldest first, so that it ends; then whoever got least.
        order = prompts[:1] + sorted(prompts[1:], key=lambda job: job.served)
        for number, job in enumerate(order):
            if left <= 0 and number:
                break
            share = max(left // (len(order) - number), PIECE)
            job.draft = []
            span = self._span(job, max(1, share - self._reread(job)))
            planned.append((job, span))
            left -= len(span.ids)
            job.served += len(span.ids)
        return planned

    def computed(self, job: Job, tokens: int) -> None:
        """A pass is over; the cache holds that many tokens of a job that is running."""
        assert job.lease is not None
        job.computed, job.fresh = tokens, False
        self._tree.commit(job.lease, job.ids, tokens)

    def _admit(self) -> None:
        """Start whoever came first, while there is memory for all that it holds."""
        for job in list(islice(self.waiting, 2 * self._rows)):
            if not self._memory.free_rows:
                break
            if self._should_wait(job):
                continue
            tokens = len(job.ids)
            spare = len(self.running)  # each may soon need a block more
            lease = self._tree.lease(job.ids, limit=job.wanted, tokens=tokens, spare=spare)
            if lease is None:
                break
            self._start(job, lease)

    def _start(self, job: Job, lease: Lease) -> None:
        self.waiting.remove(job)
        job.lease, job.row, job.fresh = lease, self._memory.take_row(), True
        job.computed, job.served, job.leader = lease.cached, 0, None
        if job.cached < 0:
            job.cached = max(0, lease.cached - self._window)
            self.prefix_hit_tokens += job.cached
        insort(self.running, job, key=_age)

    def _should_wait(self, job: Job) -> bool:
        """Whether somebody is just computing a part of a job's prompt."""
        leader = job.leader
        if leader is not None and leader.lease is not None and leader.computed < job.awaited:
            return True
        for other in self.running:
            if other.pending > 1:
                shared = _shared(job, other)
                if shared > other.computed:
                    job.leader, job.awaited = other, shared
                    return True
        return False

    def _grow(self, job: Job) -> bool:
        """Find blocks for a job's next tokens; False when it had to give way itself."""
        assert job.lease is not None
        if job.draft and not self._tree.grow(job.lease, len(job.ids) + len(job.draft)):
            job.draft = []  # a guess is worth nobody's memory
        while not self._tree.grow(job.lease, len(job.ids)):
            youngest = self.running[-1]
            self._preempt(youngest)
            if youngest is job:
                return False
        return True

    def _preempt(self, job: Job) -> None:
        """Put a job back to its place among the waiting; what it said is run again as prompt."""
        self.preemptions += 1
        self.running.remove(job)
        self._release(job)
        job.computed, job.draft = 0, []
        insort(self.waiting, job, key=_age)

    def _release(self, job: Job) -> None:
        assert job.lease is not None
        self._tree.release(job.lease, job.ids, job.computed)
        self._memory.give_row(job.row)
        job.lease, job.row = None, -1

    def _reread(self, job: Job) -> int:
        """How many tokens before the computed ones the next pass runs again."""
        return min(self._window, job.computed) if job.fresh else 0

    def _span(self, job: Job, tokens: int) -> Span:
        """At most that many of a job's pending tokens, its draft when these are all."""
        assert job.lease is not None
        reread, start = self._reread(job), job.computed
        end = min(start + tokens, len(job.ids))
        ids = job.ids[start - reread : end]
        if end == len(job.ids):
            ids += job.draft
        logits = max(0, start - reread + len(ids) - max(job.wanted, start))
        return Span(ids, start - reread, job.lease.blocks, job.row, reread, logits)


def _age(job: Job) -> int:
    return job.age


def _shared(job: Job, other: Job) -> int:
    """How many tokens, in whole blocks, one job could have from another's prompt."""
    most = min(job.wanted, len(other.ids)) // BLOCK * BLOCK
    for at in range(0, most, BLOCK):
        if job.ids[at : at + BLOCK] != other.ids[at : at + BLOCK]:
            return at
    return most
