"""The `rag` command: parses, calls the library, prints.

The only place that prints, reads the environment or shows progress. Results go to standard output,
everything else to standard error. Exit codes: 0 done, 1 an error, 2 wrong usage, 3 the documents do
not contain the answer (or nothing was found), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from backbone.errors import BackboneError, PromptTooLong
from ingest.errors import IndexMissing, IngestError
from ingest.nearest import nearest_index
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.answer import Answer
    from rag.generator import Generator
    from rag.pipeline import Rag
    from rag.propose import Proposal
    from rag.web import WebSearch

NOT_ANSWERED = 3
STOPPED = 130
WIDEST = 100  # columns that text takes on a terminal
NEAREST = 3  # passages named when none of them holds the answer
REASONS = {
    "nothing_found": "nothing was found",
    "not_in_passages": "the documents do not contain the answer",
    "below_threshold": "the documents do not contain the answer, as far as this model can tell",
}


FAILURES = (RagError, IngestError, BackboneError, ValueError, OSError)


class Commands(TyperGroup):
    """Shows what the library reports as one plain line, with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever reads our output has seen enough; typer ends quietly
            raise
        except FAILURES as error:
            fail(failure_text(error))


app = typer.Typer(
    cls=Commands,
    help="Ask questions of your own documents; every quote in an answer is verbatim.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

models = typer.Typer(help="Models: list them, fetch them.", no_args_is_help=True)
app.add_typer(models, name="models")


class Mode(StrEnum):
    """Which legs of the index a search uses."""

    hybrid = "hybrid"
    vector = "vector"
    words = "words"


Password = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="Opens encrypted files; may be given several times."),
]
IndexFolder = Annotated[
    Path | None,
    typer.Option(
        "--index",
        envvar="RAG_INDEX",
        metavar="DIR",
        help="The index folder; without it, .rag here or in a folder above.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="An LFM2 folder, a hub name, or https://host/v1#name; else the built-in.",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="RAG_API_KEY", metavar="KEY", help="Of the server that --model names."),
]
PlainHttp = Annotated[
    bool, typer.Option("--plain-http", help="Let --model be http:// on another machine.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="EXPR", help="Look only there: date>=2024 and source=docs/*.pdf"),
]
Web = Annotated[
    bool, typer.Option("--web", help="Search the web, too; the question goes to DuckDuckGo.")
]
SearXNGAddress = Annotated[
    str | None,
    typer.Option("--searxng", envvar="RAG_SEARXNG", metavar="URL", help="What --web asks instead."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, on standard error.")]


@app.command("index")
def index_command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files, folders, globs, URLs, or - for stdin."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove documents (under PATH) whose files are gone.")
    ] = False,
    password: Password = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host of your own network that pages may come from."),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="SOURCE", help="What to call standard input.")
    ] = "stdin",
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A sentence-transformers model; else the built-in."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Encode what is there again, for a new --encoder.")
    ] = False,
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Bring the index in step with files, folders and pages of the web."""
    from ingest.sources import missing
    from rag.display import report_text, skipped_text

    set_up(verbose)
    paths = paths or []
    if not (paths or rebuild or prune):
        raise typer.BadParameter(
            "nothing to index: give files, folders, URLs, or - for standard input"
        )
    folder = folder or nearest_index(create=bool(paths))
    lost = missing(paths)
    if lost and len(lost) == len(paths) and not folder.exists():
        fail("\nrag: ".join(f"{each.source}: {each.reason}" for each in lost))
    with opened(folder, create=bool(paths), encoder=encoder) as rag, progress_bar() as bar:
        try:
            if rebuild:
                rag.rebuild(progress=lambda done, total: bar(done, total, "passages"))
            report = rag.index(
                paths,
                prune=prune,
                passwords=password or [],
                allow=allow or [],
                stdin=sys.stdin.buffer,
                stdin_name=name,
                progress=lambda at: bar(at.done, at.total, at.source),
            )
        except KeyboardInterrupt:
            note("stopped; what was indexed so far is kept, and the same command goes on")
            raise
    if as_json:
        emit(asdict(report))
    else:
        for skipped in report.skipped:
            note(skipped_text(skipped))
        say(report_text(report, rag.folder))
    worked = report.added or report.updated or report.removed or report.unchanged
    if (report.skipped and not worked) or (lost and not (prune and report.removed)):
        raise typer.Exit(1)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages to read.")] = 6,
    where: Where = None,
    sweep: Annotated[
        bool | None,
        typer.Option("--all/--best", help="Ask every document that matches, or the best passages."),
    ] = None,
    web: Web = False,
    searxng: SearXNGAddress = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Rather no answer than one that is not sure.")
    ] = False,
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer with an object of this JSON schema.")
    ] = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print what a model would be asked, and stop.")
    ] = False,
    model: Model = None,
    api_key: ApiKey = None,
    plain_http: PlainHttp = False,
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Answer a question with verbatim quotes."""
    from rag.display import prompt_text, sentence_text
    from rag.schema import read_schema

    set_up(verbose)
    wanted = read_schema(schema) if schema else None
    only = joined(where)
    written_by = writer(model, api_key, plain_http=plain_http)
    with opened(folder, model=written_by, web=searching(searxng)) as rag:
        if show_prompt:
            say(prompt_text(rag.prompt(question, k=k, where=only, schema=wanted), bold=bold))
            return
        ask_for = partial(rag.stream, k=k, where=only, web=web, schema=wanted)
        stream = ask_for(question, sweep=sweep, strict=strict)
        if not as_json and not schema:
            for sentence in stream.sentences():
                say(sentence_text(sentence, width=columns()))
        answer = stream.result()
        if answer.reason == "nothing_found":
            refuse_empty(rag, only)
    if as_json:
        emit(answer.to_json())
    else:
        if schema and answer.answered:
            emit(answer.data)
        print_sources(answer)
    if not answer.answered:
        raise typer.Exit(NOT_ANSWERED)


@app.command()
def chat(
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages to read.")] = 6,
    where: Where = None,
    web: Web = False,
    searxng: SearXNGAddress = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on with a saved conversation.")
    ] = None,
    model: Model = None,
    api_key: ApiKey = None,
    plain_http: PlainHttp = False,
    folder: IndexFolder = None,
    verbose: Verbose = False,
) -> None:
    """Ask one question after another; each is understood after those before it."""
    from rag.chat import Chat, read_turns
    from rag.display import sentence_text
    from rag.talk import Talk

    set_up(verbose)
    written_by = writer(model, api_key, plain_http=plain_http)
    with opened(folder, model=written_by, web=searching(searxng)) as rag:
        if not rag.documents():
            refuse_empty(rag)
        turns = read_turns(resume) if resume else ()
        begun = Chat(rag, turns=turns, k=k, where=joined(where), web=web)
        talk = Talk(rag, begun, width=columns(), bold=bold)
        if sys.stdin.isatty():
            note("/help lists the commands, Ctrl-D leaves")
        while not talk.over and (line := read_line()) is not None:
            try:
                heard = talk.hear(line)
                if isinstance(heard, str):
                    say(heard) if heard else None
                    continue
                for sentence in heard.sentences():
                    say(sentence_text(sentence, width=columns()))
                print_sources(heard.result())
            except KeyboardInterrupt:
                note("stopped")
            except BrokenPipeError:  # as above
                raise
            except FAILURES as error:  # which end a turn, and no conversation
                note(failure_text(error))


@app.command()
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages to show.")] = 8,
    mode: Annotated[Mode, typer.Option(help="Which legs of the index to ask.")] = Mode.hybrid,
    where: Where = None,
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show the passages that are nearest to a query."""
    from rag.answer import hit_to_json
    from rag.display import hit_text

    set_up(verbose)
    with opened(folder) as rag:
        hits = rag.search(query, k=k, mode=mode.value, where=joined(where))
        if not hits:
            refuse_empty(rag, joined(where))
    if as_json:
        emit([hit_to_json(hit) for hit in hits])
    else:
        for number, hit in enumerate(hits, start=1):
            say(hit_text(number, hit, query, width=columns(), bold=bold) + "\n")
    if not hits:
        note("nothing was found")
        raise typer.Exit(NOT_ANSWERED)


@app.command()
def show(
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    start: Annotated[int, typer.Option(min=0, help="The first character.")] = 0,
    end: Annotated[int | None, typer.Option(min=0, help="The character to stop before.")] = None,
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Print a document's text as it was extracted: what all offsets refer to."""
    from rag.display import harmless

    set_up(verbose)
    if end is not None and end < start:
        raise typer.BadParameter(f"--end {end} comes before --start {start}")
    with opened(folder) as rag:
        document = rag.document(rag.sources(source)[0])
    text = document.text[start:end]
    if start and not document.text[start:]:
        fail(f"{document.source} has {len(document.text)} characters, and none from {start} on")
    if as_json:
        emit({"source": document.source, "start": start, "end": start + len(text), "text": text})
    elif sys.stdout.isatty():
        say(harmless(text))
    else:
        typer.echo(text, nl=False)


@app.command()
def status(folder: IndexFolder = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Show what is in the index."""
    from rag.display import status_facts, status_text

    set_up(verbose)
    with opened(folder) as rag:
        facts = status_facts(rag)
    if as_json:
        emit(facts)
    else:
        say(status_text(facts))


@app.command("rm")
def remove(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", show_default=False)],
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Take documents out of the index; their files stay."""
    set_up(verbose)
    with opened(folder) as rag:
        removed = rag.remove([s for source in sources for s in rag.sources(source)])
    if as_json:
        emit({"removed": removed})
    else:
        say("removed " + ", ".join(removed))


@app.command()
def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="RAG_TOKEN", metavar="TEXT", help="What clients must send."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name to answer under, as of a proxy."),
    ] = None,
    web: Web = False,
    searxng: SearXNGAddress = None,
    model: Model = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What requests call the model.")
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder that may be indexed from the page."),
    ] = None,
    api_key: ApiKey = None,
    plain_http: PlainHttp = False,
    folder: IndexFolder = None,
    verbose: Verbose = False,
) -> None:
    """Serve the page, and the model and answers in OpenAI's protocol, over HTTP."""
    set_up(verbose)
    try:
        from rag.server import serve as server
    except ImportError as error:
        fail(f"the server needs {error.name}: pip install 'ragbone[server]'")
    door = server.door_for(host, token=token, names=allow_host or ())
    roots = server.checked_roots(root or ())
    try:
        folder = folder or nearest_index(create=bool(roots))
    except IndexMissing:
        note("without an index the model is served alone; --index names one, --root begins one")
    generator = writer(model, api_key, plain_http=plain_http)
    engine = searching(searxng) if web else False
    with (
        server.listen(host, port) as listening,
        server.opened(folder, model=generator, name=name, roots=roots, web=engine) as site,
    ):
        say(f"{server.address(listening)}/v1 serves {', '.join(site.names)}; Ctrl-C stops it")
        say(f"{server.address(listening)}/ is the page, for a browser")
        server.run(site, listening, door=door)


@app.command("mcp")
def mcp_command(
    http: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen there, instead of on stdin.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="RAG_TOKEN", metavar="TEXT", help="What clients of --http must send."),
    ] = None,
    web: Web = False,
    searxng: SearXNGAddress = None,
    model: Model = None,
    api_key: ApiKey = None,
    plain_http: PlainHttp = False,
    folder: IndexFolder = None,
    verbose: Verbose = False,
) -> None:
    """Offer search, ask and show to agents, as tools of the Model Context Protocol."""
    set_up(verbose)
    try:
        from rag import mcp
        from rag.server import serve as server
    except ImportError as error:
        fail(f"this needs {error.name}: pip install 'ragbone[mcp]'")
    host, port = mcp.host_and_port(http) if http else ("", 0)
    door = server.door_for(host, token=token) if http else None
    written_by = writer(model, api_key, plain_http=plain_http)
    with opened(folder, model=written_by, web=web and searching(searxng)) as rag:
        if door is None:
            mcp.run_stdio(rag)
            return
        with server.listen(host, port) as listening:
            say(f"{server.address(listening)}{mcp.PATH} offers the tools; Ctrl-C stops it")
            mcp.run_http(rag, listening, door=door)


@app.command("eval")
def eval_command(
    questions: Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False)] = None,
    make: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Propose N questions to begin a FILE.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of --make: others by another one.")] = 0,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages to read.")] = 6,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="Measure what is found; ask no model.")
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Compare with it; exit 1 on a regression.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="How much of a measure may be lost, if by chance.")
    ] = 0.05,
    save: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Keep this run, for a later --baseline.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a report with plots, for a browser.")
    ] = None,
    model: Model = None,
    api_key: ApiKey = None,
    plain_http: PlainHttp = False,
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure retrieval and answers on questions of your own."""
    from ingest.disk import check_targets
    from rag.compare import compare
    from rag.evaluation import Evaluation
    from rag.evaluation_text import comparison_text, evaluation_text
    from rag.propose import propose
    from rag.report import report

    set_up(verbose)
    if (questions is None) == (make is None):
        raise typer.BadParameter("give a FILE of questions, or --make N to propose some")
    check_targets([target for target in (save, html) if target])
    earlier = Evaluation.load(baseline) if baseline else None
    generator = writer(model, api_key, plain_http=plain_http)
    if questions is None:
        with opened(folder, model=generator) as rag, progress_bar() as bar:
            proposals = propose(rag, make or 0, seed=seed, progress=bar)
        print_proposals(proposals)
        return
    with opened(folder, model=generator) as rag, progress_bar() as bar:
        found = rag.evaluate(questions, k=k, retrieval_only=retrieval_only, progress=bar)
    if not found.results:
        raise typer.Exit(STOPPED)
    compared = compare(earlier, found, tolerance=tolerance) if earlier else None
    if save:
        found.save(save)
    if html:
        html.write_text(report(found, compared, name=questions.name), encoding="utf-8")
    if as_json:
        emit(found.to_json() | {"comparison": compared.to_json() if compared else None})
    else:
        say(evaluation_text(found))
        if compared:
            say("\n" + comparison_text(compared, tolerance=tolerance))
    if not found.complete:
        raise typer.Exit(STOPPED)
    if found.errors or (compared and compared.regressions):
        raise typer.Exit(1)


@app.command()
def doctor(
    model: Model = None,
    context: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tokens an agent; else the model's most.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(min=0, metavar="GIB", help="Plan for a GPU with so much memory.")
    ] = None,
    folder: IndexFolder = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Look at the processor, at what a model would need, and at the index."""
    from ingest.encode import load_encoder
    from ingest.health import examine
    from rag.doctor import diagnose, diagnosis_text

    set_up(verbose)
    named = folder is not None
    with suppress(IndexMissing):  # which is nothing wrong with an index
        folder = folder or nearest_index(create=False)
    at = folder.resolve() if folder else None
    health = examine(at, load_encoder=load_encoder, named=named) if at else None
    room = None if memory is None else int(memory * 2**30)
    found = diagnose(model or "builtin", context=context, memory=room, index=health)
    if as_json:
        emit(found.to_json())
    else:
        say(diagnosis_text(found))
    if found.faults:
        raise typer.Exit(1)


@models.command("list")
def list_models_command(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Show the models that are here, and the official ones that can be fetched."""
    from rag.models import list_models, listing_text

    set_up(verbose)
    listing = list_models()
    if as_json:
        emit(listing.to_json())
    else:
        say(listing_text(listing))


@models.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Fetch a checkpoint from the hub; its licence is shown the first time."""
    from backbone.hub import Hub
    from rag.models import licence_text

    set_up(verbose)
    path = Hub().pull(
        name,
        licensed=lambda name, licence: note(licence_text(name, licence)),
        progress=sys.stderr.isatty(),
    )
    if as_json:
        emit({"name": name, "path": str(path)})
    else:
        say(f"{name} is in {path}: rag ask --model {name} QUESTION")


def main() -> None:
    """The `rag` command."""
    app()


# Opening


def set_up(verbose: bool) -> None:
    """Send the packages' logs to standard error, and let no character stop a print."""
    import logging  # not above: `rag --help` does without

    logging.basicConfig(format="rag: %(message)s")
    for package in ("rag", "ingest", "backbone"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def opened(
    folder: Path | None,
    *,
    create: bool = False,
    encoder: str | None = None,
    model: Generator | str | None = None,
    web: WebSearch | bool = False,
) -> Iterator[Rag]:
    """The index that the options and the working directory name."""
    from rag.generator import BUILTIN
    from rag.pipeline import Rag

    folder = folder or nearest_index(create=create)
    generator = model or BUILTIN
    with Rag.open(folder, create=create, encoder=encoder, generator=generator, web=web) as rag:
        yield rag


def searching(searxng: str | None) -> WebSearch:
    """What searches the web; nothing is asked yet."""
    from rag.web import Ddgs, SearXNG

    return SearXNG(searxng) if searxng else Ddgs()


def writer(name: str | None, key: str | None, *, plain_http: bool) -> Generator | str | None:
    """The model of that name; one on a server with its key, any other by name still."""
    from rag.remote import Address, RemoteGenerator, is_address

    if name is None or not is_address(name):
        return name
    if key is None and Address.parse(name, plain_http=plain_http).host == "api.openai.com":
        key = os.environ.get("OPENAI_API_KEY")  # OpenAI's key is for OpenAI alone
    return RemoteGenerator.open(name, key=key, plain_http=plain_http)


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Draws how many of how many are done, and which, when standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from rag.display import one_line

    columns = (
        *(BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=one_line(name))

        yield show


def joined(where: list[str] | None) -> str | None:
    """Several filters as one that holds where all of them do."""
    return " and ".join(where) if where else None


def refuse_empty(rag: Rag, where: str | None = None) -> None:
    """Say so when nothing was found since nothing is there, or nothing that fits the filter."""
    if not (documents := rag.documents()):
        fail(f"the index in {rag.folder} is empty: add documents with `rag index PATH`")
    if where and not rag.search("anything", k=1, mode="vector", where=where):
        like = documents[0].source
        note(f"no document fits the filter {where}: `rag status` lists their names, such as {like}")


def read_line() -> str | None:
    """The next line from the prompt, or from a pipe; None at the end."""
    with suppress(ImportError):
        import readline  # noqa: F401  arrow keys and the lines before, where the system has it
    while True:
        try:
            return input("\n> " if sys.stdin.isatty() else "")
        except EOFError:
            return None
        except KeyboardInterrupt:
            note("Ctrl-D or /quit leaves")


# Printing


def failure_text(error: Exception) -> str:
    """What went wrong, in one line; in full only for --verbose."""
    import logging

    logging.getLogger("rag").debug("the error in full", exc_info=True)
    if isinstance(error, PromptTooLong):  # passages are left out until the rest of it fits
        why = str(error).removesuffix(": send fewer or shorter messages")
        return f"the question is too long: ask it in fewer words ({why})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def say(text: str) -> None:
    """Print a result."""
    typer.echo(text)


def note(text: str) -> None:
    """Print anything that is no result."""
    typer.echo(f"rag: {text}", err=True)


def fail(text: str) -> NoReturn:
    """Print an error and stop with exit code 1."""
    note(text)
    raise typer.Exit(1)


def emit(value: Any, *, indent: int | None = 2) -> None:
    """Print JSON, in letters when standard output can carry them; on one line without `indent`."""
    import json

    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    say(json.dumps(value, ensure_ascii=not unicode, indent=indent))


def print_sources(answer: Answer) -> None:
    """Print what an answer quotes, or why there is none and where it was looked for."""
    from rag.display import citation_text, conflict_text, doubt_text, one_line, place

    blocks = [citation_text(each, width=columns(), bold=bold) for each in answer.citations]
    for conflict in answer.conflicts:
        blocks.append(conflict_text(conflict, answer.hits, width=columns(), bold=bold))
    for number, block in enumerate(blocks):
        say(("\n" if number or answer.text else "") + block)
    for sentence in answer.sentences:
        if not sentence.supported:
            note(doubt_text(sentence))
    for remark in answer.notes:
        note(one_line(remark))
    if answer.reason:
        note("no sure answer: the documents disagree" if blocks else REASONS[answer.reason])
        for hit in answer.hits[:NEAREST]:
            note(f"looked in {place(hit.chunk)}")


def print_proposals(proposals: Sequence[Proposal]) -> None:
    """Print questions for a test set, one a line, and what to do with them."""
    for proposal in proposals:
        emit(proposal.to_json(), indent=None)
    if not proposals:
        fail("the documents have no sentence that a question can be made of")
    note(f"proposed {len(proposals)}: put them into your own words before they measure anything")


def columns() -> int | None:
    """How wide the text may be: None when standard output is no terminal."""
    from shutil import get_terminal_size

    return min(get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else None


def bold(text: str) -> str:
    """A text that stands out on a terminal."""
    return typer.style(text, bold=True) if sys.stdout.isatty() else text
