"""Which addresses of the network may be reached: public ones, and those that were named.

A page that a stranger wrote can name any address, and so can a redirect or a name server. So the
check is on the addresses that a name has at the moment of connecting, whatever its spelling, and
the connection is made to just these. Opens no connection itself.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ingest.errors import AddressRefused, FetchError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Collection[str]]

_PORTS = {"http": 80, "https": 443}
_HIGH = 1024  # lower ports are those of mail, files and the like
_LONGEST = 2048  # characters of a URL
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_AMBIGUOUS = frozenset("ßẞς\u200c\u200d")  # one host by IDNA 2003, another by IDNA 2008
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)\.?")  # a last label that makes a host an IPv4 address
SAFE = "!#$%&'()*+,/:;=?@[]~"  # what a path or query may hold unquoted, and quotes themselves
# Addresses of these lead to the IPv4 address in their last 32 bits (RFC 6052).
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
# What `is_global` of some Python versions lets pass: old and local ways from IPv6 to IPv4, networks
# set apart. The last two answer every machine of two clouds, about itself.
_REFUSED = tuple(
    ipaddress.ip_network(each)
    for each in str.split(
        "::/96 64:ff9b:1::/48 fec0::/10 3fff::/20 192.88.99.0/24 192.0.0.0/24 168.63.129.16/32"
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: `target` is its path and query, `host` a name in ASCII or an address."""

    url: str
    scheme: str
    host: str
    port: int
    target: str


def place_of(url: str, *, base: str | None = None) -> Place:
    """The parts of a URL, without its fragment; `base` is what a relative one is relative to.

    Raises AddressRefused for what is no plain http or https URL.
    """
    said = f"{url[:200]!r}"
    if re.search(r"[\s\\\x00-\x1f\x7f]", url.strip()) or len(url) > _LONGEST:
        raise AddressRefused(f"{said} is not a URL")
    try:
        whole = _SCHEME.match(url.strip()) or base is None
        parts = urlsplit(url.strip() if whole else urljoin(base or "", url.strip()))
        port = parts.port
    except ValueError as error:
        raise AddressRefused(f"{said} is not a URL ({error})") from None
    if parts.scheme not in _PORTS:
        raise AddressRefused(f"{said}: only http and https are fetched")
    if "@" in parts.netloc:
        raise AddressRefused(f"{said} has a user name in it")
    host = _host(parts, said)
    usual = _PORTS[parts.scheme]
    port = usual if port is None else port
    if port not in _PORTS.values() and port < _HIGH:
        raise AddressRefused(f"{said}: port {port} is not one of web servers")
    try:
        target = quote(parts.path or "/", safe=SAFE)
        target += "?" + quote(parts.query, safe=SAFE) if parts.query else ""
    except UnicodeError:  # half a character
        raise AddressRefused(f"{said} is not a URL") from None
    # "!" parts an archive from what is in it, in the names of documents
    target = target.replace("!", "%21")
    shown = authority(host, port).removesuffix(f":{usual}")
    return Place(f"{parts.scheme}://{shown}{target}", parts.scheme, host, port, target)


def authority(host: str, port: int) -> str:
    """A host and its port as in a URL: `host:port`, `[address]:port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(parts: SplitResult, said: str) -> str:
    """The host of a URL in ASCII, in the one spelling that every reader takes alike."""
    if not _AMBIGUOUS.isdisjoint(parts.hostname or ""):
        raise AddressRefused(f"{said}: write its host in ASCII (xn--…), it can be read in two ways")
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise AddressRefused(f"{said} has no host that can be looked up") from None
    if ":" in host and "%" not in host:
        with suppress(ValueError):
            return str(ipaddress.IPv6Address(host))
    if not _HOST.fullmatch(host):
        raise AddressRefused(f"{said} has no host that can be looked up")
    if _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise AddressRefused(f"{said}: write its address as four numbers") from None
    return host


def _resolve(host: str, port: int) -> Collection[str]:
    """All addresses of a host, by the system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who may be fetched from: all that is public, and the hosts in `allowed`.

    An allowed host, `host` or `host:port` as `allowing` makes it, may have private addresses.
    `resolve` gives the addresses of a name.
    """

    allowed: frozenset[str] = frozenset()
    resolve: Resolve = _resolve

    @classmethod
    def allowing(cls, hosts: Iterable[str]) -> Addresses:
        """With these hosts allowed: names or addresses as in a URL, with a port or any.

        Raises AddressRefused for what is no host.
        """
        named = set()
        for host in hosts:
            url = host if "://" in host else f"http://{host}"
            place = place_of(url)
            explicit = urlsplit(url.strip()).port is not None
            named.add(authority(place.host, place.port) if explicit else place.host)
        return cls(frozenset(named))

    def of(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, looked up once.

        Raises AddressRefused when any of them is not public, and FetchError without any.
        """
        try:
            found = list(self.resolve(host, port))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise FetchError(f"{host} has no address: is it spelt right, and is there a network?")
        if {host, authority(host, port)} & self.allowed:
            return found
        for text in found:
            if not is_public(text):
                raise AddressRefused(
                    f"{host} is {text}, which is not a public address; to read from your own "
                    f"network, allow the host by name"
                )
        return found


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, and so is the one that it leads to."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # with a zone, or none at all
        return False
    return all(
        each.is_global
        and not (each.is_multicast or each.is_reserved or each.is_unspecified)
        and not any(each in network for network in _REFUSED)
        for each in _ends(address)
    )


def _ends(address: _Address) -> Iterator[_Address]:
    """Where an address leads: an IPv6 one may stand for an IPv4 one, or be sent on through it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif (mapped := address.ipv4_mapped) is not None:
        yield mapped
    elif address in _TRANSLATED:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour
        yield from address.teredo or ()
