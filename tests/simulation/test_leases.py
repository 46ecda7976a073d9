"""One connection for one holder alone, on virtual time: nobody else uses it, and its loss is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.mocking import mock
from trunkline.testing.tasks import TaskScript

pytestmark = pytest.mark.anyio

POOL = {"servers": {"browser": {"pool": {"max": 2}}}}
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Pages:
    """A server that keeps the pages each of its connections has visited."""

    def __init__(self, family: str = "legacy") -> None:
        self.family = family
        self.ends: list[asyncio.Event] = []
        self.calls: list[list[str]] = []

    async def serve(self, receive: Receive, send: Send) -> None:
        pages: list[str] = []
        end = asyncio.Event()
        self.ends.append(end)
        self.calls.append(pages)
        serving = asyncio.ensure_future(self._make(pages).serve(receive, send))
        ending = asyncio.ensure_future(end.wait())
        try:
            await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            ending.cancel()
            await asyncio.wait({serving, ending})

    def _make(self, pages: list[str]) -> FakeServer:
        fake = FakeServer(eras=[self.family])
        fake.tool("load", delay=5, returns="loaded")
        fake.tool("export", returns="exported", task=TaskScript())

        @fake.tool("go")
        async def go(arguments: dict[str, Any]) -> str:
            await asyncio.sleep(0.1)
            pages.append(arguments["url"])
            return ",".join(pages)

        return fake


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize("policy", [{}, POOL], ids=["one connection", "two"])
async def test_calls_of_others_never_come_between(family: str, policy: dict[str, Any]):
    server = Pages(family)
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        await trunk.ready()
        stop = asyncio.Event()

        async def disturb() -> None:
            while not stop.is_set():
                await trunk.call("browser.go", {"url": "other"})

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(disturb())
            await asyncio.sleep(1)
            async with trunk.lease("browser") as one:
                first = (await one.call("browser.go", {"url": "a"})).text
                await asyncio.sleep(1)
                second = (await one.call("go", {"url": "b"})).text
                assert second == f"{first},b"
            await asyncio.sleep(1)
            stop.set()


@pytest.mark.parametrize("policy", [{}, POOL], ids=["one connection", "two"])
async def test_leases_beyond_what_there_is_wait_in_order_and_say_so_when_the_time_is_over(
    policy: dict[str, Any],
):
    server = Pages()
    most = 2 if policy else 1
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        await trunk.ready()
        order: list[int] = []

        async def hold(number: int) -> None:
            async with trunk.lease("browser") as one:
                order.append(number)
                await one.call("load")

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(hold(number))
                await asyncio.sleep(0.1)
            with pytest.raises(trunkline.DeadlineExceededError, match=f"{most} of {most} leased") as late:
                await trunk.lease("browser", timeout=2).__aenter__()
            assert (late.value.code, late.value.delivery) == ("lease_timeout", "never_sent")
            leased = [member.leased for member in trunk.status()["browser"].members]
            assert leased == [True] * most
        assert order == [0, 1, 2, 3]
        assert len(server.calls) == most
        assert (await trunk.call("browser.go", {"url": "x"})).text == "x"


async def test_calls_wait_while_the_only_connection_is_leased_each_within_its_deadline():
    server = Pages()
    async with trunkline.connect({"browser": server}) as trunk:
        await trunk.ready()
        async with trunk.lease("browser") as one:
            with pytest.raises(trunkline.DeadlineExceededError, match="leased") as late:
                await trunk.call("browser.go", {"url": "x"}, timeout=3)
            assert late.value.delivery == "never_sent"
            waiting = asyncio.create_task(trunk.call("browser.go", {"url": "after"}))
            await one.call("go", {"url": "mine"})
        assert (await waiting).text == "mine,after"


async def test_a_lease_waits_for_calls_in_flight_and_lets_no_others_begin():
    server = Pages()
    async with trunkline.connect({"browser": server}) as trunk:
        await trunk.ready()
        loop = asyncio.get_running_loop()
        started = loop.time()
        load = asyncio.create_task(trunk.call("browser.load"))
        await asyncio.sleep(0.1)
        async with trunk.lease("browser"):
            assert load.done()
            assert loop.time() - started == pytest.approx(5, abs=0.1)


async def test_a_lease_that_is_given_up_while_it_waits_leaves_nothing_behind():
    server = Pages()
    async with trunkline.connect({"browser": server}) as trunk:
        await trunk.ready()
        load = asyncio.create_task(trunk.call("browser.load"))
        await asyncio.sleep(0.1)
        wanting = asyncio.create_task(trunk.lease("browser").__aenter__())
        await asyncio.sleep(0.1)
        assert trunk.status()["browser"].members[0].leased
        wanting.cancel()
        await asyncio.wait({wanting})
        assert (await trunk.call("browser.go", {"url": "x"})).text == "x"
        assert (await load).text == "loaded"
        assert trunk.status()["browser"].members == ()


async def test_a_lost_connection_is_told_to_the_holder_and_never_replaced():
    server = Pages()
    async with trunkline.connect({"browser": server}) as trunk:
        async with trunk.lease("browser") as one:
            await one.call("go", {"url": "a"})
            call = one.start("load")
            await asyncio.sleep(0.1)
            server.ends[0].set()
            with pytest.raises(trunkline.OutcomeUnknownError):
                await call
            assert one.lost
            await trunk.ready("browser")
            for _ in range(2):
                with pytest.raises(trunkline.LeaseLostError) as caught:
                    await one.call("go", {"url": "b"})
                assert (caught.value.code, caught.value.delivery) == ("lease_lost", "never_sent")
                assert not caught.value.retryable
        assert (await trunk.call("browser.go", {"url": "new"})).text == "new"
        async with trunk.lease("browser") as one:
            assert (await one.call("go", {"url": "again"})).text == "new,again"


async def test_after_the_block_the_lease_makes_no_calls():
    async with trunkline.connect({"browser": Pages()}) as trunk:
        async with trunk.lease("browser") as one:
            await one.call("go", {"url": "a"})
        with pytest.raises(trunkline.LeaseLostError) as caught:
            await one.call("go", {"url": "b"})
        assert caught.value.code == "lease_ended"


async def test_a_call_of_the_lease_that_outlives_it_keeps_the_connection_until_it_ends():
    server = Pages()
    async with trunkline.connect({"browser": server}) as trunk:
        async with trunk.lease("browser") as one:
            handle = one.start("load")
            await asyncio.sleep(0.1)
        other = asyncio.create_task(trunk.call("browser.go", {"url": "x"}))
        await asyncio.sleep(1)
        assert not other.done()
        assert (await handle).text == "loaded"
        assert (await other).text == "x"


async def test_everything_a_trunk_calls_with_works_on_a_lease():
    server = Pages("modern")
    async with trunkline.connect({"browser": server, "other": FakeServer()}) as trunk:
        async with trunk.lease("browser") as one:
            replies = await one.call_many([("go", {"url": "a"}), ("browser.go", {"url": "b"})])
            assert [reply.text for reply in replies if isinstance(reply, trunkline.Reply)] == ["a", "a,b"]
            events = [event async for event in one.stream("go", {"url": "c"})]
            assert isinstance(events[-1], trunkline.Reply)
            assert (await one.tool("go")(url="d")).text == "a,b,c,d"
            raw = await one.request("browser", "tools/call", {"name": "go", "arguments": {"url": "e"}})
            assert raw.text == "a,b,c,d,e"
            assert (await one.call("export")).text == "exported"
            assert (await (await one.start_task("export")).wait()).text == "exported"
            with pytest.raises(trunkline.NotFoundError):
                await one.call("nothing")
            with pytest.raises(trunkline.NotFoundError):
                await one.request("other", "ping")
        with pytest.raises(trunkline.NotFoundError):
            await trunk.lease("nobody").__aenter__()


async def test_a_server_that_cannot_be_connected_fails_the_lease_with_the_reason():
    class Gone:
        async def serve(self, receive: Receive, send: Send) -> None:
            del receive, send

    async with trunkline.connect({"browser": Gone()}) as trunk:
        with pytest.raises(trunkline.UnavailableError):
            await trunk.lease("browser").__aenter__()
        assert trunk.status()["browser"].members == ()


async def test_changing_the_configuration_lets_a_lease_end_and_new_calls_go_to_the_successor():
    server, policy = Pages(), {"servers": {"browser": {"connect": 30}}}
    target = {"mcpServers": {"browser": server}}
    async with trunkline.connect(target, policy=policy) as trunk:
        async with trunk.lease("browser") as one:
            await one.call("go", {"url": "a"})
            policy["servers"]["browser"]["limits"] = {"depth": 32}
            assert (await trunk.reload()).changed == ("browser",)
            assert (await trunk.call("browser.go", {"url": "other"})).text == "other"
            assert (await one.call("go", {"url": "b"})).text == "a,b"
        assert (await trunk.call("browser.go", {"url": "last"})).text == "other,last"


async def test_draining_waits_for_a_lease_within_its_grace():
    async with trunkline.connect({"browser": Pages()}) as trunk:
        async with trunk.lease("browser") as one:
            draining = asyncio.create_task(trunk.drain(grace=60))
            await asyncio.sleep(1)
            assert (await one.call("go", {"url": "a"})).text == "a"
        await draining


async def test_a_mocked_trunk_can_be_leased():
    async with mock({"browser.go": "there"}) as trunk, trunk.lease("browser") as one:
        assert (await one.call("go")).text == "there"


async def test_removing_the_server_ends_the_lease_with_its_own_error():
    async with trunkline.connect({"browser": Pages()}) as trunk, trunk.lease("browser") as one:
        await one.call("go", {"url": "a"})
        await trunk.remove("browser")
        with pytest.raises(trunkline.LeaseLostError, match="closed"):
            await one.call("go", {"url": "b"})


async def test_a_call_of_a_lease_waits_for_its_turn_where_there_is_a_limit_and_can_be_cancelled_there():
    policy = {"servers": {"browser": {"pool": {"min": 2}, "max_concurrency": 1}}}
    async with trunkline.connect({"browser": Pages()}, policy=policy) as trunk:
        await trunk.ready()
        await asyncio.sleep(0.1)
        async with trunk.lease("browser") as one:
            load = asyncio.create_task(trunk.call("browser.load"))
            await asyncio.sleep(0.1)
            with pytest.raises(trunkline.DeadlineExceededError, match="max_concurrency") as late:
                await one.call("go", {"url": "a"}, timeout=1)
            assert late.value.delivery == "never_sent"
            assert (await one.call("go", {"url": "b"})).text == "b"
            assert load.done()
        assert trunk.status()["browser"].waiting == 0
