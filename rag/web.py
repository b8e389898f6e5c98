"""Search engines of the web: a few words go out, addresses of pages come back.

Only the words of the search leave the machine. Fetches no page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote_plus

from ingest.addresses import Addresses, authority, place_of
from ingest.document import url_of
from ingest.errors import AddressRefused, FetchError
from rag.errors import WebError

_LONGEST = 400  # characters of a search


@dataclass(frozen=True, slots=True)
class WebResult:
    """A page that a search engine names, and what it shows of it."""

    url: str
    title: str = ""
    snippet: str = ""


class WebSearch(Protocol):
    """A search engine of the web."""

    def search(self, query: str, *, limit: int) -> list[WebResult]:
        """At most `limit` pages for a query, the best first. Raises WebError, with the reason."""
        ...


class Ddgs:
    """DuckDuckGo, or other engines that the ddgs package knows.

    `backend` names one or several of them ("duckduckgo, brave"); with several, each is told the
    words. `region` is such as "de-de" ("wt-wt" is none), `timelimit` one of d, w, m, y: how old
    pages may be; `seconds` is how long to wait.
    """

    def __init__(
        self,
        *,
        backend: str = "duckduckgo",
        region: str = "wt-wt",
        timelimit: str | None = None,
        seconds: int = 5,
    ) -> None:
        self._backend = backend
        self._region = region
        self._timelimit = timelimit
        self._seconds = seconds

    def search(self, query: str, *, limit: int) -> list[WebResult]:
        """As `WebSearch.search`."""
        from ddgs import DDGS
        from ddgs.engines import ENGINES
        from ddgs.exceptions import DDGSException

        asked = {name.strip() for name in self._backend.split(",")}
        unknown = asked - ENGINES["text"].keys() - {"auto", "all"}
        if unknown:  # it would ask all that it knows
            known = ", ".join(ENGINES["text"])
            raise WebError(f"ddgs has no engine {', '.join(sorted(unknown))}; it has {known}")
        try:
            rows = DDGS(timeout=self._seconds).text(
                query[:_LONGEST],
                region=self._region,
                timelimit=self._timelimit,
                max_results=limit,
                backend=self._backend,
            )
        except DDGSException as error:
            # It says the same of a search without results, of one refused, and of a changed page.
            raise WebError(
                f"{self._backend} gave no results: there may be none, it may refuse further "
                "searches for now, or there is no network"
            ) from error
        found = (WebResult(r.get("href", ""), r.get("title", ""), r.get("body", "")) for r in rows)
        return [result for result in found if url_of(result.url)][:limit]


class SearXNG:
    """A SearXNG server, by its address, which may be one of your own network.

    It must give JSON: `formats: [html, json]` under `search:` in its settings.
    """

    def __init__(self, address: str, *, seconds: float = 5.0) -> None:
        """Raises WebError for what is no address of http or https, or holds a password."""
        if "@" in address:
            raise WebError("the address of a SearXNG server must have no user name in it")
        if not address.startswith(("http://", "https://")):
            raise WebError(f"the address of a SearXNG server begins with https://, not {address!r}")
        try:
            base = place_of(address).url.partition("?")[0].rstrip("/").removesuffix("/search")
            self._place = place_of(f"{base}/search")
        except AddressRefused as error:
            raise WebError(f"no address of a SearXNG server: {error}") from None
        self._seconds = seconds

    def search(self, query: str, *, limit: int) -> list[WebResult]:
        """As `WebSearch.search`."""
        from ingest.fetch import Fetcher, Limits

        place, address = self._place, self._place.url
        fetcher = Fetcher(
            addresses=Addresses(frozenset({authority(place.host, place.port)})),
            limits=Limits(size=5_000_000, seconds=self._seconds, redirects=1),
        )
        try:
            page = fetcher.fetch(f"{address}?q={quote_plus(query[:_LONGEST])}&format=json")
            reply = json.loads(page.data)
            rows = [row for row in reply["results"] if url_of(str(row["url"]))]
        except FetchError as error:
            refused = str(error).endswith(" 403")
            hint = "; it must allow `json` under search.formats" if refused else ""
            raise WebError(f"{address}: {error}{hint}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise WebError(f"{address} gave no JSON of a SearXNG server") from error
        if not rows and (silent := reply.get("unresponsive_engines")):
            raise WebError(f"{address}: its engines did not answer ({silent})")
        return [
            WebResult(row["url"], str(row.get("title") or ""), str(row.get("content") or ""))
            for row in rows[:limit]
        ]
