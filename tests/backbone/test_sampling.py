"""The next token follows the definitions of the filters and depends on its own request only."""

import pytest
import torch

from backbone.request import Sampling
from backbone.sampling import Sampler, candidates, keep, penalise

LOGITS = torch.tensor([2.0, 1.0, 3.0, -1.0, 0.0, 2.5, -50.0, 9.0])  # the last is padding
VOCABULARY = 7


def sampler(**settings) -> Sampler:
    return Sampler(Sampling(**settings), vocabulary=VOCABULARY)


def drawn(settings: dict, draws: int = 300) -> set[int]:
    return {sampler(seed=seed, **settings).choose(LOGITS) for seed in range(draws)}


def by_definition(*, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0) -> set[int]:
    """The tokens that may be drawn, by taking the definitions at their word."""
    shares = (LOGITS[:VOCABULARY] / temperature).softmax(0).tolist()
    left = sorted(range(VOCABULARY), key=lambda token: -shares[token])
    left = left[:top_k] if top_k else left
    total = sum(shares[token] for token in left)
    kept, mass = [], 0.0
    for token in left:
        if mass < top_p:
            kept.append(token)
        mass += shares[token] / total
    return {token for token in kept if shares[token] >= min_p * shares[left[0]]}


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1.0, "top_k": 3},
        {"temperature": 1.0, "top_p": 0.7},
        {"temperature": 1.0, "top_p": 0.1},
        {"temperature": 2.0, "min_p": 0.3},
        {"temperature": 0.5, "top_k": 4, "top_p": 0.9, "min_p": 0.05},
    ],
)
def test_only_and_all_tokens_of_the_definition_are_drawn(settings):
    assert drawn(settings) == by_definition(**settings)


def test_no_filter_keeps_everything_but_padding():
    assert drawn({"temperature": 30.0}) == set(range(VOCABULARY))


@pytest.mark.parametrize("top_p", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("width", [0.01, 3.0])
def test_a_large_vocabulary_is_cut_where_a_small_one_would_be(top_p, width):
    """Flat: more than the usual few are kept. Steep: fewer are."""
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(1)) * width
    shares, tokens = candidates(logits, Sampling(temperature=1, top_p=top_p))
    wanted, places = logits.softmax(0).sort(descending=True)
    kept = keep(wanted, Sampling(temperature=1, top_p=top_p))
    assert tokens.tolist() == places[:kept].tolist()
    assert torch.allclose(shares, wanted[:kept])


def test_draws_follow_the_probabilities():
    one = sampler(temperature=1.0, seed=0)
    counts = torch.tensor([one.choose(LOGITS) for _ in range(4000)]).bincount(minlength=VOCABULARY)
    wanted = LOGITS[:VOCABULARY].softmax(0)
    assert float((counts / 4000 - wanted).abs().max()) < 0.03


def test_greedy_takes_the_best_real_token():
    assert sampler().choose(LOGITS) == 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_mask_leaves_only_what_is_allowed(temperature):
    allowed = torch.zeros(VOCABULARY, dtype=torch.bool)
    allowed[6] = True
    assert sampler(temperature=temperature).choose(LOGITS, allowed) == 6


def test_the_same_seed_draws_the_same_tokens():
    one, two, other = (sampler(temperature=2.0, seed=seed) for seed in (5, 5, 6))
    draws = [[s.choose(LOGITS) for _ in range(30)] for s in (one, two, other)]
    assert draws[0] == draws[1] != draws[2]


def test_without_a_seed_draws_differ():
    assert (
        len(
            {
                tuple(s.choose(LOGITS) for _ in range(30))
                for s in map(lambda _: sampler(temperature=2.0), range(3))
            }
        )
        == 3
    )


def test_the_repetition_penalty_counts_prompt_and_reply():
    settings = Sampling(repetition_penalty=2.0)
    repeating = Sampler(settings, vocabulary=VOCABULARY, prompt=[2])
    assert [repeating.choose(LOGITS) for _ in range(3)] == [5, 0, 2]


def test_presence_and_frequency_count_the_reply_only():
    once = Sampler(Sampling(presence_penalty=0.7), vocabulary=VOCABULARY, prompt=[2])
    assert [once.choose(LOGITS) for _ in range(4)] == [2, 5, 2, 2]
    often = Sampler(Sampling(frequency_penalty=0.7), vocabulary=VOCABULARY, prompt=[2])
    assert [often.choose(LOGITS) for _ in range(4)] == [2, 5, 2, 0]


def test_biases_are_added_before_the_choice():
    biased = Sampler(Sampling(logit_bias=((4, 3.5), (2, -1.0))), vocabulary=VOCABULARY)
    assert biased.choose(LOGITS) == 4
    assert not biased.plain
    assert Sampler(Sampling(seed=3), vocabulary=VOCABULARY).plain


def test_the_penalty_divides_positive_and_multiplies_negative_logits():
    seen = torch.tensor([True, True, False])
    assert penalise(torch.tensor([2.0, -2.0, 2.0]), seen, 2.0).tolist() == [1.0, -4.0, 2.0]


def test_at_least_one_token_is_kept():
    assert keep(torch.tensor([0.4, 0.3, 0.3]), Sampling(temperature=1, top_p=1e-9)) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"min_p": 2}, {"repetition_penalty": 0}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


@pytest.mark.parametrize("penalty", [1e-300, 1e300])
@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1.0, 1e300])
def test_no_value_that_is_allowed_overflows(penalty, temperature):
    sampling = Sampling(temperature=temperature, repetition_penalty=penalty, top_p=0.9, seed=0)
    sampler = Sampler(sampling, vocabulary=5, prompt=[0, 1])
    assert all(0 <= sampler.choose(torch.tensor([-3.0, 2.0, 0.0, 1.0, 9.0])) < 5 for _ in range(20))


def test_a_very_low_temperature_is_greedy():
    sampler = Sampler(Sampling(temperature=1e-300, seed=0), vocabulary=4)
    assert {sampler.choose(torch.tensor([1.0, 1.01, 0.0, -5.0])) for _ in range(20)} == {1}
