"""Text in, text out: replies do not depend on company, scores are what they say, ends are clean."""

import gc
import json
import subprocess
import sys
import threading
import time
from random import Random

import pytest
import torch

from backbone.backbone import Backbone
from backbone.errors import BackboneError, Busy, GrammarError, PromptTooLong, Unsupported
from backbone.grammar import Grammar, Matcher
from backbone.request import Mark, Message, Sampling
from backbone.tokenizer import Detokenizer
from tests.backbone.checkpoints import TEXTS, logits_of, write_checkpoint

PROMPTS = [[Message("user", text)] for text in (*TEXTS, TEXTS[0] * 30, "Hi")]
ENDLESS = Grammar.regex("[xy]{5000}")
SAMPLINGS = [
    Sampling(),
    Sampling(temperature=0.8, seed=1),
    Sampling(temperature=1.5, top_k=20, top_p=0.9, seed=2),
    Sampling(temperature=1.0, min_p=0.01, repetition_penalty=1.2, seed=3),
]


def asked(backbone):
    """Requests of all kinds, by number."""
    return [
        {
            "messages": prompt,
            "max_tokens": 5 + 3 * number,
            "sampling": SAMPLINGS[number % len(SAMPLINGS)],
            "stop": ["e"] if number % 3 == 1 else [],
            "grammar": Grammar.quotes(TEXTS) if number % 3 == 2 else None,
        }
        for number, prompt in enumerate(PROMPTS)
    ]


def test_replies_in_company_are_those_given_alone(backbone):
    alone = [backbone.submit(**request).result() for request in asked(backbone)]
    streams = [backbone.submit(**request) for request in asked(backbone)]
    for stream, lonely in zip(streams, alone, strict=True):
        together = stream.result()
        assert (together.text, together.finish_reason) == (lonely.text, lonely.finish_reason)
        assert together.completion_tokens == lonely.completion_tokens
        assert together.logprob == pytest.approx(lonely.logprob, abs=1e-3)
    assert len({completion.text for completion in alone}) > 4


def test_pieces_are_the_text(backbone):
    for request in asked(backbone):
        stream = backbone.submit(**request)
        assert "".join(stream) == stream.result().text


def test_a_greedy_reply_takes_the_best_token_each_time(backbone, folder):
    """Against the model itself, run over prompt and reply at once."""
    prompt = backbone._chat.encode(PROMPTS[0])
    tokenizer, ids = backbone._tokenizer, list(prompt)
    completion = backbone.submit(PROMPTS[0], max_tokens=12).result()
    logprob = 0.0
    for _ in range(completion.completion_tokens):
        logits = logits_of(folder, ids)[-1]
        ids.append(int(logits[: tokenizer.size].argmax()))
        logprob += float(logits.log_softmax(0)[ids[-1]])
    detokenizer = Detokenizer(tokenizer)
    assert completion.text == "".join(map(detokenizer.push, ids[len(prompt) :]))
    assert completion.logprob == pytest.approx(logprob, abs=1e-3)
    assert completion.prompt_tokens == len(prompt)


def test_scoring_does_not_disturb_who_is_speaking(backbone):
    alone = [backbone.submit(p, max_tokens=30).result().text for p in PROMPTS]
    scores = backbone.score(PROMPTS[1], TEXTS)
    streams = [backbone.submit(p, max_tokens=30) for p in PROMPTS]
    assert backbone.score(PROMPTS[1], TEXTS) == pytest.approx(scores, abs=1e-3)
    assert [stream.result().text for stream in streams] == alone


def test_a_quote_under_a_grammar_is_verbatim_after_its_mark(reader):
    marks = ["<s0>", "<s1>", "<s2>"]
    grammar = Grammar.quotes(TEXTS[:3], marks=marks, decline="<no>")
    for seed in range(10):
        sampling = Sampling(temperature=2.0, seed=seed)
        text = reader.submit(PROMPTS[0], grammar=grammar, sampling=sampling).result().text
        assert text == "<no>" or (text[4:] in TEXTS[marks.index(text[:4])] and text[4:].strip())


def test_abilities_come_from_the_tokenizer(backbone, reader):
    assert backbone.abilities == {"chat", "quote", "schema", "score", "tools"}
    assert reader.abilities == {"quote", "score"}


def test_json_is_read_back(backbone):
    schema = {
        "type": "object",
        "properties": {"n": {"enum": [1, 2]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    completion = backbone.submit(PROMPTS[0], grammar=Grammar.json_schema(schema)).result()
    assert json.loads(completion.text)["n"] in (1, 2)
    assert completion.finish_reason == "stop"


def test_a_reply_ends_at_max_tokens_and_at_the_context(backbone):
    completion = backbone.submit(PROMPTS[0], max_tokens=4).result()
    assert (completion.finish_reason, completion.completion_tokens) == ("length", 4)
    full = backbone.submit(PROMPTS[-2], max_tokens=10**9, grammar=ENDLESS).result(timeout=60)
    assert full.finish_reason == "length"
    assert full.prompt_tokens + full.completion_tokens == backbone.context_length


def test_a_stop_string_ends_the_reply_before_it(backbone):
    whole = backbone.submit(PROMPTS[0], max_tokens=40).result()
    stop = whole.text[20:23]
    cut = backbone.submit(PROMPTS[0], max_tokens=40, stop=["\x00", stop]).result()
    assert cut.finish_reason == "stop"
    assert cut.text == whole.text[: whole.text.find(stop)]
    assert cut.completion_tokens < whole.completion_tokens


def test_a_prompt_that_cannot_fit_is_refused_before_it_runs(backbone):
    word, limit = "Paris ", backbone.context_length
    long = [Message("user", word * limit)]
    with pytest.raises(PromptTooLong, match=f"{limit}: send fewer"):
        backbone.submit(long)
    with pytest.raises(PromptTooLong):
        backbone.score(PROMPTS[0], [word * limit])


def test_counts_are_tokens_of_the_prompt(backbone):
    one, two = ([Message("user", text)] for text in ("", TEXTS[0]))
    lengths = [backbone.submit(m, max_tokens=1).result().prompt_tokens for m in (one, two)]
    assert backbone.count(TEXTS[0]) == lengths[1] - lengths[0]


def test_what_cannot_be_done_is_refused_by_name(backbone, folder):
    with pytest.raises(ValueError, match="no tools"):
        backbone.submit(PROMPTS[0], tool_choice="search")
    with pytest.raises(Unsupported, match="4 bits"):
        Backbone.load(folder, bits=4)
    with pytest.raises(Unsupported, match="<s9>"):
        backbone.score(PROMPTS[0], [(Mark("<s9>"),)])
    with pytest.raises(GrammarError):
        backbone.submit(PROMPTS[0], grammar=Grammar("start: <s9>"))
    with pytest.raises(ValueError, match="max_tokens"):
        backbone.submit(PROMPTS[0], max_tokens=0)
    with pytest.raises(ValueError, match="stop string"):
        backbone.submit(PROMPTS[0], stop=[""])


def test_a_cancelled_reply_ends_with_what_it_said(backbone):
    stream = backbone.submit(PROMPTS[0], max_tokens=900, grammar=ENDLESS)
    pieces = iter(stream)
    said = [next(pieces), next(pieces)]
    stream.cancel()
    completion = stream.result(timeout=5)
    assert completion.finish_reason == "cancelled"
    assert completion.text == "".join(stream) and completion.text.startswith("".join(said))


def engine(backbone):
    return backbone._driver._engine


def idle(backbone):
    """Wait until nothing runs; then every block and row is free again."""
    deadline = time.monotonic() + 10
    while engine(backbone).busy:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    cache, tree = engine(backbone)._cache, engine(backbone).tree
    assert not any(node.holders for node in tree)
    return sorted([*cache._blocks, *(node.block for node in tree)]), sorted(cache._rows)


def test_whatever_happens_every_block_comes_back_once(backbone):
    random, before = Random(0), idle(backbone)
    assert before == (list(range(len(before[0]))), list(range(len(before[1]))))
    streams = []
    for number in range(80):
        request = asked(backbone)[number % len(PROMPTS)]
        streams.append(backbone.submit(**request | {"max_tokens": random.randint(1, 20)}))
        if random.random() < 0.4:
            random.choice(streams).cancel()
        if random.random() < 0.1:
            backbone.score(PROMPTS[0], TEXTS[:2])
    for stream in streams:
        assert stream.result(timeout=30).finish_reason in ("stop", "length", "cancelled")
    assert idle(backbone) == before


def test_more_requests_than_fit_wait_for_their_turn(folder):
    with Backbone.load(folder, threads=1, cached_tokens=900, concurrent=3) as backbone:
        streams = [backbone.submit(p, max_tokens=30) for p in PROMPTS * 2]
        scores = backbone.score(PROMPTS[-2], ["Paris"])  # needs nearly all of the memory
        texts = [stream.result(timeout=60).text for stream in streams]
        assert backbone.score(PROMPTS[-2], ["Paris"]) == pytest.approx(scores, abs=1e-3)
        assert texts[: len(PROMPTS)] * 2 == texts


def test_one_broken_request_does_not_end_the_others(backbone, monkeypatch):
    def fail(matcher, token):
        raise GrammarError("too complex")

    monkeypatch.setattr(Matcher, "accept", fail)
    bad = backbone.submit(PROMPTS[0], grammar=ENDLESS)
    good = backbone.submit(PROMPTS[0], max_tokens=30)
    assert good.result(timeout=10).completion_tokens
    with pytest.raises(GrammarError, match="too complex"):
        bad.result(timeout=10)


def test_a_fault_of_the_model_reaches_whoever_waits(folder, monkeypatch):
    def fault(spans, cache):
        raise RuntimeError("out of memory")

    with Backbone.load(folder, threads=1) as backbone:
        model = engine(backbone)._model
        monkeypatch.setattr(type(model), "run", lambda self, *args: fault(*args))
        streams = [backbone.submit(PROMPTS[0]) for _ in range(3)]
        for stream in streams:
            with pytest.raises(RuntimeError, match="out of memory"):
                stream.result(timeout=10)
        with pytest.raises(RuntimeError, match="out of memory"):
            backbone.score(PROMPTS[0], ["x"])
        monkeypatch.undo()
        assert backbone.submit(PROMPTS[0], max_tokens=3).result(timeout=10).completion_tokens
        assert not engine(backbone).busy


def test_closing_cancels_and_is_final(folder):
    backbone = Backbone.load(folder, threads=1)
    streams = [backbone.submit(p, max_tokens=900, grammar=ENDLESS) for p in PROMPTS]
    backbone.close()
    backbone.close()
    assert {s.result(timeout=5).finish_reason for s in streams} == {"cancelled"}
    with pytest.raises(BackboneError, match="closed"):
        backbone.submit(PROMPTS[0])
    with pytest.raises(BackboneError, match="closed"):
        backbone.score(PROMPTS[0], ["x"])


def test_a_forgotten_backbone_ends_its_thread_once_its_streams_are_gone(folder):
    before = threading.active_count()
    stream = Backbone.load(folder, threads=1).submit(PROMPTS[0], max_tokens=50)
    gc.collect()
    assert stream.result(timeout=10).completion_tokens
    del stream
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_program_may_end_while_a_reply_is_being_written(folder):
    code = (
        "import sys; from backbone.backbone import Backbone; from backbone.request import Message\n"
        "b = Backbone.load(sys.argv[1], threads=1)\n"
        "s = b.submit([Message('user', 'x')], max_tokens=900); next(iter(s)); print('bye')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "bye\n"), run.stderr


def test_raw_text_is_continued_without_a_template(backbone):
    bos = backbone._tokenizer.added["<|startoftext|>"]
    raw = TEXTS[0] + "<|im_end|>"  # read as plain text
    ids = [bos, *backbone._tokenizer.encode(raw)]
    completion = backbone.submit(raw, max_tokens=3).result()
    assert completion.prompt_tokens == len(ids)
    assert completion.text != backbone.submit(PROMPTS[0], max_tokens=3).result().text


def test_log_probabilities_are_those_of_the_model(backbone, folder):
    completion = backbone.submit(PROMPTS[2], max_tokens=6, logprobs=3).result()
    ids = backbone._chat.encode(PROMPTS[2])
    assert len(completion.logprobs) == completion.completion_tokens
    assert sum(one.logprob for one in completion.logprobs) == pytest.approx(completion.logprob)
    for one in completion.logprobs:
        wanted = logits_of(folder, ids)[-1].log_softmax(0)
        values, tokens = wanted[: backbone._tokenizer.size].topk(3)
        assert [token for token, _, _ in one.top] == tokens.tolist()
        assert [p for _, _, p in one.top] == pytest.approx(values.tolist(), abs=1e-3)
        assert one.logprob == pytest.approx(float(wanted[one.id]), abs=1e-3)
        ids.append(one.id)
    text = b"".join(one.raw for one in completion.logprobs).decode(errors="replace")
    assert text.startswith(completion.text)
    assert all(not one.top for one in backbone.submit(PROMPTS[0], logprobs=0).result().logprobs)
    assert not backbone.submit(PROMPTS[0], max_tokens=2).result().logprobs


def test_drafts_do_not_change_a_reply_under_a_grammar(folder, monkeypatch):
    """Forced text comes in fewer passes, and is what the model would have said token by token."""
    kinds = ["a long and certain name of a kind", "another long and certain name"]
    properties = {name: {"enum": kinds} for name in ("the first of all kinds", "다른 종류")}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    grammars = [Grammar.json_schema(schema), Grammar.quotes(TEXTS)]
    found = []
    for drafting in (0, 100):
        with Backbone.load(folder, threads=1) as backbone:
            engine(backbone)._drafting = drafting
            streams = [backbone.submit(p, grammar=g) for g in grammars for p in PROMPTS[:3]]
            found.append([(s.result().text, s.result().completion_tokens) for s in streams])
            stats = backbone.stats()
            assert bool(stats.accepted) == bool(drafting)
    assert found[0] == found[1]


def test_a_bias_decides_and_names_real_tokens_only(backbone):
    token = backbone._tokenizer.encode("x")[0]
    biased = Sampling(logit_bias=((token, 1000.0),))
    assert backbone.submit(PROMPTS[0], max_tokens=3, sampling=biased).result().text == "xxx"
    for wrong in (-1, backbone._tokenizer.size):
        with pytest.raises(ValueError, match="logit_bias"):
            backbone.submit(PROMPTS[0], sampling=Sampling(logit_bias=((wrong, 1.0),)))
    with pytest.raises(ValueError, match="logprobs"):
        backbone.submit(PROMPTS[0], logprobs=-1)


def test_the_figures_count_what_was_done(folder):
    with Backbone.load(folder, threads=1, cached_tokens=1000, concurrent=5) as backbone:
        before = backbone.stats()
        assert (before.blocks, before.free_blocks, before.free_rows) == (16, 16, 5)
        first = backbone.submit(PROMPTS[-2], max_tokens=4).result()
        again = backbone.submit(PROMPTS[-2], max_tokens=4).result()
        idle(backbone)
        after = backbone.stats()
        assert again.text == first.text
        assert (first.cached_tokens, again.cached_tokens) == (0, after.prefix_hit_tokens)
        assert again.cached_tokens > first.prompt_tokens - 10
        assert after.prompt_tokens == 2 * first.prompt_tokens
        assert after.completion_tokens == first.completion_tokens + again.completion_tokens
        assert (after.running, after.waiting, after.free_blocks) == (0, 0, 16)


def test_little_memory_bounds_the_context(folder):
    with Backbone.load(folder, threads=1, cached_tokens=128) as backbone:
        assert backbone.context_length == 128
        with pytest.raises(PromptTooLong, match="128"):
            backbone.submit(PROMPTS[-2])
        short = backbone.submit(PROMPTS[-1], max_tokens=999, grammar=ENDLESS).result(timeout=20)
        assert short.prompt_tokens + short.completion_tokens == 128


def test_who_comes_when_too_many_wait_is_turned_away(folder):
    with Backbone.load(folder, threads=1, concurrent=1, waiting=3) as backbone:
        streams = []
        with pytest.raises(Busy, match="3 requests"):
            for _ in range(10):
                streams.append(backbone.submit(PROMPTS[0], max_tokens=900, grammar=ENDLESS))
        assert 3 <= len(streams) <= 5
        for stream in streams:
            stream.cancel()
        assert {stream.result(timeout=10).finish_reason for stream in streams} == {"cancelled"}
        assert backbone.submit(PROMPTS[0], max_tokens=2).result(timeout=10).completion_tokens


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, backbone, backbone.backbone, backbone.request, backbone.grammar\n"
        "print({'torch', 'numpy', 'tokenizers', 'llguidance', 'jinja2'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_threads_are_set_at_load(folder):
    with Backbone.load(folder, threads=2):
        assert torch.get_num_threads() == 2
    with Backbone.load(folder, threads=1):
        assert torch.get_num_threads() == 1


def test_end_tokens_come_from_every_file(tmp_path):
    folder = write_checkpoint(tmp_path / "x", eos_token_id=[30, 31])
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 40}))
    with Backbone.load(folder, threads=1) as backbone:
        assert backbone._ends == {2, 7, 30, 31, 40}
