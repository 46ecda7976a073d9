"""Blocking calls, streams, handles and tools: the same results, in the thread that asks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import inspect
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

import trunkline
from trunkline import Log, Principal, Progress, Reply
from trunkline.connection.connection import Connection
from trunkline.sync import Trunk, connect
from trunkline.testing import FakeServer, TaskScript

SUM = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


@pytest.fixture(autouse=True)
def _ctrl_c_works_and_waits_can_be_poked() -> Iterator[None]:
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGWINCH: lambda *_: None}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def fake() -> FakeServer:
    server = FakeServer("shop")
    server.tool("slow", delay=3600, progress=[(1, 2, "half"), (2, 2, "whole")])
    server.tool("reject", rpc_error=(-32000, "no", None))
    server.tool("build", returns="built", task=TaskScript(support="required"))

    @server.tool(schema=SUM, description="Add one.")
    async def add(arguments: dict[str, Any], context: Any) -> dict[str, int]:
        await context.progress(1, 2, "adding")
        await context.log("info", "adding")
        return {"sum": arguments["a"] + 1}

    return server


@pytest.fixture(params=["uvloop", "asyncio"])
def trunk(
    request: pytest.FixtureRequest, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trunk]:
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    before = set(threading.enumerate())
    with connect({"shop": fake}) as opened:
        (thread,) = set(threading.enumerate()) - before
        assert thread.daemon
        loop = opened._thread._loop
        assert type(loop).__module__.split(".")[0] == request.param
        yield opened
    assert set(threading.enumerate()) == before


def test_calls_block_until_there_is_a_reply(trunk: Trunk) -> None:
    reply = trunk.call("add", {"a": 1})
    assert (reply.structured, reply.server) == ({"sum": 2}, "shop")
    assert trunk.call("add", {"a": 1}, as_=dict[str, int]) == {"sum": 2}
    replies = trunk.call_many([("add", {"a": 1}), ("reject", {})])
    assert [type(one) for one in replies] == [Reply, trunkline.ServerError]
    with pytest.raises(trunkline.ServerError):
        trunk.call("reject")


def test_progress_is_reported_in_the_thread_that_calls(trunk: Trunk) -> None:
    seen: list[tuple[Progress, threading.Thread]] = []

    def report(progress: Progress) -> None:
        seen.append((progress, threading.current_thread()))
        assert trunk.status()["shop"].state == "ready"

    assert trunk.call("add", {"a": 1}, on_progress=report, as_=dict) == {"sum": 2}
    assert seen == [(Progress(progress=1, total=2, message="adding"), threading.current_thread())]


def test_an_asynchronous_progress_handler_runs_on_the_loop(trunk: Trunk) -> None:
    seen: list[str] = []

    async def report(_: Progress) -> None:
        seen.append(threading.current_thread().name)

    trunk.call("add", {"a": 1}, on_progress=report)
    assert seen == ["trunkline"]


def test_a_lease_blocks_until_it_has_its_connection(trunk: Trunk) -> None:
    with trunk.lease("shop", timeout=10) as one:
        assert (one.server, one.lost) == ("shop", False)
        assert one.call("add", {"a": 1}).value == {"sum": 2}
        assert isinstance(list(one.stream("shop.add", {"a": 2}))[-1], Reply)
        with pytest.raises(trunkline.DeadlineExceededError), trunk.lease("shop", timeout=0.05):
            pass
    with pytest.raises(trunkline.LeaseLostError):
        one.call("add", {"a": 1})


def test_a_stream_is_an_iterator(trunk: Trunk) -> None:
    assert [type(event) for event in trunk.stream("add", {"a": 1})] == [Progress, Log, Reply]


def test_closing_a_stream_early_cancels_at_the_server(trunk: Trunk, fake: FakeServer) -> None:
    events = trunk.stream("slow")
    assert isinstance(next(events), Progress)
    events.close()
    wait_for(fake, lambda: fake.calls[0].cancelled)


def test_a_handle_runs_on_its_own_and_can_be_cancelled(trunk: Trunk, fake: FakeServer) -> None:
    quick = trunk.start("add", {"a": 1})
    assert quick.result().structured == {"sum": 2}
    assert quick.done
    assert [report.message for report in quick.progress] == ["adding"]
    slow = trunk.start("slow")
    assert next(iter(slow.progress)).message == "half"
    assert slow.cancel("enough")
    with pytest.raises(concurrent.futures.CancelledError, match="enough"):
        slow.result()
    assert slow.delivery == "unknown"
    wait_for(fake, lambda: fake.calls[-1].cancelled)
    assert fake.ledger.of("notifications/cancelled")[0].params["reason"] == "enough"


def test_a_task_is_found_again_by_its_handle(trunk: Trunk, fake: FakeServer) -> None:
    started = trunk.start_task("shop.build")
    found = trunk.task(str(started))
    assert (started.done, found.status, repr(found)) == (False, "working", "<task of shop.build: working>")
    assert (found.refresh().status, found.task.status) == ("completed", "completed")
    assert trunk.task(started).wait(10).text == "built"
    assert [one.name for one in fake.calls] == ["build"]
    other = trunk.start_task("shop.build")
    other.cancel()
    assert other.refresh().status == "cancelled"


def test_a_tool_is_a_function(trunk: Trunk) -> None:
    trunk.ready()
    add = trunk.tool("ad")
    assert add(1).structured == add(a=1).structured == {"sum": 2}
    assert add.__name__ == "add"
    assert inspect.getdoc(add) == "Add one.\n\nArgs:\n    a"
    assert list(inspect.signature(add).parameters) == ["a"]
    with pytest.raises(trunkline.NotFoundError):
        trunk.tool("nothing")


def test_the_rest_of_the_trunk_answers_too(trunk: Trunk) -> None:
    trunk.ready("shop", timeout=30)
    assert [tool.public_name for tool in trunk.catalog.tools] == [
        f"shop.{name}" for name in ("slow", "reject", "build", "add")
    ]
    assert trunk.search("add one")[0].tool.name == "add"
    assert [entry.name for entry in trunk.config.entries] == ["shop"]
    trunk.add("more", FakeServer("more"))
    trunk.ready("more")
    trunk.remove("more")
    assert list(trunk.status()) == ["shop"]


def test_acting_as_holds_in_the_thread_of_the_block_only(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []
    original = Connection.call

    async def call(self: Connection, call: Any) -> Reply:
        reached.append(call.principal.name)
        return await original(self, call)

    monkeypatch.setattr(Connection, "call", call)
    with trunk.acting_as(Principal(name="alice")):
        trunk.call("add", {"a": 1})
        trunk.start("add", {"a": 1}).result()
        list(trunk.stream("add", {"a": 1}))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(trunk.call, "add", {"a": 1}).result()
    assert reached == ["alice", "alice", "alice", "local"]


def test_ctrl_c_in_a_blocked_call_cancels_it_at_the_server(trunk: Trunk, fake: FakeServer) -> None:
    interrupting = interrupt_once_called(fake)
    with pytest.raises(KeyboardInterrupt):
        trunk.call("slow")
    interrupting.join()
    wait_for(fake, lambda: fake.calls[0].cancelled)
    assert trunk.call("add", {"a": 1}).structured == {"sum": 2}


def test_ctrl_c_while_a_handle_is_waited_for_cancels_its_call(trunk: Trunk, fake: FakeServer) -> None:
    handle = trunk.start("slow")
    interrupting = interrupt_once_called(fake)
    with pytest.raises(KeyboardInterrupt):
        handle.result()
    interrupting.join()
    wait_for(fake, lambda: fake.calls[0].cancelled)


def test_ctrl_c_in_a_progress_handler_cancels_the_call(trunk: Trunk, fake: FakeServer) -> None:
    def report(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trunk.call("slow", on_progress=report)
    wait_for(fake, lambda: fake.calls[0].cancelled)


def test_a_thread_with_a_running_loop_gets_a_clear_error(trunk: Trunk) -> None:
    async def calls() -> None:
        trunk.call("add", {"a": 1})

    with pytest.raises(RuntimeError, match=r"trunkline\.connect.*asyncio\.to_thread"):
        asyncio.run(calls())

    async def calls_beside() -> Reply:
        return await asyncio.to_thread(trunk.call, "add", {"a": 1})

    assert asyncio.run(calls_beside()).structured == {"sum": 2}


def test_connecting_in_a_running_loop_is_refused_and_leaves_no_thread(fake: FakeServer) -> None:
    async def connects() -> None:
        connect({"shop": fake})

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="event loop"):
        asyncio.run(connects())
    assert set(threading.enumerate()) == before


def test_a_notebook_may_block_its_own_loop(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cell() -> Reply:
        return trunk.call("add", {"a": 1})

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert asyncio.run(cell()).structured == {"sum": 2}
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    with pytest.raises(RuntimeError):
        asyncio.run(cell())


def test_an_async_handler_that_waits_for_a_call_is_refused_and_not_blocked(fake: FakeServer) -> None:
    refused: list[BaseException] = []
    seen = threading.Event()

    async def changed(*_: Any) -> None:
        for use in (lambda: trunk.call("add", {"a": 1}), trunk.close):
            try:
                use()
            except RuntimeError as error:
                refused.append(error)
        seen.set()

    handlers = trunkline.Handlers(notifications={"notifications/message": changed})
    with connect({"shop": fake}, handlers=handlers) as trunk:
        list(trunk.stream("add", {"a": 1}))
        assert seen.wait(5)
    assert ["handler" in str(error) for error in refused] == [True, True]


def test_a_blocking_handler_has_a_thread_of_its_own_and_may_call(fake: FakeServer) -> None:
    replies: list[Any] = []
    seen = threading.Event()

    def changed(*_: Any) -> None:
        if not replies:
            replies.append(trunk.call("add", {"a": 1}))
            seen.set()

    handlers = trunkline.Handlers(notifications={"notifications/message": changed})
    with connect({"shop": fake}, handlers=handlers) as trunk:
        list(trunk.stream("add", {"a": 1}))
        assert seen.wait(5)
    assert replies[0].server == "shop"


def test_errors_of_connecting_are_raised_and_leave_no_thread() -> None:
    before = set(threading.enumerate())
    with pytest.raises(trunkline.ConfigError):
        connect({"shop": FakeServer("shop")}, require=["other"])
    with pytest.raises(trunkline.UnavailableError):
        connect({"shop": {"command": "no-such-command-anywhere"}}, require=["shop"])
    assert set(threading.enumerate()) == before


def test_closing_twice_is_fine_and_a_closed_trunk_says_so(fake: FakeServer) -> None:
    trunk = connect({"shop": fake})
    handle, stream = trunk.start("slow"), trunk.stream("slow")
    next(stream)
    trunk.close()
    trunk.close()
    assert handle.done
    for use in (lambda: trunk.call("add", {"a": 1}), trunk.status, handle.result, lambda: next(stream)):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_closing_ends_the_calls_that_other_threads_wait_for(fake: FakeServer) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool, connect({"shop": fake}) as trunk:
        events = trunk.stream("slow")
        next(events)
        waiting = [pool.submit(trunk.call, "slow"), pool.submit(next, events)]
        wait_for(fake, lambda: len(fake.calls) == 2)
        trunk.close()
        errors = [one.exception(timeout=30) for one in waiting]
    assert [type(error) for error in errors] == [trunkline.OutcomeUnknownError] * 2


def test_a_trunk_nobody_holds_ends_by_itself(fake: FakeServer) -> None:
    before = set(threading.enumerate())
    trunk = connect({"shop": fake})
    (thread,) = set(threading.enumerate()) - before
    handle = trunk.start("add", {"a": 1})
    del trunk
    gc.collect()
    assert handle.result().structured == {"sum": 2}
    del handle
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def wait_for(fake: FakeServer, condition: Any) -> None:
    """Wait until something is true of what the server received; the trunk's thread writes it meanwhile."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(RuntimeError):
            if condition():
                return
        assert time.monotonic() < deadline, fake.ledger
        threading.Event().wait(0.01)


def interrupt_once_called(fake: FakeServer) -> threading.Thread:
    """Press Ctrl-C once the server has a call and the main thread waits for its outcome."""
    main = threading.main_thread().ident or 0

    def is_waiting() -> bool:
        frame = sys._current_frames().get(main)
        while frame is not None and frame.f_code is not concurrent.futures.Future.result.__code__:
            frame = frame.f_back
        return frame is not None

    def press() -> None:
        wait_for(fake, lambda: bool(fake.calls))
        while not is_waiting():
            threading.Event().wait(0.01)
        signal.pthread_kill(main, signal.SIGINT)
        # A signal that comes just before a lock blocks is answered only when another one wakes the wait.
        while is_waiting():
            signal.pthread_kill(main, signal.SIGWINCH)
            threading.Event().wait(0.01)

    thread = threading.Thread(target=press)
    thread.start()
    return thread
