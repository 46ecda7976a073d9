"""Whatever waits while the doctor examines servers, cut short at every such place."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

import trunkline
from trunkline.config.loading import load
from trunkline.runtime.doctor import examine, network, way
from trunkline.testing.http_proxy import HttpProxy
from trunkline.testing.network import Proxy
from trunkline.testing.player import RealScenario
from trunkline.testing.stage import Lose

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

Served = AsyncIterator[tuple[Any, Lose]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with the certificate of an authority that this system trusts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(examine, "AT_ONCE", 1)
    monkeypatch.setattr(network, "_REFUSAL", 0.01)
    monkeypatch.setattr(way, "find_addresses", find_two)
    return tmp_path


class Practice:
    """Servers that are examined, besides one in memory that the trunk of the play has."""

    def __init__(self, folder: Path, places: Any) -> None:
        self._places = places
        self._folder = folder
        self._entry: Any = None
        self._policy: dict[str, Any] = {}
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(folder / "ca.pem")

    def serving(self, serve: Callable[[], Any], **policy: Any) -> Callable[[], Any]:
        """Have what `serve` serves examined by a policy."""

        @asynccontextmanager
        async def served() -> Served:
            self._policy = {}
            async with serve() as (entry, lose):
                self._entry, self._policy = entry, {**self._policy, **policy}
                yield self._places.make_server("modern"), lose

        return served

    async def examine(self, _: trunkline.Trunk, __: Lose) -> None:
        servers = {"far": self._entry, "also": self._entry}
        config = load(servers, policy={"defaults": {"connect": 5, **self._policy}}, profile="")
        assert len(await examine.examine(config)) == 2

    async def give_up(self, trunk: trunkline.Trunk, lose: Lose) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await self.examine(trunk, lose)

    def plainly(self, family: str) -> Any:
        return self._places.behind(lambda: self._places.make_server(family).http(json=True))

    def securely(self, name: str, *, through: bool = False) -> Callable[[], Any]:
        """Serve TLS with a certificate of this name, and nothing within it, maybe through a proxy."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)

        @asynccontextmanager
        async def served() -> Served:
            async with (
                hanging_up(context) as port,
                HttpProxy() as tunnel,
                Proxy(tunnel.port if through else port) as line,
            ):
                if through:
                    self._policy["proxy"] = f"http://127.0.0.1:{line.port}"
                yield {"url": f"https://127.0.0.1:{port if through else line.port}/"}, line.cut

        return served

    def by_proxy(self) -> Callable[[], Any]:
        """Serve nothing but a proxy, which cannot reach the server."""

        @asynccontextmanager
        async def served() -> Served:
            async with HttpProxy() as tunnel, Proxy(tunnel.port) as line:
                self._policy["proxy"] = f"http://127.0.0.1:{line.port}"
                yield {"url": "http://127.0.0.1:9/"}, line.cut

        return served

    def at_two_places(self) -> Callable[[], Any]:
        """Serve at an address beside another one where nothing answers."""
        serve = self.plainly("modern")

        @asynccontextmanager
        async def served() -> Served:
            async with serve() as (entry, lose):
                with silent(self._places.port_of(entry["url"])):
                    yield entry, lose

        return served

    def by_process(self, seconds: float) -> Callable[[], Any]:
        """Serve a process that ends some time after its first line."""
        told = self._folder / "pid"
        command = f"echo $$ >>{told}; read line; sleep {seconds}"

        def lose() -> None:
            for pid in told.read_text().split():
                with suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)

        @asynccontextmanager
        async def served() -> Served:
            told.write_text("")
            yield {"command": "sh", "args": ["-c", command]}, lose

        return served


@contextmanager
def silent(port: int) -> Iterator[None]:
    """Let nothing come of connections to this port of another address, as its queue is full."""
    with ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.3", port), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.3", port))
        yield


async def find_two(server: str, host: str, port: int) -> list[network.Address]:
    found = await network.find_addresses(server, host, port)
    return [*found, network.Address(socket.AF_INET, ("127.0.0.3", port))]


@asynccontextmanager
async def hanging_up(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Serve TLS to who is hung up on once anything is said."""
    visits: set[asyncio.Task[Any]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.add(asyncio.current_task())  # type: ignore[arg-type]
        with suppress(OSError):
            await reader.read(1)
        writer.transport.abort()

    listener = await asyncio.start_server(visit, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for _ in range(5):  # what was just accepted begins
            await asyncio.sleep(0)
        for one in visits:
            one.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


def doctor_scenarios(folder: Path, places: Any) -> dict[str, dict[str, RealScenario]]:
    practice = Practice(folder, places)
    trusting = {"tls": {"ca": str(folder / "ca.pem")}}
    ways = {
        "plain": practice.serving(practice.plainly("modern")),
        "plain, legacy": practice.serving(practice.plainly("legacy")),
        "at two places": practice.serving(practice.at_two_places()),
        "secure": practice.serving(practice.securely("127.0.0.1")),
        "of another name": practice.serving(practice.securely("127.0.0.2")),
        "of another name, trusted": practice.serving(practice.securely("127.0.0.2"), **trusting),
        "through a proxy": practice.serving(practice.securely("127.0.0.1", through=True)),
        "by a proxy": practice.serving(practice.by_proxy()),
        "a process": practice.serving(practice.by_process(0.01)),
    }
    scenarios = {name: RealScenario(serve, practice.examine) for name, serve in ways.items()}
    slow = practice.serving(practice.by_process(5))
    return {"modern": {**scenarios, "a slow process": RealScenario(slow, practice.give_up)}}


async def test_whatever_waits_in_an_examination_can_be_cancelled_and_lose_its_server(
    cutter: Any, places: Any, folder: Path
):
    await cutter.cut("examinations", doctor_scenarios(folder, places))
