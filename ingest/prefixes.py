"""The words that embedding models want before questions and passages, as their cards ask."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SEARCH = "Represent this sentence for searching relevant passages: "
_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
)

# (pattern of the name, before a question, before a passage); the first that matches counts.
_FAMILIES = (
    (r"e5-.*instruct|e5-mistral|gte-qwen", _INSTRUCT, ""),
    (r"\be5-(small|base|large)", "query: ", "passage: "),
    (r"bge-(small|base|large)-en", _SEARCH, ""),
    (r"bge-(small|base|large)-zh", "为这个句子生成表示以用于检索相关文章：", ""),
    (r"nomic-embed-text", "search_query: ", "search_document: "),
    (r"arctic-embed-.*v2", "query: ", ""),
    (r"arctic-embed|mxbai-embed", _SEARCH, ""),
    (r"ruri-v3", "検索クエリ: ", "検索文書: "),
    (r"ruri", "クエリ: ", "文章: "),
)
_QUERY_KEYS = ("query", "retrieval.query", "search_query", "s2p_query")
_DOCUMENT_KEYS = ("document", "passage", "retrieval.passage", "search_document", "corpus")


def prefixes(name: str, prompts: Mapping[str, str]) -> tuple[str, str]:
    """What goes before a question and before a passage.

    The model's own `prompts` (from its configuration) count first, then its family, by `name`.
    """
    query = _first(prompts, _QUERY_KEYS)
    document = _first(prompts, _DOCUMENT_KEYS)
    if query or document:
        return query, document
    for pattern, before_query, before_document in _FAMILIES:
        if re.search(pattern, name.lower()):
            return before_query, before_document
    return "", ""


def _first(prompts: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((prompts[key] for key in keys if prompts.get(key)), "")
