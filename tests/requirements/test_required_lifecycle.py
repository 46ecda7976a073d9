"""How a connection begins, is used and ends, in every revision."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
HANDSHAKE = {"servers": {"*": {"era": "legacy"}}}


@pytest.mark.requirement("LIFECYCLE-FIRST", "LIFECYCLE-CONTENT", "LIFECYCLE-OUR-VERSION", "LIFECYCLE-LATEST")
@pytest.mark.requirement("ELICIT-DECLARE", "SAMPLING-DECLARE", "ROOTS-DECLARE", "BATCH-NO-INITIALIZE")
@pytest.mark.parametrize("revision", LEGACY)
async def test_the_handshake_comes_first_with_our_latest_revision_and_what_we_offer(tap: Any):
    handlers = trunkline.Handlers(elicit=lambda _: None, sample=lambda _: None, roots=lambda _: [])
    async with trunkline.connect({"fake": tap}, policy=HANDSHAKE, handlers=handlers) as trunk:
        await trunk.call("fake.echo")
    first = tap.messages[0]
    assert first["method"] == "initialize"
    assert first["params"]["protocolVersion"] == "2025-11-25"
    assert first["params"]["capabilities"].keys() == {"elicitation", "sampling", "roots"}
    assert first["params"]["clientInfo"].keys() >= {"name", "version"}


@pytest.mark.requirement("LIFECYCLE-INITIALIZED", "LIFECYCLE-NOTHING-BEFORE")
@pytest.mark.parametrize("revision", LEGACY)
async def test_nothing_is_asked_between_the_handshake_and_the_word_that_it_is_over(tap: Any):
    async with trunkline.connect({"fake": tap}) as trunk:
        await trunk.call("fake.echo")
    methods = [one["method"] for one in tap.messages]
    start = methods.index("initialize")
    assert methods[:start] in ([], ["server/discover"])
    assert methods[start + 1] == "notifications/initialized"
    assert methods.count("initialize") == methods.count("notifications/initialized") == 1


@pytest.mark.requirement("LIFECYCLE-DISCONNECT")
async def test_a_server_of_a_revision_we_do_not_speak_is_left(make_tap: Any):
    server = FakeServer(eras=["legacy"])
    server.fault(
        "initialize", Fault.raw('{"jsonrpc":"2.0","id":$ID,"result":{"protocolVersion":"1999-01-01"}}')
    )
    tap = make_tap(server)
    async with trunkline.connect({"fake": tap}, policy=HANDSHAKE) as trunk:
        await trunk.ready()
        assert "1999-01-01" in (trunk.status()["fake"].last_error or "")
    assert {one["method"] for one in tap.messages} == {"initialize"}


@pytest.mark.requirement("CANCEL-NOT-INITIALIZE")
@pytest.mark.parametrize("carrier", ["memory", "http"])
async def test_a_handshake_that_is_given_up_is_never_cancelled_at_the_server(make_tap: Any, carrier: str):
    server = FakeServer(eras=["legacy"])
    server.fault("initialize", Fault.hang)
    tap = make_tap(server)
    async with server.http() as url:
        entry = tap if carrier == "memory" else {"url": url}
        async with trunkline.connect({"fake": entry}, policy=HANDSHAKE):
            await server.wait_for(lambda ledger: bool(ledger.of("initialize")))
    assert server.ledger.of("notifications/cancelled") == []


@pytest.mark.requirement("CANCEL-OWN-REQUESTS", "TIMEOUT-CANCELS", "CANCEL-STREAM", "CANCEL-NOTIFIES")
async def test_what_is_cancelled_is_a_request_of_ours_that_is_not_answered(tap: Any):
    server = tap._server
    server.fault("echo", Fault.hang, nth=2)
    async with trunkline.connect({"fake": tap}) as trunk:
        await trunk.call("fake.echo", {"n": 1})
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("fake.echo", {"n": 2}, timeout=0.05)
        await server.wait_for(lambda ledger: bool(ledger.of("notifications/cancelled")))
        assert (await trunk.call("fake.echo", {"n": 3})).is_error is False
    (cancelled,) = server.ledger.of("notifications/cancelled")
    (given_up,) = (one for one in server.calls if one.arguments == {"n": 2})
    assert cancelled.params["requestId"] == given_up.request_id


@pytest.mark.requirement("STDIO-PROCESS-SHARED", "STDIO-STDERR")
async def test_one_process_serves_all_tasks_and_may_write_what_it_likes_to_standard_error(tmp_path: Path):
    server = FakeServer("fake")
    server.tool("pid", reports="pid")
    entry = server.to_stdio_entry(tmp_path, stderr=["ERROR: not really", "Traceback (most recent call last)"])
    async with trunkline.connect({"fake": entry}) as trunk:
        replies = await asyncio.gather(*(trunk.call("fake.pid") for _ in range(5)))
        status = trunk.status()["fake"]
    assert len({reply.text for reply in replies}) == 1
    assert (status.state, status.last_error, status.restarts) == ("ready", None, 0)


@pytest.mark.requirement("VERSION-CACHED")
async def test_what_a_url_speaks_is_found_out_once_and_not_per_request(make_web: Any, serve: Any):
    server = make_web("2026-07-28")
    async with serve(server.handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        for _ in range(3):
            await trunk.call("web.echo")
    assert len(server.of("server/discover")) == 1
    assert server.of("initialize") == []
