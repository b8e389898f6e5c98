"""kill -9 at any moment leaves the last committed state, and an index that goes on from there."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from making import opened, put, sources

HERE = Path(__file__).parent


def texts(number: int, version: int) -> str:
    return f"common word{number} version{version}x{number}\n\nsecond part{number} paragraph"


def write_for_ever(folder: Path, seed: int) -> None:
    """Add, replace and remove documents, and say what is about to change and what was committed."""
    rng = random.Random(seed)
    index = opened(folder)
    while True:
        with index.writing():
            for _ in range(rng.randint(1, 12)):
                number, version = rng.randrange(30), rng.randrange(10**6)
                if rng.random() < 0.2:
                    print(f"? {number} gone", flush=True)
                    index.remove([f"{number}.txt"])
                    print(f"! {number} gone", flush=True)
                else:
                    print(f"? {number} {version}", flush=True)
                    put(index, f"{number}.txt", texts(number, version))
                    print(f"! {number} {version}", flush=True)


def killed_after(folder: Path, seconds: float, seed: int) -> list[str]:
    command = [sys.executable, __file__, str(folder), str(seed)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        first = process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        return [first.strip(), *process.stdout.read().split("\n")]


def apply(state: dict[str, str], lines: list[str]) -> tuple[str, str] | None:
    """Bring the expected state up to date; returns the change that may or may not have happened."""
    open_change = None
    for line in lines:
        parts = line.split()
        if len(parts) != 3:
            continue
        kind, number, version = parts
        open_change = (number, version) if kind == "?" else None
        if kind == "!":
            state[number] = version
    return open_change


def check(folder: Path, state: dict[str, str], unsure: tuple[str, str] | None) -> None:
    index = opened(folder)
    held = {}
    for info in index.documents():
        first = index.text(info.source).split("\n")[0]
        held[info.source.removesuffix(".txt")] = first.split("version")[1].split("x")[0]
    expected = {number: version for number, version in state.items() if version != "gone"}
    if unsure is not None and held != expected:
        number, version = unsure
        state[number] = version
        expected = {number: version for number, version in state.items() if version != "gone"}
    assert held == expected
    for number, version in held.items():
        assert sources(index, f"version{version}x{number}", mode="words", k=1) == [f"{number}.txt"]
        assert sources(index, texts(int(number), int(version)), mode="vector", k=1)
    for mode in ("words", "vector"):
        found = sources(index, "common second paragraph", mode=mode, k=1000)
        assert sorted(found) == sorted(2 * [f"{number}.txt" for number in held])
    index.close()


def kill_rounds(folder: Path, rounds: int, longest: float) -> None:
    rng = random.Random(4)
    state: dict[str, str] = {}
    for seed in range(rounds):
        lines = killed_after(folder, rng.uniform(0.0, longest), seed)
        check(folder, state, apply(state, lines))
    assert state


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path):
    kill_rounds(tmp_path / ".rag", rounds=5, longest=0.5)


@pytest.mark.slow
def test_many_killed_writers_lose_nothing_that_was_committed(tmp_path):
    kill_rounds(tmp_path / ".rag", rounds=60, longest=1.5)


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]))
