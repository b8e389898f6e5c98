"""Hostile addresses are refused, however they are written; others are read alike by everyone."""

from __future__ import annotations

import pytest

from ingest.addresses import Addresses, is_public, place_of
from ingest.errors import AddressRefused, FetchError

# What a name server of an attacker answers.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "inside.evil.example": ["10.0.0.5"],
    "both.evil.example": ["93.184.216.34", "192.168.0.1"],
    "six.evil.example": ["2606:2800:220:1::1", "fd00::1"],
    "mapped.evil.example": ["::ffff:10.0.0.5"],
    "translated.evil.example": ["64:ff9b::a00:5"],
    "metadata.evil.example": ["169.254.169.254"],
    "zone.evil.example": ["fe80::1%eth0"],
    "printer.local": ["192.168.1.9"],
    "good.example": ["93.184.216.34"],
}
HOSTILE = [
    # loopback, in every spelling
    "http://127.0.0.1/",
    "http://127.8.9.10/",
    "http://127.0.0.1:8080/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://127\u30020\u30020\u30021/",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://%31%32%37.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    # other places that are not public
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://224.0.0.1/",
    "http://[ff0e::1]/",
    "http://255.255.255.255/",
    "http://198.18.0.1/",
    "http://240.0.0.1/",
    "http://192.0.0.192/opc/v1/instance/",
    "http://168.63.129.16/machine?comp=goalstate",
    # names that lead there
    "http://inside.evil.example/",
    "https://both.evil.example/",
    "https://six.evil.example/",
    "https://mapped.evil.example/",
    "https://translated.evil.example/",
    "https://metadata.evil.example/",
    "https://zone.evil.example/",
    "http://printer.local/",
    # what is said to one reader is not what another hears
    "http://good.example@127.0.0.1/",
    "http://good.example:secret@good.example/",
    "http://good.example\\@127.0.0.1/",
    "http://good.example\t@127.0.0.1/",
    "http://good.example/\r\nHost: 127.0.0.1",
    "http://127.0.0.1#@good.example/",
    "http://127.0.0.1?@good.example/",
    "http:///etc/passwd",
    "http://faß.example/",
    "http://good.example/\udcff",
    "http://",
    # no pages of the web
    "file:///etc/passwd",
    "ftp://good.example/",
    "gopher://good.example:70/_x",
    "data:text/html,<b>x</b>",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http://good.example:22/",
    "http://good.example:25/",
    "http://good.example:65536/",
    "http://good.example:-80/",
    "http://" + "a" * 3000 + ".example/",
]


def resolve(host: str, port: int) -> list[str]:
    """An IP address is its own; numbers in odd spellings are what `inet_aton` makes of them."""
    return NAMES.get(host) or [host]


def test_the_table_is_long_enough():
    assert len(set(HOSTILE)) == len(HOSTILE) >= 40


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused(url):
    with pytest.raises(AddressRefused):
        place = place_of(url)
        Addresses(resolve=resolve).of(place.host, place.port)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_are_reached(address):
    assert is_public(address)
    assert Addresses(resolve=lambda *_: [address]).of("good.example", 443) == [address]


def test_an_allowed_host_may_be_private_and_no_other():
    named = Addresses.allowing(["Wiki.LAN", "http://127.0.0.1:8080/x"]).allowed
    addresses = Addresses(named, lambda *_: ["10.1.1.1"])
    assert addresses.of("wiki.lan", 80) == ["10.1.1.1"]
    assert addresses.of("127.0.0.1", 8080) == ["10.1.1.1"]
    for host, port in (("127.0.0.1", 8081), ("wiki.lan.evil.example", 80), ("lan", 80)):
        with pytest.raises(AddressRefused, match=r"10\.1\.1\.1, which is not a public address"):
            addresses.of(host, port)


@pytest.mark.parametrize(
    ("said", "host", "port"),
    [
        ("bücher.lan", "xn--bcher-kva.lan", 80),
        ("[FD00::1]", "fd00::1", 8080),
        ("[fd00:0::1]:8080", "fd00::1", 8080),
        ("https://wiki.lan", "wiki.lan", 443),
    ],
)
def test_an_allowed_host_may_be_written_as_people_do(said, host, port):
    addresses = Addresses(Addresses.allowing([said]).allowed, lambda *_: ["10.1.1.1"])
    assert addresses.of(host, port) == ["10.1.1.1"]


@pytest.mark.parametrize("said", ["", "a b", "ftp://wiki.lan", "wiki.lan:99999"])
def test_what_is_no_host_cannot_be_allowed(said):
    with pytest.raises(AddressRefused):
        Addresses.allowing([said])


def test_a_name_without_an_address_is_said():
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    for resolver in (unknown, lambda *_: []):
        with pytest.raises(FetchError, match=r"nowhere\.example has no address") as caught:
            Addresses(resolve=resolver).of("nowhere.example", 80)
        assert not isinstance(caught.value, AddressRefused)


@pytest.mark.parametrize(
    ("url", "known_as"),
    [
        ("HTTP://Good.Example:80", "http://good.example/"),
        ("https://good.example:443/a?b=1#c", "https://good.example/a?b=1"),
        ("https://good.example:8443/", "https://good.example:8443/"),
        (
            "https://Bücher.example/ä/%C3%A4?q=ü",
            "https://xn--bcher-kva.example/%C3%A4/%C3%A4?q=%C3%BC",
        ),
        ("https://good.example/wow!now", "https://good.example/wow%21now"),
        (" https://good.example/a\u200b ", "https://good.example/a%E2%80%8B"),
        ("http://[2606:4700:4700:0::1111]:8080/", "http://[2606:4700:4700::1111]:8080/"),
    ],
)
def test_a_url_has_one_spelling(url, known_as):
    assert place_of(url).url == known_as
    assert place_of(known_as).url == known_as


@pytest.mark.parametrize(
    ("to", "url"),
    [
        ("/b", "https://good.example/b"),
        ("c?d", "https://good.example/a/c?d"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example", "http://other.example/"),
    ],
)
def test_a_redirect_may_be_relative(to, url):
    assert place_of(to, base="https://good.example/a/b").url == url
