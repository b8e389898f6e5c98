"""Fit how the reader mixes its signals and how much support an answer needs; writes `rag/reader.json`.

    python -m training.calibrate --data DATA --model backbone/builtin --out rag/reader.json

Train questions only. For each language half of the articles are indexed: questions of that half are to be
answered, those of the other half declined. Choice: softmax regression over a prompt's sentences, by script;
questions of the articles that encoder and reader were not trained on come first. Support: logistic regression
over these alone, since a model is surer of what it has seen (of the answerable ones it declines 1 to 5 in a
hundred, of unseen ones 5 to 40). The threshold is where `--decline` of the answerable ones are declined in the
mean over the languages, each language by weights fitted on the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from backbone.backbone import Backbone
from benchmarks.questions import Question, build, five, load, sample
from ingest.encode import load_encoder
from rag.reader import Evidence, Mixture, weigh
from rag.retrieve import retrieve
from training.encoder_data import is_held_out

LANGUAGES = ("en", "es", "ja", "zh", "fr", "ar", "pt")
LEFT_OUT = ("korquad1-dev",)  # its licence forbids derivatives


def collect(data: Path, model: Backbone, count: int) -> dict[str, list]:
    """The evidence of train questions: for choosing, and for declining with its label."""
    encoder = load_encoder("builtin", threads=1)
    found: dict[str, list] = {"choice": [], "support": []}
    for lang in LANGUAGES:
        questions = [q for q in load(data, lang, "train", leave_out=LEFT_OUT) if q.answers]
        articles = sorted({q.article for q in questions})
        kept = set(articles[::2])
        with tempfile.TemporaryDirectory() as folder:
            index = build(
                Path(folder), (q.context for q in questions if q.article in kept), encoder
            )
            inside = unseen_first([q for q in questions if q.article in kept], count)
            outside = unseen_first([q for q in questions if q.article not in kept], count)
            for question in inside:
                evidence = weigh(
                    model, question.text, five(index, encoder, question), encoder=encoder
                )
                gold = [question.answered_by(c.text) for c in evidence.candidates]
                if any(gold):
                    found["choice"].append((evidence, gold))
            for label, asked in ((1, inside), (0, outside)):
                for question in filter(is_unseen, asked):
                    hits = retrieve(index, encoder, question.text, k=6)
                    evidence = weigh(model, question.text, hits, encoder=encoder) if hits else None
                    if evidence and evidence.candidates:
                        found["support"].append((lang, evidence, label))
            index.close()
        unseen = [sum(map(is_unseen, asked)) for asked in (inside, outside)]
        print(f"{lang} {len(inside)}, unseen {unseen[0]} and {unseen[1]}", flush=True)
    return found


def unseen_first(questions: list[Question], count: int) -> list[Question]:
    """So many questions: of held-out articles as many as there are, the rest of others."""
    unseen = sample([q for q in questions if is_unseen(q)], count)
    seen = [q for q in questions if not is_unseen(q)]
    return unseen + sample(seen, count - len(unseen))


def is_unseen(question: Question) -> bool:
    """Whether encoder and reader were trained on nothing of its article."""
    return is_held_out(question.article)


def fit_choice(rows: list[tuple[Evidence, list[bool]]]) -> tuple[float, ...]:
    """Weights of a candidate's signals that make a candidate with the answer most likely."""
    signals = [(evidence.signals, right) for evidence, right in rows]
    return softmax_weights(signals, ("model", "overlap", "cosine", "passage"))


def softmax_weights(
    rows: list[tuple[Sequence[Sequence[float]], list[bool]]],
    names: Sequence[str],
    *,
    decay: float = 1e-4,
) -> tuple[float, ...]:
    """Weights of signals under which, of several candidates, the right ones are most likely.

    A row holds the signals of each candidate, and which of them are right. Prints how often the
    best by all signals, and by each alone, is.
    """
    weights = torch.ones(len(names), requires_grad=True)
    width = max(len(signals) for signals, _ in rows)
    x = torch.zeros(len(rows), width, len(names))
    gold, there = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    for i, (signals, right) in enumerate(rows):
        x[i, : len(signals)] = torch.tensor(signals)
        gold[i, : len(right)] = torch.tensor(right).float()
        there[i, : len(signals)] = 1
    optimiser = torch.optim.LBFGS([weights], max_iter=200)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        z = (x @ weights).masked_fill(there == 0, -1e9)
        loss = (z.logsumexp(1) - z.masked_fill(gold == 0, -1e9).logsumexp(1)).mean()
        loss = loss + decay * weights.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        columns = {"all": x @ weights} | {name: x[..., i] for i, name in enumerate(names)}
        for name, column in columns.items():
            best = column.masked_fill(there == 0, -1e9).argmax(1, keepdim=True)
            print(f"choice by {name}: {gold.gather(1, best).mean():.3f}")
    return tuple(round(w, 4) for w in weights.tolist())


def fit_support(rows: list[tuple[str, Evidence, int]], mixture: Mixture, decline: float) -> Mixture:
    """The mixture with weights and bias of the support, and the threshold that declines a share of
    the answerable questions, in the mean over languages that the weights were not fitted on."""
    x = torch.tensor([(*e.support, max(mixture.shares(e))) for _, e, _ in rows])
    y = torch.tensor([float(label) for _, _, label in rows])
    languages = np.array([language for language, _, _ in rows])
    probability = np.zeros(len(rows))
    for language in sorted(
        set(languages)
    ):  # what was fitted is more certain of itself than of others
        left = languages == language
        weights = logistic_weights(x[~left], y[~left])
        probability[left] = torch.sigmoid(x[left] @ weights[:-1] + weights[-1]).numpy()
    labels = y.numpy() == 1
    order = np.argsort(np.argsort(probability))
    auc = (order[labels].mean() - (labels.sum() - 1) / 2) / (~labels).sum()
    print(f"support, each language by weights of the others: AUC {auc:.3f}")

    def declined(threshold: float, some: np.ndarray) -> dict[str, float]:
        """The share that is declined of each language that has any."""
        named = {name: some & (languages == name) for name in sorted(set(languages))}
        return {n: float((probability[s] < threshold).mean()) for n, s in named.items() if s.any()}

    threshold = max(
        value
        for value in probability[labels]
        if np.mean([*declined(value, labels).values()]) <= decline
    )
    for what, some in (("answerable", labels), ("others", ~labels)):
        shares = declined(threshold, some)
        each = ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
        print(f"  of the {what} {np.mean([*shares.values()]):.3f}: {each}")
    support = tuple(round(w, 4) for w in logistic_weights(x, y).tolist())
    return replace(mixture, support=support, threshold=round(threshold, 4))


def logistic_weights(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Weights of logistic regression, the last one the bias."""
    mean, scale = x.mean(0), x.std(0)
    weights = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        z = (x - mean) / scale @ weights[:-1] + weights[-1]
        loss = F.binary_cross_entropy_with_logits(z, y) + 1e-3 * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    raw = weights.detach()[:-1] / scale
    return torch.cat([raw, (weights.detach()[-1] - (raw * mean).sum())[None]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--count", type=int, default=300, help="questions of each kind a language")
    parser.add_argument("--decline", type=float, default=0.12)
    parser.add_argument("--out", type=Path, default=Path("rag/reader.json"))
    given = parser.parse_args()
    with Backbone.load(given.model, threads=1) as model:
        found = collect(given.data, model, given.count)
    choices = [
        fit_choice([row for row in found["choice"] if row[0].paired is paired])
        for paired in (False, True)
    ]
    mixture = fit_support(found["support"], Mixture(*choices, (), 0.5), given.decline)
    given.out.write_text(json.dumps(asdict(mixture)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
