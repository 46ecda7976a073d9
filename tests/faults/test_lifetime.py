"""Opening, closing, adding and removing: at any moment, from any task, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def working(name: str = "fake", **options: Any) -> FakeServer:
    server = FakeServer(name, **options)
    server.tool("echo", reports="arguments")
    server.tool("pid", reports="pid")
    server.tool("work", delay=600, progress=[(1, 2, None), (2, 2, None)])
    return server


async def start_work(trunk: trunkline.Trunk, server: str = "fake") -> asyncio.Task[trunkline.Reply]:
    """Start a call that never ends, and give it once it is known to run."""
    running = asyncio.Event()
    call = asyncio.create_task(trunk.call(f"{server}.work", on_progress=lambda _: running.set()))
    waiting = asyncio.create_task(running.wait())
    await asyncio.wait({call, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return call


async def test_closing_while_calls_are_in_flight_fails_them_as_unknown(way: Any, reach: Any):
    server = working(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.ready()
        if way.carrier == "json":
            calls = [asyncio.create_task(trunk.call("fake.work")) for _ in range(5)]
            await server.wait_for(lambda ledger: len(ledger.calls) == 5)
        else:
            calls = [await start_work(trunk) for _ in range(5)]
        async with asyncio.timeout(5):
            await trunk.aclose()
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {trunkline.OutcomeUnknownError}
    assert {error.delivery for error in errors if isinstance(error, trunkline.CallError)} == {"unknown"}


async def test_closing_from_another_task_twice_and_again_is_one_closing(way: Any, reach: Any):
    server = working(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.call("fake.echo", {"n": 1})
        await asyncio.gather(*(asyncio.create_task(trunk.aclose()) for _ in range(3)))
        await trunk.aclose()
        assert trunk.status()["fake"].state == "stopped"


@pytest.mark.over("memory", "stdio", "json")
async def test_a_call_after_closing_fails_at_once_and_is_never_sent(way: Any, reach: Any):
    server = working(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.call("fake.echo", {"n": 1})
        await trunk.aclose()
        for tool in ("fake.echo", "fake.unknown", "echo"):
            with pytest.raises(trunkline.CallError) as caught:
                await asyncio.wait_for(trunk.call(tool), 2)
            assert caught.value.delivery == "never_sent"
        with pytest.raises(trunkline.TrunklineError):
            await trunk.add("late", working("late"))
        await asyncio.wait_for(trunk.ready(), 2)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 30])
@pytest.mark.over("memory", "stdio", "json")
async def test_closing_during_a_start_ends_the_start_and_tells_who_waits(way: Any, reach: Any, turns: int):
    server = working(eras=[way.family])
    server.fault("tools/list", Fault.hang)
    async with reach(server, way) as trunk:
        call = asyncio.create_task(trunk.call("fake.echo"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await trunk.aclose()
        with pytest.raises(trunkline.UnavailableError) as caught:
            await call
    assert caught.value.delivery == "never_sent"
    assert "closed" in str(caught.value)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
@pytest.mark.over("memory", "stdio", "json")
async def test_entering_that_is_cancelled_leaves_nothing(way: Any, turns: int, tmp_path: Path):
    server = working(eras=[way.family])
    server.fault("tools/list", Fault.hang)
    if way.carrier == "stdio":
        entry: Any = server.to_stdio_entry(tmp_path)
    else:
        entry = server if way.carrier == "memory" else {"url": "http://127.0.0.1:9/mcp"}

    async def enter() -> None:
        async with trunkline.connect({"fake": entry}, require=["fake"]):
            pytest.fail("it cannot be ready")

    entering = asyncio.create_task(enter())
    for _ in range(turns):
        await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises((asyncio.CancelledError, trunkline.UnavailableError)):
        await entering
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "trunkline"]


async def test_a_body_that_raises_closes_everything_and_its_error_comes_out(tmp_path: Path, is_alive: Any):
    server = working()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the body is what is tested
        async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
            pid = int((await trunk.call("fake.pid")).text)
            call = await start_work(trunk)
            raise ZeroDivisionError
    assert not is_alive(pid)
    with pytest.raises(trunkline.OutcomeUnknownError):
        await call


async def test_a_required_server_that_fails_raises_its_cause_and_leaves_nothing(
    tmp_path: Path, is_alive: Any
):
    good, bad = working("good"), working("bad")
    bad.fault("*", Fault.crash_before_reply)
    entries = {name: server.to_stdio_entry(tmp_path) for name, server in (("good", good), ("bad", bad))}
    with pytest.raises(trunkline.UnavailableError, match="bad") as caught:
        async with trunkline.connect(entries, require=["good", "bad"]):
            pytest.fail("it was required")
    assert caught.value.server == "bad"
    assert caught.value.hint
    pids = good.journal(tmp_path).pids + bad.journal(tmp_path).pids
    assert pids
    assert not any(is_alive(pid) for pid in pids)


async def test_a_required_server_that_is_not_configured_is_a_configuration_error():
    with pytest.raises(trunkline.ConfigError, match="ghost"):
        async with trunkline.connect({"fake": working()}, require=["ghost"]):
            pytest.fail("it was required")


async def test_entering_twice_is_refused_and_the_first_entry_goes_on():
    async with trunkline.connect({"fake": working()}) as trunk:
        with pytest.raises(RuntimeError, match="once"):
            await trunk.__aenter__()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


async def test_connecting_to_nothing_is_ready_and_knows_no_tool():
    async with trunkline.connect({"mcpServers": {}}) as trunk:
        await trunk.ready()
        assert trunk.status() == {}
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("any.tool")


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13])
@pytest.mark.over("memory", "stdio", "json")
async def test_a_server_removed_while_it_starts_says_that_it_was_removed(way: Any, reach: Any, turns: int):
    server = working(eras=[way.family])
    server.fault("tools/list", Fault.hang)
    async with reach(server, way) as trunk:
        call = asyncio.create_task(trunk.call("fake.echo"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await trunk.remove("fake")
        with pytest.raises(trunkline.CallError, match="removed") as caught:
            await call
        assert caught.value.delivery == "never_sent"
        assert trunk.status() == {}


async def test_a_server_removed_with_calls_in_flight_fails_those_and_no_others():
    ill, well = working("ill"), working("well")
    async with trunkline.connect({"ill": ill, "well": well}) as trunk:
        calls = [await start_work(trunk, "ill") for _ in range(3)]
        other = await start_work(trunk, "well")
        await trunk.remove("ill")
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {trunkline.OutcomeUnknownError}
        assert not other.done()
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("ill.echo")
        assert [tool.server for tool in trunk.catalog.tools] == ["well"] * 3
        await trunk.add("ill", ill)
        assert (await trunk.call("ill.echo", {"n": 1})).value == {"n": 1}
        other.cancel()


async def test_adding_and_removing_a_hundred_times_leaves_only_what_was_there(tmp_path: Path):
    entry = working().to_stdio_entry(tmp_path)
    async with trunkline.connect({"base": working("base")}) as trunk:
        await trunk.ready()
        tasks = len(asyncio.all_tasks())
        for number in range(100):
            await trunk.add("more", entry if number % 20 == 0 else working("more"))
            if number % 3:
                await trunk.call("more.echo", {"n": number})
            await trunk.remove("more")
        assert len(asyncio.all_tasks()) == tasks
        assert list(trunk.status()) == ["base"]


async def test_a_server_that_ignores_the_end_of_input_and_sigterm_is_killed_on_closing(
    tmp_path: Path, is_alive: Any
):
    server = working()
    entry = server.to_stdio_entry(tmp_path, ignore_eof=True, ignore_sigterm=True)
    started = time.perf_counter()
    async with trunkline.connect({"fake": entry}) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
    assert not is_alive(pid)
    assert time.perf_counter() - started < 8


async def test_a_memory_peer_that_will_not_end_does_not_hold_up_closing():
    class Stubborn:
        async def serve(self, *_: Any) -> None:
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if release.is_set():
                        raise

    release = asyncio.Event()
    before = asyncio.all_tasks()
    async with trunkline.connect({"fake": Stubborn()}) as trunk:
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await trunk.aclose()
    release.set()
    for task in asyncio.all_tasks() - before:
        task.cancel()
        await asyncio.wait({task})


PROGRAM = """
import asyncio, os, sys
import trunkline
{body}
"""

ENDINGS = {
    "cancelled main task": """
async def main():
    async with trunkline.connect(sys.argv[1]) as trunk:
        print((await trunk.call("fake.pid")).text, flush=True)
        asyncio.get_running_loop().call_later(0.05, asyncio.current_task().cancel)
        await trunk.call("fake.work")
try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
""",
    "keyboard interrupt": """
import signal
async def main():
    async with trunkline.connect(sys.argv[1]) as trunk:
        print((await trunk.call("fake.pid")).text, flush=True)
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        await trunk.call("fake.work")
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
""",
    "never left": """
async def main():
    trunk = await trunkline.connect(sys.argv[1]).__aenter__()
    print((await trunk.call("fake.pid")).text, flush=True)
    asyncio.create_task(trunk.call("fake.work"))
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "left in a hurry": """
async def main():
    try:
        async with asyncio.timeout(None) as limit, trunkline.connect(sys.argv[1]) as trunk:
            print((await trunk.call("fake.pid")).text, flush=True)
            limit.reschedule(asyncio.get_running_loop().time() + 0.05)
            await trunk.call("fake.work")
    except TimeoutError:
        pass
asyncio.run(main())
""",
    "interrupted while closing": """
async def main():
    async with trunkline.connect(sys.argv[1]) as trunk:
        print((await trunk.call("fake.pid")).text, flush=True)
        task = asyncio.current_task()
        for moment in (0.02, 0.04, 0.06):
            asyncio.get_running_loop().call_later(moment, task.cancel)
        await trunk.call("fake.work")
try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "stubborn"])
def test_a_program_that_ends_in_any_way_leaves_no_process_and_no_complaint(
    tmp_path: Path, ending: str, stubborn: bool, is_alive: Any
):
    import json

    entry = working().to_stdio_entry(tmp_path, ignore_eof=stubborn, ignore_sigterm=stubborn)
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"fake": entry}}))
    program = textwrap.dedent(PROGRAM).format(body=ENDINGS[ending])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(config)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 1
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


async def test_errors_nobody_asks_for_are_not_complained_of(caplog: pytest.LogCaptureFixture, tmp_path: Path):
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    try:
        bad = working("bad")
        bad.fault("*", Fault.crash_before_reply)
        entries = {
            "bad": bad.to_stdio_entry(tmp_path),
            "ghost": {"command": "/nonexistent/x"},
            "far": {"url": "http://127.0.0.1:9/mcp"},
            "hung": working("hung", discover="silent"),
        }
        async with trunkline.connect(entries) as trunk:
            calls = [asyncio.create_task(trunk.call(f"{name}.echo", timeout=5)) for name in entries]
            await asyncio.sleep(0)
            for call in calls[:2]:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        gc.collect()
        await asyncio.sleep(0)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert complaints == []
    assert not [record for record in caplog.records if record.name == "asyncio"]
