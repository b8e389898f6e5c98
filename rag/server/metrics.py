"""`/health` and `/metrics`: whether the server is there, and its counts for Prometheus.

An ASGI layer counts requests by path, status and time; the engine counts its own work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from time import perf_counter

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from rag.server.limits import App, Message, Receive, Scope, Send
from rag.server.openapi import replies
from rag.server.site import Served, Site

router = APIRouter()

BUCKETS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)  # seconds
CLIENT_LEFT = 499  # of a request that got no answer, as nginx says it
TEXT = "text/plain; version=0.0.4"
TOTALS = {  # of the engine; all else that it counts goes up and down
    *("prefix_hit_tokens", "prompt_tokens", "completion_tokens"),
    *("preemptions", "drafted", "accepted"),
}


class Health(BaseModel):
    """The server is there."""

    status: str


class Counts:
    """What was answered, since the start."""

    def __init__(self) -> None:
        self.running = 0
        self.requests: Counter[tuple[str, int]] = Counter()
        self.within: Counter[float] = Counter()
        self.seconds = 0.0

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self.requests[path, status] += 1
        self.seconds += seconds
        for bucket in BUCKETS:
            self.within[bucket] += seconds <= bucket


class Counted:
    """An application whose requests are counted."""

    def __init__(self, app: App, counts: Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_LEFT

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = perf_counter()
        self._counts.running += 1
        try:
            await self._app(scope, receive, noting)
        finally:
            self._counts.running -= 1
            self._counts.add(_template(scope), status, perf_counter() - began)


def _template(scope: Scope) -> str:
    """The path of the route that answered, such as `/v1/models/{name}`; bounded in number."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "other"
    return f"/v1{path}" if scope["path"].startswith("/v1/") else str(path)


@router.get("/health", responses=replies(Health))
async def health() -> Response:
    """Say that the server is there."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={**replies(Health), 200: {"content": {TEXT: {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, site: Served) -> Response:
    """Give the counts, for Prometheus."""
    counts: Counts = request.app.state.counts
    lines = [*_requests(counts), *_engine(site)]
    return Response("\n".join(lines) + "\n", media_type=TEXT)


def _requests(counts: Counts) -> Iterator[str]:
    yield "# TYPE ragbone_requests_running gauge"
    yield f"ragbone_requests_running {counts.running}"
    yield "# TYPE ragbone_requests_total counter"
    for (path, status), number in sorted(counts.requests.items()):
        yield f'ragbone_requests_total{{path="{path}",status="{status}"}} {number}'
    total = sum(counts.requests.values())
    yield "# TYPE ragbone_request_seconds histogram"
    for bucket in BUCKETS:
        yield f'ragbone_request_seconds_bucket{{le="{bucket:g}"}} {counts.within[bucket]}'
    yield f'ragbone_request_seconds_bucket{{le="+Inf"}} {total}'
    yield f"ragbone_request_seconds_sum {counts.seconds:.6f}"
    yield f"ragbone_request_seconds_count {total}"


def _engine(site: Site) -> Iterator[str]:
    """What the engine counts; a model on another machine counts nothing here."""
    stats = getattr(site.model, "stats", None)
    counted = stats() if stats is not None else None
    if counted is None or not is_dataclass(counted) or isinstance(counted, type):
        return
    for name, value in asdict(counted).items():
        kind, ending = ("counter", "_total") if name in TOTALS else ("gauge", "")
        yield f"# TYPE ragbone_engine_{name}{ending} {kind}"
        yield f"ragbone_engine_{name}{ending} {value}"
