"""Which models there are: built in, fetched before, and official ones that can be fetched.

As plain values and as text. Asks no network and loads none of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from backbone import official
from backbone.errors import CheckpointError
from backbone.files import BUILTIN, Model
from backbone.hub import Hub, Licence
from backbone.plan import BFLOAT16, parameters
from rag.display import harmless, one_line

_FORMATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclass(frozen=True, slots=True)
class Local:
    """A model on this machine. `problem` says why it cannot be used as it is."""

    name: str
    path: str
    bytes: int
    parameters: int
    format: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Available:
    """An official checkpoint; `bytes` is about what fetching it takes."""

    name: str
    bytes: int
    parameters: int
    context: int
    licence: str
    here: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The models on this machine, and those that can be had."""

    here: tuple[Local, ...]
    official: tuple[Available, ...]

    def to_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def list_models(hub: Hub | None = None) -> Listing:
    """Every model that can be named."""
    cached = (hub or Hub()).all_cached()
    here = [_local(name, folder) for name, folder in [("builtin", BUILTIN), *cached]]
    whole = {model.name for model in here if model.problem is None}
    return Listing(
        here=tuple(here),
        official=tuple(
            Available(
                name=name,
                bytes=BFLOAT16.bytes(parameters(entry.config)),
                parameters=parameters(entry.config),
                context=entry.config.context,
                licence=official.LICENCE,
                here=name in whole,
            )
            for entry in official.OFFICIAL
            for name in entry.hub_names
        ),
    )


def _local(name: str, folder: Path) -> Local:
    try:
        model = Model.read(folder)
    except CheckpointError as error:
        problem = f"incomplete: {error}"
        return Local(name, str(folder), _size(folder), 0, "", problem)
    formats = "+".join(sorted(_FORMATS.get(stored, stored) for stored in model.stored))
    return Local(name, str(folder), model.bytes, model.parameters, formats)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def listing_text(listing: Listing) -> str:
    """The models for people, one a line."""
    names = [local.name for local in listing.here] + [there.name for there in listing.official]
    width = max(map(len, names))
    lines = ["on this machine"]
    for local in listing.here:
        facts = f"{_gigabytes(local.bytes)}  {local.format}"
        if local.problem:
            facts = f"{_gigabytes(local.bytes)}  incomplete: rag models pull {local.name}"
        lines.append(f"  {local.name:<{width}}  {facts}")
    lines += ["", f"to fetch with rag models pull NAME, under the {official.LICENCE}"]
    for there in listing.official:
        mark = "  here" if there.here else ""
        facts = f"{_gigabytes(there.bytes)}  context {there.context:,}{mark}"
        lines.append(f"  {there.name:<{width}}  {facts}")
    return "\n".join([*lines, "", "any other LFM2 repository of the hub can be pulled by its name"])


def licence_text(name: str, licence: Licence) -> str:
    """The terms of a checkpoint that is about to be fetched."""
    head = f"{name} comes under these terms: {one_line(licence.name)} ({one_line(licence.link)})"
    return f"{head}\n\n{harmless(licence.text).strip()}\n" if licence.text.strip() else head


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:>6.2f} GB" if size >= 10_000_000 else f"{size / 1e6:>6.2f} MB"
