"""What the system says of a machine is understood, limits on the process included."""

import os
import time

import pytest

from backbone.errors import CheckpointError
from backbone.processor import Processor, cores, measure, memory, number_format

FLAGS = "fpu avx2 avx512f avx512_vnni amx_tile amx_bf16"
XEON = f"processor\t: 0\nmodel name\t: A Xeon\nflags\t\t: {FLAGS}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp bf16 i8mm sve\n"
MEMORY = "MemTotal:       16000000 kB\nMemFree:  1000 kB\nMemAvailable:   12000000 kB\n"


@pytest.fixture
def system(tmp_path):
    """Lays out files as a system has them; returns their root."""

    def write(**files):
        for name, text in {"proc/cpuinfo": XEON, "proc/meminfo": MEMORY, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_features_are_named_alike_on_all_processors(system):
    seen = Processor.read(system())
    assert seen.name == "A Xeon"
    assert seen.features == ("AVX2", "AVX-512", "VNNI", "AMX", "bfloat16")
    seen = Processor.read(system(**{"proc/cpuinfo": ARM}))
    assert seen.features == ("bfloat16", "NEON", "SVE", "dot product", "int8 products")


def test_a_system_that_tells_nothing_is_not_an_error(tmp_path):
    seen = Processor.read(tmp_path)
    assert seen.memory is None
    assert seen.cores >= 1
    assert seen.name


def test_memory_without_limits_is_the_machines(system):
    assert memory(system()) == (12_000_000 * 1024, 16_000_000 * 1024)


def test_a_limit_on_the_group_counts_and_cached_files_do_not(system):
    group = "sys/fs/cgroup/box/inner"
    root = system(
        **{
            "proc/self/cgroup": "0::/box/inner\n",
            f"{group}/memory.max": "max",
            "sys/fs/cgroup/box/memory.max": str(4 << 30),
            "sys/fs/cgroup/box/memory.current": str(3 << 30),
            "sys/fs/cgroup/box/memory.stat": f"anon 5\ninactive_file {1 << 30}\n",
        }
    )
    assert memory(root) == (2 << 30, 4 << 30)


def test_a_limit_of_the_first_version_counts_where_a_container_has_it(system):
    root = system(
        **{
            "proc/self/cgroup": "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 << 30),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(1 << 30),
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        }
    )
    assert memory(root) == (1 << 30, 2 << 30)
    assert cores(root) == 1


def test_no_limit_of_the_first_version_is_a_very_large_one(system):
    root = system(
        **{
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5",
        }
    )
    assert memory(root)[1] == 16_000_000 * 1024


@pytest.mark.parametrize(("quota", "least"), [("max 100000", 1), ("100000 100000", 1)])
def test_a_share_of_the_processors_counts(system, quota, least):
    root = system(**{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota})
    assert least <= cores(root) <= (1 if quota[0] == "1" else os.cpu_count())


@pytest.mark.parametrize(
    ("stored", "parameters", "device", "fast", "name"),
    [
        ({"F32"}, 10**9, "cpu", True, "float32"),
        ({"BF16", "F32"}, 10**9, "cpu", True, "bfloat16"),
        ({"BF16"}, 10**9, "cpu", False, "float32"),
        ({"BF16"}, 10**6, "cpu", True, "float32"),
        ({"F16"}, 10**6, "cuda", False, "bfloat16"),
    ],
)
def test_the_number_format_is_what_is_fast(stored, parameters, device, fast, name):
    chosen = number_format(parameters=parameters, stored=stored, device=device, fast=fast)
    assert chosen.name == name
    assert chosen.why


def test_numbers_that_cannot_be_read_are_named():
    with pytest.raises(CheckpointError, match="I8"):
        number_format(parameters=1, stored={"I8", "BF16"})


def test_measuring_is_short():
    start = time.process_time()
    speed = measure("float32", seconds=0.1)
    assert speed.operations > 1e6
    assert speed.bandwidth > 1e6
    assert time.process_time() - start < 20
