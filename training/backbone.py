"""Train the built-in reader: a small LFM2 that quotes. Writes a folder in the layout of an official checkpoint.

    python -m training.backbone prepare --data DATA --work runs/reader
    python -m training.backbone train   --work runs/reader --minutes 60
    python -m training.backbone export  --work runs/reader --out backbone/builtin

The model is LFM2 as published (short convolutions, grouped-query attention, SwiGLU, tied head) at 9M
parameters. Besides the usual loss on the reply, the last attention layer is taught where to look: at every
reply position each of its heads should attend to the token that is copied there. Nothing is added to the
checkpoint for that. `train` resumes from its last checkpoint; the number format follows the processor.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.muon import Muon
from training.reader_model import (
    ATTENTION,
    FEED,
    HEADS,
    HIDDEN,
    LAYERS,
    THETA,
    VOCABULARY,
    WEIGHTS,
    Pointer,
    Reader,
    losses,
)  # fmt: skip

BATCH = 4096  # tokens of an optimiser step
CONFIG = {
    "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "dtype": "bfloat16",
    "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": FEED,
    "block_auto_adjust_ff_dim": False, "num_hidden_layers": LAYERS,
    "layer_types": ["full_attention" if i in ATTENTION else "conv" for i in range(LAYERS)],
    "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "conv_L_cache": 3,
    "conv_bias": False, "norm_eps": 1e-5, "rope_theta": THETA, "max_position_embeddings": 2048,
    "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 4,
}  # fmt: skip
TEMPLATE = (
    "{{- bos_token -}}{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


class Batches:
    """Examples packed on disk, dealt in shuffled batches of about BATCH tokens and like lengths."""

    def __init__(self, folder: Path, seed: int) -> None:
        data = np.load(folder / "examples.npz")
        self.ids, self.pointers = data["ids"], data["pointers"]
        self.starts, self.replies = data["starts"], data["replies"]
        self.chance = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.replies)

    def epoch(self) -> list[np.ndarray]:
        """Rows of each batch: shuffled, then sorted by length within groups of 2,048."""
        lengths = np.diff(self.starts)
        order = self.chance.permutation(len(self))
        batches = []
        for at in range(0, len(order), 2048):
            group = order[at : at + 2048]
            group = group[np.argsort(lengths[group], kind="stable")]
            row: list[int] = []
            for i in group:
                if row and (len(row) + 1) * lengths[i] > BATCH:
                    batches.append(np.array(row))
                    row = []
                row.append(i)
            batches.append(np.array(row))
        return [batches[i] for i in self.chance.permutation(len(batches))]

    def load(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """ids [B, T], places [M, 3] (row, position before a reply token, pointer or -1), a light-loss mask [B, T]."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        width = int(-(-lengths.max() // 32) * 32)
        ids = np.zeros((len(rows), width), np.int64)
        places = []
        for b, i in enumerate(rows):
            whole = self.ids[self.starts[i] : self.starts[i + 1]]
            ids[b, : len(whole)] = whole
            reply = int(self.replies[i])
            at = self.starts[i] + reply
            for j, pointer in enumerate(self.pointers[at : self.starts[i + 1]]):
                places.append((b, reply + j - 1, int(pointer)))
        light = (self.chance.random(ids.shape) < 0.1) & (ids != 0)
        light[:, -1] = False
        return torch.from_numpy(ids), torch.tensor(places), torch.from_numpy(light)


def prepare(data: Path, work: Path) -> None:
    """Tokenizer and examples, written to `work`."""
    from tokenizers import Tokenizer

    from training import reading
    from training.encoder_data import held_out

    held = held_out(data)
    work.mkdir(parents=True, exist_ok=True)
    chance = random.Random(1)
    if not (work / "tokenizer.json").exists():
        reading.train_tokenizer(reading.tokenizer_texts(data, chance), VOCABULARY).save(
            str(work / "tokenizer.json")
        )
        print("tokenizer done", flush=True)
    encoding = reading.Encoding(Tokenizer.from_file(str(work / "tokenizer.json")), chance)
    ids, pointers, starts, replies = [], [], [0], []
    sources = [
        (
            n,
            lambda n=n: reading.qa_questions(
                data / "qa" / f"{n}.train.jsonl.zst", reading.QA[n], chance, held
            ),
        )
        for n in reading.QA
    ]
    sources += [
        (
            n,
            lambda n=n: reading.cloze_questions(
                data / "text" / f"{n}.txt.zst", reading.CLOZE[n], chance
            ),
        )
        for n in reading.CLOZE
    ]
    for name, questions in sources:
        asked = made = tokens = 0
        for question in questions():
            asked += 1
            example = encoding.example(question)
            if example is None:
                continue
            made += 1
            tokens += len(example.ids)
            ids.append(example.ids)
            pointers.append(
                np.concatenate((np.full(example.reply, -1, np.int16), example.pointers))
            )
            starts.append(starts[-1] + len(example.ids))
            replies.append(example.reply)
        print(
            f"{name}: {made} examples of {asked} questions, {tokens / max(made, 1):.0f} tokens each",
            flush=True,
        )
    np.savez(
        work / "examples.npz",
        ids=np.concatenate(ids),
        pointers=np.concatenate(pointers),
        starts=np.array(starts),
        replies=np.array(replies),
    )


def native_bf16() -> bool:
    """Whether bf16 products are fast here; elsewhere they are emulated, many times slower than float32."""
    return torch.cuda.is_available() or bool(
        getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    )


def train(work: Path, minutes: float, rate: float, threads: int, start: Path | None) -> None:
    """Train for so many minutes, or go on from the last checkpoint; the rate decays over the last 40 %.

    `start` is an exported model whose weights a new run begins with.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = Batches(work, seed=1)
    model, pointer = Reader().to(device), Pointer().to(device)
    run = torch.compile(model, dynamic=True)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in n)]
    rest += pointer.parameters()
    optimisers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=1.5 * rate),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["initial"] = group["lr"]
    spent = step = seen = 0.0
    state = work / "state.pt"
    if start is not None and not state.exists():
        weights = load_file(start / "model.safetensors", device=device)
        model.load_state_dict({n.removeprefix("model."): w.float() for n, w in weights.items()})
    if state.exists():
        saved = torch.load(state, map_location=device)
        model.load_state_dict(saved["model"])
        pointer.load_state_dict(saved["pointer"])
        for optimiser, old in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(old)
        spent, step, seen = saved["spent"], saved["step"], saved["seen"]
        batches.chance = np.random.default_rng(int(step))
    began, mean, noted, saved_at = (
        time.time() - spent,
        np.zeros(len(WEIGHTS)),
        time.time(),
        time.time(),
    )
    while True:
        for rows in batches.epoch():
            spent = time.time() - began
            done = spent / (60 * minutes)
            if done >= 1:
                _save(state, model, pointer, optimisers, spent, step, seen)
                return
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = group["initial"] * min(
                        1.0, (step + 1) / 150, max(0.02, (1 - done) / 0.4)
                    )
            ids, places, light = (x.to(device) for x in batches.load(rows))
            with torch.autocast(device, torch.bfloat16, enabled=native_bf16()):
                parts = losses(run, pointer, ids, places, light, model.embed_tokens.weight)
            loss = sum(w * part for w, part in zip(WEIGHTS, parts, strict=True))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimiser in optimisers:
                optimiser.step()
                optimiser.zero_grad()
            step += 1
            seen += ids.numel()
            mean += (np.array([p.item() for p in parts]) - mean) * max(0.01, 1 / step)
            if time.time() - noted > 30:
                noted = time.time()
                print(f"{spent / 60:5.1f} min  step {step:.0f}  {seen / 1e6:.2f} M tokens  {seen / spent:.0f}/s  "
                      "mark {:.3f}  span {:.3f}  looks {:.3f} {:.3f}  head {:.3f}  text {:.3f}".format(*mean), flush=True)  # fmt: skip
            if time.time() - saved_at > 240:
                saved_at = time.time()
                _save(state, model, pointer, optimisers, spent, step, seen)


def _save(
    path: Path,
    model: nn.Module,
    pointer: nn.Module,
    optimisers: list,
    spent: float,
    step: float,
    seen: float,
) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save({"model": model.state_dict(), "pointer": pointer.state_dict(), "optimisers": [o.state_dict() for o in optimisers],
                "spent": spent, "step": step, "seen": seen}, temporary)  # fmt: skip
    temporary.replace(path)


def export(work: Path, out: Path) -> None:
    """Write the official layout: config.json, model.safetensors (bf16), tokenizer.json, chat template."""
    out.mkdir(parents=True, exist_ok=True)
    weights = torch.load(work / "state.pt", map_location="cpu")["model"]
    save_file(
        {f"model.{n}": w.to(torch.bfloat16).contiguous() for n, w in weights.items()},
        out / "model.safetensors",
        metadata={"format": "pt"},
    )
    (out / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    (out / "generation_config.json").write_text(
        json.dumps({"bos_token_id": 1, "eos_token_id": 4, "pad_token_id": 0}) + "\n"
    )
    (out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|startoftext|>", "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>", "model_max_length": 2048, "clean_up_tokenization_spaces": False,
    }, indent=1) + "\n")  # fmt: skip
    (out / "chat_template.jinja").write_text(TEMPLATE)
    shutil.copy(work / "tokenizer.json", out / "tokenizer.json")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("act", choices=("prepare", "train", "export"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/reader"))
    parser.add_argument("--out", type=Path, default=Path("backbone/builtin"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="folder of an exported model")
    given = parser.parse_args()
    if given.act == "prepare":
        if given.data is None:
            parser.error("prepare needs --data, the folder that holds qa/ and text/")
        prepare(given.data, given.work)
    elif given.act == "train":
        train(given.work, given.minutes, given.rate, given.threads, given.start)
    else:
        export(given.work, given.out)


if __name__ == "__main__":
    main()
