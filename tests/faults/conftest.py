"""How fault tests reach a fake server: over memory, stdio or HTTP, in one family or the other."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.transport.watchdog import WATCHDOG


class Way(NamedTuple):
    """One way to a server.

    `json` and `sse` are Streamable HTTP with one kind of reply, `older` is the HTTP+SSE of 2024-11-05.
    """

    carrier: str
    family: str

    @property
    def is_http(self) -> bool:
        return self.carrier in ("json", "sse")


class Reach(Protocol):
    """Opens a runtime on one fake server named `fake`."""

    def __call__(
        self, server: FakeServer, way: Way, **options: Any
    ) -> AbstractAsyncContextManager[trunkline.Trunk]: ...


def ways(*carriers: str, families: tuple[str, ...] = ("legacy", "modern")) -> list[Any]:
    """Give the parameters for `way`, one per carrier and family."""
    return [
        pytest.param(Way(carrier, family), id=f"{carrier}-{family}")
        for carrier in carriers
        for family in families
        if (carrier, family) != ("older", "modern")
    ]


RELAY = """
import socket, sys, threading
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def send():
    for frame in sys.stdin.buffer:
        line.sendall(frame)
    line.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := line.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""
"""A process that speaks for a peer in this one."""


@asynccontextmanager
async def relay(peer: Any) -> AsyncIterator[dict[str, Any]]:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def receive() -> bytes:
            return (await reader.readline()).rstrip(b"\n")

        await peer.serve(receive, lambda frame: writer.write(frame + b"\n"))
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**24) as listener:
        port = listener.sockets[0].getsockname()[1]
        yield {"command": sys.executable, "args": ["-I", "-S", "-c", RELAY, str(port)]}


@pytest.fixture
def relayed() -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """Give what makes a command of a peer of this process: `async with relayed(peer) as entry`."""
    return relay


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `way` over every carrier its `over` marker names, in both families."""
    if "way" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("over")
        carriers = marker.args if marker else ("memory", "stdio", "json", "sse", "websocket", "older")
        families = marker.kwargs.get("families", ("legacy", "modern")) if marker else ("legacy", "modern")
        metafunc.parametrize("way", ways(*carriers, families=families))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "over(*carriers, families=...): the ways a test with `way` runs over")


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    """Give a function that connects to a fake server in the given way."""

    @asynccontextmanager
    async def open_trunk(server: FakeServer, way: Way, **options: Any) -> AsyncIterator[trunkline.Trunk]:
        async with (
            _serve(server, way, tmp_path) as entry,
            trunkline.connect({"fake": entry}, **options) as trunk,
        ):
            yield trunk

    return open_trunk


@asynccontextmanager
async def _serve(server: FakeServer, way: Way, folder: Path) -> AsyncIterator[Any]:
    if way.carrier == "memory":
        yield server
    elif way.carrier == "stdio":
        yield server.to_stdio_entry(folder)
    elif way.carrier == "websocket":
        async with server.websocket() as url:
            yield {"url": url}
    elif way.carrier == "older":
        async with server.sse() as url:
            yield {"type": "sse", "url": url}
    else:
        async with server.http(json=way.carrier == "json") as url:
            yield {"url": url}


@pytest.fixture
def own_garbage() -> None:
    """Keep what the tests before have left out of Python's collections, whose time is measured here."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def watched() -> None:
    """Have the watchdog running, which the first server of all begins and which stays."""
    with subprocess.Popen(["true"], start_new_session=True) as brief:
        WATCHDOG.watch(brief.pid)
        brief.wait()
        WATCHDOG.release(brief.pid)


async def _until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.002)
    return value


@pytest.fixture
def until() -> Callable[..., Any]:
    """Give a bounded wait for something another process does; it gives what became true."""
    return _until


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Tell whether a process runs; one that only waits to be collected does not."""
    return _is_alive
