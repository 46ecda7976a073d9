"""Servers over networks that flood us are read less too, and what they answer still arrives."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.transport import http, sse, websocket
from trunkline.transport.pace import Pacing

WARMED = (http, sse, websocket)  # importing them takes longer than some tests may wait
pytestmark = pytest.mark.anyio

ALLOWED, FLOOD = 100, 1_500
NOISE = {"level": "info", "data": "x"}


class Rests:
    """What readers spent on messages and rested after them, in seconds, from the first flood on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spent = self.rested = 0.0
        rest = Pacing.rest

        async def watched(pacing: Pacing) -> None:
            spent, began = pacing.spent, asyncio.get_running_loop().time()
            await rest(pacing)
            if pacing.flooding:
                self.spent += spent
                self.rested += asyncio.get_running_loop().time() - began

        monkeypatch.setattr(Pacing, "rest", watched)


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> Rests:
    return Rests(monkeypatch)


def flooding() -> FakeServer:
    server = FakeServer("loud", eras=["legacy"], watchable=True)
    server.tool("echo", reports="arguments")
    server.tool("report", returns="reported", progress=[(n, FLOOD, None) for n in range(FLOOD)])
    return server


def connected(url: str, kind: str | None = None, **limits: Any) -> trunkline.Trunk:
    entry = {"url": url, **({"type": kind} if kind else {})}
    rules = {"limits": {"notifications": ALLOWED, **limits}, "health_check_interval": 0}
    return trunkline.connect({"loud": entry}, policy={"defaults": rules})


def served(server: FakeServer, transport: str) -> AbstractAsyncContextManager[str]:
    return {"http": server.http, "sse": server.sse, "websocket": server.websocket}[transport]()


@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
async def test_a_flood_on_a_standing_stream_is_read_a_small_part_of_the_time(transport: str, rests: Rests):
    server = flooding()
    async with (
        served(server, transport) as url,
        connected(url, "sse" if transport == "sse" else None) as trunk,
    ):
        await trunk.ready()
        watch = trunk.events(trunkline.LogMessage)
        if transport == "http":  # its own stream for what belongs to no request is opened by now, or soon
            while not len(watch._waiting):
                server.notify_log("info", "x")
                await asyncio.sleep(0.01)
        for _ in range(FLOOD):
            server.notify_log("info", "x")
        calls = [trunk.call("loud.echo", {"n": n}, timeout=30) for n in range(3)]
        replies = await asyncio.gather(*calls)
        assert [reply.value["n"] for reply in replies] == [0, 1, 2]
        async with asyncio.timeout(30):
            while trunk.status()["loud"].dropped_notifications + len(watch._waiting) < FLOOD // 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert rests.spent > 0
    assert rests.rested >= 10 * rests.spent


async def test_a_flood_on_the_stream_of_an_answer_is_read_a_small_part_of_the_time(rests: Rests):
    server = flooding()
    async with server.http(json=False) as url, connected(url) as trunk:
        assert (await trunk.call("loud.report", on_progress=lambda _: None, timeout=30)).text == "reported"
    assert rests.spent > 0
    assert rests.rested >= 10 * rests.spent


@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
async def test_answers_are_no_flood_however_many_come(transport: str, rests: Rests):
    server = flooding()
    async with (
        served(server, transport) as url,
        connected(url, "sse" if transport == "sse" else None) as trunk,
    ):
        await trunk.ready()
        for _ in range(3):
            await asyncio.gather(*(trunk.call("loud.echo", {"n": n}) for n in range(ALLOWED)))
    assert rests.rested == 0


@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
async def test_a_link_that_rests_closes_at_once(transport: str, monkeypatch: pytest.MonkeyPatch):
    server, resting = flooding(), asyncio.Event()

    async def rest_for_ever(_: Pacing) -> None:
        resting.set()
        await asyncio.Event().wait()

    async with (
        served(server, transport) as url,
        connected(url, "sse" if transport == "sse" else None) as trunk,
    ):
        await trunk.ready()
        monkeypatch.setattr(Pacing, "rest", rest_for_ever)
        async with asyncio.timeout(30):
            while not resting.is_set():
                for _ in range(ALLOWED):
                    server.notify_log("info", "x")
                await asyncio.sleep(0.01)
            await trunk.aclose()
