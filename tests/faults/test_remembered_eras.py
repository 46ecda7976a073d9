"""What an earlier run found of a server is tried first; where it is wrong, that costs no failure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline import MemoryStore
from trunkline.connection import probing
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

MODERN, LEGACY = "2026-07-28", "2025-11-25"


def speaking(*eras: Any, **options: Any) -> FakeServer:
    server = FakeServer(eras=eras, **options)
    server.tool("echo", reports="arguments")
    return server


class Runs:
    """One program run again and again: each run opens a trunk on the entry, with the same store."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    async def run(self, entry: Mapping[str, Any], **policy: Any) -> tuple[str, list[str]]:
        """Give the era that a call was made in, and every state of the server up to then."""
        rules = {"servers": {"fake": {"connect": 20, **policy}}}
        async with trunkline.connect({"fake": entry}, store=self.store, policy=rules) as trunk:
            watch = trunk.events(trunkline.ServerChanged)
            reply = await trunk.call("fake.echo", {"n": 1})
            await trunk.ready()
            status = trunk.status()["fake"]
        assert (status.state, status.restarts, status.last_error) == ("ready", 0, None)
        async with aclosing(states(watch)) as found:
            return reply.era or "", [state async for state in found]


async def states(watch: Any) -> Any:
    async for event in watch:
        yield event.state


def methods(server: FakeServer, folder: Path, start: int) -> list[str]:
    """Give the opening requests of one start of a process, counted from 0."""
    journal = server.journal(folder)
    lines = [line for line in journal._lines() if line["pid"] == journal.pids[start]]
    found = [line["method"] for line in lines if line["event"] == "received"]
    return [method for method in found if method in ("server/discover", "initialize")]


@pytest.mark.parametrize(
    ("eras", "era", "request_"),
    [(("legacy",), LEGACY, "initialize"), (("legacy", "modern"), MODERN, "server/discover")],
)
async def test_the_remembered_era_is_asked_for_and_no_other(
    tmp_path: Path, eras: Any, era: str, request_: str
):
    server, runs = speaking(*eras), Runs()
    entry = server.to_stdio_entry(tmp_path)
    assert (await runs.run(entry))[0] == (await runs.run(entry))[0] == era
    assert methods(server, tmp_path, 1) == [request_]


async def test_a_legacy_server_that_ends_at_the_probe_is_started_once_when_it_is_known(tmp_path: Path):
    server, runs = speaking("legacy", discover="exit"), Runs()
    entry = server.to_stdio_entry(tmp_path)
    for _ in range(2):
        assert (await runs.run(entry))[0] == LEGACY
    assert len(server.journal(tmp_path).pids) == 3


CHANGES = [
    pytest.param(speaking("legacy"), speaking("modern"), MODERN, id="legacy, now modern"),
    pytest.param(speaking("legacy"), speaking("legacy", "modern"), LEGACY, id="legacy, now both"),
    pytest.param(speaking("modern"), speaking("legacy"), LEGACY, id="modern, now legacy"),
    pytest.param(
        speaking("modern"), speaking("legacy", discover="exit"), LEGACY, id="modern, now exits at discovery"
    ),
    pytest.param(
        speaking("modern"),
        speaking("legacy", discover="silent"),
        LEGACY,
        id="modern, now silent there",
    ),
]


@pytest.mark.parametrize(("before", "after", "era"), CHANGES)
async def test_a_process_that_speaks_another_era_now_is_connected_in_the_same_start(
    tmp_path: Path, before: FakeServer, after: FakeServer, era: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(probing, "_MEMORY_PATIENCE", 0.3)
    runs = Runs()
    await runs.run(before.to_stdio_entry(tmp_path))
    entry = after.to_stdio_entry(tmp_path)
    found, seen = await runs.run(entry)
    assert (found, seen[:2]) == (era, ["connecting", "ready"])
    assert {*seen} <= {"connecting", "ready", "stopped"}


@pytest.mark.parametrize("fault", [Fault.crash_before_reply, Fault.hang], ids=["exits", "is silent"])
async def test_a_modern_process_that_does_not_take_the_handshake_it_had_is_asked_anew(
    tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(probing, "_MEMORY_PATIENCE", 0.3)
    runs = Runs()
    await runs.run(speaking("legacy").to_stdio_entry(tmp_path))
    after = speaking("modern")
    after.fault("initialize", fault)
    found, seen = await runs.run(after.to_stdio_entry(tmp_path))
    assert (found, seen[:2]) == (MODERN, ["connecting", "ready"])


@pytest.mark.parametrize(
    ("before", "after", "era"), [(("legacy",), ("modern",), MODERN), (("modern",), ("legacy",), LEGACY)]
)
async def test_a_url_that_speaks_another_era_now_is_connected_in_the_same_start(
    before: Any, after: Any, era: str
):
    runs = Runs()
    first = await speaking(*before).listen()
    await runs.run({"url": first.url})
    await first.stop()
    second = await speaking(*after).listen(port=first.port)
    try:
        found, seen = await runs.run({"url": second.url})
    finally:
        await second.stop()
    assert (found, seen[:2]) == (era, ["connecting", "ready"])


async def test_a_url_whose_handshake_hangs_now_is_asked_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probing, "_REQUEST_PATIENCE", 0.2)
    runs = Runs()
    first = await speaking("legacy").listen()
    await runs.run({"url": first.url})
    await first.stop()
    server = speaking("modern")
    server.fault("initialize", Fault.hang)
    second = await server.listen(port=first.port)
    try:
        assert (await runs.run({"url": second.url}))[0] == MODERN
    finally:
        await second.stop()


def probed(server: FakeServer) -> list[bool]:
    """Tell of each handshake whether something else was asked before, which a legacy URL refuses unread."""
    return [one.request_id != 1 for one in server.ledger.of("initialize")]


async def test_a_known_legacy_url_is_not_asked_for_anything_else():
    server, runs = speaking("legacy"), Runs()
    async with server.http() as url:
        for _ in range(2):
            await runs.run({"url": url})
    assert probed(server) == [True, False]


async def test_a_url_of_the_older_transport_is_reached_by_it_at_once():
    server, runs = speaking("legacy"), Runs()
    async with server.sse() as url:
        await runs.run({"url": url})
        server.ledger.clear()
        await runs.run({"url": url})
        assert [one.method for one in server.ledger][:1] == ["initialize"]
    assert b'"transport":"sse"' in b"".join(runs.store.kept.values())


async def test_a_pinned_family_is_not_overruled_by_a_memory():
    server, runs = speaking("legacy", "modern"), Runs()
    async with server.http() as url:
        assert (await runs.run({"url": url}))[0] == MODERN
        assert (await runs.run({"url": url}, era="legacy"))[0] == LEGACY
        assert (await runs.run({"url": url}, era="modern"))[0] == MODERN


async def test_a_legacy_era_is_found_out_anew_after_twenty_starts():
    server, runs = speaking("legacy"), Runs()
    async with server.http() as url:
        for _ in range(23):
            await runs.run({"url": url})
    assert probed(server) == [True, *[False] * 20, True, False]


async def test_a_legacy_era_is_found_out_anew_after_the_server_was_updated():
    server, runs = speaking("legacy"), Runs()
    async with server.http() as url:
        await runs.run({"url": url})
        server.info = {"name": "fake", "version": "2.0"}
        for _ in range(3):
            await runs.run({"url": url})
    assert probed(server) == [True, False, True, False]
