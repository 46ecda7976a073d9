"""Limits of calls: who runs, who waits in which order, who is turned away and how."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.core.call import Call, Flight
from trunkline.core.limit import LimitSettings
from trunkline.core.principal import LOCAL, Principal
from trunkline.core.reply import Reply
from trunkline.errors import DeadlineExceededError, RejectedError
from trunkline.pipeline.bucket import Bucket
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.fair_queue import FairQueue
from trunkline.pipeline.limit import Limit, Limiter
from trunkline.pipeline.limit_state import Entry, LimitState
from trunkline.pipeline.service import stack
from trunkline.testing.virtual_time import VirtualTimeLoop


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(body())


def make_call(name: str = "c", principal: str = "local", **facts: Any) -> Call:
    now = asyncio.get_running_loop().time()
    call = Call(
        id=name,
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=LOCAL if principal == "local" else Principal(name=principal),
        deadline=1e9,
        idle=1e9,
        flight=Flight(now),
    )
    return replace(call, **facts)


class Peer:
    """Takes a second for each call, and writes down which began."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.began: list[str] = []
        self.running = self.most = 0
        self._seconds = seconds

    async def __call__(self, call: Call) -> Reply:
        self.began.append(call.id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.running -= 1
        return Reply(raw={}, server="s", tool="s.t")


def limited(peer: Peer, **settings: Any) -> tuple[Callable[[Call], Any], Limiter]:
    limiter = Limiter(LimitSettings(**settings))
    return Limit(limiters=(limiter,)).wrap(peer), limiter


def test_a_bucket_lets_a_burst_begin_and_then_its_rate() -> None:
    bucket, begun = Bucket(10.0, burst=3), []
    for at in range(100):
        now = at / 100
        if not bucket.wait(now):
            bucket.take(now)
            begun.append(now)
    assert begun[:3] == [0.0, 0.01, 0.02]
    assert len(begun) == 3 + 9
    assert bucket.wait(0.99, behind=5) == pytest.approx(bucket.wait(0.99) + 0.5)


def test_principals_take_turns_and_the_greatest_priority_goes_first() -> None:
    line: FairQueue[Entry] = FairQueue(10)
    for principal, priority in (("a", 0), ("a", 0), ("a", 0), ("b", 0), ("c", 5), ("b", 0)):
        line.push(Entry(principal, priority, 0.0))
    order = [entry.principal for entry in iter(lambda: line.pop(lambda _: True), None)]
    assert order == ["c", "a", "b", "a", "b", "a"]


def test_who_wants_much_makes_room_for_who_wants_little_and_for_greater_priority() -> None:
    line: FairQueue[Entry] = FairQueue(4)
    greedy = [Entry("greedy", 0, float(at)) for at in range(4)]
    assert [line.push(one) for one in greedy] == [None] * 4
    fifth = Entry("greedy", 0, 4.0)
    assert line.push(fifth) is fifth
    assert line.push(Entry("modest", 0, 5.0)) is greedy[3]
    assert line.push(Entry("greedy", 1, 6.0)) is greedy[2]
    late = Entry("other", -1, 7.0)
    assert line.push(late) is late
    assert len(line) == 4


def test_no_more_calls_run_than_may_and_the_others_follow_in_order() -> None:
    async def body() -> None:
        peer = Peer()
        service, limiter = limited(peer, concurrency=2)
        calls = [make_call(str(at)) for at in range(6)]
        tasks = [asyncio.ensure_future(service(call)) for call in calls]
        await asyncio.sleep(0.5)
        assert (limiter.status().running, limiter.status().waiting) == (2, 4)
        assert calls[5].flight.phase == "waiting for its turn: 2 running, as many as may"
        await asyncio.gather(*tasks)
        assert peer.most == 2
        assert peer.began == ["0", "1", "2", "3", "4", "5"]
        assert [call.flight.waited for call in calls] == pytest.approx([0, 0, 1, 1, 2, 2])
        assert (limiter.status().running, limiter.status().waiting) == (0, 0)

    run(body)


def test_a_principal_that_asks_for_much_does_not_hold_up_another() -> None:
    async def body() -> None:
        peer = Peer()
        service, _ = limited(peer, concurrency=1)
        calls = [make_call(f"greedy{at}", "greedy") for at in range(5)] + [make_call("modest", "modest")]
        await asyncio.gather(*(service(call) for call in calls))
        assert peer.began.index("modest") <= 2

    run(body)


def test_a_principal_has_no_more_than_its_share_while_others_run() -> None:
    async def body() -> None:
        peer = Peer()
        service, _ = limited(peer, principal_concurrency=1)
        calls = [make_call(f"{who}{at}", who) for who in "ab" for at in range(2)]
        tasks = [asyncio.ensure_future(service(call)) for call in calls]
        await asyncio.sleep(0.5)
        assert peer.began == ["a0", "b0"]
        await asyncio.gather(*tasks)
        assert peer.most == 2

    run(body)


def test_calls_wait_for_the_rate_and_are_turned_away_where_that_is_in_vain() -> None:
    async def body() -> None:
        peer = Peer(0.0)
        service, _ = limited(peer, rate=10.0, burst=1)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.gather(*(service(make_call(str(at))) for at in range(5)))
        assert loop.time() - begun == pytest.approx(0.4)
        waiting = [asyncio.ensure_future(service(make_call())) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(RejectedError) as caught:
            await service(make_call(deadline=loop.time() + 0.5))
        error = caught.value
        assert (error.code, error.delivery, error.retryable) == ("rate_limited", "never_sent", True)
        assert error.retry_after == pytest.approx(1.1)
        await asyncio.gather(*waiting)

    run(body)


def test_one_principals_rate_is_not_anothers() -> None:
    async def body() -> None:
        peer = Peer(0.0)
        service, _ = limited(peer, principal_rate=1.0, principal_burst=1)
        loop = asyncio.get_running_loop()
        tasks = [asyncio.ensure_future(service(make_call(f"a{at}", "a"))) for at in range(3)]
        await asyncio.sleep(0)
        await service(make_call("b", "b"))
        assert loop.time() == 0.0
        await asyncio.gather(*tasks)
        assert loop.time() == pytest.approx(2.0)

    run(body)


def test_a_full_queue_turns_away_at_once_and_says_when_to_come_back() -> None:
    async def body() -> None:
        peer = Peer()
        service, limiter = limited(peer, concurrency=1, queue=1)
        await service(make_call("first"))
        tasks = [asyncio.ensure_future(service(make_call(str(at)))) for at in range(2)]
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        with pytest.raises(RejectedError) as caught:
            await service(make_call())
        assert asyncio.get_running_loop().time() == now
        assert (caught.value.code, caught.value.delivery) == ("queue_full", "never_sent")
        assert caught.value.retry_after == pytest.approx(1.0)
        await asyncio.gather(*tasks)
        assert limiter.status().rejected == 1

    run(body)


def test_one_who_waits_is_turned_away_for_a_greater_priority_and_told_so() -> None:
    async def body() -> None:
        peer = Peer()
        service, _ = limited(peer, concurrency=1, queue=1)
        running = asyncio.ensure_future(service(make_call("running")))
        await asyncio.sleep(0)
        low = asyncio.ensure_future(service(make_call("low")))
        await asyncio.sleep(0)
        await service(make_call("high", priority=3))
        with pytest.raises(RejectedError, match="as many as may"):
            await low
        await running
        assert peer.began == ["running", "high"]

    run(body)


def test_who_waits_longer_than_the_queue_allows_is_turned_away() -> None:
    async def body() -> None:
        peer = Peer(10.0)
        service, limiter = limited(peer, concurrency=1, queue_timeout=2.0)
        running = asyncio.ensure_future(service(make_call()))
        await asyncio.sleep(0)
        with pytest.raises(RejectedError) as caught:
            await service(make_call())
        assert caught.value.code == "queue_timeout"
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)
        assert limiter.status().waiting == 0
        await running

    run(body)


@pytest.mark.parametrize("moment", [0.5, 1.0, 1.5])
def test_a_cancelled_call_gives_back_its_slot_or_its_place(moment: float) -> None:
    async def body() -> None:
        peer = Peer()
        service, limiter = limited(peer, concurrency=1)
        first = asyncio.ensure_future(service(make_call("first")))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(service(make_call("second")))
        third = asyncio.ensure_future(service(make_call("third")))
        asyncio.get_running_loop().call_at(moment, second.cancel)
        await asyncio.wait({first, second, third})
        assert second.cancelled()
        assert not third.cancelled()
        assert (limiter.status().running, limiter.status().waiting) == (0, 0)

    run(body)


def test_a_call_that_is_cancelled_in_the_moment_its_turn_comes_gives_the_turn_on() -> None:
    async def body() -> None:
        peer = Peer()
        service, limiter = limited(peer, concurrency=1)
        first, second, third = (asyncio.ensure_future(service(make_call(name))) for name in "123")
        await asyncio.sleep(0.5)
        serve = limiter._serve

        def serve_and_cancel() -> None:
            serve()
            second.cancel()

        limiter._serve = serve_and_cancel  # type: ignore[method-assign]
        await asyncio.wait({first, second, third}, timeout=10)
        assert second.cancelled()
        assert third.done()
        assert peer.began == ["1", "3"]
        assert (limiter.status().running, limiter.status().waiting) == (0, 0)

    run(body)


def test_who_comes_just_when_the_rate_allows_one_more_does_not_pass_those_who_wait() -> None:
    state = LimitState(LimitSettings(rate=1.0, burst=1))
    state.arrive(0.0, "a", 0, 60.0)
    (waiting,) = state.arrive(0.1, "a", 0, 60.0)
    (late,) = state.arrive(1.0, "b", 0, 60.0)
    assert not late.running
    assert list(state.serve(1.0)) == [waiting]


def test_the_silence_of_a_call_is_not_counted_while_it_waits_for_its_turn() -> None:
    async def body() -> None:
        peer = Peer(3.0)
        limiter = Limiter(LimitSettings(concurrency=1))
        service = stack([Deadline(), Limit(limiters=(limiter,))], peer)
        calls = [make_call(idle=4.0) for _ in range(3)]
        await asyncio.gather(*map(service, calls))
        long = asyncio.ensure_future(service(make_call(idle=4.0)))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceededError) as caught:
            await service(make_call(deadline=asyncio.get_running_loop().time() + 1))
        await long
        assert "waiting for its turn" in caught.value.message
        assert caught.value.delivery == "never_sent"

    run(body)


def test_a_call_passes_the_limits_of_its_tool_and_of_its_server() -> None:
    async def body() -> None:
        peer = Peer()
        tool, server = Limiter(LimitSettings(concurrency=2)), Limiter(LimitSettings(concurrency=3))
        one, other = Limit(limiters=(tool, server)).wrap(peer), Limit(limiters=(server,)).wrap(peer)
        calls = [*(one(make_call(f"one{at}")) for at in range(4)), *(other(make_call()) for _ in range(4))]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0.5)
        assert (tool.status().running, server.status().running) == (2, 3)
        await asyncio.gather(*tasks)
        assert (tool.status().running, server.status().running) == (0, 0)

    run(body)


def test_other_settings_take_away_nothing_that_they_are_not_about() -> None:
    settings = LimitSettings(rate=1.0, burst=1, principal_concurrency=1, adaptive=True, concurrency=8)
    state = LimitState(settings)
    for at in range(20):
        (entry,) = state.arrive(2.0 * at, "a", 0, 60.0)
        state.leave(2.0 * at + 0.5, entry, answered=False, overloaded=True, waited=0.0)
    learned = state.concurrency
    assert learned < 4
    (running,) = state.arrive(50.0, "a", 0, 60.0)
    state.adjust(replace(settings, queue=7))
    assert state.concurrency == learned
    (held_by_rate,) = state.arrive(50.1, "b", 0, 60.0)
    (held_by_share,) = state.arrive(50.1, "a", 0, 60.0)
    assert not held_by_rate.running
    state.adjust(replace(settings, rate=0.0, adaptive=False))
    assert list(state.serve(50.1)) == [held_by_rate]
    assert running.running
    assert not held_by_share.running


def test_who_is_turned_away_is_told_whose_limit_it_was_and_which_key_to_raise() -> None:
    def refusal(whose: Any, arrivals: list[str], **settings: Any) -> tuple[str, str]:
        state = LimitState(LimitSettings(**settings), whose)
        (*_, last) = [state.arrive(0.0, principal, 0, 5.0)[0] for principal in arrivals]
        assert last.refusal is not None
        assert last.refusal.hint is not None
        return last.refusal.message, last.refusal.hint

    message, hint = refusal("tool", ["a"] * 3, concurrency=1, queue=1)
    assert message == "1 calls of the tool run and 1 wait, as many as may"
    assert "`limit.queue` of the tool in trunkline.toml" in hint
    message, hint = refusal("server", ["a", "b", "b", "a", "a", "a", "a"], concurrency=1, queue=6)
    assert message == "1 calls of the server run and 5 wait, and its principal has its share of those who may"
    message, hint = refusal("server", ["a"] * 2, rate=0.1, burst=1)
    assert (message, "`limit.rate` of the server" in hint) == (
        "more calls of the server than its rate allows",
        True,
    )
    message, hint = refusal("server", ["a"] * 2, rate=10, principal_rate=0.1, principal_burst=1)
    assert (message, "`limit.principal_rate`" in hint) == (
        "more calls of the server than the rate of one principal allows",
        True,
    )
