"""Connections that go to checked addresses only, and end with a deadline.

The seam of httpcore where a name becomes a connection: what passes here has no other way out.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import httpcore2

from ingest.addresses import Addresses


class Guarded(httpcore2.NetworkBackend):
    """Connects to the addresses that `Addresses` gives for a host, the first that answers.

    `deadline` is on `time.monotonic`; whatever waits beyond it raises a timeout of httpcore's.
    """

    def __init__(self, addresses: Addresses, deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection to a checked address of the host."""
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        addresses = self._checked(host, port)
        for after, address in zip(range(len(addresses))[::-1], addresses, strict=True):
            share = _left(self._deadline) / (after + 1)  # one that never answers is not the last
            try:
                stream = self._plain.connect_tcp(address, port, share)
                return _Timed(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed

    def _checked(self, host: str, port: int) -> list[str]:
        """The addresses of a host; the system's resolver has no time limit, so a thread waits."""
        found: Future[list[str]] = Future()

        def ask() -> None:
            try:
                found.set_result(self._addresses.of(host, port))
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                found.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            return found.result(_left(self._deadline))
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} was not looked up in time") from None

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Never: a file of this machine is no page."""
        raise httpcore2.ConnectError("only the network is fetched from")


class _Timed(httpcore2.NetworkStream):
    """A stream whose every wait ends with the deadline: a server that trickles gains nothing."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            left = _left(self._deadline)
        except httpcore2.TimeoutException:
            self.close()
            raise
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """The seconds that are left, or a timeout."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("too late")
    return left
