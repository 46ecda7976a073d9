"""Eight threads call a process and an HTTP server at once; each gets its own replies and nothing is left."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop

from trunkline import Progress, Reply
from trunkline.sync import connect
from trunkline.testing import FakeServer

THREADS, ROUNDS = 8, 25


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Serve one fake as a process and one over HTTP, from a loop of its own."""
    child = FakeServer("child", eras=["legacy"])
    child.tool("echo", reports="arguments", progress=[(1, 1, None)])
    remote = FakeServer("remote")
    remote.tool("echo", reports="arguments", progress=[(1, 1, None)])
    ready, done = threading.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with remote.http(json=False) as url:
            urls.append(url)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    yield {"child": child.to_stdio_entry(tmp_path), "remote": {"url": urls[0]}}
    done.set()
    thread.join()


def test_eight_threads_at_once_get_their_own_replies_and_nothing_is_left(servers: dict[str, Any]) -> None:
    before = set(threading.enumerate())
    barrier = threading.Barrier(THREADS)

    with connect(servers) as trunk:

        def work(me: int) -> int:
            barrier.wait()
            for number in range(ROUNDS):
                for server in servers:
                    sent = {"thread": me, "number": number}
                    assert trunk.call(f"{server}.echo", sent, as_=dict[str, int]) == sent
                *progress, reply = trunk.stream("child.echo", {"thread": me})
                assert [type(event) for event in progress] == [Progress]
                assert isinstance(reply, Reply)
                assert reply.structured == {"thread": me}
            return trunk.start("remote.echo", {"thread": me}).result().structured["thread"]

        with ThreadPoolExecutor(THREADS) as pool:
            assert list(pool.map(work, range(THREADS))) == list(range(THREADS))
    assert set(threading.enumerate()) == before


def test_several_trunks_live_side_by_side(servers: dict[str, Any]) -> None:
    def work(me: int) -> Any:
        with connect(servers, require=["child"]) as trunk:
            return trunk.call("child.echo", {"me": me}).structured

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [{"me": me} for me in range(3)]
