"""The way to a URL, step by step: name, connection, tunnel through a proxy, TLS. Each by itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from trunkline.errors import UnavailableError
from trunkline.transport.network import cannot_connect
from trunkline.transport.verdict import PROXY_HINT, refused_by_proxy

_MOST_ADDRESSES = 6
"""Addresses of one host that are tried."""
_HEAD = 64 * 1024
_REFUSAL = 0.1
"""Seconds in which a server that has shaken hands may still refuse us."""


class Address(NamedTuple):
    """One address of a host."""

    family: int
    place: tuple[str, int]
    """As `connect` of a socket takes it: host, port and, for IPv6, two numbers more."""

    @property
    def text(self) -> str:
        """The address alone."""
        return self.place[0]


class Way(NamedTuple):
    """A connection that leads to a server, with or without TLS."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        """Break it off."""
        self.writer.transport.abort()


async def find_addresses(server: str, host: str, port: int) -> list[Address]:
    """Look up a host, in a thread of its own, which nothing ever waits for.

    Raises:
        UnavailableError: there is no such host.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address]] = loop.create_future()

    def settle(result: list[Address] | OSError) -> None:
        if not found.done():
            found.set_exception(result) if isinstance(result, OSError) else found.set_result(result)

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            result: list[Address] | OSError = [Address(info[0], info[4]) for info in infos]  # type: ignore[arg-type]
        except UnicodeError as cause:
            result = OSError(0, str(cause))
        except OSError as cause:
            result = cause
        # The loop may be closed by now; then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    try:
        return await found
    except OSError as cause:
        raise UnavailableError(
            f"there is no host {host!r} ({cause.strerror or cause})",
            code="dns_not_found",
            server=server,
            hint="Correct the host in `url`, or join the network that knows it.",
        ) from cause


async def reach(server: str, url: str, addresses: list[Address]) -> tuple[socket.socket, Address]:
    """Connect to the first address that answers; all are tried at once.

    Raises:
        UnavailableError: none does; tells why the first one does not.
    """
    tries = [asyncio.ensure_future(_connect(one)) for one in addresses[:_MOST_ADDRESSES]]
    winner: asyncio.Task[tuple[socket.socket, Address]] | None = None
    waiting = set(tries)
    try:
        while waiting and winner is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            winner = next((one for one in tries if one in done and one.exception() is None), None)
    finally:
        try:
            await _drop([one for one in tries if one is not winner])
        except BaseException:
            if winner is not None:
                _close_result(winner)
            raise
    if winner is not None:
        return winner.result()
    causes = [cause for one in tries if isinstance(cause := one.exception(), OSError)]
    cause = next((one for one in causes if isinstance(one, ConnectionRefusedError)), causes[0])
    raise cannot_connect(server, url, cause) from cause


async def open_tunnel(server: str, url: str, proxy: str, sock: socket.socket, context: ssl.SSLContext) -> Way:
    """Have a proxy connect us to the server of a URL.

    Args:
        sock: a connection to the proxy, which is taken over.
        context: how TLS is spoken with a proxy whose URL says https.

    Raises:
        UnavailableError: the proxy does not do it.
    """
    parts, wanted = urlsplit(proxy), urlsplit(url)
    secure = parts.scheme == "https"
    way = await _open(sock, context if secure else None, parts.hostname)
    try:
        host = f"[{wanted.hostname}]" if ":" in (wanted.hostname or "") else wanted.hostname
        place = f"{host}:{wanted.port or (443 if wanted.scheme in ('https', 'wss') else 80)}"
        way.writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{_credentials(proxy)}\r\n".encode())
        head = (await way.reader.readuntil(b"\r\n\r\n"))[:_HEAD]
        status = _status(head)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as cause:
        way.close()
        raise UnavailableError(
            "the proxy ended the connection without an answer",
            code="proxy_refused",
            server=server,
            hint=PROXY_HINT,
        ) from cause
    except BaseException:
        way.close()
        raise
    if status != 200:
        way.close()
        raise refused_by_proxy(server, status)
    return way


async def shake_hands(
    server: str, url: str, start: socket.socket | Way, context: ssl.SSLContext
) -> tuple[Way, ssl.SSLObject]:
    """Speak TLS with the server of a URL, over a connection or a tunnel that is taken over.

    Raises:
        CallError: with the code of what is wrong, as a call would have it.
    """
    host = urlsplit(url).hostname
    try:
        if isinstance(start, socket.socket):
            way = await _open(start, context, host)
        else:
            way = start
            await way.writer.start_tls(context, server_hostname=host)
    except OSError as cause:
        if isinstance(start, Way):
            start.close()
        raise cannot_connect(server, url, cause) from cause
    except BaseException:
        if isinstance(start, Way):
            start.close()
        raise
    return way, way.writer.get_extra_info("ssl_object")


async def await_refusal(server: str, url: str, way: Way) -> None:
    """Wait a moment for a server to say that it does not accept us, which TLS 1.3 says after the handshake.

    Source: RFC 8446, section 4.4.2.4 and appendix E.1.

    Raises:
        CallError: it has ended the connection.
    """
    try:
        async with asyncio.timeout(_REFUSAL):
            if await way.reader.read(1):
                return
            raise cannot_connect(server, url, ConnectionResetError())
    except TimeoutError:
        return
    except OSError as cause:
        raise cannot_connect(server, url, cause) from cause


def proxy_place(proxy: str) -> tuple[str, int]:
    """Give host and port of a proxy's URL; neither is a secret."""
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _connect(address: Address) -> tuple[socket.socket, Address]:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.place)
    except BaseException:
        sock.close()
        raise
    return sock, address


async def _drop(tries: list[asyncio.Task[tuple[socket.socket, Address]]]) -> None:
    """End the attempts that are not wanted any more, and close what they have opened."""
    if not tries:
        return
    for one in tries:
        one.cancel()
        one.add_done_callback(_close_result)
    await asyncio.wait(tries)


def _close_result(attempt: asyncio.Task[tuple[socket.socket, Address]]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result()[0].close()


async def _open(sock: socket.socket, context: ssl.SSLContext | None, host: str | None) -> Way:
    try:
        streams = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=host if context is not None else None
        )
    except BaseException:
        sock.close()
        raise
    return Way(*streams)


def _credentials(proxy: str) -> str:
    parts = urlsplit(proxy)
    if parts.username is None:
        return ""
    both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(both.encode()).decode()}\r\n"


def _status(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
