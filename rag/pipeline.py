"""`Rag`: open an index, keep it in step with folders, search it, and answer from it.

Puts the other modules in order and holds what they share. Knows no file format, no ranking formula,
no wording and no tensor; the encoder and the generator load when they are first needed.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Literal

from backbone.request import Message
from ingest.document import Document, Hit
from ingest.errors import IndexMissing
from rag.answer import Answer, Sentence
from rag.draft import AnswerStream, Draft
from rag.errors import Unsupported
from rag.generator import BUILTIN, Generator, check_answers, load_generator
from rag.question import Question

if TYPE_CHECKING:
    from backbone.schema import Schema
    from ingest.catalog import DocumentInfo
    from ingest.encode import Encoder
    from ingest.fetch import Fetcher
    from ingest.index import LocalIndex
    from ingest.sources import Skipped
    from ingest.sync import Progress, Report
    from rag.chat import Chat
    from rag.evaluation import Evaluation
    from rag.listing import Listing
    from rag.lookup import Found
    from rag.spans import Spans
    from rag.testset import Questions
    from rag.web import WebSearch

Mode = Literal["hybrid", "vector", "words"]
Rerank = Callable[[str, Sequence[Hit]], Sequence[Hit]]


class Rag:
    """An index and the models around it. `Rag.open` makes one; it is also a context manager.

    `folder` is the index's; sources are named relative to `home`, the folder that holds it.
    """

    def __init__(
        self,
        index: LocalIndex,
        *,
        folder: Path,
        encoder: Encoder | str | None = None,
        generator: Generator | str | Path = BUILTIN,
        web: WebSearch | None = None,
        fetcher: Fetcher | None = None,
        rerank: Rerank | None = None,
        threads: int | None = None,
    ) -> None:
        self.web = web
        self.folder = folder
        self.home = folder.parent
        self._index = index
        self._encoder = encoder
        self._generator = generator
        self._fetcher = fetcher
        self._rerank = rerank
        self._threads = threads

    @classmethod
    def open(
        cls,
        path: str | Path = ".rag",
        *,
        encoder: Encoder | str | None = None,
        generator: Generator | str | Path | None = None,
        web: WebSearch | bool = False,
        fetcher: Fetcher | None = None,
        rerank: Rerank | None = None,
        create: bool = True,
        threads: int | None = None,
    ) -> Rag:
        """The index in a folder, made when it is absent, or IndexMissing with `create=False`.

        `encoder` and `generator` are objects, or names of models to load when first needed. Without
        an encoder the one that made the index is used, by its name. `web` is what searches the web
        for questions that ask for it (True: DuckDuckGo), and `fetcher` reads its pages. `threads`
        is how many processor threads each library may take.
        """
        from ingest.index import LocalIndex
        from rag.web import Ddgs

        folder = Path(path).resolve()
        try:
            index = LocalIndex.open(folder, encoder=None, create=False, threads=threads or 1)
        except IndexMissing:
            if not create:
                raise
            encoder = _load_encoder(encoder or BUILTIN, threads=threads)
            index = LocalIndex.open(folder, encoder=encoder, threads=threads or 1)
        return cls(
            index,
            folder=folder,
            encoder=encoder,
            generator=generator or BUILTIN,
            web=Ddgs() if web is True else web or None,
            fetcher=fetcher,
            rerank=rerank,
            threads=threads,
        )

    def __enter__(self) -> Rag:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the index and a generator that was loaded here."""
        self.close()

    def close(self) -> None:
        """Let go of the index, and of a generator that was loaded here by its name."""
        self._index.close()
        loaded = self.__dict__.get("generator")
        if loaded is not None and loaded is not self._generator:
            loaded.close()

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use. Raises EncoderMismatch when another made the index."""
        encoder = _load_encoder(self._encoder or self._index.encoder, threads=self._threads)
        self._index.check(encoder)
        return encoder

    @cached_property
    def _reading_encoder(self) -> Encoder:
        """The built-in encoder, whatever the index's: the reader's weights were fitted with it."""
        if self.encoder.name == BUILTIN:
            return self.encoder
        return _load_encoder(BUILTIN, threads=self._threads)

    @property
    def encoder_name(self) -> str:
        """The name of the encoder that made the index; nothing is loaded."""
        return self._index.encoder

    @cached_property
    def generator(self) -> Generator:
        """The generator, loaded on first use. Raises Unsupported when it cannot answer."""
        generator = self._generator
        if isinstance(generator, str | Path):
            generator = load_generator(generator, threads=self._threads)
        return check_answers(generator)

    def index(
        self,
        roots: Sequence[str | Path],
        *,
        prune: bool = False,
        passwords: Sequence[str] = (),
        allow: Sequence[str] = (),
        stdin: BinaryIO | None = None,
        stdin_name: str = "stdin",
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Bring the index in step with files, folders and pages; what has not changed stays.

        Roots are paths, patterns such as `docs/*.pdf`, URLs, and "-" for what `stdin` gives, under
        the name `stdin_name`. `prune` removes documents whose files are gone, under the roots or,
        without any, anywhere; `passwords` open encrypted files. Pages are fetched from public
        addresses, and from hosts in `allow` (`host` or `host:port`).
        """
        from ingest.addresses import Addresses
        from ingest.fetch import Fetcher
        from ingest.sync import sync

        return sync(
            self._index,
            roots,
            encoder=self.encoder,
            home=self.home,
            prune=prune,
            passwords=passwords,
            fetcher=Fetcher(addresses=Addresses.allowing(allow)),
            stdin=stdin,
            stdin_name=stdin_name,
            progress=progress,
        )

    def rebuild(self, *, progress: Callable[[int, int], None] | None = None) -> int:
        """Encode all documents again with this encoder, in one step; returns how many passages.

        Texts and passages stay as they are. `progress` is told how many of how many are done.
        """
        encoder = _load_encoder(self._encoder or self._index.encoder, threads=self._threads)
        return self._index.reencode(encoder, progress=progress)

    def search(
        self,
        query: str,
        *,
        k: int = 8,
        mode: Mode = "hybrid",
        where: str | None = None,
        history: Sequence[Message] = (),
    ) -> list[Hit]:
        """The best `k` passages for a query, after what was said before; best first, scores 0..1.

        A `rerank` is given all candidates; in a conversation with what was said beside the query.
        """
        from rag.followup import beside, in_context
        from rag.retrieve import CANDIDATES, MODES, retrieve

        if not query.strip():
            raise ValueError("the question is empty")
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if mode not in MODES:
            raise ValueError(f"mode is one of {', '.join(MODES)}, not {mode!r}")
        find = partial(retrieve, self._index, self.encoder, mode=mode, where=where)
        if not history:
            return find(query, k=k, rerank=self._rerank)
        hits = in_context(query, history, partial(find, k=max(k, CANDIDATES)))
        if self._rerank is not None:
            hits = list(self._rerank(beside(query, history), hits))
        return hits[:k]

    def ask(
        self,
        question: str,
        *,
        k: int = 6,
        web: bool = False,
        schema: Schema | None = None,
        history: Sequence[Message] = (),
        where: str | None = None,
        sweep: bool | None = None,
        strict: bool = False,
    ) -> Answer:
        """Answer from the best `k` passages with verbatim quotes, or say why there is no answer.

        With a `schema` (JSON schema, or a pydantic model class) the answer's `data` is an object
        that fits it. Raises SchemaError when the documents do not say what it demands. `sweep` asks
        all documents that match and answers with a line for each; None does so when the question
        asks for a list or a count of documents. `history` is what was said before, which a question
        may lean on: "and who founded it?"; `chat` keeps it. A `strict` answer has no sentence that
        its quotes may not support, and is given only where one is clearly likelier than none.
        """
        return self.stream(
            question,
            k=k,
            web=web,
            schema=schema,
            history=history,
            where=where,
            sweep=sweep,
            strict=strict,
        ).result()

    def stream(
        self,
        question: str,
        *,
        k: int = 6,
        web: bool = False,
        schema: Schema | None = None,
        history: Sequence[Message] = (),
        where: str | None = None,
        sweep: bool | None = None,
        strict: bool = False,
    ) -> AnswerStream:
        """Like `ask`, with the text as it is found."""
        if web:
            self.searches()
        asked = Question(
            question,
            k=k,
            where=where,
            web=web,
            history=tuple(history),
            schema=schema,
            strict=strict,
            sweep=sweep,
        )
        return AnswerStream(self._answer(asked))

    def prompt(
        self,
        question: str,
        *,
        k: int = 6,
        schema: Schema | None = None,
        where: str | None = None,
    ) -> list[Message]:
        """What `ask` would send to the generator first; nothing is generated.

        Empty when nothing is found, since no generator is asked then.
        """
        from rag.answering import prompted
        from rag.lookup import Found

        asked = Question(question, k=k, where=where, schema=schema)
        hits = self._read(asked, Found()).hits
        if not hits:
            return []
        return prompted(
            asked, hits, generator=self.generator, encoder=lambda: self._reading_encoder
        )

    def evaluate(
        self,
        questions: Questions,
        *,
        k: int = 6,
        retrieval_only: bool = False,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> Evaluation:
        """Ask the questions of a test set (a file of JSON lines, or mappings) and measure.

        See `rag.testset` for what a question may say; `progress` hears (done, of how many,
        question). Raises QuestionsError, before anything is asked, when the set has mistakes.
        """
        from rag.evaluate import evaluate

        return evaluate(self, questions, k=k, retrieval_only=retrieval_only, progress=progress)

    @property
    def generation(self) -> int:
        """How many changes to the index have been committed: two runs may be of the same one."""
        return self._index.generation

    def chat(self, *, k: int = 6, where: str | None = None, web: bool = False) -> Chat:
        """Begin a conversation: each question is understood after those before it."""
        from rag.chat import Chat

        return Chat(self, k=k, where=where, web=web)

    def documents(self) -> list[DocumentInfo]:
        """What is in the index, by source."""
        return self._index.documents()

    def skipped(self) -> list[Skipped]:
        """What was read and gave no document, with the reason."""
        return [each for record in self._index.files().values() for each in record.skipped]

    def document(self, source: str) -> Document:
        """A document as it was read."""
        return self._index.document(source)

    def text(self, source: str) -> str:
        """A document's text: exactly what all offsets refer to."""
        return self._index.text(source)

    def sources(self, name: str | Path) -> list[str]:
        """The sources meant by a name, or by a path from the working directory.

        The name of an archive or a mail means what it holds. Raises UnknownSource.
        """
        from ingest.sources import meant

        return meant(name, [document.source for document in self.documents()], home=self.home)

    def remove(self, sources: Sequence[str]) -> list[str]:
        """Take out documents, named by source or by file; returns the sources that were there."""
        return self._index.remove(sources)

    def _answer(self, question: Question) -> abc.Generator[Sentence, None, Answer]:
        from rag.answering import by_any
        from rag.conflicts import contested
        from rag.spans import noted
        from rag.sweep import asked_for, not_swept

        if question.schema is not None:
            from rag.schema import check

            check(question.schema, question.text, self.generator)
        notes = tuple(filter(None, [not_swept(question)]))
        if (listing := asked_for(question, self._index)) is not None:
            answer = yield from self._sweep(question, listing)
            if answer.answered or question.sweep:
                return answer
            notes = answer.notes
        found = self._look_up(question)
        notes = (*notes, *found.notes)
        draft = Draft(question.text, found.document_or(self._index.document), notes=notes)
        spans = self._read(question, found)
        draft.retrieved = draft.clock()
        if not spans.hits:
            return draft.finish(reason="nothing_found")
        say = partial(by_any, draft, question, spans.hits)
        answer = yield from say(generator=self.generator, encoder=lambda: self._reading_encoder)
        return contested(noted(answer, spans.repeated))

    def look_up(self, query: str) -> Found:
        """What the web has to a query: passages of the first pages. Needs `web`."""
        from rag.lookup import look_up

        return look_up(
            query, self.searches(), self._fetcher, encoder=self.encoder, idf=self._index.idf
        )

    def searches(self) -> WebSearch:
        """What searches the web. Raises Unsupported without any."""
        if self.web is None:
            raise Unsupported("nothing to search the web with: open with web=…, such as web=True")
        return self.web

    def _look_up(self, question: Question) -> Found:
        from rag.followup import beside
        from rag.lookup import Found

        return self.look_up(beside(question.text, question.history)) if question.web else Found()

    def _read(self, question: Question, found: Found) -> Spans:
        """The passages that are read for a question, the best first."""
        from rag.lookup import merged
        from rag.spans import POOL, distinct_hits, reading_spans

        k = POOL * question.k
        ours = self.search(question.text, k=k, where=question.where, history=question.history)
        hits = merged(ours, found.hits)[:k]
        if "chat" not in self.generator.abilities:  # its weights were fitted on plain hits
            return distinct_hits(hits, k=question.k)
        document = found.document_or(self._index.document)
        return reading_spans(hits, k=question.k, document=document)

    def _sweep(self, question: Question, listing: Listing) -> abc.Generator[Sentence, None, Answer]:
        from rag.sweep import by_sweeping, sweep

        draft = Draft(question.text, self._index.document)
        swept = sweep(self._index, self.encoder, listing.topic, where=question.where)
        draft.retrieved = draft.clock()
        say = partial(by_sweeping, draft, question, listing, swept)
        return (yield from say(generator=self.generator, encoder=lambda: self._reading_encoder))


def _load_encoder(encoder: Encoder | str, *, threads: int | None) -> Encoder:
    if not isinstance(encoder, str):
        return encoder
    from ingest.encode import load_encoder

    return load_encoder(encoder, threads=threads)
