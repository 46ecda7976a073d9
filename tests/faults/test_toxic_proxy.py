"""The toxic proxy over real sockets: each toxic does what it says, and verdicts agree with the ledger."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

import trunkline
from trunkline.testing import Account, FakeServer, Toxic, ToxicProxy, Toxics

pytestmark = pytest.mark.anyio

CUTS = [(way, after) for way in ("up", "down") for after in (0, 1, 60, -20, -1, None)]
KINDS = (Toxic.reset, Toxic.cut)


@asynccontextmanager
async def proxied(family: str = "modern") -> AsyncIterator[tuple[FakeServer, ToxicProxy, trunkline.Trunk]]:
    server = FakeServer("fake", eras=[family])
    server.tool("pay", returns="paid")
    rules = {"health_check_interval": 0, "retry": {"attempts": 1}, "breaker": {"enabled": False}}
    policy = {"servers": {"fake": rules}}
    async with (
        server.http() as url,
        ToxicProxy(urlsplit(url).port or 0) as proxy,
        trunkline.connect({"fake": {"url": proxy.url()}}, policy=policy) as trunk,
    ):
        await trunk.ready()
        yield server, proxy, trunk


def strike(proxy: ToxicProxy, *toxics: Toxic) -> None:
    """Spoil the next exchange and no other."""
    armed = [toxics]
    proxy.draw = lambda: armed.pop() if armed else ()


async def failure(call: Any) -> trunkline.CallError:
    with pytest.raises(trunkline.CallError) as caught:
        await call
    return caught.value


async def test_latency_and_bandwidth_slow_a_call_down_and_change_nothing_else():
    async with proxied() as (_, proxy, trunk):
        strike(proxy, Toxic.latency(0.05), Toxic.latency(0.03, way="up"), Toxic.bandwidth(10_000))
        reply = await trunk.call("fake.pay", timeout=20)
    assert reply.text == "paid"
    assert reply.timing is not None
    assert reply.timing.exchange is not None
    assert reply.timing.exchange >= 0.09  # the response is of more than 100 bytes


@pytest.mark.parametrize(
    ("toxic", "kind", "delivery"),
    [
        (Toxic.reset(), trunkline.OutcomeUnknownError, "unknown"),
        (Toxic.cut(80), trunkline.OutcomeUnknownError, "unknown"),
        (Toxic.refuse(), trunkline.OutcomeUnknownError, "unknown"),
        (Toxic.blackhole(), trunkline.DeadlineExceededError, "unknown"),
        (Toxic.http_status(503), trunkline.OutcomeUnknownError, "unknown"),
        (Toxic.http_status(503, retry_after=2), trunkline.UnavailableError, "refused"),
        (Toxic.http_status(429, retry_after=2), trunkline.RejectedError, "refused"),
        (Toxic.http_status(429), trunkline.RejectedError, "unknown"),
    ],
    ids=str,
)
async def test_a_spoiled_exchange_fails_as_it_was_spoiled_and_the_next_is_well(
    toxic: Toxic, kind: type[trunkline.CallError], delivery: str
):
    async with proxied() as (_, proxy, trunk):
        strike(proxy, toxic)
        error = await failure(trunk.call("fake.pay", timeout=0.3 if toxic.kind == "blackhole" else 20))
        assert (type(error), error.delivery) == (kind, delivery)
        assert (error.retry_after, error.status) == (toxic.retry_after, toxic.status or None)
        assert (await trunk.call("fake.pay", timeout=20)).text == "paid"


async def make_cut_calls(family: str, calls: int) -> None:
    account = Account()
    async with proxied(family) as (server, proxy, trunk):
        for number in range(calls):
            way, after = CUTS[number % len(CUTS)]
            strike(proxy, KINDS[number // len(CUTS) % 2](after, way=way))
            try:
                account.note(number, await trunk.call("fake.pay", {"n": number}, timeout=20))
            except trunkline.CallError as error:
                account.note(number, error)
        # What was on its way when its connection broke is read by now, or never.
        await asyncio.sleep(0.05)
        balance = account.compare(server.ledger)
    assert balance.is_fair, balance
    assert balance.executed >= calls * 7 / 12 - 2
    assert balance.verdicts["unknown"] >= calls * 10 / 12 - 2


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_over_tcp_no_cut_makes_a_call_happen_twice_or_its_verdict_a_lie(family: str):
    await make_cut_calls(family, 2 * len(CUTS))


@pytest.mark.soak
@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_over_tcp_ten_thousand_cut_calls_are_accounted_for(family: str):
    await make_cut_calls(family, 5_000)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("share", "success", "most"),
    [(0.05, 0.9995, 1.15), (0.1, 0.998, 1.15), (0.2, 0.97, 1.25), (1.0, 0, 1.25)],
)
async def test_over_tcp_reads_of_three_replicas_survive_faults(share: float, success: float, most: float):
    """The same as in virtual time, see `test_faulty_replicas`, with real sockets, as fast as they allow."""
    faults = (Toxic.reset(), Toxic.reset(-1, way="up"), Toxic.cut(60), Toxic.http_status(503))
    async with AsyncExitStack() as stack:
        proxies = []
        for seed in range(3):
            server = FakeServer("db", eras=["modern"], ttl_ms=3_600_000, keep=10)
            server.tool("get", returns="row")
            url = await stack.enter_async_context(server.http())
            proxy = ToxicProxy(urlsplit(url).port or 0, Toxics(seed=seed))
            proxies.append(await stack.enter_async_context(proxy))
        first, *others = [proxy.url() for proxy in proxies]
        policy = {
            "servers": {
                "db": {"replicas": others, "health_check_interval": 0, "breaker": {"enabled": False}}
            },
            "tools": {"db.get": {"read_only": True}},
        }
        trunk = await stack.enter_async_context(trunkline.connect({"db": {"url": first}}, policy=policy))
        await trunk.ready()
        for proxy, fault in itertools.product(proxies, faults):
            proxy.toxics.add(fault, share=1 - (1 - share) ** (1 / len(faults)))
        before = sum(proxy.toxics.exchanges for proxy in proxies)
        calls = [("db.get", None)] * 20_000
        outcomes = await trunk.call_many(calls, max_concurrency=20, timeout=30)
        requests = sum(proxy.toxics.exchanges for proxy in proxies) - before
    assert sum(isinstance(one, trunkline.Reply) for one in outcomes) >= success * len(calls)
    # Every second allows ten retries besides, so a slow machine allows more for each call.
    assert requests <= most * len(calls) + 10 * sum(outcome.elapsed or 0 for outcome in outcomes) / 20


def test_the_same_seed_strikes_the_same_exchanges_in_about_the_share_asked_for():
    first, second, other = (Toxics(seed=seed) for seed in (1, 1, 2))
    for toxics in (first, second, other):
        toxics.add(Toxic.reset(), share=0.1)
        toxics.add(Toxic.latency(1), share=0.5)
    drawn = [[toxics() for _ in range(1000)] for toxics in (first, second, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert first.struck[Toxic.reset()] == pytest.approx(100, abs=30)
    assert first.struck[Toxic.latency(1)] == pytest.approx(500, abs=60)
    first.heal()
    assert first() == ()
    assert first.exchanges == 1001
