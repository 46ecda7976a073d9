"""Calls as a program with strict types sees them; checked by mypy, never run."""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict, assert_type

import msgspec

import trunkline
import trunkline.sync
from trunkline import Handle, Log, Principal, Progress, Reply, TrunklineError
from trunkline.runtime.stream import Event


class Weather(msgspec.Struct):
    city: str


@dataclasses.dataclass
class Forecast:
    city: str


class Report(TypedDict):
    city: str


async def call(trunk: trunkline.Trunk) -> None:
    assert_type(await trunk.call("weather.now"), Reply)
    assert_type(await trunk.call("weather.now", {"city": "Rome"}, timeout=5, on_progress=print), Reply)
    assert_type(await trunk.call("weather.now", as_=Weather), Weather)
    assert_type(await trunk.call("weather.now", as_=Forecast), Forecast)
    assert_type(await trunk.call("weather.now", as_=Report), Report)
    assert_type(await trunk.call("weather.now", as_=str), str)
    assert_type(await trunk.call("weather.now", as_=list[Weather]), list[Weather])
    assert_type(await trunk.call("weather.now", as_=int | str), Any)
    assert_type(await trunk.call_many([("weather.now", {})]), list[Reply | TrunklineError])


async def start(trunk: trunkline.Trunk) -> None:
    handle = trunk.start("weather.now")
    assert_type(handle, Handle)
    assert_type(await handle, Reply)
    assert_type(await handle.result(), Reply)
    assert_type(handle.done, bool)
    assert_type(handle.call_id, str)
    assert_type(handle.cancel("enough"), bool)
    async for report in handle.progress:
        assert_type(report, Progress)


async def stream(trunk: trunkline.Trunk) -> None:
    async for event in trunk.stream("weather.now", {"city": "Rome"}, log_level="debug"):
        assert_type(event, Event)
        match event:
            case Progress():
                assert_type(event.total, float | None)
            case Log():
                assert_type(event.data, Any)
            case Reply():
                assert_type(event.text, str)


async def tool(trunk: trunkline.Trunk) -> None:
    weather = trunk.tool("now", timeout=5)
    assert_type(await weather("Rome", days=3), Reply)
    assert_type(weather.__name__, str)
    with trunk.acting_as(Principal(name="alice")):
        await weather("Rome")


def blocking() -> None:
    with trunkline.sync.connect("mcp.json", client_info={"name": "app", "version": "1"}) as trunk:
        assert_type(trunk, trunkline.sync.Trunk)
        assert_type(trunk.call("weather.now"), Reply)
        assert_type(trunk.call("weather.now", as_=Weather), Weather)
        assert_type(trunk.start("weather.now").result(), Reply)
        assert_type(trunk.tool("now")("Rome"), Reply)
        for event in trunk.stream("weather.now"):
            assert_type(event, Event)
        for report in trunk.start("weather.now").progress:
            assert_type(report, Progress)


async def watch(trunk: trunkline.Trunk) -> None:
    async for event in trunk.events():
        assert_type(event, trunkline.Event)
    async for change in trunk.events(trunkline.ListChanged):
        assert_type(change.added, tuple[str, ...])
    async with await trunk.subscribe("file:///a") as updates:
        async for update in updates:
            assert_type(update, trunkline.ResourceUpdated)
    await trunk.set_log_level("info", "server")


def watch_blocking(trunk: trunkline.sync.Trunk) -> None:
    for change in trunk.events(trunkline.ListChanged):
        assert_type(change.removed, tuple[str, ...])
    with trunk.subscribe("file:///a") as updates:
        for update in updates:
            assert_type(update.uri, str)


@trunkline.retry(on=OSError)
async def fetch(url: str, *, size: int = 1) -> bytes:
    return url.encode() * size


async def retried() -> None:
    assert_type(await fetch("x", size=2), bytes)
    async for attempt in trunkline.retry(attempts=2, on=(OSError, TimeoutError)):
        with attempt:
            assert_type(attempt.number, int)
