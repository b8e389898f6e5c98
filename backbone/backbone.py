"""Text in, text out: an LFM2 checkpoint that answers messages.

Puts the parts together; everything below works on tokens. Loading imports torch, this module does
not.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from backbone.calling import CALL_TOKENS, CallReader
from backbone.chat import Chat
from backbone.config import parse_ids, read_json
from backbone.errors import CheckpointError, PromptTooLong, Unsupported
from backbone.grammar import Compiler, Grammar
from backbone.reply import Reply
from backbone.request import GREEDY, Content, Message, Sampling, Stream
from backbone.schema import Schema
from backbone.tokenizer import Detokenizer, Tokenizer
from backbone.toolgrammar import tools_grammar
from backbone.tools import Tool, ToolChoice, chosen

if TYPE_CHECKING:
    from backbone.driver import Driver
    from backbone.generation import Generation
    from backbone.scheduler import Stats

CACHED_TOKENS = 65_536  # in all sequences together, at least one whole context
DRAFTED = 8  # tokens guessed ahead in one pass

READER_MARKS = {"<s0>", "<no>"}
READER = frozenset({"quote", "score"})
CHATTER = frozenset({"quote", "score", "chat", "schema"})
WRITER = 1_000_000_000  # parameters that sentences of one's own take: LFM2-1.2B has them, 700M not
THINKING = ("<think>", "</think>")  # may stand in any text
END_TOKENS = ("<|im_end|>", "<|endoftext|>")


class Backbone:
    """One loaded checkpoint. Any thread may call any method; one thread of its own does the work.

    `name` is what it was loaded by, `context_length` the tokens that prompt and reply share,
    `abilities` what it was made for: "quote", "score", "chat", "schema", "tools", and "write" from
    1.2 billion parameters on.
    """

    def __init__(
        self,
        *,
        name: str,
        context_length: int,
        abilities: frozenset[str],
        tokenizer: Tokenizer,
        chat: Chat,
        ends: frozenset[int],
        driver: Driver,
    ) -> None:
        self.name = name
        self.context_length = context_length
        self.abilities = abilities
        self._tokenizer = tokenizer
        self._chat = chat
        self._ends = ends
        self._grammars = Compiler(tokenizer, sorted(ends))
        self._driver = driver
        weakref.finalize(self, driver.close)  # when collected, and at the latest at exit

    @classmethod
    def load(
        cls,
        name: str | Path = "builtin",
        *,
        device: str | None = None,
        bits: int | None = None,
        threads: int | None = None,
        cached_tokens: int | None = None,
        concurrent: int = 64,
        waiting: int = 10_000,
        prefix_store: Path | None = None,
    ) -> Backbone:
        """Load `"builtin"`, a folder, or a hub name such as `LiquidAI/LFM2-1.2B-RAG`.

        `device` is a torch device, by default the processor. `threads` is how many torch may use in
        this process, by default one for each processor it may run on. `cached_tokens` is for how
        many tokens of all requests there is memory, which bounds the context of each; `concurrent`
        requests run at a time, `waiting` more may wait. `prefix_store` is a folder in which long
        prompts are kept for the next start. Raises CheckpointError.
        """
        if bits is not None:
            raise Unsupported(f"weights of {bits} bits are not supported yet; leave `bits` out")
        import torch

        from backbone import checkpoint, processor
        from backbone.cache import Cache
        from backbone.driver import Driver
        from backbone.engine import Engine
        from backbone.plan import Plan, parameters
        from backbone.span import BLOCK, blocks_for
        from backbone.store import PrefixStore, fingerprint

        torch.set_num_threads(threads or processor.cores())
        folder = checkpoint.find(name)
        place = device or "cpu"
        free = processor.free_memory(place)  # before the weights are in it
        model = checkpoint.load(folder, device=place)
        tokenizer = Tokenizer.load(folder)
        chat = Chat.load(folder, tokenizer)
        if tokenizer.size > model.config.vocab:
            raise CheckpointError(
                f"{folder}: the tokenizer has {tokenizer.size} tokens,"
                f" the model only {model.config.vocab}"
            )
        numbers = str(model.dtype).removeprefix("torch.")
        blocks = (
            blocks_for(cached_tokens)
            if cached_tokens
            else Plan.of(model.config, numbers, device=place, spare=DRAFTED).blocks_to_take(
                free, rows=concurrent, wanted=blocks_for(max(CACHED_TOKENS, model.config.context))
            )
        )
        if blocks == 0:
            raise CheckpointError(
                f"{name} does not fit into the memory that is free: `rag doctor --model {name}`"
                " says what it needs"
            )
        cache = Cache(
            model.config,
            blocks=blocks,
            rows=concurrent,
            spare=DRAFTED,
            dtype=model.dtype,
            device=place,
        )
        store = None
        if prefix_store is not None:
            mark = fingerprint(folder, model.dtype)
            store = PrefixStore(prefix_store, cache, fingerprint=mark)
        engine = Engine(model, cache, vocabulary=tokenizer.size, store=store)
        backbone = cls(
            name=str(name),
            context_length=min(model.config.context, blocks * BLOCK),
            abilities=_abilities(tokenizer, parameters(model.config)),
            tokenizer=tokenizer,
            chat=chat,
            ends=_end_ids(folder, tokenizer, model.config.eos),
            driver=Driver(engine, waiting=waiting),
        )
        backbone._driver.start()
        return backbone

    def submit(
        self,
        messages: Sequence[Message] | str,
        *,
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
        grammar: Grammar | None = None,
        schema: Schema | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = "auto",
        parallel_calls: bool = True,
        stop: Sequence[str] = (),
        logprobs: int | None = None,
    ) -> Stream:
        """Ask for the assistant's next turn; returns at once, the Stream brings the text.

        `messages` may also be raw text, which is continued as it stands.
        The text ends before the first `stop` string, after `max_tokens` tokens, or where the model
        ends it. It holds special tokens only under a grammar that names them. `logprobs` asks for
        the log-probability of each token and of so many of the likeliest in its place. Raises
        PromptTooLong, GrammarError, Unsupported or Busy before anything runs.

        `schema` (JSON schema, or a pydantic model class) is short for `Grammar.json_schema`. With
        `tools` the reply may call them, as `tool_choice` says ("auto", "none", "required", or one's
        name), several at once with `parallel_calls`: the calls are in `Completion.tool_calls`, and
        the text is what stands around them. With a schema too it is either calls or JSON.
        """
        from backbone.generation import Generation
        from backbone.sampling import Sampler
        from backbone.speculate import Drafter

        grammar, calls = self._constraint(grammar, schema, tools, tool_choice, parallel_calls)
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        if not all(stop):
            raise ValueError("an empty stop string would end every reply before it begins")
        _check_tokens(sampling, logprobs, self._tokenizer.size)
        prompt = self._prompt(messages, reply=1, tools=tools)
        matcher = None if grammar is None else self._grammars.compile(grammar)
        stream = Stream(on_cancel=lambda: self._cancel(generation))
        shown = grammar is not None and not tools
        detokenizer = Detokenizer(self._tokenizer, show_special=shown)
        generation = Generation(
            ids=prompt,
            wanted=len(prompt) - 1,
            max_tokens=min(max_tokens, self.context_length - len(prompt)),
            stop=self._ends,
            sampler=Sampler(sampling, vocabulary=self._tokenizer.size, prompt=prompt),
            matcher=matcher,
            listener=Reply(
                stream,
                detokenizer,
                stop=stop,
                prompt_tokens=len(prompt),
                tokenizer=None if logprobs is None else self._tokenizer,
                calls=calls,
            ),
            drafter=Drafter(len(prompt)),
            alternatives=logprobs or 0,
        )
        self._driver.add(generation)
        return stream

    def score(self, messages: Sequence[Message], continuations: Sequence[Content]) -> list[float]:
        """log P(continuation | messages) of each, summed over its tokens, natural logarithm.

        The prompt is run once. Raises PromptTooLong when the longest does not fit behind it.
        """
        endings = [self._chat.content(continuation) for continuation in continuations]
        prompt = self._prompt(messages, reply=max(map(len, endings), default=0))
        return self._driver.score(prompt, endings)

    def stats(self) -> Stats:
        """What runs and waits now, and what was done since loading."""
        return self._driver.stats()

    def count(self, content: Content) -> int:
        """How many tokens a content takes inside a prompt."""
        return len(self._chat.content(content))

    def close(self) -> None:
        """Cancel what is running and free the model; safe to call twice."""
        self._driver.close()

    def __enter__(self) -> Backbone:
        """Use as a context manager that closes at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _constraint(
        self,
        grammar: Grammar | None,
        schema: Schema | None,
        tools: Sequence[Tool],
        choice: ToolChoice,
        parallel: bool,
    ) -> tuple[Grammar | None, CallReader | None]:
        """What the reply keeps to, and who reads its calls."""
        if grammar is not None and (schema is not None or tools):
            raise ValueError("a grammar says all; give no schema and no tools with it")
        if not tools:
            if choice not in ("auto", "none"):
                raise ValueError(f"tool_choice is {choice!r}, and no tools were given")
            return (grammar if schema is None else Grammar.json_schema(schema)), None
        if "tools" not in self.abilities:
            raise Unsupported(f"{self.name} was not made to call tools")
        grammar = tools_grammar(
            tools,
            choice=choice,
            parallel=parallel,
            schema=schema,
            free=[mark for mark in THINKING if mark in self._tokenizer.added],
        )
        callable_ = chosen(tools, choice)
        bare = choice == "auto" and schema is None
        return grammar, CallReader(self._tokenizer, callable_, bare=bare) if callable_ else None

    def _prompt(
        self, messages: Sequence[Message] | str, *, reply: int, tools: Sequence[Tool] = ()
    ) -> list[int]:
        self._refuse_hopeless(messages)
        if isinstance(messages, str):
            if tools:
                raise ValueError("raw text has no place for tools; send messages")
            prompt = self._chat.raw(messages)
        else:
            prompt = self._chat.encode(messages, tools)
        if len(prompt) + reply > self.context_length:
            raise PromptTooLong(
                f"the prompt takes {len(prompt)} tokens and the reply at least {reply};"
                f" {self.name} has {self.context_length}: send fewer or shorter messages"
            )
        return prompt

    def _refuse_hopeless(self, messages: Sequence[Message] | str) -> None:
        """Refuse megabytes without the minute that it takes to tokenise them."""
        contents = [messages] if isinstance(messages, str) else [m.content for m in messages]
        parts = [c if isinstance(c, tuple) else (c,) for c in contents]
        least = sum(self._tokenizer.least(p) for ps in parts for p in ps if isinstance(p, str))
        if least > self.context_length:
            raise PromptTooLong(
                f"the prompt takes {least} tokens or more; {self.name} has {self.context_length}:"
                " send fewer or shorter messages"
            )

    def _cancel(self, generation: Generation) -> None:
        generation.cancelled = True


def _check_tokens(sampling: Sampling, logprobs: int | None, vocabulary: int) -> None:
    """Refuse what names tokens that there are not."""
    if logprobs is not None and not 0 <= logprobs <= vocabulary:
        raise ValueError(f"logprobs must be from 0 to {vocabulary}, got {logprobs}")
    if wrong := [token for token, _ in sampling.logit_bias if not 0 <= token < vocabulary]:
        raise ValueError(f"logit_bias names token {wrong[0]}; there are {vocabulary}")


def _abilities(tokenizer: Tokenizer, parameters: int) -> frozenset[str]:
    """What a checkpoint was made for, by the special tokens it has, and by its size."""
    if tokenizer.added.keys() >= READER_MARKS:
        return READER
    calls = {"tools"} if tokenizer.added.keys() >= CALL_TOKENS else set()
    return CHATTER | calls | ({"write"} if parameters >= WRITER else set())


def _end_ids(folder: Path, tokenizer: Tokenizer, declared: tuple[int, ...]) -> frozenset[int]:
    """The tokens that end a reply: what the files declare, and those every LFM2 ends with."""
    path = folder / "generation_config.json"
    generation = parse_ids(read_json(path).get("eos_token_id")) if path.is_file() else ()
    usual = (tokenizer.added[token] for token in END_TOKENS if token in tokenizer.added)
    ends = frozenset((*declared, *generation, *usual))
    if not ends or max(ends) >= tokenizer.size:
        raise CheckpointError(f"{folder} names no end-of-text token that its tokenizer has")
    return ends
