"""How fast the server answers many at once, with random weights in an official shape.

    python -m benchmarks.serving [--shape LFM2-350M] [--chats 64] [--peer URL --peer-model NAME]

Starts `rag serve` on this machine and talks to it as a client would, over HTTP, streaming:
1. products: the rate at which torch multiplies 16 rows by all of the model's own matrices, in the number
   format and with the threads that the server uses, measured before the server starts;
2. first token: a prompt of `--prefix` tokens and 32 more, cold and when the prefix is known;
3. decode alone: 1 and 16 chats behind one warm prefix, 64 tokens each, against 1.;
4. many chats at once that share the prefix: errors, percentiles, memory for each.
The peer is any server of the same protocol, such as llama.cpp's with the same shape as a GGUF file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx2
import torch
from torch import Tensor
from torch.nn import functional

from backbone.config import Config
from backbone.linear import linear, packed
from backbone.processor import Processor, number_format
from backbone.span import BLOCK
from benchmarks.random_checkpoint import shapes, write

ROWS = 16  # sequences that decode together
LONG = 64  # tokens of a reply
NEW = 32  # tokens of a prompt behind the prefix
WORDS = (Path(__file__).read_text(encoding="utf-8") * 20).split()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answered request: seconds to the first token and to the end since it was sent."""

    began: float
    first: float
    end: float
    tokens: int
    cached: int


def product_seconds(config: Config, rows: int, dtype: torch.dtype) -> tuple[float, float]:
    """Seconds for `rows` rows times every matrix of the model once: what a decoding step must do.

    By torch's own linear, and by the engine's, which may lay weights out for few rows.
    """
    matrices = [
        torch.randn(shape).to(dtype)
        for name, shape in shapes(config).items()
        if len(shape) == 2 and "conv.conv" not in name
    ]
    inputs = {m.shape[1]: torch.randn(rows, m.shape[1]).to(dtype) for m in matrices}
    pairs = [(inputs[m.shape[1]], m) for m in matrices]
    return timed(pairs, functional.linear), timed([(x, packed(m)) for x, m in pairs], linear)


@torch.inference_mode()
def timed(pairs: Sequence[tuple[Tensor, Tensor]], product: Callable[..., Tensor]) -> float:
    """The median time of all the products, after one to warm up."""
    times = []
    for _ in range(6):
        began = time.perf_counter()
        for x, matrix in pairs:
            product(x, matrix)
        times.append(time.perf_counter() - began)
    return median(times[1:])


def text(seed: int, words: int) -> str:
    """So many words, others for each seed."""
    return " ".join(random.Random(seed).choices(WORDS, k=words))


async def chat(client: httpx2.AsyncClient, model: str, prompt: str, *, tokens: int = LONG) -> Reply:
    """One streamed chat completion; raises when the server refuses or breaks off."""
    body = {
        "model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
        "temperature": 0, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    began, first, pieces, usage = time.perf_counter(), 0.0, 0, None
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code}: {(await response.aread())[:300]!r}")
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(str(event["error"]))
            if any(c["delta"].get("content") for c in event["choices"]):
                first = first or time.perf_counter()
                pieces += 1
            usage = event.get("usage") or usage
    end = time.perf_counter()
    if usage is None:  # a server that does not count sends a piece for each token
        return Reply(began, first or end, end, pieces, 0)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Reply(began, first or end, end, usage["completion_tokens"], cached)


async def together(
    client: httpx2.AsyncClient, model: str, prompts: Sequence[str], *, tokens: int = LONG
) -> list[Reply]:
    """Chats sent at the same moment."""
    return list(await asyncio.gather(*(chat(client, model, p, tokens=tokens) for p in prompts)))


def decoded(replies: Sequence[Reply]) -> float:
    """Tokens a second of all together, from the first token of any to the end of the last."""
    seconds = max(r.end for r in replies) - min(r.first for r in replies)
    return sum(r.tokens - 1 for r in replies) / seconds


def percentiles(values: Sequence[float]) -> str:
    """The median and the slowest in a hundred, for a line."""
    ordered = sorted(values)
    return f"p50 {ordered[len(ordered) // 2]:.2f} s, p99 {ordered[int(len(ordered) * 0.99)]:.2f} s"


async def measure(
    url: str, model: str, given: argparse.Namespace, *, ideals: Sequence[float] = (), block: int = 0
) -> None:
    """All of it against one server, a line each.

    `ideals` are tokens a second of products alone; `block` the bytes of a block of the cache.
    """
    prefix, chats = given.prefix, given.chats
    async with httpx2.AsyncClient(base_url=url, timeout=1200) as client:
        per_word = await tokens_per_word(client, model)
        long, short = round(prefix / per_word), max(1, round(NEW / per_word))
        await chat(client, model, text(1, 8), tokens=4)

        cold = [await chat(client, model, text(100 + i, long + short), tokens=1) for i in range(3)]
        shared = text(7, long)
        await chat(client, model, shared + " " + text(200, short), tokens=1)
        hits = [
            await chat(client, model, f"{shared} {text(300 + i, short)}", tokens=1)
            for i in range(5)
        ]
        slow, fast = (median(r.end - r.began for r in rs) for rs in (cold, hits))
        print(f"first token: cold {slow:.2f} s, prefix known {fast:.3f} s: {fast / slow:.1%} "
              f"({median(r.cached for r in hits):.0f} tokens not run again)", flush=True)  # fmt: skip

        rates = {}
        for rows in (1, ROWS):
            runs = []
            for run in range(given.runs):
                prompts = [f"{shared} {text(1000 * run + i, short)}" for i in range(rows)]
                await together(client, model, prompts, tokens=1)
                runs.append(decoded(await together(client, model, prompts)))
            rates[rows] = median(runs)
        line = f"decode: 1 chat {rates[1]:.1f} tokens/s, {ROWS} chats {rates[ROWS]:.1f} ({rates[ROWS] / rates[1]:.1f} times)"
        for kind, ideal in zip(("torch's", "the engine's"), ideals, strict=False):
            line += f"; {kind} products alone {ideal:.1f}: {rates[ROWS] / ideal:.0%}"
        print(line, flush=True)

        prompts = [f"{shared} {text(5000 + i, short)}" for i in range(chats)]
        began = time.perf_counter()
        held: list[int] = []
        watch = asyncio.create_task(watch_blocks(client, held))
        results = await asyncio.gather(
            *(chat(client, model, p) for p in prompts), return_exceptions=True
        )
        watch.cancel()
        seconds = time.perf_counter() - began
        replies = [r for r in results if isinstance(r, Reply)]
        errors = [r for r in results if not isinstance(r, Reply)]
        print(f"{chats} chats at once: {len(errors)} errors {errors[:2] or ''}, {sum(r.tokens for r in replies) / seconds:.1f} tokens/s, "
              f"first token {percentiles([r.first - r.began for r in replies])}, whole {percentiles([r.end - r.began for r in replies])}", flush=True)  # fmt: skip
        if held and block:
            shared_blocks = prefix // BLOCK
            own = (max(held) - shared_blocks) / chats
            print(f"memory: {max(held)} blocks held at most; the prefix once {shared_blocks * block / 1e6:.0f} MB, "
                  f"{own * block / 1e6:.1f} MB more a chat")  # fmt: skip


async def tokens_per_word(client: httpx2.AsyncClient, model: str) -> float:
    """What a word of `text` costs, as the server counts."""
    body = {
        "model": model, "messages": [{"role": "user", "content": text(3, 200)}], "max_tokens": 1,
    }  # fmt: skip
    response = await client.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    return float(response.json()["usage"]["prompt_tokens"]) / 200


async def watch_blocks(client: httpx2.AsyncClient, held: list[int]) -> None:
    """Notes, until it is cancelled, how many blocks the server's sequences hold."""
    while True:
        text = (await client.get("/metrics")).text
        found = dict(re.findall(r"^ragbone_engine_(blocks|free_blocks) (\d+)", text, re.MULTILINE))
        if len(found) == 2:
            held.append(int(found["blocks"]) - int(found["free_blocks"]))
        await asyncio.sleep(0.5)


@contextmanager
def serving(folder: Path, home: Path) -> Iterator[str]:
    """`rag serve` with a model, on a free port -> its address."""
    rag = Path(sys.executable).with_name("rag")
    command = [rag, "serve", "--model", folder, "--port", "0"]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in iter(process.stdout.readline, b""):
            if found := re.search(rb"http://[\w.:]+", line):
                yield found[0].decode()
                return
            print(line.decode(), file=sys.stderr)
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", default="LFM2-350M")
    parser.add_argument("--prefix", type=int, default=1500)
    parser.add_argument("--chats", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3, help="of which the median rate counts")
    parser.add_argument("--peer", help="address of another server")
    parser.add_argument("--peer-model", default="default")
    given = parser.parse_args()
    processor = Processor.read()
    torch.set_num_threads(processor.cores)
    with tempfile.TemporaryDirectory() as home:
        config = write(given.shape, Path(home) / "model")
        matrices = [math.prod(shape) for shape in shapes(config).values()]
        chosen = number_format(parameters=sum(matrices), stored={"BF16"})
        print(f"{processor.name}, {processor.cores} cores, {given.shape} in {chosen.name}")
        dtype = getattr(torch, chosen.name)
        seconds = product_seconds(config, ROWS, dtype)
        print(f"products of {ROWS} rows with all matrices: {1000 * seconds[0]:.0f} ms by torch's own linear, "
              f"{1000 * seconds[1]:.0f} ms by the engine's", flush=True)  # fmt: skip
        block = 2 * sum(config.attends) * config.kv_heads * config.head_dim * BLOCK * dtype.itemsize
        with serving(Path(home) / "model", Path(home)) as url:
            name = httpx2.get(f"{url}/v1/models").json()["data"][0]["id"]
            ideals = [ROWS / s for s in seconds]
            asyncio.run(measure(url, name, given, ideals=ideals, block=block))
    if given.peer:
        print(f"peer at {given.peer}")
        asyncio.run(measure(given.peer, given.peer_model, given))


if __name__ == "__main__":
    main()
