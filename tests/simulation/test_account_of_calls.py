"""What a client says of calls that must happen once is what the server did, wherever the network breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import trunkline
from trunkline.testing import Account, FakeServer, Toxic, VirtualEndpoint, VirtualNetwork
from trunkline.testing.toxics import Way

pytestmark = pytest.mark.anyio

POINTS: list[tuple[Way, int | None]] = [
    *((("up", offset)) for offset in (0, 1, 100, -20, -1, None)),
    *((("down", offset)) for offset in (0, 1, 50, -20, -1, None)),
]
"""Bytes of a request, and of its response, that get through before the connection is spoiled."""
KINDS = (Toxic.reset, Toxic.cut, Toxic.blackhole)
PATIENCE = 5.0
FAMILIES = pytest.mark.parametrize("family", ["legacy", "modern"])


class Schedule:
    """Strikes the tries of the next call, one after the other, and nothing else."""

    def __init__(self, endpoint: VirtualEndpoint) -> None:
        self._endpoint = endpoint
        self._next: list[Toxic | None] = []
        endpoint.draw = self

    def arm(self, *toxics: Toxic | None) -> None:
        self._next = list(toxics)

    def disarm(self) -> None:
        self._next = []

    def __call__(self) -> tuple[Toxic, ...]:
        toxic = self._next.pop(0) if self._next else None
        return () if toxic is None else (toxic,)


@contextmanager
def served(family: str) -> Iterator[tuple[FakeServer, VirtualEndpoint, Schedule]]:
    server = FakeServer("fake", eras=[family], ttl_ms=3_600_000)
    server.tool("pay", returns="paid")
    with VirtualNetwork() as network:
        endpoint = network.serve(server)
        yield server, endpoint, Schedule(endpoint)


async def ending(call: Any) -> Any:
    try:
        return await call
    except trunkline.CallError as error:
        return error


def quiet() -> dict[str, Any]:
    return {"servers": {"fake": {"health_check_interval": 0}}}


async def pay(trunk: trunkline.Trunk, number: int) -> Any:
    outcome = await ending(trunk.call("fake.pay", {"n": number}, timeout=PATIENCE))
    # Whatever was begun because of a failure ends before the next call, so that each meets its own fault.
    await asyncio.sleep(PATIENCE)
    return outcome


async def pay_with_every_cut(family: str, calls: int) -> None:
    account = Account()
    with served(family) as (server, endpoint, schedule):
        async with trunkline.connect({"fake": {"url": endpoint.url}}, policy=quiet()) as trunk:
            await trunk.ready()
            for number in range(calls):
                way, offset = POINTS[number % len(POINTS)]
                schedule.arm(KINDS[number // len(POINTS) % len(KINDS)](offset, way=way))
                account.note(number, await pay(trunk, number))
                schedule.disarm()
        balance = account.compare(server.ledger)
    assert balance.is_fair, balance
    assert balance.calls == calls
    whole = calls / len(POINTS)
    assert balance.verdicts["ok"] == pytest.approx(whole, abs=2)
    assert balance.verdicts["unknown"] == pytest.approx(11 * whole, abs=2)


@FAMILIES
@pytest.mark.timeout(300)
async def test_no_cut_of_a_connection_makes_a_call_happen_twice_or_its_verdict_a_lie(family: str):
    """With both families these are the ten thousand calls of the promise."""
    await pay_with_every_cut(family, 5_000)


REFUSED = Toxic.http_status(429, retry_after=1)
LEFT = Toxic.reset(-1, way="up")
RAN = Toxic.reset(0, way="down")
FATES = (None, Toxic.refuse(), REFUSED, LEFT, RAN, Toxic.http_status(503), Toxic.http_status(429))
"""What may become of one try; the last two do not say whether the request was run."""
_SAID = {None: "ok", FATES[1]: "never_sent", REFUSED: "refused"}


def expected(tries: list[Toxic | None]) -> tuple[str, int]:
    """Give the verdict of a call whose tries meet these fates one after the other, and how many are made.

    One that may have run is the last. A server that refuses is asked once more, one that cannot be reached
    as often as attempts allow; the verdict is the most that is known to have happened.
    """
    worst, refusals = "never_sent", 0
    for made, fate in enumerate(tries, 1):
        said = _SAID.get(fate, "unknown")
        if said in ("ok", "unknown"):
            return said, made
        worst = "refused" if "refused" in (said, worst) else worst
        if refusals == 1:
            return worst, made
        refusals += said == "refused"
    return worst, len(tries)


async def test_the_verdict_of_several_tries_is_the_most_that_is_known_of_any():
    chance, account, told = random.Random(6), Account(), {}
    with served("modern") as (server, endpoint, schedule):
        async with trunkline.connect({"fake": {"url": endpoint.url}}, policy=quiet()) as trunk:
            await trunk.ready()
            for number in range(200):
                tries = [chance.choice(FATES) for _ in range(3)]
                # A refusal is one only where there is no connection yet.
                endpoint.server.drop()
                await asyncio.sleep(1)
                schedule.arm(*tries)
                outcome = await pay(trunk, number)
                schedule.disarm()
                account.note(number, outcome)
                verdict = "ok" if isinstance(outcome, trunkline.Reply) else outcome.delivery
                told[number] = tries, (verdict, outcome.attempts)
        balance = account.compare(server.ledger)
    assert balance.is_fair, balance
    for tries, verdict in told.values():
        assert verdict == expected(tries), tries
