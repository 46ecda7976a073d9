"""Which family a server speaks is found out by itself, whatever its way of saying so."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

FAMILIES = {
    "legacy": ("legacy",),
    "modern": ("modern",),
    "both": ("legacy", "modern"),
}


def echoing(eras: tuple[str, ...], **options: Any) -> FakeServer:
    server = FakeServer(eras=eras, **options)
    server.tool("echo", reports="arguments")
    return server


def expected(eras: str, discover: str, pin: str) -> str | None:
    """Give the family that must be spoken, or None where there is none in common."""
    if pin != "auto":
        return pin if pin in FAMILIES[eras] else None
    if eras == "both":
        return "modern" if discover == "answer" else "legacy"
    return eras


MATRIX = [
    pytest.param(eras, discover, pin, id=f"{eras}, discover {discover}, pinned {pin}")
    for eras, discover, pin in itertools.product(
        FAMILIES, ("answer", "error", "silent", "exit"), ("auto", "legacy", "modern")
    )
    # A modern server has to answer discovery; a fault of it is not a question of family.
    if not (discover != "answer" and (eras == "modern" or pin == "modern"))
]


@pytest.mark.over("memory", "stdio", "json", families=("any",))
@pytest.mark.parametrize(("eras", "discover", "pin"), MATRIX)
async def test_every_pair_of_server_and_pin_is_negotiated(
    way: Any, reach: Any, eras: str, discover: str, pin: str
):
    if discover == "exit" and way.carrier != "stdio" and pin == "auto":
        discover = "error"  # only a process can be started again
    server = echoing(FAMILIES[eras], discover=discover)
    policy = {"servers": {"fake": {"era": pin, "connect": 5}}}
    family = expected(eras, discover, pin)
    if way.is_http and discover == "silent" and pin == "auto" and eras == "both":
        family = None
    async with reach(server, way, policy=policy) as trunk:
        if family is None:
            with pytest.raises(trunkline.UnavailableError) as caught:
                await trunk.call("fake.echo", {"n": 1})
            assert caught.value.delivery == "never_sent"
            return
        reply = await trunk.call("fake.echo", {"n": 1})
        assert reply.value == {"n": 1}
        assert (reply.era == "2026-07-28") == (family == "modern")


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
@pytest.mark.over("memory", "stdio", "json", "sse", families=("any",))
async def test_every_single_revision_is_spoken(way: Any, reach: Any, version: str):
    server = FakeServer(eras=["modern" if version > "2026" else "legacy"], versions=[version])
    server.tool("echo", reports="arguments")
    async with reach(server, way) as trunk:
        assert (await trunk.call("fake.echo", {"n": 1})).era == version


async def test_a_modern_server_slow_to_start_that_meets_both_requests_is_spoken_to_as_modern(tmp_path: Path):
    server = echoing(("modern",))
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path, start_delay=1.3)}) as trunk:
        reply = await trunk.call("fake.echo", {"n": 1})
    assert reply.era == "2026-07-28"
    methods = [one.method for one in server.journal(tmp_path).read()]
    assert methods[:2] == ["server/discover", "initialize"]
    assert len(server.journal(tmp_path).pids) == 1


async def test_a_server_of_both_families_slow_to_start_takes_the_first_answer(tmp_path: Path):
    server = echoing(("legacy", "modern"))
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path, start_delay=1.3)}) as trunk:
        replies = [await trunk.call("fake.echo", {"n": n}) for n in range(3)]
    assert {reply.era for reply in replies} == {"2026-07-28"}


async def test_a_legacy_server_that_exits_at_the_probe_is_started_once_more_with_initialize(tmp_path: Path):
    server = echoing(("legacy",), discover="exit")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        assert (await trunk.call("fake.echo", {"n": 1})).era == "2025-11-25"
        assert trunk.status()["fake"].restarts == 0
    journal = server.journal(tmp_path)
    assert len(journal.pids) == 2
    assert [one.method for one in journal.read()][:2] == ["server/discover", "initialize"]


async def test_what_was_negotiated_is_remembered_for_the_next_start(tmp_path: Path):
    server = echoing(("legacy",), discover="exit")
    server.fault("echo", Fault.kill, nth=1)
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.echo")
        await trunk.ready("fake")
    assert len(server.journal(tmp_path).pids) == 3


@pytest.mark.parametrize(("first", "then"), [("legacy", "modern"), ("modern", "legacy")])
async def test_a_server_that_comes_back_in_another_family_is_found_out_again(
    tmp_path: Path, first: str, then: str
):
    def entry(family: str) -> Any:
        server = echoing((family,))
        server.tool("end", returns="x")
        server.fault("end", Fault.kill)
        return server.to_stdio_entry(tmp_path)

    async with trunkline.connect({"fake": entry(first)}) as trunk:
        await trunk.call("fake.echo", {"n": 1})
        entry(then)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.end")

        async def answered() -> bool:
            try:
                reply = await trunk.call("fake.echo", {"n": 2})
            except trunkline.UnavailableError:
                return False
            return reply.value == {"n": 2}

        async with asyncio.timeout(8):
            while not await answered():  # noqa: ASYNC110 - a failed server is tried again after a second
                await asyncio.sleep(0.1)


async def test_a_server_that_shares_no_revision_says_which_it_speaks(tmp_path: Path):
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.fault(
        "server/discover",
        Fault.raw('{"jsonrpc":"2.0","id":$ID,"result":{"supportedVersions":["2099-01-01"]}}'),
    )
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        with pytest.raises(trunkline.UnavailableError, match="2099-01-01") as caught:
            await trunk.call("fake.echo")
    assert (caught.value.delivery, caught.value.code) == ("never_sent", "no_common_revision")
    assert caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        '{"jsonrpc":"2.0","id":$ID,"result":{}}',
        '{"jsonrpc":"2.0","id":$ID,"result":null}',
        '{"jsonrpc":"2.0","id":$ID,"result":{"protocolVersion":7,"capabilities":[]}}',
        '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32603,"message":"no"}}',
        '{"jsonrpc":"2.0","id":$ID,"result":' + "[" * 500 + "]" * 500 + "}",
    ],
)
async def test_a_broken_handshake_fails_the_start_with_a_reason_and_a_remedy(answer: str, tmp_path: Path):
    server = echoing(("legacy",))
    server.fault("initialize", Fault.raw(answer))
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("fake.echo", timeout=5)
    assert caught.value.delivery == "never_sent"
    assert caught.value.hint
    assert "{" not in (caught.value.hint or "")
