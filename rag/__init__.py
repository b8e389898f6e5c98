"""Question in, grounded answer out.

    from rag import Rag

    with Rag.open(".rag") as rag:
        rag.index(["docs/"])
        print(rag.ask("How large is the KV cache?").text)

Importing this package loads nothing heavy; each public name brings its module on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.answer import Answer, Citation, Sentence, Timings, Usage
    from rag.chat import Chat, Turn
    from rag.draft import AnswerStream
    from rag.errors import RagError, SchemaError, Unsupported
    from rag.generator import Generator
    from rag.pipeline import Rag
    from rag.tools import ToolLoop, search_tool

__all__ = [
    "Answer",
    "AnswerStream",
    "Chat",
    "Citation",
    "Generator",
    "Rag",
    "RagError",
    "SchemaError",
    "Sentence",
    "Timings",
    "ToolLoop",
    "Turn",
    "Unsupported",
    "Usage",
    "search_tool",
]

_HOME = {
    **dict.fromkeys(["Answer", "Citation", "Sentence", "Timings", "Usage"], "rag.answer"),
    **dict.fromkeys(["Chat", "Turn"], "rag.chat"),
    "AnswerStream": "rag.draft",
    **dict.fromkeys(["RagError", "SchemaError", "Unsupported"], "rag.errors"),
    "Generator": "rag.generator",
    "Rag": "rag.pipeline",
    **dict.fromkeys(["ToolLoop", "search_tool"], "rag.tools"),
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rag' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
