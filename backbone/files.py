"""What a model folder holds, read off its files without loading any of them.

Knows the layout of safetensors files; no torch, no network.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from backbone.config import Config, read_json
from backbone.errors import CheckpointError

BUILTIN = Path(__file__).parent / "builtin"
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself has it


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder: its shape, its weights' bytes and count, and the formats they are stored in.

    `stored` are safetensors' names, such as "BF16".
    """

    folder: Path
    config: Config
    bytes: int
    parameters: int
    stored: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Model:
        """The model in a folder; CheckpointError when it is incomplete or of another kind."""
        config = Config.load(folder)
        size, count, stored = 0, 0, set()
        for path in weight_files(folder):
            size += path.stat().st_size
            for name, (dtype, shape) in _tensors(path).items():
                stored.add(dtype)
                count += math.prod(shape) if name != "lm_head.weight" or not config.tied else 0
        return cls(folder, config, size, count, frozenset(stored))


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights; CheckpointError says which is missing."""
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if not index.is_file():
        if not single.is_file():
            raise CheckpointError(
                f"{folder} holds no model.safetensors; other formats are not read"
            )
        return [single]
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{index} has no weight_map")
    files = [folder / str(name) for name in sorted(set(names.values()))]
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(f"{folder} lacks {', '.join(missing)}, which {index.name} lists")
    return files


def _tensors(path: Path) -> dict[str, tuple[str, list[int]]]:
    """The number format and the shape of each tensor in a file."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        header.pop("__metadata__", None)
        return {name: (str(each["dtype"]), list(each["shape"])) for name, each in header.items()}
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({error}); fetch it again"
        ) from None
