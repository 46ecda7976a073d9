"""Every place at which a transport waits, cut short: by a cancellation, by a lost peer, by closing the trunk.

A scenario is played over and over; each time it is cut at the first turn of the loop at which somebody waits
where nobody was cut before, until a play meets no such place any more. `tests/simulation/test_every_await.py`
does the same, on virtual time, for what is above the transports, but for what it lists as waiting here only.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

import trunkline
from trunkline.runtime import assembly
from trunkline.testing import Ask, FakeServer, Fault
from trunkline.testing.cutting import Place, all_waiting_places, find_awaits, waiting_places
from trunkline.testing.network import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

SOURCE = Path(trunkline.__file__).parent
MOST_PLAYS = 200
LIMITS = {"limits": {"frame_bytes": 1 << 20}}
POLICY = {"servers": {"fake": LIMITS}, "defaults": {"max_restarts": 0, "connect": 10, "restart_delay": 0.01}}

Lose = Callable[[], object]


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts that failed be repeated at once."""
    monkeypatch.setattr(assembly, "_draw", lambda: 0.0)


class Stage(NamedTuple):
    """What a cut finds: the trunk, what ends its server's connections, and the task of whoever asks."""

    trunk: trunkline.Trunk
    lose: Lose
    task: asyncio.Task[Any]
    closing: list[asyncio.Task[None]]


def cancel(stage: Stage) -> None:
    stage.task.cancel()


def lose_the_peer(stage: Stage) -> None:
    stage.lose()


def close(stage: Stage) -> None:
    stage.closing.append(asyncio.get_running_loop().create_task(stage.trunk.aclose()))


Cut = Callable[[Stage], None]


@contextmanager
def before_each_turn(look: Callable[[], object]) -> Iterator[None]:
    """Call a function before each turn of the running loop."""
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    select = selector.select

    def looking(timeout: float | None = None) -> Any:
        look()
        return select(timeout)

    selector.select = looking
    try:
        yield
    finally:
        del selector.select


class Player:
    """Plays one scenario until everything in it was cut in one way."""

    def __init__(self, cut: Cut) -> None:
        self.done: set[Place] = set()
        """Where somebody was cut."""
        self._cut = cut
        self._has_cut = False

    async def play_all(self, scenario: Scenario) -> None:
        for _ in range(MOST_PLAYS):
            self._has_cut = False
            await self._play(scenario)
            if not self._has_cut:
                return
        raise AssertionError("there is always something new")

    async def _play(self, scenario: Scenario) -> None:
        async with (
            scenario.serve() as (entry, lose),
            trunkline.connect({"fake": entry}, policy=POLICY, handlers=HANDLERS, **scenario.options) as trunk,
        ):
            task = asyncio.ensure_future(scenario.work(trunk, lose))
            stage = Stage(trunk, lose, task, [])
            with before_each_turn(lambda: self._look(stage)):
                async with asyncio.timeout(20):
                    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not self._has_cut:
                assert outcome is None, outcome
            allowed = (trunkline.CallError, asyncio.CancelledError, TimeoutError, StopAsyncIteration)
            assert outcome is None or isinstance(outcome, allowed), outcome
            if stage.closing:
                await stage.closing[0]
            elif not scenario.final:
                await works_again(trunk)

    def _look(self, stage: Stage) -> None:
        if self._has_cut or stage.task.done():
            return
        if self._cut is cancel:
            found = set(waiting_places(stage.task, SOURCE))
        else:
            found = set(all_waiting_places(stage.task.get_loop(), SOURCE))
        if found - self.done:
            self.done |= found
            self._has_cut = True
            self._cut(stage)


async def works_again(trunk: trunkline.Trunk) -> None:
    for _ in range(100):
        try:
            reply = await trunk.call("fake.echo", {"n": 2}, timeout=5)
        except trunkline.CallError:
            await asyncio.sleep(0.02)
        else:
            assert "2" in reply.text
            return
    raise AssertionError("it never worked again")


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
    server.tool("busy", progress=[(n, 40, None) for n in range(40)], returns="done")
    server.tool("slow", delay=0.02, returns="done")
    server.tool("large", returns="x" * 300_000)
    server.tool("form", asks=[Ask.form("day", "Which day?", {"day": {"type": "string"}})], returns="told")
    server.tool("guess", asks=[Ask("q", "vendor/guess", {})], returns="told")
    server.resource("file:///a", "text")
    return server


async def use(trunk: trunkline.Trunk, _: Lose) -> None:
    """Call in all ways there are."""
    await trunk.ready()
    await trunk.call("fake.busy", on_progress=lambda _: None, timeout=10)
    await trunk.call_many([("fake.echo", {"n": n}) for n in range(3)], timeout=10)
    await trunk.call("fake.large", timeout=10)
    with suppress(trunkline.DeadlineExceededError):
        await trunk.call("fake.slow", timeout=0.005)
    await trunk.notify("fake", "vendor/news", timeout=10)


async def send_much(trunk: trunkline.Trunk, _: Lose) -> None:
    """Send more than a socket takes at once."""
    await trunk.call("fake.slow", {"text": "x" * 8_000_000}, timeout=10)


async def answer(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.call("fake.form", timeout=10)
    await trunk.call("fake.guess", timeout=10)


async def read_many_lines(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.call("fake.echo", {f"k{n}": n for n in range(1_500)}, timeout=10)


async def end(trunk: trunkline.Trunk, _: Lose) -> None:
    """Close the trunk while calls are in flight."""
    await trunk.call("fake.echo", {"n": 1}, timeout=10)
    trunk.start("fake.slow", timeout=10)
    trunk.start("fake.slow", timeout=10)
    await asyncio.sleep(0.005)
    await trunk.aclose()


async def start(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.call("fake.echo", {"n": 1}, timeout=10)
    with suppress(trunkline.DeadlineExceededError):
        await trunk.call("fake.slow", timeout=0.005)


async def start_again(trunk: trunkline.Trunk, lose: Lose) -> None:
    await trunk.call("fake.echo", {"n": 1}, timeout=10)
    lose()
    for _ in range(50):
        await asyncio.sleep(0.01)
        with suppress(trunkline.CallError):
            await trunk.call("fake.echo", {"n": 1}, timeout=10)
            return


async def end_without_a_session(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.ready()
    trunk.start("fake.lost", timeout=10)
    await asyncio.sleep(0.008)
    await trunk.aclose()


async def list_all(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.ready()


class Scenario(NamedTuple):
    serve: Callable[[], Any]
    work: Callable[[trunkline.Trunk, Lose], Awaitable[None]] = use
    final: bool = False
    """Whether nothing works afterwards."""
    options: dict[str, Any] = {}  # noqa: RUF012 - read only


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


@asynccontextmanager
async def proxied(url: str, **entry: Any) -> AsyncIterator[tuple[dict[str, Any], Lose]]:
    """Put a line that can be cut before a server."""
    port = port_of(url)
    async with Proxy(port) as proxy:
        yield {"url": url.replace(f":{port}", f":{proxy.port}"), **entry}, proxy.cut


def over_http(family: str, *, json: bool) -> Callable[[], Any]:
    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        async with make_server(family).http(json=json) as url, proxied(url) as found:
            yield found

    return serve


def over_websocket() -> Callable[[], Any]:
    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        async with make_server("modern").websocket(delay=0.001) as url, proxied(url) as found:
            yield found

    return serve


def over_older(*, known: bool, **options: Any) -> Callable[[], Any]:
    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        entry = {"type": "sse"} if known else {}
        async with make_server("legacy").sse(**options) as url, proxied(url, **entry) as found:
            yield found

    return serve


@asynccontextmanager
async def becoming_newer() -> AsyncIterator[Any]:
    """A server of the older transport, in whose place there is one of the newer once its line is cut."""
    server = make_server("legacy")
    async with server.sse() as older, server.http(path="/sse") as newer, Proxy(port_of(older)) as proxy:

        def replace() -> None:
            proxy._target = "127.0.0.1", port_of(newer)
            proxy.cut()

        yield {"url": f"http://127.0.0.1:{proxy.port}/sse"}, replace


def over_stdio(folder: Path, fault: Fault | None = None, **options: Any) -> Callable[[], Any]:
    """A process; what ends it finds it among the children of this one."""
    script = make_server("legacy", **options)
    if fault is not None:
        script.fault("resources/list", fault)
        script.fault("tools/list", Fault.delay(0.02))

    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        yield script.to_stdio_entry(folder), lambda: kill_servers(folder)

    return serve


def kill_servers(folder: Path) -> None:
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in listing.read_text().split():
            with suppress(OSError):
                if str(folder).encode() in Path("/proc", pid, "cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)


TOOLS = ("echo", "lost", "torn", "batch")


def number_of(message: Any) -> int:
    return int(message.get("id") or 0) if isinstance(message, dict) else 0


LOG = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
MANY = f"data: {LOG}\n\n" * 100 + ":\n" * 3_000


class Pieces:
    """A legacy server that answers in pieces, breaks its streams and lets them be taken up again."""

    def __init__(self) -> None:
        self.sessions = 0
        self.cut: set[Any] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            await asyncio.sleep(0.005)
            return web.Response(status=200)
        if request.method == "GET":
            return await self._get(request)
        message = await request.json()
        await asyncio.sleep(0.002)
        number = message.get("id")
        if message["method"] == "initialize":
            self.sessions += 1
        elif (
            request.headers.get("Mcp-Session-Id") != str(self.sessions)
            and message["method"] != "server/discover"
        ):
            return web.Response(status=404)
        match message["method"]:
            case "initialize":
                tools = {"tools": {}, "logging": {}}
                result: Any = {"protocolVersion": "2025-11-25", "capabilities": tools, "serverInfo": {}}
            case "tools/list":
                tools = [{"name": one, "inputSchema": {"type": "object"}} for one in TOOLS]
                result = {"tools": tools}
            case "tools/call":
                return await self._call(request, number, message["params"])
            case "logging/setLevel" | "ping":
                result = {}
            case "server/discover":
                return web.Response(status=400)
            case _:
                return web.Response(status=202)
        return await self._pieces(request, {"jsonrpc": "2.0", "id": number, "result": result})

    async def _call(self, request: web.Request, number: Any, params: Any) -> web.StreamResponse:
        name = params["name"]
        if name == "lost" and number not in self.cut:
            self.cut.add(number)
            self.sessions += 1
            return web.Response(status=404)
        content = [{"type": "text", "text": str(params.get("arguments"))}]
        reply = {"jsonrpc": "2.0", "id": number, "result": {"content": content}}
        if name == "batch":
            return await self._pieces(request, [*[json.loads(LOG)] * 100, reply], 200 + 200 * (number % 2))
        if name != "torn":
            return await self._pieces(request, reply)
        self.reply = reply
        return await self._stream(request, ["retry: 5\nid: a\ndata:\n\n"])

    async def _get(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        await asyncio.sleep(0.002)
        if last == "a":
            return await self._stream(request, ["retry: 5\nid: b\ndata:\n\n"])
        if last == "b":
            text = json.dumps(self.reply)
            return await self._stream(request, [MANY, f"data: {text}\n\n"])
        return await self._stream(request, ["retry: 5\n" + MANY])

    async def _stream(self, request: web.Request, events: list[str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await asyncio.sleep(0.002)
            await response.write(event.encode())
        await asyncio.sleep(0.002)
        return response

    async def _pieces(self, request: web.Request, message: Any, status: int = 200) -> web.StreamResponse:
        body = web.json_response(message).body
        assert isinstance(body, bytes)
        headers = {"Content-Type": "application/json", "Mcp-Session-Id": str(self.sessions)}
        response = web.StreamResponse(status=status, headers=headers)
        if number_of(message) % 2:
            response.content_length = len(body)
        await response.prepare(request)
        for piece in (body[:10], body[10:]):
            await asyncio.sleep(0.002)
            await response.write(piece)
        return response


@asynccontextmanager
async def in_pieces() -> AsyncIterator[Any]:
    pieces = Pieces()
    app = web.Application()
    app.router.add_route("*", "/mcp", pieces.handle)
    async with on_a_port(app) as port, proxied(f"http://127.0.0.1:{port}/mcp") as found:
        yield found


@asynccontextmanager
async def older_in_pieces() -> AsyncIterator[Any]:
    """A server of the older transport that says something to each post, in pieces."""
    async with make_server("legacy").sse(ids=True, retry_ms=1, cut_after=8, delay=0.001) as url:

        async def post(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            client = request.app["client"]
            async with client.post(f"{url.removesuffix('/sse')}{request.path}", data=body) as taken:
                response = web.StreamResponse(status=taken.status)
            await response.prepare(request)
            for _ in range(2):
                await asyncio.sleep(0.001)
                await response.write(b"Accepted")
            return response

        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            headers = {name: request.headers[name] for name in ("Last-Event-ID",) if name in request.headers}
            await response.prepare(request)
            with suppress(aiohttp.ClientError):
                async with request.app["client"].get(url, headers=headers) as source:
                    async for chunk in source.content.iter_any():
                        await response.write(chunk)
            return response

        async with aiohttp.ClientSession() as client:
            app = web.Application()
            app["client"] = client
            app.router.add_get("/sse", stream)
            app.router.add_post("/messages/{number}", post)
            async with on_a_port(app) as port, proxied(f"http://127.0.0.1:{port}/sse", type="sse") as found:
                yield found


@asynccontextmanager
async def on_a_port(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


async def lose_things(trunk: trunkline.Trunk, _: Lose) -> None:
    """Have a session lost under several calls, and a stream torn that can be taken up again."""
    await trunk.set_log_level("info")
    await trunk.ready()
    await trunk.call("fake.torn", timeout=10)
    await trunk.call_many([("fake.lost", {}), ("fake.echo", {"n": 1}), ("fake.echo", {"n": 3})], timeout=10)
    await asyncio.sleep(0.02)


async def read_batches(trunk: trunkline.Trunk, _: Lose) -> None:
    for _ in range(2):
        await trunk.call("fake.batch", timeout=10)


def scenarios(folder: Path) -> dict[str, Scenario]:
    json_modern, streams = over_http("modern", json=True), over_http("legacy", json=False)
    older = over_older(known=True, ids=True, retry_ms=1, cut_after=8, delay=0.001)
    logged = {"wire": lambda _: None}
    return {
        "json": Scenario(json_modern),
        "json, logged": Scenario(json_modern, options=logged),
        "json, much": Scenario(json_modern, send_much),
        "json, to its end": Scenario(json_modern, end, final=True),
        "event streams": Scenario(streams),
        "event streams, logged": Scenario(streams, options=logged),
        "event streams, with questions": Scenario(streams, answer),
        "event streams, to their end": Scenario(streams, end, final=True),
        "pieces": Scenario(in_pieces, lose_things),
        "pieces, in batches": Scenario(in_pieces, read_batches),
        "pieces, logged": Scenario(in_pieces, list_all, options=logged),
        "pieces, to their end": Scenario(in_pieces, end_without_a_session, final=True),
        "older": Scenario(older),
        "older, with questions": Scenario(older, answer),
        "older, in many lines": Scenario(over_older(known=True, lines=1_500), read_many_lines),
        "older, in pieces": Scenario(older_in_pieces, start),
        "older, to its end": Scenario(older_in_pieces, end, final=True),
        "older, to be found out": Scenario(over_older(known=False), start_again),
        "older, becoming newer": Scenario(becoming_newer, start_again),
        "websocket": Scenario(over_websocket()),
        "websocket, to its end": Scenario(over_websocket(), end, final=True),
        "stdio": Scenario(over_stdio(folder), start),
        "stdio, to its end": Scenario(over_stdio(folder), end, final=True),
        "stdio, once more": Scenario(over_stdio(folder, discover="exit"), start),
        "stdio, dying of a list": Scenario(over_stdio(folder, Fault.crash_before_reply), list_all),
    }


async def test_whatever_waits_in_a_transport_can_be_cancelled_and_lose_its_peer(tmp_path: Path):
    players = {cut: Player(cut) for cut in (cancel, lose_the_peer, close)}
    for scenario in scenarios(tmp_path).values():
        for player in players.values():
            await player.play_all(scenario)
    cancelled = players[cancel].done | players[close].done
    lost = players[lose_the_peer].done
    paths = sorted((SOURCE / "transport").glob("*.py"))
    found = [one for path in paths for one in find_awaits(path, SOURCE)]
    uncut = {str(one) for one in found if not (one.is_among(cancelled) and one.is_among(lost))}
    assert uncut == set()
