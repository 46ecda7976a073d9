"""Whatever waits for commands of the user, for files and for the store, cut short at every such place."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

import trunkline
from trunkline.runtime import folder_watch, live_files, remembering
from trunkline.runtime.control_asking import forwarding
from trunkline.runtime.control_client import AttachedTrunk
from trunkline.runtime.control_link import ControlLink
from trunkline.runtime.control_messages import VERSION, Hello, Logs, Restart
from trunkline.runtime.control_server import ControlServer
from trunkline.runtime.memory_key import Material
from trunkline.store.port import MemoryStore
from trunkline.store.sqlite_replies import DiskReplies
from trunkline.testing import TaskScript
from trunkline.testing.player import RealScenario
from trunkline.testing.stage import Lose

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

MUCH = "x" * 600_000


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder with a path short enough for sockets, which are made there."""
    found = tempfile.mkdtemp(prefix="tl-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", found)
    yield Path(found)
    shutil.rmtree(found)


class Desk:
    """Serves runtimes over control sockets that can be cut."""

    def __init__(self, folder: Path, places: Any) -> None:
        self.path = str(folder / "c.sock")
        self._places = places
        self._open: set[asyncio.BaseTransport] = set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Any]:
        """Serve over memory; what is lost is the control socket."""
        server = self._places.make_server("modern")
        server.prompt("greet", "Hello")
        server.tool("much", returns=MUCH)
        server.tool("build", returns="built", task=TaskScript(polls=1, support="required", poll_ms=5))
        yield server, self.cut

    def cut(self) -> None:
        for transport in self._open:
            transport.abort()  # type: ignore[attr-defined]

    @asynccontextmanager
    async def listening(self, trunk: trunkline.Trunk) -> AsyncIterator[ControlServer]:
        control = ControlServer(trunk, digest="d")
        async with control.listening(self.path):
            yield control

    @asynccontextmanager
    async def attached(self, path: str = "", **handlers: Any) -> AsyncIterator[AttachedTrunk]:
        """Attach a client, without a thread for its greeting; at another path to inspect only."""
        loop = asyncio.get_running_loop()
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.setblocking(False)
            await loop.sock_connect(link, path or self.path)
            hello = Hello(id=0, version=VERSION, digest="d", inspects=bool(path))
            await loop.sock_sendall(link, msgspec.json.encode(hello) + b"\n")
            await loop.sock_recv(link, 4096)
            client = AttachedTrunk(ControlLink(link, 0), ["fake"], trunkline.Handlers(**handlers))
            async with client:
                self._open = {client._writer.transport}
                yield client
        finally:
            link.close()

    async def ask(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """Ask all there is to ask."""

        async def note(_: trunkline.Progress) -> None:
            await asyncio.sleep(0.005)

        async with self.listening(trunk), self.attached() as client:
            await client.ready()
            await client.refresh_status()
            await client.call("fake.busy", on_progress=note, timeout=10)
            await client.read("file:///a", timeout=10)
            await client.get_prompt("greet", timeout=10)
            with suppress(trunkline.CallError):
                await client.ready("ghost")

    async def say_much(self, trunk: trunkline.Trunk, _: Lose) -> None:
        async with self.listening(trunk), self.attached() as client:
            await client.call("fake.much", timeout=10)
            await client.call("fake.slow", {"x": MUCH}, timeout=10)

    async def follow_tasks(self, trunk: trunkline.Trunk, _: Lose) -> None:
        async with self.listening(trunk), self.attached() as client:
            started = await client.start_task("fake.build", timeout=10)
            await (await client.task(str(started), timeout=10)).wait(10)
            await client.start_task("fake.slow", timeout=10)
            other = await client.start_task("fake.build", timeout=10)
            await other.cancel(10)

    async def inspect(self, trunk: trunkline.Trunk, _: Lose) -> None:
        async with self.listening(trunk), self.attached() as client:
            await client.ready()
            after = trunk._insight.logs.newest
            asking = begin(client._ask(Logs(id=100, after=after, wait=5), 10))
            await asyncio.sleep(0.005)
            await client._ask(Restart(id=101, server="fake", grace=1, timeout=5), 10)
            await asking

    async def follow_logs(self, trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.ready()
        lines = trunk.follow_logs()
        restarting = begin(trunk.restart("fake", grace=1))
        await anext(lines)
        await lines.aclose()
        await restarting

    async def answer(self, trunk: trunkline.Trunk, _: Lose) -> None:
        async def elicit(_: trunkline.ElicitRequest) -> trunkline.ElicitResult:
            await asyncio.sleep(0.005)
            return trunkline.ElicitResult.accept({"day": "today"})

        async with self.listening(trunk), self.attached(elicit=elicit) as client:
            await client.search("echo")
            await client.call("fake.form", timeout=10)

    async def answer_too_late(self, trunk: trunkline.Trunk, _: Lose) -> None:
        async def elicit(_: trunkline.ElicitRequest) -> trunkline.ElicitResult:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.005)
            return trunkline.ElicitResult.decline()

        async with self.listening(trunk), self.attached(elicit=elicit) as client:
            with suppress(trunkline.DeadlineExceededError):
                await client.call("fake.form", timeout=0.05)

    async def end(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """End the control socket while it is in use, and once it is not."""
        async with self.listening(trunk) as control:
            async with self.attached() as client:
                calling = begin(client.call("fake.slow", timeout=10))
                await asyncio.sleep(0.005)
                await control.drain(5)
                with suppress(trunkline.CallError):
                    await calling
            control.note_quiet()
            await control.wait_idle(0.02)

    async def part(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """Part while something is asked."""
        async with self.listening(trunk), self.attached() as client:
            begin(client.call("fake.slow", timeout=10))
            await asyncio.sleep(0.005)

    async def host(self, _: trunkline.Trunk, __: Lose) -> None:
        """Open a runtime that has a control socket of its own, and close it in use."""
        server = self._places.make_server("modern")
        async with trunkline.connect({"fake": server}, control="test") as trunk:
            (path,) = Path(self.path).parent.glob("trunkline/*.ctl")
            async with self.attached(str(path)):
                await trunk.aclose()


def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """Begin what nobody may come to wait for."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def control_scenarios(places: Any, folder: Path) -> dict[str, dict[str, RealScenario]]:
    desk = Desk(folder, places)
    asking = {"handlers": forwarding()}
    return {
        "modern": {
            "asks": RealScenario(desk.serve, desk.ask),
            "says much": RealScenario(desk.serve, desk.say_much),
            "follows tasks": RealScenario(desk.serve, desk.follow_tasks),
            "inspects": RealScenario(desk.serve, desk.inspect),
            "follows logs": RealScenario(desk.serve, desk.follow_logs),
            "answers": RealScenario(desk.serve, desk.answer, options=asking),
            "answers too late": RealScenario(desk.serve, desk.answer_too_late, options=asking),
            "ends": RealScenario(desk.serve, desk.end),
            "parts": RealScenario(desk.serve, desk.part),
            "hosts": RealScenario(desk.serve, desk.host),
        }
    }


async def test_whatever_waits_for_a_command_of_the_user_can_be_cancelled_and_lose_it(
    cutter: Any, places: Any, folder: Path
):
    await cutter.cut("control", control_scenarios(places, folder))


class Files:
    """A configuration that is followed; what is lost is its file."""

    def __init__(self, folder: Path, places: Any) -> None:
        self._file = folder / "mcp.json"
        self._places = places

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Any]:
        yield self._places.make_server("modern"), lambda: self._file.unlink(missing_ok=True)

    def write(self, **servers: Any) -> None:
        self._file.write_text(json.dumps({"mcpServers": servers}))

    async def follow(self, _: trunkline.Trunk, __: Lose) -> None:
        """Follow what changes, and what is half written."""
        self.write()
        async with trunkline.connect(self._file, watch=True) as trunk:
            events = trunk.events(trunkline.ConfigChanged)
            self.write(other={"command": "trunkline-test-no-such-command"})
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await anext(events)
            self._file.write_text("")
            await asyncio.sleep(0.1)


async def test_whatever_waits_for_a_file_can_be_cancelled_and_lose_it(
    cutter: Any, places: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live_files, "QUIET", 0.01)
    monkeypatch.setattr(live_files, "PATIENCE", 0.05)
    monkeypatch.setattr(folder_watch, "_STEP_MS", 10)
    files = Files(folder, places)
    await cutter.cut("files", {"modern": {"follows": RealScenario(files.serve, files.follow)}})


class SlowStore(MemoryStore):
    """Takes its time over each memory."""

    def put(self, key: str, value: bytes) -> None:
        time.sleep(0.02)
        super().put(key, value)


class Shelf:
    """Answers that are kept on disk; what is lost is what the file holds."""

    def __init__(self, folder: Path, places: Any) -> None:
        self._folder = folder
        self._places = places

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Any]:
        yield self._places.make_server("modern"), self.spoil

    def spoil(self) -> None:
        with suppress(FileNotFoundError), open(self._folder / "replies.sqlite", "r+b") as file:
            file.write(b"x" * 4096)

    async def keep(self, trunk: trunkline.Trunk, _: Lose) -> None:
        """Keep an answer, although the server is an object in this process, and forget it."""
        caching = trunk._caching
        caching._materials["fake"] = Material(server=b"fake", context=b"")
        caching._places._open["memory"] = DiskReplies(self._folder)
        await trunk.call("fake.slow", timeout=10)
        await asyncio.sleep(0.1)
        await trunk.call("fake.slow", timeout=10)
        await trunk.cache.clear("fake.*")
        await trunk.aclose()


async def test_whatever_waits_for_the_store_can_be_cancelled_and_lose_its_server(
    cutter: Any, places: Any, works: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(remembering, "_GATHER", 0.02)
    monkeypatch.setattr(remembering, "_FAREWELL", 0.02)
    serve = places.behind(lambda: places.make_server("modern").http(json=True))
    options = {"store": SlowStore()}
    shelf = Shelf(folder / "replies", places)
    kept = {"policy": {"tools": {"fake.slow": {"read_only": True, "cache": {"ttl": 0.05}}}}}
    scenarios = {
        "ends": RealScenario(serve, works.end, options=options, final=True),
        "keeps on disk": RealScenario(shelf.serve, shelf.keep, options=kept, final=True),
    }
    await cutter.cut("store", {"modern": scenarios})
