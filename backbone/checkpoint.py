"""A folder of an LFM2 checkpoint, or its name on the hub -> a filled model.

Taken weights stay memory-mapped as long as their number format suits the processor; what the model
then packs is its own copy. Knows files and tensor names; nothing of text or generation.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from backbone import hub
from backbone.config import Config
from backbone.errors import CheckpointError
from backbone.files import BUILTIN, weight_files
from backbone.lfm2 import Lfm2
from backbone.processor import free_memory, number_format

EXPERT = re.compile(r"(?P<stack>.+\.experts)\.(?P<number>\d+)\.w(?P<part>[123])\.weight")


def find(name: str | Path) -> Path:
    """The folder of a checkpoint: `"builtin"`, a folder, or a hub name `owner/model`.

    A hub name is looked up in the local cache first; only when it is not there is it downloaded.
    """
    if name == "builtin":
        return BUILTIN
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if isinstance(name, Path) or not hub.is_name(name):
        raise CheckpointError(
            f"{name} is neither a folder nor a hub name such as LiquidAI/LFM2-1.2B"
        )
    return hub.Hub().cached(name) or hub.Hub().pull(name)


def load(folder: Path, *, device: str = "cpu") -> Lfm2:
    """The model in a folder; CheckpointError says which file or tensor is wrong."""
    config = Config.load(folder)
    weights = SafeTensors.open(folder, device=device)
    weights.check_room(folder)
    model = Lfm2.load(weights, config)
    if unused := weights.unused - {"lm_head.weight"}:
        raise CheckpointError(
            f"{folder} holds {len(unused)} tensors that its config.json has no place for,"
            f" such as {min(unused)}"
        )
    return model


class SafeTensors:
    """The tensors of a folder of safetensors files, in one number format on one device."""

    def __init__(self, files: dict[str, Any], *, dtype: torch.dtype, device: str) -> None:
        self._files = files  # tensor name -> open file
        self._dtype = dtype
        self._device = device
        self.unused = set(files)

    @classmethod
    def open(cls, folder: Path, *, device: str = "cpu") -> SafeTensors:
        """Map the files of a folder and choose the number format for this machine."""
        files: dict[str, Any] = {}
        for path in weight_files(folder):
            try:
                file = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise CheckpointError(
                    f"{path} is damaged or incomplete ({error}); fetch it again"
                ) from None
            files.update(dict.fromkeys(file.keys(), file))
        return cls(files, dtype=_choose_dtype(files, device), device=device)

    def check_room(self, folder: Path) -> None:
        """Refuse, before the system ends the process, what must be copied and does not fit."""
        slices = [file.get_slice(name) for name, file in self._files.items()]
        copied = sum(
            math.prod(tensor.get_shape()) * self._dtype.itemsize
            for tensor in slices
            # What is computed in float32 is packed, and what is stored otherwise converted.
            if tensor.get_dtype() != "BF16" or self._dtype is not torch.bfloat16
        )
        free = free_memory(self._device)
        if free is not None and copied > free:
            raise CheckpointError(
                f"{folder} takes {copied / 1e9:.1f} GB in {str(self._dtype)[6:]} and"
                f" {free / 1e9:.1f} GB of memory are free: close other programs, or take a smaller"
                " model; `rag doctor --model NAME` says what one needs"
            )

    def take(self, name: str, *shape: int, exact: bool = False) -> Tensor:
        """The tensor of that name, float32 if `exact`; CheckpointError if absent or misshapen."""
        tensor = self._find(name)
        if tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"tensor {name} has shape {list(tensor.shape)}, config.json asks for {list(shape)}"
            )
        return tensor.to(self._device, torch.float32 if exact else self._dtype)

    def _find(self, name: str) -> Tensor:
        if name in self._files:
            return self._read(name)
        if expert := EXPERT.fullmatch(name):
            stack = f"{expert['stack']}.{'down_proj' if expert['part'] == '2' else 'gate_up_proj'}"
            if stack in self._files:
                return _unstack(self._read(stack), int(expert["number"]), expert["part"])
        raise CheckpointError(f"the checkpoint lacks the tensor {name}")

    def _read(self, name: str) -> Tensor:
        self.unused.discard(name)
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor


def _unstack(stack: Tensor, number: int, part: str) -> Tensor:
    """One expert's matrix out of a stack of all; gate (w1) and up (w3) lie one above the other."""
    if number >= len(stack):
        raise CheckpointError(
            f"the checkpoint stacks {len(stack)} experts, config.json asks for more"
        )
    if part == "2":
        return stack[number]
    return stack[number].chunk(2)[0 if part == "1" else 1]


def _choose_dtype(files: dict[str, Any], device: str) -> torch.dtype:
    """The number format that this machine computes fast in."""
    slices = [file.get_slice(name) for name, file in files.items()]
    chosen = number_format(
        parameters=sum(math.prod(tensor.get_shape()) for tensor in slices),
        stored={tensor.get_dtype() for tensor in slices},
        device=device,
    )
    dtype: torch.dtype = getattr(torch, chosen.name)
    return dtype
