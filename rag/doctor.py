"""What `rag doctor` finds: the processor, what a model would need and do here, the index.

Puts together what backbone and ingest know of themselves, as one value with a JSON form and a text
form. Prints nothing. Every speed is an estimate from a short measurement, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backbone import official, plan
from backbone.backbone import DRAFTED
from backbone.config import Config
from backbone.files import BUILTIN, Model
from backbone.hub import Hub, is_name, resolve
from backbone.plan import GIB, Plan
from backbone.processor import NumberFormat, Processor, measure, number_format, use_threads
from rag.display import count, one_line, wrap
from rag.errors import RagError
from rag.remote import is_address

if TYPE_CHECKING:
    from ingest.health import Health

# What such cards have, and how much of it is there to be used.
GPUS = (("a GPU of 80 GB", 78 * GIB), ("a GPU of 141 GB", 139 * GIB))
HOW = (
    "writing: bytes read a token over the bandwidth; reading: operations a token over the rate, or"
    " weights a pass over the bandwidth; the slower counts"
)


@dataclass(frozen=True, slots=True)
class Seats:
    """How many sequences of the context fit into a memory, whole and at once."""

    place: str
    memory: int
    reserve: int
    weights: str
    cache: str
    agents: int
    planned: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model takes, in bytes, and about what it would do here, in tokens a second.

    The speeds are None when its weights do not fit into the memory that is free.
    """

    name: str
    here: bool
    context: int
    parameters: int
    active_parameters: int
    number_format: NumberFormat
    weight_bytes: int
    token_bytes: int
    sequence_bytes: int
    reads: float | None
    writes: float | None
    seats: tuple[Seats, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found. Rates are operations and bytes a second with `threads` threads."""

    processor: Processor
    torch: str
    threads: int
    operations: float
    bandwidth: float
    model: Needs
    index: Health | None

    @property
    def faults(self) -> int:
        """How much is wrong with the index."""
        return len(self.index.faults) if self.index else 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: sizes in bytes, speeds in tokens a second."""
        index = asdict(self.index) | {"folder": str(self.index.folder)} if self.index else None
        facts = asdict(self) | {"index": index}
        facts["model"]["estimate"] = HOW
        return facts


def diagnose(
    model: str = "builtin",
    *,
    context: int | None = None,
    memory: int | None = None,
    index: Health | None = None,
) -> Diagnosis:
    """Look at the machine and plan a model for it; `memory` bytes is a further place to plan for.

    Raises RagError or CheckpointError when the model is not known here: nothing is fetched.
    """
    shape, stored, here = _shape(model)
    processor = Processor.read()
    use_threads(processor.cores)
    chosen = number_format(parameters=plan.parameters(shape), stored=stored)
    speed = measure(chosen.name)
    context = context or shape.context
    local = Plan.of(shape, chosen.name, device="cpu", spare=DRAFTED)
    free = processor.memory
    fits = free is None or local.weight_bytes + local.reserve(free) <= free
    needs = Needs(
        name=model,
        here=here,
        context=context,
        parameters=plan.parameters(shape),
        active_parameters=plan.active_parameters(shape),
        number_format=chosen,
        weight_bytes=local.weight_bytes,
        token_bytes=local.token_bytes,
        sequence_bytes=local.cache_bytes(blocks=local.blocks(agents=1, context=context), rows=1),
        reads=plan.prefill_speed(local, speed, context=context) if fits else None,
        writes=plan.decode_speed(local, speed, context=context) if fits else None,
        seats=_seats(local, processor, context=context, memory=memory, large=model != "builtin"),
    )
    return Diagnosis(
        processor=processor,
        torch=version("torch"),
        threads=processor.cores,
        operations=speed.operations,
        bandwidth=speed.bandwidth,
        model=needs,
        index=index,
    )


def _shape(name: str) -> tuple[Config, frozenset[str], bool]:
    """The shape of a model, the formats that its files hold, and whether it is on this machine."""
    if is_address(name):
        raise RagError(f"{name} runs on its server; there is nothing to plan here")
    folder = BUILTIN if name == "builtin" else Path(name).expanduser()
    entry = official.find(name)
    hub_name = entry.hub_names[entry.names.index(name.rpartition("/")[2])] if entry else name
    if not folder.is_dir() and is_name(hub_name):
        folder = Hub().cached(hub_name) or folder
    if folder.is_dir():
        model = Model.read(folder)
        return model.config, model.stored, True
    if entry:
        return entry.config, frozenset({"BF16"}), False
    raise RagError(
        f"nothing is known here of {resolve(name)}: fetch it first with `rag models pull {name}`,"
        " or take a name that `rag models list` shows"
    )


def _seats(
    local: Plan, processor: Processor, *, context: int, memory: int | None, large: bool
) -> tuple[Seats, ...]:
    seats = []
    if processor.memory is not None:
        seats.append(_seat(local, "this machine", processor.memory, context))
    places: Sequence[tuple[str, int]] = GPUS if large else ()
    if memory is not None:
        places = (("the memory given", memory),)
    for place, size in places:
        for weights, cache in plan.COMBINATIONS:
            there = Plan(local.config, weights, cache, spare=DRAFTED)
            seats.append(_seat(there, place, size, context))
    return tuple(seats)


def _seat(there: Plan, place: str, memory: int, context: int) -> Seats:
    reserve = there.reserve(memory)
    return Seats(
        place=place,
        memory=memory,
        reserve=reserve,
        weights=there.weights.name,
        cache=there.cache.name,
        agents=there.agents(memory, context=context, reserve=reserve),
        planned=there.planned,
    )


def diagnosis_text(found: Diagnosis) -> str:
    """What was found, for people: a line a fact, faults last."""
    lines = [*_machine_lines(found), "", *_model_lines(found.model), ""]
    return "\n".join([*lines, *_index_lines(found.index)])


def _machine_lines(found: Diagnosis) -> list[str]:
    processor, chosen = found.processor, found.model.number_format
    memory = "memory unknown"
    if processor.memory is not None and processor.memory_limit is not None:
        free, most = processor.memory / GIB, processor.memory_limit / GIB
        memory = f"{free:.1f} of {most:.1f} GiB of memory free"
    features = ", ".join(processor.features) or "nothing that speeds up models"
    rate = f"{found.operations / 1e9:,.0f} billion operations/s in {chosen.name}"
    return [
        f"processor  {processor.name}: {features}",
        f"           {count(processor.cores, 'core')} for this process, {memory}",
        f"numbers    {chosen.name}: {chosen.why}",
        f"measured   {rate}, {found.bandwidth / 1e9:.1f} GB/s read, just now",
        f"torch      {found.torch}, {count(found.threads, 'thread')}",
    ]


def _model_lines(needs: Needs) -> list[str]:
    size = f"{_large(needs.parameters)} parameters"
    if needs.active_parameters < needs.parameters:
        size += f", {_large(needs.active_parameters)} for a token"
    lines = [
        f"model      {needs.name}{'' if needs.here else ' (not on this machine)'}: {size}",
        f"           {needs.weight_bytes / GIB:,.2f} GiB of weights in {needs.number_format.name},"
        f" {needs.token_bytes / 1024:g} KiB a token,"
        f" {needs.sequence_bytes / GIB:,.2f} GiB for a context of {needs.context:,}",
    ]
    if needs.reads is None or needs.writes is None:
        lines.append("speed      none: its weights do not fit into the memory that is free")
    else:
        lines += [
            f"speed      at most about {_rate(needs.reads)} tokens/s read and"
            f" {_rate(needs.writes)} written, at that context",
            *(f"           {line}" for line in wrap(HOW, width=90).splitlines()),
        ]
    lines.append(f"agents     how many contexts of {needs.context:,} fit, whole and at once")
    place = ""
    for seat in needs.seats:
        if seat.place != place:
            place = seat.place
            sizes = f"{seat.memory / GIB:.1f} GiB, {seat.reserve / GIB:g} of them kept free"
            lines.append(f"           {place} ({sizes})")
        formats = f"weights {seat.weights}, cache {seat.cache}"
        mark = ", planned" if seat.planned else ""
        lines.append(f"           {seat.agents:>9,}  {formats}{mark}")
    return lines


def _large(number: int) -> str:
    return f"{number / 1e9:.3g} billion" if number >= 1e9 else f"{number / 1e6:.3g} million"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _index_lines(index: Health | None) -> list[str]:
    if index is None:
        return ["index      none here: make one with rag index PATH"]
    sizes = ", ".join(f"{part} {size / 1e6:.1f} MB" for part, size in index.sizes.items())
    lines = [f"index      {index.folder} ({sizes})"]
    if index.encoder:
        held = f"{count(index.documents, 'document')}, {count(index.chunks, 'passage')}"
        lines.append(f"           {held}, encoder {index.encoder}")
    lines += [f"note       {one_line(note)}" for note in index.notes]
    for fault in index.faults:
        lines += [f"wrong      {one_line(fault.what)}"]
        lines += [f"           to cure it: {one_line(fault.fix)}"]
    return lines if index.faults else [*lines, "           nothing is wrong with it"]
