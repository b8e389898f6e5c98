"""Scores are log-probabilities, whatever shares the prompt and however little memory there is."""

from random import Random

import pytest

from backbone.cache import Cache
from backbone.checkpoint import load
from backbone.engine import Engine
from backbone.request import Mark, Message
from backbone.scoring import Scoring
from backbone.span import blocks_for
from tests.backbone.checkpoints import TEXTS, logits_of


@pytest.mark.parametrize("repeats", [1, 5, 12])
def test_scores_are_the_log_probabilities_of_the_continuations(backbone, folder, repeats):
    messages = [Message("user", TEXTS[1] * repeats)]
    endings = ["Paris", "", TEXTS[0], ("x", Mark("<added>"), "y"), "a", TEXTS[3] * 28]
    prompt = backbone._chat.encode(messages)
    for ending, found in zip(endings, backbone.score(messages, endings), strict=True):
        ids = backbone._chat.content(ending)
        logprobs = logits_of(folder, prompt + ids).log_softmax(-1)
        wanted = sum(float(logprobs[len(prompt) - 1 + at, i]) for at, i in enumerate(ids))
        assert found == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize("prompt", [1, 63, 64, 65, 128])
@pytest.mark.parametrize("longest", [2, 64, 130])
def test_scoring_makes_do_with_the_least_memory(folder, prompt, longest):
    model, random = load(folder), Random(prompt * longest)
    ids = [random.randrange(400) for _ in range(prompt + longest)]
    endings = [ids[prompt:], [5, 6, 7], ids[prompt:][::-1], [9], [], [5, 6]]

    def scored(blocks, rows, **options):
        cache = Cache(model.config, blocks=blocks, rows=rows)
        engine = Engine(model, cache, vocabulary=model.config.vocab, **options)
        found = []
        engine.add(Scoring(ids[:prompt], endings, done=found.extend, failed=pytest.fail))
        while engine.busy:
            engine.step()
        assert (engine.stats.free_blocks, cache.free_rows) == (blocks, rows)
        return found

    least = scored(blocks_for(prompt + max(longest, 3) - 1), 1, budget=70)
    assert least == pytest.approx(scored(100, 10), abs=1e-3)
    logprobs = logits_of(folder, ids).log_softmax(-1)
    wanted = sum(float(logprobs[at - 1, ids[at]]) for at in range(prompt, len(ids)))
    assert least[0] == pytest.approx(wanted, abs=2e-3)


def test_scoring_nothing_gives_nothing(backbone):
    assert backbone.score([Message("user", "x")], []) == []
