"""What one server serves: a model, an index with its encoder, and the threads that call them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from ingest.worker import Workers
from rag.server.asking import Askers
from rag.server.errors import ApiError
from rag.server.generations import Generations
from rag.server.jobs import Jobs
from rag.server.stored import Stored

if TYPE_CHECKING:
    from backbone.backbone import Backbone
    from ingest.encode import Encoder
    from rag.pipeline import Rag

GROUNDED = "ragbone"  # the model that answers out of the index
ENCODER = "encoder"  # a name for the encoder that always works; its own may be the model's
DOORS = 4  # threads that tokenise prompts and compile grammars
ANSWERS = 16  # questions to the index at once; each takes a thread
ENCODERS = 1  # threads that encode texts
DRAWING = 20.0  # seconds of work that the picture of a page may cost


class Site:
    """What is served. `name` is the model's in requests; without `rag` there is no index.

    `roots` are the folders that may be indexed through the server, by their real paths.
    """

    def __init__(
        self,
        model: Backbone,
        *,
        name: str,
        encoder: Encoder,
        rag: Rag | None,
        roots: Sequence[Path] = (),
    ) -> None:
        if name == GROUNDED:
            raise ValueError(f"a model cannot be named {GROUNDED}: that is what answers are")
        self.model = model
        self.name = name
        self.encoder = encoder
        self.rag = rag
        self.roots = tuple(roots)
        self.created = int(time.time())
        self.stored = Stored()
        self.jobs = Jobs()
        self.workers = Workers(timeout=DRAWING)
        self.door = ThreadPoolExecutor(DOORS, thread_name_prefix="door")
        self._answers = ThreadPoolExecutor(ANSWERS, thread_name_prefix="answer")
        self.askers = Askers(self._answers)
        self.encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="encode")

    @property
    def web(self) -> bool:
        """Whether questions may search the web."""
        return self.rag is not None and self.rag.web is not None

    @property
    def chats(self) -> bool:
        """Whether the model can be talked to, and not only quote."""
        return "chat" in self.model.abilities

    @property
    def names(self) -> list[str]:
        """The models that requests may name."""
        return [self.name, *([GROUNDED] if self.rag else [])]

    @property
    def encoder_names(self) -> list[str]:
        """What the encoder may be called."""
        return list(dict.fromkeys([ENCODER, self.encoder.name]))

    def is_grounded(self, name: str) -> bool:
        """Whether a name means answers out of the index. Raises ApiError for an unknown one."""
        if name not in self.names:
            raise ApiError(
                404,
                f"there is no model {name!r} here, only {', '.join(self.names)}",
                code="model_not_found",
                param="model",
            )
        return name == GROUNDED

    def generating(self, name: str) -> Backbone:
        """The bare model of that name. Raises ApiError where a request takes another."""
        if self.is_grounded(name):
            raise ApiError(
                400,
                f"{GROUNDED} answers questions in /v1/chat/completions, /v1/responses and /v1/ask",
                code="unsupported",
                param="model",
            )
        if not self.chats:
            other = (
                f"ask the model {GROUNDED}, which answers from the documents"
                if self.rag
                else ("start with an index and ask the model ragbone")
            )
            raise ApiError(
                400,
                f"{name} only points at quotes and cannot chat: {other}, or start the server with"
                " a model that can: rag serve --model NAME",
                code="unsupported",
                param="model",
            )
        return self.model

    def index(self) -> Rag:
        """The index. Raises ApiError when there is none."""
        if self.rag is None:
            raise ApiError(
                400, "this server has no index: rag serve --index DIR", code="unsupported"
            )
        return self.rag

    def close(self) -> None:
        """Let the threads go; what they wait for is cancelled by its requests."""
        for pool in (self.door, self._answers, self.encoders):
            pool.shutdown(wait=False, cancel_futures=True)
        self.jobs.close()
        self.workers.close()


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _generations(request: Request) -> Generations:
    generations: Generations = request.scope["generations"]
    return generations


Served = Annotated[Site, Depends(_site)]
Started = Annotated[Generations, Depends(_generations)]
