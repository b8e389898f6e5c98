"""One page from the web, with limits: on who is asked, and on what it may cost.

Every connection, that of a redirect too, goes through `Addresses`: names are looked up once, and
the connection is made to the address that was checked, whatever the name says a moment later. No
cookies, no proxies, no credentials; only GET. Knows nothing of what a page says.
"""

from __future__ import annotations

import codecs
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import quote

from ingest.addresses import SAFE, Addresses, Place, place_of
from ingest.decode import codec_of
from ingest.errors import FetchError

if TYPE_CHECKING:
    import httpcore2

_GZIP = zlib.MAX_WBITS | 16
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_HEADERS = (
    ("User-Agent", "ragbone (reads a page for one person)"),
    ("Accept", "text/html, text/*;q=0.9, application/pdf;q=0.9, */*;q=0.1"),
    ("Accept-Encoding", "gzip"),
    ("Connection", "close"),
)
# Media types that there is a reader for; by the end of the name, or by its beginning.
_READ = ("text/", "application/vnd.openxmlformats", "application/vnd.oasis", "application/vnd.ms-")
_READ_TOO = frozenset(
    str.split(
        "application/pdf application/xhtml+xml application/xml application/json application/rtf "
        "application/msword application/epub+zip application/x-ipynb+json message/rfc822 "
        "application/rss+xml application/atom+xml"
    )
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a page may cost: bytes (after unpacking), seconds in all, and redirects."""

    size: int = 20_000_000
    seconds: float = 20.0
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Page:
    """What was fetched: the URL that was asked for, without its fragment, and the bytes.

    `address` is the URL that it was read from, after redirects.
    `media_type` is what the server called it, without parameters; `retrieved` is when it was read,
    ISO 8601, UTC. Text whose encoding the server named is UTF-8, with its mark (BOM).
    """

    url: str
    data: bytes
    media_type: str
    retrieved: str
    address: str


class Fetcher:
    """Fetches pages; several threads may use it."""

    def __init__(
        self,
        *,
        addresses: Addresses = Addresses(),  # noqa: B008
        limits: Limits = Limits(),
    ) -> None:
        self._addresses = addresses
        self._limits = limits

    def fetch(self, url: str) -> Page:
        """The page at a URL. Raises FetchError, with the reason; AddressRefused is one."""
        first = place = place_of(url)
        deadline = time.monotonic() + self._limits.seconds
        for _ in range(self._limits.redirects + 1):
            answer = self._get(place, deadline)
            if isinstance(answer, str):
                place = place_of(answer, base=place.url)
                continue
            data, kind = answer
            now = datetime.now(UTC).isoformat(timespec="seconds")
            return Page(first.url, data, kind, now, place.url)
        raise FetchError(f"more than {self._limits.redirects} redirects")

    def _get(self, place: Place, deadline: float) -> str | tuple[bytes, str]:
        """Where a place redirects to, or what it holds and of which type that is."""
        import httpcore2

        from ingest.sockets import Guarded

        backend = Guarded(self._addresses, deadline)
        scheme, host, target = place.scheme, place.host, place.target
        url = httpcore2.URL(scheme=scheme, host=host, port=place.port, target=target)
        try:
            with (
                httpcore2.ConnectionPool(network_backend=backend) as pool,
                pool.stream(
                    "GET",
                    url,
                    headers=[("Host", _authority(place)), *_HEADERS],
                ) as response,
            ):
                return self._read(response)
        except httpcore2.TimeoutException:
            raise FetchError(f"took longer than {self._limits.seconds:g} seconds") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, ValueError) as error:
            raise FetchError(f"could not be fetched ({error or type(error).__name__})") from None

    def _read(self, response: httpcore2.Response) -> str | tuple[bytes, str]:
        headers = Message()
        for name, value in response.headers:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        if response.status in _REDIRECTS and headers["Location"]:
            return quote(headers["Location"].strip().encode("latin-1"), safe=SAFE)
        if response.status != 200:
            raise FetchError(f"the server answered {response.status}")
        kind = headers.get_content_type() if headers["Content-Type"] else "text/html"
        if not (kind.startswith(_READ) or kind in _READ_TOO):
            raise FetchError(f"it is {kind[:80]}, which is not read")
        with suppress(ValueError):  # no number is no promise
            self._check(int(headers["Content-Length"] or 0))
        coding = ", ".join(headers.get_all("Content-Encoding", []))
        data = self._unpacked(response.iter_stream(), coding)
        return _as_utf8(data, kind, headers.get_content_charset()), kind

    def _unpacked(self, pieces: Iterable[bytes], coding: str) -> bytes:
        """The pieces of a body, joined; no more is unpacked than may be kept."""
        coding = coding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise FetchError(f"it is packed as {coding[:40]}, which was not asked for")
        whole = bytearray()
        if coding not in ("", "identity"):
            pieces = self._gunzipped(pieces)
        for piece in pieces:
            whole += piece
            self._check(len(whole))
        return bytes(whole)

    def _gunzipped(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces of a gzip body, unpacked: its members, one after the other."""
        unpack = None
        try:
            for piece in pieces:
                rest = piece
                while rest:
                    if unpack is not None and unpack.eof and rest[0] != 0x1F:
                        return  # padding
                    if unpack is None or unpack.eof:
                        unpack = zlib.decompressobj(_GZIP)
                    yield unpack.decompress(rest, self._limits.size + 1)
                    rest = unpack.unused_data
        except zlib.error as error:
            raise FetchError(f"its gzip is damaged ({error})") from None
        if unpack is not None and not unpack.eof:
            raise FetchError("its gzip ends too early")

    def _check(self, size: int) -> None:
        if size > self._limits.size:
            raise FetchError(f"larger than {self._limits.size // 1_000_000} MB")


def _authority(place: Place) -> str:
    """The host of a place as a server expects it: with its port, if that is not the usual one."""
    return place.url.split("/", 3)[2]


def _as_utf8(data: bytes, kind: str, charset: str | None) -> bytes:
    """Text whose encoding the server names as UTF-8 with a mark, which comes before other hints."""
    codec = codec_of(charset) if charset and kind.startswith(("text/", "application/x")) else None
    if codec is None or data.startswith(codecs.BOM_UTF8):
        return data
    try:
        return codecs.BOM_UTF8 + data.decode(codec).encode()
    except UnicodeError:  # it names a wrong one
        return data
