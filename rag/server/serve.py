"""`rag serve`: an address to listen on, and uvicorn on it until it is told to stop.

Prints nothing and reads no environment: `cli.py` does.
"""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rag.errors import RagError
from rag.server.app import create_app
from rag.server.guard import LOOPBACK, Door
from rag.server.limits import Limits
from rag.server.site import Site
from rag.server.watched import Watched

if TYPE_CHECKING:
    from backbone.backbone import Backbone
    from rag.generator import Generator
    from rag.web import WebSearch

BACKLOG = 2048
GRACE = 10  # seconds that running requests have to finish when the server stops
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})


def door_for(host: str, *, token: str | None, names: Sequence[str] = ()) -> Door:
    """Who may come in at an address. Raises RagError for one beyond this machine and no token."""
    private = _is_loopback(host)
    if not private and not token:
        raise RagError(
            f"{host or 'every address'} can be reached from other machines: set a token with"
            " RAG_TOKEN=… or --token, or listen on 127.0.0.1"
        )
    ours = {host, *names} if private else {host, *names, socket.gethostname()}
    hosts = frozenset(name.lower() for name in ours) | LOOPBACK
    return Door(hosts, any_address=host in EVERYWHERE, token=token)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Port 0 takes a free one. Raises RagError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RagError(
                f"port {port} of {host} is taken: choose another with --port,"
                " or any free one with --port 0"
            ) from None
        reason = error.strerror or str(error)
        raise RagError(f"cannot listen on {host} port {port}: {reason}") from None
    except OverflowError:
        raise RagError(f"there is no port {port}: they go from 0 to 65535") from None


@contextmanager
def opened(
    folder: Path | None,
    *,
    model: Generator | str | None = None,
    name: str | None = None,
    roots: Sequence[Path] = (),
    web: WebSearch | bool = False,
) -> Iterator[Site]:
    """What is to be served: a model, called `name` in requests, and the index in a folder.

    With `roots`, folders that may be indexed through the server, the index is made when absent.
    With `web`, questions may search it. A model that is no name but there already is closed at the
    end, too.
    """
    from ingest.encode import load_encoder
    from rag.generator import BUILTIN, load_generator
    from rag.pipeline import Rag

    with ExitStack() as stack:
        if model is None or isinstance(model, str):
            model = load_generator(model or BUILTIN)
        generator = cast("Backbone", model)
        stack.callback(generator.close)
        rag = None
        if folder is not None:
            rag = stack.enter_context(
                Rag.open(folder, generator=Watched(generator), web=web, create=bool(roots))
            )
        encoder = rag.encoder if rag else load_encoder()
        name = name or _name(generator.name)
        yield Site(generator, name=name, encoder=encoder, rag=rag, roots=roots)


def _name(loaded: str) -> str:
    """What to call a model that was loaded by a name: a folder by its last part."""
    if Path(loaded).is_dir():
        return Path(loaded).resolve().name
    return loaded.rpartition("#")[2]  # https://host/v1#name


def checked_roots(folders: Sequence[Path]) -> list[Path]:
    """The real paths of folders that may be indexed. Raises RagError for what is no folder."""
    for folder in folders:
        if not folder.is_dir():
            raise RagError(f"--root {folder}: there is no such folder")
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def address(listening: socket.socket) -> str:
    """The URL that clients are to use."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(site: Site, listening: socket.socket, *, door: Door, limits: Limits | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; running requests then have GRACE seconds to finish."""
    import uvicorn

    _more_files()
    config = uvicorn.Config(
        create_app(site, door=door, limits=limits),
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
        lifespan="on",
        ws="none",
    )
    with quiet_signals():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def quiet_signals() -> Iterator[None]:
    """uvicorn stops at a signal, and then raises it again; the second time it means nothing."""
    caught = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: None) for number in caught]
    try:
        yield
    finally:
        for number, handler in zip(caught, before, strict=True):
            signal.signal(number, handler)


def _more_files() -> None:
    """Let the process hold as many connections as the system allows it."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
