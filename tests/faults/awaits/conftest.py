"""What is played over each transport, and servers for it; starts that fail are repeated at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.runtime import assembly, importing
from trunkline.store.port import SALT
from trunkline.store.record import Way, encode_way
from trunkline.testing import Ask, FakeServer
from trunkline.testing.network import Proxy
from trunkline.testing.player import Player, RealScenario
from trunkline.testing.stage import Lose
from trunkline.transport import event_stream, http_client, share, sse, stdio, stream

ATTEMPTS = 3
POLICY = {
    "servers": {"fake": {"limits": {"frame_bytes": 1 << 20, "notifications": 2}, "tls": {"minimum": "1.3"}}},
    "defaults": {"max_restarts": 0, "connect": 10, "restart_delay": 0.01},
}


async def answer_roots(_: str) -> list[str]:
    return ["/srv"]


def answer_form(_: trunkline.ElicitRequest) -> trunkline.ElicitResult:
    """In a thread, as it is not async."""
    return trunkline.ElicitResult.accept({"day": "today"})


def answer_guess(*_: object) -> Awaitable[dict[str, int]]:
    """In a thread, and then awaited."""

    async def guess() -> dict[str, int]:
        await asyncio.sleep(0.005)
        return {"of": 6}

    return guess()


HANDLERS = trunkline.Handlers(elicit=answer_form, roots=answer_roots, requests={"vendor/guess": answer_guess})


def make_server(family: Any, **options: Any) -> FakeServer:
    server = FakeServer(eras=[family], watchable=True, ttl_ms=3_600_000, **options)
    server.tool("echo", reports="arguments")
    server.tool("busy", progress=[(n, 8, None) for n in range(8)], returns="done")
    server.tool("slow", delay=0.02, returns="done")
    server.tool("large", returns="x" * 40_000)
    server.tool("form", asks=[Ask.form("day", "Which day?", {"day": {"type": "string"}})], returns="told")
    server.tool("guess", asks=[Ask("q", "vendor/guess", {})], returns="told")
    server.resource("file:///a", "text")
    return server


class LegacyMemory:
    """Remembers of every server that it was legacy in an earlier run."""

    def get(self, key: str) -> bytes | None:
        if key == SALT:
            return bytes(32)
        return None if "." in key else encode_way(Way(revision="2025-11-25"))

    def put(self, key: str, value: bytes) -> None:
        """Learn nothing."""

    def drop(self, key: str) -> None:
        """Remember as before."""


class Places:
    """Puts servers behind lines that can be cut."""

    make_server = staticmethod(make_server)

    def __init__(self) -> None:
        self.stop_reading: Callable[[], object] = lambda: None
        """Lets the newest server read no more on the connections there are."""
        self.answer_nothing: Callable[[], object] = lambda: None
        """As `stop_reading`, also on new connections."""
        self.slow_down: Callable[[float], object] = lambda _: None
        """Lets the newest server read each piece so many seconds late."""

    @contextmanager
    def slowly(self) -> Iterator[None]:
        """Let the newest server read slowly."""
        self.slow_down(0.002)
        try:
            yield
        finally:
            self.slow_down(0.0)

    @asynccontextmanager
    async def proxied(self, url: str, **entry: Any) -> AsyncIterator[tuple[dict[str, Any], Lose]]:
        """Put a line before a server."""
        port = self.port_of(url)
        async with Proxy(port) as proxy:
            narrow(proxy)
            self.stop_reading, self.slow_down = proxy.freeze, proxy.delay
            self.answer_nothing = proxy.black_hole
            yield {"url": url.replace(f":{port}", f":{proxy.port}"), **entry}, proxy.cut

    def behind(self, serve: Callable[[], Any], **entry: Any) -> Callable[[], Any]:
        """Put a line before each server that `serve` starts and gives the URL of."""

        @asynccontextmanager
        async def served() -> AsyncIterator[tuple[dict[str, Any], Lose]]:
            async with serve() as url, self.proxied(url, **entry) as found:
                yield found

        return served

    def securely(self, serve: Callable[[], Any]) -> Callable[[], Any]:
        """Give URLs at which TLS is to be spoken; what is there speaks none."""

        @asynccontextmanager
        async def served() -> AsyncIterator[tuple[dict[str, Any], Lose]]:
            async with serve() as (entry, lose):
                scheme, _, rest = entry["url"].partition(":")
                yield {**entry, "url": f"{scheme}s:{rest}"}, lose

        return served

    def port_of(self, url: str) -> int:
        return int(url.split(":")[2].split("/")[0])

    @asynccontextmanager
    async def on_a_port(self, app: web.Application) -> AsyncIterator[int]:
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


class Works:
    """What an application does."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def use(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """Call in all ways there are."""
        await trunk.ready()
        await trunk.call("fake.busy", on_progress=lambda _: None, timeout=10)
        await trunk.call_many([("fake.echo", {"n": n}) for n in range(3)], timeout=10)
        await trunk.call("fake.large", timeout=10)
        with suppress(trunkline.DeadlineExceededError):
            await trunk.call("fake.slow", timeout=0.005)
        await trunk.notify("fake", "vendor/news", timeout=10)

    async def follow(self, trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.call("fake.busy", on_progress=lambda _: None, timeout=10)

    async def send_much(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """Send more than a socket takes at once."""
        await trunk.ready()
        with self._places.slowly():
            await trunk.call("fake.slow", {"text": "x" * 400_000}, timeout=10)

    async def tell_the_deaf(self, trunk: trunkline.Trunk, lose: Lose) -> None:
        """Tell a server more than it takes, until it is lost."""
        await trunk.ready()
        self._places.stop_reading()
        asyncio.get_running_loop().call_later(0.1, lose)
        told = (trunk.notify("fake", "vendor/news", {"x": "x" * 60_000}, timeout=5) for _ in range(30))
        await asyncio.gather(*told, return_exceptions=True)

    async def end_before_the_deaf(self, trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.ready()
        self._places.stop_reading()
        for _ in range(30):
            trunk.start("fake.slow", {"x": "x" * 60_000}, timeout=5)
        await asyncio.sleep(0.05)
        await trunk.aclose()

    async def answer(self, trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.call("fake.form", timeout=10)
        await trunk.call("fake.guess", timeout=10)

    async def list_all(self, trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.ready()

    async def start(self, trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.call("fake.echo", {"n": 1}, timeout=10)
        with suppress(trunkline.DeadlineExceededError):
            await trunk.call("fake.slow", timeout=0.005)

    async def start_again(self, trunk: trunkline.Trunk, lose: Lose) -> None:
        await trunk.call("fake.echo", {"n": 1}, timeout=10)
        lose()
        for _ in range(50):
            await asyncio.sleep(0.01)
            with suppress(trunkline.CallError):
                await trunk.call("fake.echo", {"n": 1}, timeout=10)
                return

    async def start_in_vain(self, trunk: trunkline.Trunk, lose: Lose) -> None:
        """Have every connection lost before it is of use."""
        loop = asyncio.get_running_loop()

        def lose_again() -> None:
            nonlocal timer
            lose()
            timer = loop.call_later(0.02, lose_again)

        timer = loop.call_later(0.02, lose_again)
        try:
            await trunk.ready()
        finally:
            timer.cancel()

    async def end(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """Close the trunk while calls are in flight."""
        await trunk.call("fake.echo", {"n": 1}, timeout=10)
        trunk.start("fake.slow", timeout=10)
        trunk.start("fake.slow", timeout=10)
        await asyncio.sleep(0.005)
        await trunk.aclose()


@pytest.fixture
def known() -> dict[str, Any]:
    """Give options of `connect` that make a legacy server known from an earlier run."""
    return {"store": LegacyMemory()}


@pytest.fixture
def places() -> Places:
    """Give what serves."""
    return Places()


@pytest.fixture
def works(places: Places) -> Works:
    """Give what an application does."""
    return Works(places)


def narrow(proxy: Proxy) -> None:
    """Let it take little at once."""
    assert proxy._listener is not None
    for listener in proxy._listener.sockets:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)


class NarrowConnector(http_client.FreshConnector):
    """Makes sockets that take little at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._socket_factory = make_narrow_socket


def make_narrow_socket(address: Any) -> socket.socket:
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)
    return made


class HastyTransport(stdio.StdioTransport, frozen=True, kw_only=True):
    """Ends a process soon."""

    grace: float = 0.3


class Cutter:
    """Plays what an area of `tests/awaits.toml` answers for."""

    def __init__(self, awaits: Any) -> None:
        self._awaits = awaits

    async def cut(self, area: str, families: Mapping[str, Mapping[str, RealScenario]]) -> None:
        """Cut scenarios of each family where their area answers for it, and hold that they meet all that.

        On a busy machine something may be over before it is seen; so what was missed is tried again.
        """
        player = Player(self._awaits.source, self._awaits.places_of(area), policy=POLICY, handlers=HANDLERS)
        scenarios = [scenario for family in families.values() for scenario in family.values()]
        for _ in range(ATTEMPTS):
            found = await player.cut_everywhere(scenarios)
            if not self._awaits.missed(area, found):
                break
        self._awaits.check(area, found)

    async def cut_all(self, families: Mapping[str, Mapping[str, RealScenario]]) -> None:
        """Cut each scenario wherever anything waits."""
        for scenario in (one for family in families.values() for one in family.values()):
            await Player(self._awaits.source, policy=POLICY, handlers=HANDLERS).cut_everywhere([scenario])


@pytest.fixture
def cutter(monkeypatch: pytest.MonkeyPatch, awaits: Any) -> Cutter:
    """Give what plays and cuts; attempts that failed are repeated at once."""
    monkeypatch.setattr(assembly, "_draw", lambda: 0.0)
    # A module is imported once only; so each time a thread finds it imported.
    monkeypatch.setattr(importing, "sys", SimpleNamespace(modules={}))
    monkeypatch.setattr(stream, "_MOST_WAITING", 4)
    # Little is as much as it takes: few messages are the share of a turn, and few bytes fill a socket.
    for module in (share, stream):
        monkeypatch.setattr(module, "SHARE", 4)
    for module in (share, event_stream):
        monkeypatch.setattr(module, "SLICE", 256)
    monkeypatch.setattr(share, "_LINES", 16)
    monkeypatch.setattr(http_client, "_PIECE", 16 * 1024)
    monkeypatch.setattr(http_client, "FreshConnector", NarrowConnector)
    # Less patience, so that no play takes seconds.
    monkeypatch.setattr(stdio, "StdioTransport", HastyTransport)
    monkeypatch.setattr(sse, "SseTransport", partial(sse.SseTransport, farewell=0.1))
    return Cutter(awaits)
