"""The control socket: what a client gets through it is what the runtime itself gives."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

import trunkline
from trunkline.core.call import Progress
from trunkline.errors import (
    AmbiguousNameError,
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentsError,
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
    TrunklineError,
    UnavailableError,
)
from trunkline.runtime.control_client import AttachedTrunk
from trunkline.runtime.control_link import ControlLink
from trunkline.runtime.control_server import ControlServer
from trunkline.testing import FakeServer, Fault, TaskScript

pytestmark = pytest.mark.anyio

DIGEST = "d" * 64
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def offer(name: str) -> FakeServer:
    server = FakeServer(name)
    server.tool("echo", schema=TEXT, description="Give the text back.", reports="arguments")
    server.tool("rude", rpc_error=(-32000, "out of order", {"shelf": [1, 2]}))
    server.tool("slow", delay=60, progress=[(1, 4, "first"), (2, 4, None)])
    server.tool("big", returns="x" * 300_000)
    server.tool("build", returns="built", task=TaskScript(support="required"))
    return server


@pytest.fixture
def path() -> Iterator[str]:
    """Give a path short enough for a socket."""
    folder = tempfile.mkdtemp(prefix="tl-")
    yield f"{folder}/c.sock"
    shutil.rmtree(folder)


@asynccontextmanager
async def served(path: str, **servers: Any) -> AsyncIterator[tuple[trunkline.Trunk, ControlServer]]:
    async with trunkline.connect(servers) as trunk:
        control = ControlServer(trunk, digest=DIGEST)
        async with control.listening(path):
            yield trunk, control


async def link_to(path: str, digest: str = DIGEST) -> ControlLink:
    return await asyncio.to_thread(ControlLink.open, path, digest)


@asynccontextmanager
async def attached(path: str, *servers: str) -> AsyncIterator[AttachedTrunk]:
    async with AttachedTrunk(await link_to(path), servers) as trunk:
        yield trunk


async def outcome(work: Any) -> Any:
    try:
        return await work
    except TrunklineError as error:
        return error


def facts(result: Any) -> Any:
    """Give what must be the same whoever was asked: everything but times and numbers of calls."""
    if isinstance(result, BaseException):
        kept = {key: value for key, value in vars(result).items() if key not in ("call_id", *TIMES)}
        assert getattr(result, "timing", None) is None or result.timing.total == result.elapsed
        return type(result), str(result), kept, facts(result.__cause__)
    if isinstance(result, trunkline.Reply):
        return (
            msgspec.structs.replace(result, call_id="", elapsed=0.0, timing=None),
            result.text,
            result.value,
        )
    return result


TIMES = ("elapsed", "timing")
CALLS: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "reply": ("a.echo", {"text": "hüllo \u202e"}, None),
    "bare name": ("only", {}, None),
    "large reply": ("a.big", {}, None),
    "invalid arguments": ("a.echo", {"text": 1}, None),
    "missing argument": ("a.echo", {}, None),
    "unknown tool": ("a.ecko", {}, None),
    "unknown server": ("c.echo", {}, None),
    "ambiguous": ("echo", {"text": "x"}, None),
    "JSON-RPC error": ("a.rude", {}, None),
    "deadline": ("a.slow", {}, 0.2),
    "server that cannot be started": ("gone.x", {}, None),
    "bad entry": ("bad.x", {}, None),
    "lost in the call": ("dies.echo", {"text": "x"}, None),
}


def world() -> dict[str, Any]:
    dying = offer("dies")
    dying.fault("echo", Fault.crash_before_reply)
    other = FakeServer("b")
    other.tool("echo", schema=TEXT, reports="arguments")
    other.tool("only", returns={"n": 2**70, "deep": [[None, 1.5]]})
    return {
        "a": offer("a"),
        "b": other,
        "dies": dying,
        "gone": {"command": "trunkline-test-no-such-command"},
        "bad": {"command": "x", "env": {"T": "${TRUNKLINE_TEST_UNSET}"}},
    }


async def test_a_task_is_made_found_awaited_and_cancelled_through_the_socket(path: str) -> None:
    async with served(path, **world()) as (trunk, _), attached(path, "a", "b") as remote:
        await trunk.ready()
        word = str(await remote.start_task("a.build"))
        assert word.startswith("a/build/")
        found = await remote.task(word)
        assert found.task == msgspec.structs.replace((await trunk.task(word)).task, status="working")
        assert (await found.wait(10)).text == "built"
        assert (await remote.start_task("a.echo", {"text": "x"})).done
        other = await remote.start_task("a.build")
        await other.cancel()
        assert (await other.refresh()).status == "cancelled"
        for asked in (remote.task("a/build/unknown"), remote.task("nonsense"), remote.task("gone/x/1")):
            assert isinstance(await outcome(asked), NotFoundError | InvalidArgumentsError)


@pytest.mark.parametrize("case", CALLS)
async def test_a_call_ends_the_same_through_the_socket(path: str, case: str) -> None:
    tool, arguments, timeout = CALLS[case]
    async with served(path, **world()) as (trunk, _):
        await trunk.ready()
        direct = await outcome(trunk.call(tool, arguments, timeout=timeout))
    async with served(path, **world()) as (trunk, _), attached(path, *trunk.status()) as remote:
        await trunk.ready()
        through = await outcome(remote.call(tool, arguments, timeout=timeout))
    assert facts(through) == facts(direct)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("invalid arguments", InvalidArgumentsError),
        ("unknown tool", NotFoundError),
        ("ambiguous", AmbiguousNameError),
        ("JSON-RPC error", ServerError),
        ("deadline", DeadlineExceededError),
        ("bad entry", UnavailableError),
        ("lost in the call", OutcomeUnknownError),
    ],
)
async def test_an_error_keeps_its_class(path: str, case: str, kind: type[TrunklineError]) -> None:
    tool, arguments, timeout = CALLS[case]
    async with served(path, **world()) as (trunk, _), attached(path, *trunk.status()) as remote:
        error = await outcome(remote.call(tool, arguments, timeout=timeout))
    assert type(error) is kind
    if case == "bad entry":
        assert isinstance(error.__cause__, ConfigError)
        assert error.__cause__.field == "env.T"


async def test_lists_search_and_status_are_the_runtimes_own(path: str) -> None:
    async with served(path, **world()) as (trunk, _), attached(path, *trunk.status()) as remote:
        await remote.ready(timeout=10)
        assert remote.catalog.tools == trunk.catalog.tools
        assert remote.catalog.servers == trunk.catalog.servers
        assert await remote.search("give text") == await trunk.search("give text")
        mine = {name: (one.state, one.last_error, one.hint) for name, one in remote.status().items()}
        assert mine == {name: (one.state, one.last_error, one.hint) for name, one in trunk.status().items()}
        with pytest.raises(ConfigError, match="TRUNKLINE_TEST_UNSET"):
            await remote.ready("bad")
        assert remote.catalog.tools == trunk.catalog.tools


async def test_a_client_of_one_server_sees_no_other(path: str) -> None:
    async with served(path, **world()) as (_, _), attached(path, "b") as remote:
        await remote.ready()
        assert {tool.server for tool in remote.catalog.tools} == {"b"}
        assert list(remote.status()) == ["b"]
        assert (await remote.call("echo", {"text": "x"})).server == "b"
        error = await outcome(remote.call("a.echo", {"text": "x"}))
        assert isinstance(error, NotFoundError)
        assert "a" not in error.candidates
        with pytest.raises(NotFoundError):
            await remote.ready("a")


async def test_a_server_name_within_another_is_resolved_among_the_servers_asked_for(path: str) -> None:
    inner, outer = FakeServer("db"), FakeServer("db.x")
    inner.tool("x.t", returns="inner")
    outer.tool("t", returns="outer")
    async with served(path, **{"db": inner, "db.x": outer}) as (_, _):
        async with attached(path, "db") as remote:
            assert (await remote.call("db.x.t")).text == "inner"
        async with attached(path, "db", "db.x") as remote:
            assert (await remote.call("db.x.t")).text == "outer"


async def test_progress_arrives_in_order_before_the_reply(path: str) -> None:
    server = FakeServer("a")
    server.tool("steps", returns="done", progress=[(n, 5, f"step {n}") for n in range(1, 6)])
    seen: list[Progress] = []

    async def slowly(progress: Progress) -> None:
        await asyncio.sleep(0)
        seen.append(progress)

    async with served(path, a=server) as (_, _), attached(path, "a") as remote:
        reply = await remote.call("a.steps", on_progress=slowly)
        assert reply.text == "done"
        assert [(one.progress, one.total, one.message) for one in seen] == [
            (n, 5, f"step {n}") for n in range(1, 6)
        ]
        await remote.call("a.steps", on_progress=seen.append)
        assert len(seen) == 10


@pytest.mark.parametrize("how", ["cancel", "vanish"])
async def test_a_client_that_goes_cancels_its_call_at_the_server(path: str, how: str) -> None:
    server = offer("a")
    async with served(path, a=server) as (_, control):
        link = await link_to(path)
        async with AttachedTrunk(link, ("a",)) as remote:
            call = asyncio.create_task(remote.call("a.slow"))
            await server.wait_for(lambda ledger: len(ledger.calls) == 1)
            if how == "cancel":
                call.cancel()
            else:
                link.link.shutdown(socket.SHUT_RDWR)
            gone = await asyncio.gather(call, return_exceptions=True)
        assert isinstance(gone[0], asyncio.CancelledError if how == "cancel" else OutcomeUnknownError)
        await server.wait_for(lambda ledger: ledger.calls[0].cancelled)
        async with asyncio.timeout(5):
            await control.wait_idle(0.0)


async def test_a_parted_client_has_its_call_cancelled_already(path: str) -> None:
    server = offer("a")
    async with served(path, a=server) as (_, _):
        async with attached(path, "a") as remote:
            call = asyncio.create_task(remote.call("a.slow"))
            await server.wait_for(lambda ledger: len(ledger.calls) == 1)
            call.cancel()
        await server.wait_for(lambda ledger: ledger.calls[0].cancelled, timeout=1.0)


async def test_calls_of_one_connection_run_side_by_side(path: str) -> None:
    async with served(path, a=offer("a")) as (_, _), attached(path, "a") as remote:
        slow = asyncio.create_task(remote.call("a.slow"))
        replies = await asyncio.gather(*(remote.call("a.echo", {"text": str(n)}) for n in range(50)))
        assert [reply.text for reply in replies] == [f'{{"text": "{n}"}}' for n in range(50)]
        slow.cancel()
        await asyncio.wait({slow})


async def test_another_configuration_or_version_is_refused(path: str) -> None:
    async with served(path, a=offer("a")) as (_, _):
        with pytest.raises(ConfigError, match="configuration is another"):
            await link_to(path, "e" * 64)
        for line in (b'{"type":"hello","id":0,"version":99,"digest":"x"}\n', b"GET / HTTP/1.1\n", b"{}\n"):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(line)
            async with asyncio.timeout(5):
                answer = await reader.read()
            assert b"welcome" not in answer
            writer.close()
            await writer.wait_closed()
        (await link_to(path)).close()


async def test_garbage_after_the_welcome_costs_that_client_only(path: str) -> None:
    async with served(path, a=offer("a")) as (_, _), attached(path, "a") as other:
        link = await link_to(path)
        link.link.sendall(b'{"type":"call"}\n')
        assert await asyncio.to_thread(link.link.recv, 1) == b""
        link.close()
        assert (await other.call("a.echo", {"text": "x"})).attempts == 1


async def test_the_socket_is_for_its_user_alone(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(path, a=offer("a")) as (_, _):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        me = os.geteuid()
        monkeypatch.setattr("trunkline.runtime.control_peer.os.geteuid", lambda: me + 1)
        with pytest.raises(OSError, match="another user"):
            await link_to(path)
        link = socket.socket(socket.AF_UNIX)
        link.connect(path)
        link.settimeout(5)
        assert await asyncio.to_thread(link.recv, 1) == b""
        link.close()


async def test_draining_lets_a_short_call_end_and_cuts_a_long_one(path: str) -> None:
    server = FakeServer("a")
    gate = asyncio.Event()

    async def gated() -> str:
        await gate.wait()
        return "done"

    server.tool("gated")(gated)
    server.tool("slow", delay=60)
    async with served(path, a=server) as (_, control):
        async with attached(path, "a") as remote:
            short = asyncio.create_task(remote.call("a.gated"))
            await server.wait_for(lambda ledger: len(ledger.calls) == 1)
            draining = asyncio.create_task(control.drain(30))
            await asyncio.sleep(0)
            error = await outcome(remote.call("a.slow"))
            assert isinstance(error, UnavailableError)
            assert error.delivery == "never_sent"
            with pytest.raises(ConfigError):
                await link_to(path)
            assert not draining.done()
            gate.set()
            assert (await short).text == "done"
            async with asyncio.timeout(5):
                await draining
        assert len(server.calls) == 1


async def test_draining_gives_up_on_a_long_call(path: str) -> None:
    server = offer("a")
    async with served(path, a=server) as (_, control), attached(path, "a") as remote:
        long = asyncio.create_task(remote.call("a.slow"))
        await server.wait_for(lambda ledger: len(ledger.calls) == 1)
        async with asyncio.timeout(10):
            await control.drain(0.05)
        assert not long.done()
        long.cancel()
        await asyncio.wait({long})


async def test_a_client_asks_the_process_to_end(path: str) -> None:
    async with served(path, a=offer("a")) as (_, control):
        link = await link_to(path)
        await asyncio.to_thread(link.ask_to_end)
        link.close()
        assert control.shutdown.is_set()


async def test_idle_time_counts_from_the_last_client(path: str) -> None:
    async with served(path, a=offer("a")) as (_, control):
        link = await link_to(path)
        waiting = asyncio.create_task(control.wait_idle(0.0))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done, "a connected client is use"
        link.close()
        async with asyncio.timeout(10):
            await waiting
