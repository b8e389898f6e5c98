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
from ingest.errors import IndexMissing, UnknownSource
from rag.answer import Answer, Sentence
from rag.draft import AnswerStream, Draft
from rag.errors import Unsupported
from rag.generator import BUILTIN, Generator, check_answers, load_generator
from rag.question import Question

if TYPE_CHECKING:
    from backbone.schema import Schema
    from ingest.catalog import DocumentInfo
    from ingest.encode import Encoder
    from ingest.index import LocalIndex
    from ingest.sources import Skipped
    from ingest.sync import Progress, Report
    from rag.chat import Chat
    from rag.evaluation import Evaluation
    from rag.listing import Listing
    from rag.spans import Spans
    from rag.testset import Questions

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
        rerank: Rerank | None = None,
        threads: int | None = None,
    ) -> None:
        self.folder = folder
        self.home = folder.parent
        self._index = index
        self._encoder = encoder
        self._generator = generator
        self._rerank = rerank
        self._threads = threads

    @classmethod
    def open(
        cls,
        path: str | Path = ".rag",
        *,
        encoder: Encoder | str | None = None,
        generator: Generator | str | Path | None = None,
        web: None = None,
        rerank: Rerank | None = None,
        create: bool = True,
        threads: int | None = None,
    ) -> Rag:
        """The index in a folder, made when it is absent, or IndexMissing with `create=False`.

        `encoder` and `generator` are objects, or names of models to load when first needed. Without
        an encoder the one that made the index is used, by its name. `threads` is how many processor
        threads each library may take.
        """
        from ingest.index import LocalIndex

        _refuse_unbuilt(web=web)
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
        the name `stdin_name`. `prune` removes documents that lie under the roots and whose files
        are gone; `passwords` open encrypted files. Pages are fetched from public addresses, and
        from hosts in `allow` (`host` or `host:port`).
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
            fetcher=Fetcher(addresses=Addresses(frozenset(allow))),
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
        from rag.retrieve import CANDIDATES, retrieve

        if not query.strip():
            raise ValueError("the question is empty")
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
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
        its quotes may not support, and is given only where one is likelier than not.
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
        _refuse_unbuilt(web=web)
        asked = Question(
            question,
            k=k,
            where=where,
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

        asked = Question(question, k=k, where=where, schema=schema)
        hits = self._read(asked).hits
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
        from difflib import get_close_matches

        from ingest.sources import source_name

        known = [document.source for document in self.documents()]
        for meant in (str(name), source_name(name, self.home)):
            if found := [s for s in known if s == meant or s.startswith(meant + "!")]:
                return found
        near = get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`rag status` lists what is"
        raise UnknownSource(f"{name} is not in the index: {hint}")

    def remove(self, sources: Sequence[str]) -> list[str]:
        """Take out documents, named by source or by file; returns the sources that were there."""
        return self._index.remove(sources)

    def _answer(self, question: Question) -> abc.Generator[Sentence, None, Answer]:
        from rag.conflicts import contested
        from rag.spans import noted
        from rag.sweep import asked_for

        if question.schema is not None:
            from rag.schema import check

            check(question.schema, question.text, self.generator)
        if (listing := asked_for(question, self._index)) is not None:
            answer = yield from self._sweep(question, listing)
            if answer.answered or question.sweep:
                return answer
        draft = Draft(question.text, self._index.document)
        spans = self._read(question)
        draft.retrieved = draft.clock()
        if not spans.hits:
            return draft.finish(reason="nothing_found")
        answer = yield from self._say(draft, question, spans.hits)
        return contested(noted(answer, spans.repeated))

    def _find(self, question: Question, k: int) -> list[Hit]:
        return self.search(question.text, k=k, where=question.where, history=question.history)

    def _read(self, question: Question) -> Spans:
        """The passages that are read for a question, the best first."""
        from rag.spans import POOL, Spans, reading_spans

        if "chat" not in self.generator.abilities:  # the reader's weights were fitted on plain hits
            return Spans(tuple(self._find(question, question.k)))
        hits = self._find(question, POOL * question.k)
        return reading_spans(hits, k=question.k, document=self._index.document)

    def _sweep(self, question: Question, listing: Listing) -> abc.Generator[Sentence, None, Answer]:
        from rag.sweep import by_sweeping, sweep

        draft = Draft(question.text, self._index.document)
        swept = sweep(self._index, self.encoder, listing.topic, where=question.where)
        draft.retrieved = draft.clock()
        return (
            yield from by_sweeping(
                draft,
                question,
                listing,
                swept,
                generator=self.generator,
                encoder=lambda: self._reading_encoder,
            )
        )

    def _say(
        self, draft: Draft, question: Question, hits: Sequence[Hit]
    ) -> abc.Generator[Sentence, None, Answer]:
        from rag.answering import by_quoting, by_reading, by_writing, writes

        generator = self.generator
        if writes(question, generator):
            return (yield from by_writing(draft, question, hits, generator=generator))
        if "chat" in generator.abilities:
            return (yield from by_quoting(draft, question, hits, generator=generator))
        encoder = self._reading_encoder
        return (yield from by_reading(draft, question, hits, generator=generator, encoder=encoder))


def _load_encoder(encoder: Encoder | str, *, threads: int | None) -> Encoder:
    if not isinstance(encoder, str):
        return encoder
    from ingest.encode import load_encoder

    return load_encoder(encoder, threads=threads)


def _refuse_unbuilt(**asked: object) -> None:
    """Refuse, by name, what this version has no code for."""
    for name, value in asked.items():
        if value:
            raise Unsupported(f"this version cannot do {name}= yet; leave it out")
