"""What this machine's processor has, which numbers it is fast with, and what this process may use.

Asks the operating system, its limits on groups of processes, and the clock. Knows no model but the
number of its parameters. torch is imported only to measure.
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from backbone.errors import CheckpointError
from backbone.plan import Speed

SMALL = 100_000_000  # parameters; below that float32 is the fastest everywhere
ROOT = Path("/")

# What the names of instruction sets on the left (Linux's and torch's) are called here.
_FEATURES = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx512_f": "AVX-512", "avx512_vnni": "VNNI",
    "avx_vnni": "VNNI", "amx_tile": "AMX", "avx512_bf16": "bfloat16", "amx_bf16": "bfloat16",
    "bf16": "bfloat16", "asimd": "NEON", "neon": "NEON", "sve": "SVE", "asimddp": "dot product",
    "dot_product": "dot product", "i8mm": "int8 products",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The numbers that a model is computed with, by torch's name, and the reason."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor's name, its features of use here, and what this process may have of it.

    `cores` may be fewer than the machine has. `memory` bytes can still be taken, of `memory_limit`
    that the machine or a limit on this process allows; both None where that cannot be found out.
    """

    name: str
    features: tuple[str, ...]
    cores: int
    memory: int | None
    memory_limit: int | None

    @classmethod
    def read(cls, root: Path = ROOT) -> Processor:
        """This machine's, as the system under `root` tells."""
        info = _text(root / "proc/cpuinfo")
        available, limit = memory(root)
        return cls(
            name=_field(info, "model name") or platform.processor() or platform.machine(),
            features=_features(info),
            cores=cores(root),
            memory=available,
            memory_limit=limit,
        )


def number_format(
    *, parameters: int, stored: Collection[str], device: str = "cpu", fast: bool | None = None
) -> NumberFormat:
    """What to compute a model with, whose file holds numbers of the formats `stored`.

    These are safetensors' names. `fast` says whether the processor multiplies bfloat16 faster than
    float32; without it, it is tried. Raises CheckpointError on formats that are not read.
    """
    if unknown := set(stored) - {"BF16", "F16", "F32"}:
        raise CheckpointError(f"the checkpoint holds numbers of format {sorted(unknown)}")
    if set(stored) == {"F32"}:
        return NumberFormat("float32", "the checkpoint holds float32")
    if device != "cpu":
        return NumberFormat("bfloat16", f"computed on {device}")
    if parameters < SMALL:
        return NumberFormat("float32", "so small a model is fastest in it")
    if bfloat16_is_fast() if fast is None else fast:
        return NumberFormat("bfloat16", "this processor multiplies it faster than float32")
    return NumberFormat("float32", "this processor multiplies bfloat16 slower")


def bfloat16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32.

    Processors without instructions for it emulate it, five times slower; with them it is tried
    (about 20 ms), as not all that have them are fast.
    """
    if "bfloat16" not in Processor.read().features:
        return False  # the clock can err on a busy machine, and this mistake is a costly one
    return _product_rate("bfloat16", (64, 1024, 1024)) > _product_rate("float32", (64, 1024, 1024))


def use_threads(count: int) -> None:
    """Have torch use so many threads in this process."""
    import torch

    torch.set_num_threads(count)


def measure(number_format: str, *, seconds: float = 0.8) -> Speed:
    """What the threads that torch may use do now, in about that time: a short look, no benchmark.

    The rate is that of a matrix product of the sizes that models have, in that number format; the
    bandwidth that of reading more memory than caches hold.
    """
    return Speed(
        operations=_product_rate(number_format, (256, 2048, 2048), seconds=seconds / 2),
        bandwidth=_bandwidth(seconds / 2),
    )


def _product_rate(
    number_format: str, sizes: tuple[int, int, int], *, seconds: float = 0.0, least: int = 3
) -> float:
    """Operations a second of a product [m, k] x [n, k], the best of some tries."""
    import torch

    rows, inner, columns = sizes
    dtype = getattr(torch, number_format)
    x, weight = torch.ones(rows, inner, dtype=dtype), torch.ones(columns, inner, dtype=dtype)
    best, tries, end = math.inf, 0, time.perf_counter() + seconds
    while tries < least or (time.perf_counter() < end and tries < 100):
        start = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        best = min(best, time.perf_counter() - start)
        tries += 1
    return 2 * rows * inner * columns / best


def _bandwidth(seconds: float, size: int = 1 << 28) -> float:
    """Bytes a second of reading `size` bytes with all threads, the best of some tries."""
    import torch

    numbers = torch.zeros(size // 4)
    numbers += 1  # else all of it may be one and the same page
    best, tries, end = math.inf, 0, time.perf_counter() + seconds
    while tries < 2 or (time.perf_counter() < end and tries < 20):
        start = time.perf_counter()
        numbers.sum()
        best = min(best, time.perf_counter() - start)
        tries += 1
    return size / best


def cores(root: Path = ROOT) -> int:
    """How many processors this process may keep busy: its affinity, and its group's share."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    most = len(affinity(0)) if affinity else os.cpu_count() or 1
    for folder in _groups(root, "cpu"):
        quota, period = _text(folder / "cpu.max").split() or ("max", "100000")
        if quota == "max":
            quota = _text(folder / "cpu.cfs_quota_us") or "-1"
            period = _text(folder / "cpu.cfs_period_us") or "100000"
        if int(quota) > 0:
            most = min(most, math.ceil(int(quota) / int(period)))
    return max(1, most)


def memory(root: Path = ROOT) -> tuple[int | None, int | None]:
    """Bytes that this process can still take, and the most it may have; None = not known."""
    info = _text(root / "proc/meminfo")
    available, limit = _kilobytes(info, "MemAvailable"), _kilobytes(info, "MemTotal")
    if limit is None and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(getattr(os, "sysconf_names", ())):
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in _groups(root, "memory"):
        for most, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            allowed, taken = _text(folder / most), _text(folder / used)
            if not allowed.isdigit() or (limit is not None and int(allowed) >= limit):
                continue
            limit = int(allowed)
            if taken.isdigit():
                # What files are cached in is given back when it is needed.
                cached = _number(_text(folder / "memory.stat"), "inactive_file")
                left = max(0, limit - int(taken) + cached)
                available = left if available is None else min(available, left)
    return available, limit


def free_memory(device: str) -> int | None:
    """Bytes that can still be taken where a torch device has its memory; None = not known."""
    if device == "cpu":
        return memory()[0]
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    return None


def _groups(root: Path, controller: str) -> list[Path]:
    """The folders of this process's control group and those above, of versions 1 and 2."""
    base = root / "sys/fs/cgroup"
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = base / (controller if controllers else "")
        # In a container the path is the host's, and what counts is mounted at the top.
        below = Path(path.lstrip("/"))
        found += [top / below, *(top / above for above in below.parents), top]
    return list(dict.fromkeys(found))


def _features(info: str) -> tuple[str, ...]:
    names = set((_field(info, "flags") or _field(info, "Features")).split())
    if not names:
        import torch

        ask = getattr(torch.cpu, "get_capabilities", dict)
        names = {name for name, there in ask().items() if there is True}
    found = {_FEATURES[name] for name in names & _FEATURES.keys()}
    return tuple(feature for feature in dict.fromkeys(_FEATURES.values()) if feature in found)


def _field(info: str, name: str) -> str:
    """The value of the first `name : value` line."""
    for line in info.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _kilobytes(info: str, name: str) -> int | None:
    value = _field(info, name).split()
    return int(value[0]) * 1024 if value and value[0].isdigit() else None


def _number(lines: str, name: str) -> int:
    """The value of a `name value` line, else 0."""
    for line in lines.splitlines():
        key, _, value = line.partition(" ")
        if key in (name, f"total_{name}") and value.isdigit():
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
