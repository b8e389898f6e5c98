"""Makes the built-in encoder: a table of token vectors, out of a teacher and public training text.

    python -m training.encoder --teacher FOLDER_OR_NAME --data FOLDER --out ingest/builtin

1. Tokens: the lower-cased pieces of the teacher's own tokenizer that are most frequent in the nine
   languages' text.
2. First vectors: the teacher's output at each single token, whitened, weighted by rarity (smooth
   inverse frequency: Arora et al. 2017, "A simple but tough-to-beat baseline").
3. Training by sentence-transformers' trainer: texts that belong together are brought close
   (MultipleNegativesRankingLoss in MatryoshkaLoss), and short texts of all languages are pulled to
   where the teacher puts them, which lines the languages up.

Whitening matters most: without it even the trained table ranks worse than the untrained one with it.
What the teacher said is kept in `--work`, so that a second run takes minutes.

The result loads with `SentenceTransformer(folder)` and with `ingest.encode.StaticEncoder`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.encoder_card import card
from training.encoder_data import (
    Pair,
    question_pairs,
    sample_texts,
    sentence_pairs,
    single_texts,
    translations,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

PREFIX = "query: "  # of the e5 family; texts are compared with each other, so all get the same
SPECIAL = ("<unk>",)


def count_pieces(teacher: Tokenizer, texts: dict[str, list[str]]) -> dict[str, Counter[str]]:
    """How often each piece of the teacher's tokenizer occurs in lower-cased texts, by language."""
    counts = {}
    for language, found in texts.items():
        counts[language] = Counter()
        for encoding in teacher.encode_batch([t.lower() for t in found], add_special_tokens=False):
            counts[language].update(encoding.tokens)
    return counts


def choose_pieces(
    scored: list[tuple[str, float]], counts: dict[str, Counter[str]], size: int
) -> list[str]:
    """The `size` pieces with the largest share of any one language's text; single characters first.

    Arabic has so little training text that the teacher's own frequencies count for its pieces.
    """
    known = dict(scored)
    share: Counter[str] = Counter()
    for language in counts.values():
        total = language.total()
        for piece, n in language.items():
            share[piece] = max(share[piece], n / total)
    for piece, score in scored:
        if any("\u0621" <= c <= "\u064a" for c in piece) and score > -13.0:
            share[piece] = max(share[piece], float(np.exp(score)))
    single = [p for p in share if len(p.lstrip("▁")) <= 1]
    longer = [p for p, _ in share.most_common() if len(p.lstrip("▁")) > 1]
    kept = [p for p in [*single, *longer] if p in known and p == p.lower() and p not in SPECIAL]
    return kept[: size - len(SPECIAL)]


def cut_tokenizer(scored: list[tuple[str, float]], pieces: list[str]) -> Tokenizer:
    """The teacher's Unigram tokenizer cut down to some pieces, lower-casing."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    known = dict(scored)
    vocabulary = [(s, 0.0) for s in SPECIAL] + [(p, round(known[p], 3)) for p in pieces]
    cut = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    cut.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    cut.pre_tokenizer = pre_tokenizers.Metaspace()
    return cut


def teach(teacher: SentenceTransformer, texts: list[str]) -> np.ndarray:
    """The teacher's vectors of texts, float32 [n, d], rows of length 1."""
    return np.asarray(
        teacher.encode(
            texts,
            prompt=PREFIX,
            batch_size=128,
            normalize_embeddings=True,
            convert_to_tensor=True,
            show_progress_bar=True,
        ).float()
    )


def counted(kept: Path, teacher: Tokenizer, data: Path) -> dict[str, Counter[str]]:
    """Pieces counted on a sample of each language's text, or as they were kept."""
    if not kept.exists():
        kept.write_text(json.dumps(count_pieces(teacher, sample_texts(data, budget=8_000_000))))
    return {k: Counter(c) for k, c in json.loads(kept.read_text()).items()}


def taught(kept: Path, teacher: SentenceTransformer, texts: list[str]) -> np.ndarray:
    """The teacher's vectors of short texts, or as they were kept."""
    if not kept.exists():
        np.save(kept, teach(teacher, texts))
    return np.load(kept)


def token_vectors(kept: Path, teacher: SentenceTransformer, pieces: list[str]) -> np.ndarray:
    """The teacher's vectors of single tokens after those of the special ones; new ones are kept."""
    have = dict(np.load(kept)) if kept.exists() else {}
    seen = dict(zip(have.get("pieces", ()), have.get("vectors", ()), strict=True))
    missing = [p for p in pieces if p not in seen]
    if missing:
        new = teach(teacher, [p.replace("▁", "") or " " for p in missing])
        seen.update(zip(missing, new, strict=True))
        np.savez(kept, pieces=np.array(list(seen)), vectors=np.stack(list(seen.values())))
    rows = [seen[p] for p in pieces]
    return np.stack([np.zeros_like(rows[0])] * len(SPECIAL) + rows)


def whitening(vectors: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d] and a projection [d, size] onto the principal directions, each of variance 1.

    Without it a few directions that all tokens share drown the rest.
    """
    mean = vectors.mean(0)
    variances, directions = np.linalg.eigh(np.cov((vectors - mean).T))
    largest = slice(None, -size - 1, -1)
    return mean, directions[:, largest] / np.sqrt(variances[largest])


def first_table(placed: np.ndarray, share: np.ndarray, rarity: float = 5e-4) -> np.ndarray:
    """Token vectors [v, size] of length rarity / (rarity + share); the unknown token's are 0.

    `share` is the largest part that a token has of any language's text.
    """
    table = placed / (np.linalg.norm(placed, axis=1, keepdims=True) + 1e-9)
    table *= (rarity / (rarity + share))[:, None]
    table[: len(SPECIAL)] = 0
    return table.astype(np.float32)


def gather_pairs(data: Path, rng: random.Random, sentences: int) -> dict[str, list[Pair]]:
    """The pairs to train on, by kind."""
    questions = question_pairs(data, limit=700, rng=rng)
    japanese = questions.pop("ja")
    texts = sentence_pairs(data, limit=500, count=sentences, rng=rng)
    # Small languages are repeated: a language that is rarely seen is learnt last.
    few = {"ar": 3, "pt": 3, "fr": 2, "zh": 2}
    return {
        "questions": [p for lang, pairs in questions.items() for p in pairs * few.get(lang, 1)],
        "japanese": japanese,
        "sentences": [p for pairs in texts.values() for p in pairs],
        "translations": translations(data, limit=400, rng=rng),
    }


def train(
    model: SentenceTransformer,
    pairs: dict[str, list[Pair]],
    texts: list[str],
    targets: np.ndarray,
    options: argparse.Namespace,
) -> None:
    """Trains the table in place: pairs closer together, texts [n] closer to their targets [n, d]."""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import (
        EmbedDistillLoss,
        MatryoshkaLoss,
        MultipleNegativesRankingLoss,
    )

    class SparseTrainer(SentenceTransformerTrainer):
        def _get_grad_norm(self, model: object, grad_norm: float | None = None) -> float:
            return 0.0  # torch has no norm of a sparse gradient; it is only logged

    model[0].embedding.sparse = True
    size = model.get_embedding_dimension()
    near = MultipleNegativesRankingLoss(model, scale=20.0)
    ranking = MatryoshkaLoss(model, near, [size, size // 2, size // 4])
    sets = {
        kind: Dataset.from_dict(
            {"anchor": [a for a, _ in found], "positive": [b for _, b in found]}
        )
        for kind, found in pairs.items()
    }
    losses: dict[str, torch.nn.Module] = dict.fromkeys(sets, ranking)
    if texts:
        placed = Dataset.from_dict({"text": texts, "label": targets.astype(np.float32)})
        sets["taught"] = placed.with_format("torch", columns=["label"], output_all_columns=True)
        losses["taught"] = EmbedDistillLoss(model, distance_metric="cosine")
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(options.work),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch,
        learning_rate=options.rate,
        lr_scheduler_type="linear",
        warmup_steps=20,
        max_grad_norm=0.0,
        batch_sampler="no_duplicates",
        multi_dataset_batch_sampler="proportional",
        save_strategy="no",
        report_to="none",
        logging_steps=25,
        use_cpu=True,
        seed=options.seed,
    )
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=options.rate)
    trainer = SparseTrainer(
        model=model, args=arguments, train_dataset=sets, loss=losses, optimizers=(optimizer, None)
    )
    trainer.train()


def save(tokenizer: Tokenizer, table: np.ndarray, out: Path, card: str) -> None:
    """Writes a sentence-transformers folder: the table as float16, the tokenizer, the card."""
    from safetensors.numpy import save_file

    module = out / "0_StaticEmbedding"
    module.mkdir(parents=True, exist_ok=True)
    save_file({"embedding.weight": table.astype(np.float16)}, module / "model.safetensors")
    (module / "model.safetensors").chmod(0o644)
    compact = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (module / "tokenizer.json").write_text(compact, encoding="utf-8")
    kinds = {"0_StaticEmbedding": "StaticEmbedding", "1_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    (out / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
    config = {"similarity_fn_name": "cosine", "prompts": {"query": "", "document": ""}}
    described = json.dumps(config, indent=2) + "\n"
    (out / "config_sentence_transformers.json").write_text(described)
    (out / "README.md").write_text(card, encoding="utf-8")


def from_teacher(
    options: argparse.Namespace, rng: random.Random
) -> tuple[Tokenizer, np.ndarray, list[str], np.ndarray]:
    """Tokenizer and first table, and short texts with where the teacher puts them."""
    import torch
    from sentence_transformers import SentenceTransformer

    by_language = single_texts(options.data, count=options.taught, rng=rng)
    texts = [text for found in by_language.values() for text in found]
    # Eager attention: the fused one prepares itself anew for every length, which costs more here.
    numbers = {"attn_implementation": "eager", "dtype": torch.bfloat16}
    teacher = SentenceTransformer(options.teacher, device="cpu", model_kwargs=numbers)
    backend = teacher.tokenizer.backend_tokenizer
    scored = [tuple(v) for v in json.loads(backend.to_str())["model"]["vocab"]]
    counts = counted(options.work / "counts.json", backend, options.data)
    pieces = choose_pieces(scored, counts, options.tokens)
    vectors = taught(options.work / f"taught-{len(texts)}.npy", teacher, texts)
    tokens = token_vectors(options.work / "tokens.npz", teacher, pieces)
    print(f"{len(pieces)} pieces, {len(texts)} texts")

    share = np.zeros(len(SPECIAL) + len(pieces))
    for count in counts.values():
        here = np.array([count[p] for p in pieces]) / count.total()
        share[len(SPECIAL) :] = np.maximum(share[len(SPECIAL) :], here)
    mean, projection = whitening(tokens[len(SPECIAL) :], options.size)
    table = first_table((tokens - mean) @ projection, share)
    targets = (vectors - vectors.mean(0)) @ projection
    return cut_tokenizer(scored, pieces), table, texts, targets


def from_earlier(folder: Path) -> tuple[Tokenizer, np.ndarray]:
    """Tokenizer and table of an encoder that this script made."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    module = folder / "0_StaticEmbedding"
    table = load_file(module / "model.safetensors")["embedding.weight"]
    return Tokenizer.from_file(str(module / "tokenizer.json")), table.astype(np.float32)


def make(options: argparse.Namespace) -> None:
    """Makes the encoder, step by step."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    rng = random.Random(options.seed)
    if options.start is None:
        tokenizer, table, texts, targets = from_teacher(options, rng)
    else:
        tokenizer, table = from_earlier(options.start)
        texts, targets = [], np.zeros((0, table.shape[1]))
    static = StaticEmbedding(tokenizer, torch.from_numpy(table))
    model = SentenceTransformer(modules=[static], device="cpu")
    pairs = gather_pairs(options.data, rng, options.sentences)
    print({kind: len(found) for kind, found in pairs.items()})
    train(model, pairs, texts, targets, options)
    trained = model[0].embedding.weight.detach().numpy()
    total = sum(map(len, pairs.values()))
    save(tokenizer, trained, options.out, card(*trained.shape, total))


def main() -> None:
    """Reads the options; the defaults are what the built-in encoder was made with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--teacher", help="a sentence-transformers model")
    source.add_argument("--start", type=Path, help="folder of an earlier result, to train on")
    add("--data", required=True, type=Path)
    add("--out", required=True, type=Path)
    add("--tokens", type=int, default=46_500)
    add("--size", type=int, default=256, help="numbers a vector")
    add("--taught", type=int, default=7_000, help="texts a language for the teacher")
    add(
        "--sentences", type=int, default=15_000, help="sentence pairs a language, English eightfold"
    )
    add("--rate", type=float, default=2e-3, help="of learning, at its highest")
    add("--batch", type=int, default=2048)
    add("--epochs", type=float, default=1.0)
    add("--seed", type=int, default=0, help="of the choice of pairs")
    add("--threads", type=int, default=1)
    add("--work", type=Path, default=Path("build/encoder"), help="keeps what the teacher said")
    make(parser.parse_args())


if __name__ == "__main__":
    main()
