"""Many sequences advancing together, one packed forward pass a step: tokens in, tokens out.

Joins the parts: the scheduler says who runs, the model runs it, generations and scorings take what
comes out. Without text, and called from one thread by whoever owns it; a second fills the masks of
grammars while the model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

from backbone.batch import Span
from backbone.cache import Cache
from backbone.errors import BackboneError
from backbone.generation import Generation, Rows
from backbone.lfm2 import Lfm2
from backbone.prefix import PrefixTree
from backbone.request import FinishReason
from backbone.scheduler import Job, Scheduler, Stats
from backbone.scoring import Continuation, Scoring
from backbone.store import PrefixStore

BUDGET = 256  # tokens a pass: a whole prompt at once would hold up everybody who is speaking
DRAFTING = 4  # sequences beside which drafts still gain


class Engine:
    """Runs generations and scorings on one model and its cache.

    `vocabulary` is the number of real tokens. `drafting` is how many sequences may run for drafts
    to be made at all, 0 for none; drafts need spare convolution rows in the cache. A `store` keeps
    long prefixes.
    """

    def __init__(
        self,
        model: Lfm2,
        cache: Cache,
        *,
        vocabulary: int,
        budget: int = BUDGET,
        drafting: int = DRAFTING,
        store: PrefixStore | None = None,
    ) -> None:
        self._model = model
        self._cache = cache
        self._vocabulary = vocabulary
        self._drafting = drafting
        self._blocks = cache.free_blocks
        self._store = store
        self.tree = PrefixTree(cache, store)
        self.scheduler = Scheduler(cache, self.tree, window=model.window, budget=budget)
        self._masks = ThreadPoolExecutor(1, thread_name_prefix="masks")
        self._prompt_tokens = self._completion_tokens = self._drafted = self._accepted = 0

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return self.scheduler.busy

    @property
    def waiting(self) -> int:
        """How many jobs have not begun, or had to give way."""
        return len(self.scheduler.waiting)

    @property
    def stats(self) -> Stats:
        """The figures of now; any thread may ask."""
        return Stats(
            running=len(self.scheduler.running),
            waiting=len(self.scheduler.waiting),
            free_blocks=self.tree.available,
            blocks=self._blocks,
            free_rows=self._cache.free_rows,
            prefix_hit_tokens=self.scheduler.prefix_hit_tokens,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            preemptions=self.scheduler.preemptions,
            drafted=self._drafted,
            accepted=self._accepted,
        )

    def add(self, job: Generation | Scoring) -> None:
        """Queue a generation or a scoring."""
        for part in [job] if isinstance(job, Generation) else job.next():
            try:
                self.scheduler.add(part)
            except BackboneError as error:
                self._fail(part, error)

    def step(self) -> None:
        """Advance everybody who runs: by a piece of its prompt or by a token or more."""
        self._drop_cancelled()
        self._draft()
        planned = self.scheduler.plan()
        if not planned:
            return
        with self._masks_filled(planned):
            logits = self._model.run([span for _, span in planned], self._cache)
        best = logits[:, : self._vocabulary].argmax(1).tolist()
        norms = logits.logsumexp(1).tolist()
        at = 0
        for job, span in planned:
            mine = slice(at, at + span.logits)
            at = mine.stop
            self._take(job, span, Rows(logits[mine], best[mine], norms[mine]))

    def fail(self, error: Exception) -> None:
        """End everything, running or waiting, with an error."""
        for job in self.scheduler:
            if job.lease is not None or job in self.scheduler.waiting:
                self._fail(job, error)

    def close(self) -> None:
        """End everything, running or waiting, as cancelled; keep what is to be kept."""
        for job in self.scheduler:
            job.cancelled = True
        self._drop_cancelled()
        self._masks.shutdown()
        if self._store is not None:
            self._store.close()

    @contextmanager
    def _masks_filled(self, planned: Sequence[tuple[Job, Span]]) -> Iterator[None]:
        """Fill the masks of those who choose a token next, beside what is done meanwhile."""
        filling = [
            self._masks.submit(job.matcher.prepare)
            for job, span in planned
            if span.logits and isinstance(job, Generation) and job.matcher is not None
        ]
        try:
            yield
        finally:
            wait(filling)

    def _drop_cancelled(self) -> None:
        for job in [job for job in self.scheduler if job.cancelled]:
            if isinstance(job, Generation):
                self._end(job, "cancelled")
            else:
                self._fail(job, BackboneError("the scoring was cancelled"))

    def _draft(self) -> None:
        """Let those who speak guess on, unless so many do that guesses only cost."""
        speaking = [
            job
            for job in self.scheduler.running
            if isinstance(job, Generation) and job.pending == 1 and job.drafter is not None
        ]
        few = len(self.scheduler.running) <= self._drafting
        for job in speaking:
            job.propose(self._cache.spare if few else 0)

    def _take(self, job: Job, span: Span, rows: Rows) -> None:
        """Bring a job up to date with what its part of a pass gave."""
        drafted = len(job.draft)
        self.scheduler.computed(job, span.end - drafted)
        if not rows.norms:
            return
        try:
            if isinstance(job, Generation):
                self._advance(job, rows, drafted)
            elif isinstance(job, Continuation) and job.advance(rows):
                self.scheduler.remove(job)
                for other in job.scoring.next(ended=1):
                    self.scheduler.add(other)
        except Exception as error:  # noqa: BLE001  one request's fault must not end the others
            self._fail(job, error)

    def _advance(self, job: Generation, rows: Rows, drafted: int) -> None:
        if not job.produced:
            self._prompt_tokens += len(job.ids)
        said = job.produced
        reason = job.advance(rows)
        said = job.produced - said
        self._completion_tokens += said
        if drafted:
            accepted = min(drafted, max(0, said - 1))
            self._drafted += drafted
            self._accepted += accepted
            self.scheduler.computed(job, job.computed + accepted)
            if job.drafter is not None:
                job.drafter.learn(drafted, accepted)
            if reason is None:
                self._cache.take_back(job.row, drafted - accepted)
        if reason is not None:
            self._end(job, reason)

    def _end(self, job: Generation, reason: FinishReason) -> None:
        self.scheduler.remove(job)
        job.listener.end(reason, job.logprob, max(0, job.cached))

    def _fail(self, job: Job, error: Exception) -> None:
        if job.lease is not None or job in self.scheduler.waiting:
            self.scheduler.remove(job)
        if isinstance(job, Generation):
            job.listener.fail(error)
        elif isinstance(job, Continuation):
            job.scoring.fail(error)
            for other in [o for o in self.scheduler if _same(o, job)]:
                self.scheduler.remove(other)


def _same(one: Job, two: Continuation) -> bool:
    return isinstance(one, Continuation) and one.scoring is two.scoring
