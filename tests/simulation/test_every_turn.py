"""One call from start to reply, disturbed at every single turn of the loop it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.mortal import Mortal
from trunkline.testing.virtual_time import VirtualTimeLoop

TURNS = 90
"""More than a start and a call take; the last ones disturb nothing any more."""


def make_peer(**options: Any) -> Mortal:
    server = FakeServer(page_size=1, **options)
    for name in ("echo", "other", "third"):
        server.tool(name, reports="arguments")
    return Mortal(server)


Disturb = Callable[[trunkline.Trunk, Mortal, "asyncio.Task[trunkline.Reply]"], Awaitable[None]]


async def cancel(_: trunkline.Trunk, __: Mortal, call: asyncio.Task[trunkline.Reply]) -> None:
    call.cancel()


async def lose_the_peer(_: trunkline.Trunk, peer: Mortal, __: asyncio.Task[trunkline.Reply]) -> None:
    peer.kill()


async def remove(trunk: trunkline.Trunk, _: Mortal, __: asyncio.Task[trunkline.Reply]) -> None:
    await trunk.remove("fake")


async def close(trunk: trunkline.Trunk, _: Mortal, __: asyncio.Task[trunkline.Reply]) -> None:
    await trunk.aclose()


EXPECTED: dict[Disturb, tuple[type[BaseException], ...]] = {
    cancel: (asyncio.CancelledError,),
    lose_the_peer: (trunkline.OutcomeUnknownError, trunkline.UnavailableError),
    remove: (trunkline.OutcomeUnknownError, trunkline.UnavailableError, trunkline.NotFoundError),
    close: (trunkline.OutcomeUnknownError, trunkline.UnavailableError),
}


async def disturb_at(turns: int, disturb: Disturb, **options: Any) -> BaseException | trunkline.Reply:
    """Run one call, disturb it after this many turns, and give what came of it."""
    peer = make_peer(**options)
    before = asyncio.all_tasks()
    async with trunkline.connect({"fake": peer}) as trunk:
        call = asyncio.create_task(trunk.call("fake.echo", {"n": 1}, timeout=60))
        for _ in range(turns):
            await asyncio.sleep(0)
        await disturb(trunk, peer, call)
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        if disturb in (cancel, lose_the_peer):
            await works_again(trunk)
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    check_truth(outcome, peer)
    return outcome


async def works_again(trunk: trunkline.Trunk) -> None:
    """The next call, or the one after the pause of a failed start, is answered."""
    try:
        reply = await trunk.call("fake.other", {"n": 2}, timeout=60)
    except trunkline.CallError:
        await asyncio.sleep(2)
        reply = await trunk.call("fake.other", {"n": 2}, timeout=60)
    assert reply.value == {"n": 2}


def check_truth(outcome: BaseException | trunkline.Reply, peer: Mortal) -> None:
    """What an error says of its delivery must be what the server saw."""
    ran = peer.server.ledger.of("tools/call", "echo")
    if isinstance(outcome, trunkline.CallError) and outcome.delivery == "never_sent":
        assert ran == []
    if isinstance(outcome, trunkline.Reply):
        assert len(ran) == 1
    assert len(ran) <= 1


@pytest.mark.parametrize("eras", [("legacy",), ("modern",)], ids=["legacy", "modern"])
@pytest.mark.parametrize("disturb", EXPECTED, ids=lambda one: one.__name__.replace("_", " "))
def test_a_call_disturbed_at_any_turn_ends_truly_and_leaves_nothing(disturb: Disturb, eras: tuple[str, ...]):
    kinds = set()
    for turns in range(TURNS):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            outcome = runner.run(disturb_at(turns, disturb, eras=eras))
        kinds.add(type(outcome))
        assert isinstance(outcome, (trunkline.Reply, *EXPECTED[disturb])), (turns, outcome)
    assert trunkline.Reply in kinds
    assert len(kinds) >= 2


@pytest.mark.parametrize("disturb", EXPECTED, ids=lambda one: one.__name__.replace("_", " "))
def test_a_disturbed_call_ends_truly_in_whatever_order_tasks_go_on(disturb: Disturb):
    for turns in range(0, TURNS, 2):
        with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=turns)) as runner:
            outcome = runner.run(disturb_at(turns, disturb))
        assert isinstance(outcome, (trunkline.Reply, *EXPECTED[disturb])), (turns, outcome)


@pytest.mark.parametrize("disturb", [cancel, lose_the_peer], ids=["cancel", "lose the peer"])
def test_a_call_to_a_silent_legacy_server_disturbed_around_its_probe_ends_truly(disturb: Disturb):
    for turns in range(0, TURNS, 3):

        async def delayed(turns: int = turns) -> BaseException | trunkline.Reply:
            asyncio.get_running_loop().call_later(1.0, lambda: None)
            return await disturb_at(turns, disturb, eras=("legacy",), discover="silent")

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            outcome = runner.run(delayed())
        assert isinstance(outcome, (trunkline.Reply, *EXPECTED[disturb])), (turns, outcome)
