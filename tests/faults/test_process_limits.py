"""Servers that take more of the machine than they may: real processes that allocate, spin, fork and open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.core.events import MemberChanged, ServerChanged
from trunkline.transport import bounds

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are counted on Linux only"),
]

SERVER = """
import json, os, resource, signal, subprocess, sys, time
kept = []

def child(code):
    kept.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", code], start_new_session=True))
    return kept[-1].pid

def act(tool, n):
    if tool == "allocate":
        kept.append(b"x" * (n * 1000000))
    elif tool == "reserve":
        kept.append(bytearray(n * 1000000))
    elif tool == "children":
        return [child(f"x = b'x' * {n * 1000000}; import time; time.sleep(600)") for _ in range(4)]
    elif tool == "share":
        kept.append(b"x" * (n * 1000000))
        for _ in range(4):
            if not os.fork():
                time.sleep(0.4)
                os._exit(0)
    elif tool == "spin":
        while True:
            pass
    elif tool == "spin_in_child":
        return child("while True: pass")
    elif tool == "bomb":
        for _ in range(n):
            child("import time; time.sleep(600)")
    elif tool == "open":
        try:
            for _ in range(n):
                kept.append(open(os.devnull))
        except OSError as error:
            kept.clear()
            return f"refused: {error.errno}"
    elif tool == "facts":
        hard = {"NOFILE": resource.getrlimit(resource.RLIMIT_NOFILE)[1]}
        code = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
        inner = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        return {
            "env": dict(os.environ), "argv": sys.argv, "pid": os.getpid(), "sid": os.getsid(0), "hard": hard,
            "inner": int(inner), "ignored": open("/proc/self/status").read().split("SigIgn:")[1].split()[0],
            "parent_ignored": os.environ.get("IGNORED"),
        }
    return "done"

def answer(message):
    if message["method"] == "initialize":
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "hungry", "version": "1"}}
    if message["method"] == "tools/list":
        names = ["allocate", "reserve", "children", "share", "spin", "spin_in_child", "bomb", "open", "facts"]
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
    if message["method"] == "tools/call":
        params = message["params"]
        try:
            text = json.dumps(act(params["name"], params.get("arguments", {}).get("n", 0)))
        except MemoryError:
            text = json.dumps("no memory")
        return {"content": [{"type": "text", "text": text}]}
    if message["method"] == "ping":
        return {}

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message)
        said = {"result": result} if result is not None else {"error": {"code": -32601, "message": "no"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> dict[str, Any]:
    program = tmp_path / "hungry.py"
    program.write_text(SERVER)
    return {"command": sys.executable, "args": ["-I", "-S", str(program)]}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "INTERVAL", 0.02)


@asynccontextmanager
async def limited(server: dict[str, Any], **limits: Any) -> AsyncIterator[trunkline.Trunk]:
    policy = {"servers": {"hungry": {"process": limits, "restart_delay": 0, "era": "legacy"}}}
    async with trunkline.connect({"hungry": server}, policy=policy) as trunk:
        await trunk.ready()
        yield trunk


async def ended(trunk: trunkline.Trunk, tool: str, n: int = 0) -> trunkline.OutcomeUnknownError:
    """Make a call that costs the server its life, and see that it comes back."""
    async with trunk.events(ServerChanged) as events:
        with pytest.raises(trunkline.OutcomeUnknownError) as caught:
            await trunk.call(f"hungry.{tool}", {"n": n}, timeout=20)
        async with asyncio.timeout(20):
            down = await anext(events)
            assert (down.state, down.reason) == (
                "backoff",
                f"the server was ended: {reason_in(caught.value)}",
            )
            while (await anext(events)).state != "ready":
                pass
    assert trunk.status()["hungry"].restarts == 1
    assert (await trunk.call("hungry.facts")).text
    return caught.value


def reason_in(error: trunkline.CallError) -> str:
    return error.message.partition("(")[2].removesuffix(")")


async def test_memory_is_held_to_its_limit_and_the_error_names_limit_value_and_setting(
    server: dict[str, Any],
):
    async with limited(server, memory="100 MB") as trunk:
        assert (await trunk.call("hungry.allocate", {"n": 40})).text == '"done"'
        error = await ended(trunk, "allocate", 120)
        assert "`process.memory` allows 100 MB" in str(error)
        assert error.delivery == "unknown"


async def test_memory_of_children_in_sessions_of_their_own_counts_and_they_end_too(
    server: dict[str, Any], is_alive: Any
):
    async with limited(server, memory="150 MB") as trunk:
        pids = (await trunk.call("hungry.children", {"n": 10})).text
        assert "process.memory" in str(await ended_later(trunk, "children", 40))
        assert not any(is_alive(pid) for pid in json.loads(pids))


async def ended_later(trunk: trunkline.Trunk, tool: str, n: int = 0) -> str:
    """Make a call that is answered before what it begins costs the server its life; give the reason."""
    async with trunk.events(ServerChanged) as events:
        with contextlib.suppress(trunkline.OutcomeUnknownError):
            await trunk.call(f"hungry.{tool}", {"n": n}, timeout=20)
        async with asyncio.timeout(20):
            while (event := await anext(events)).state != "backoff":
                pass
            reason = str(event.reason)
            while event.state != "ready":
                event = await anext(events)
    return reason


async def test_memory_that_processes_share_counts_once(server: dict[str, Any]):
    async with limited(server, memory="150 MB") as trunk:
        assert (await trunk.call("hungry.share", {"n": 60})).text == '"done"'
        await asyncio.sleep(0.3)
        assert trunk.status()["hungry"].restarts == 0


async def test_one_huge_reservation_fails_in_the_server_which_lives_on(server: dict[str, Any]):
    async with limited(server, memory="100 MB") as trunk:
        assert (await trunk.call("hungry.reserve", {"n": 2000})).text == '"no memory"'
        assert trunk.status()["hungry"].restarts == 0


@pytest.mark.parametrize("tool", ["spin", "spin_in_child"])
async def test_time_on_a_processor_is_held_to_its_limit_in_children_too(server: dict[str, Any], tool: str):
    async with limited(server, cpu_seconds=0.3) as trunk:
        reason = await ended_later(trunk, tool)
        assert "`process.cpu_seconds` allows 0.3 s" in reason


async def test_the_number_of_processes_is_held_to_its_limit(server: dict[str, Any]):
    async with limited(server, processes=4) as trunk:
        assert "it was" in (reason := await ended_later(trunk, "bomb", 30))
        assert "`process.processes` allows 4" in reason


async def test_the_number_of_files_is_held_by_the_system_in_every_process(server: dict[str, Any]):
    async with limited(server, files=40) as trunk:
        assert (await trunk.call("hungry.open", {"n": 100})).text == '"refused: 24"'
        facts = (await trunk.call("hungry.facts")).text
        assert '"NOFILE": 40' in facts
        assert '"inner": 40' in facts
        assert trunk.status()["hungry"].restarts == 0


async def test_a_limited_server_finds_the_same_world_as_any_other(server: dict[str, Any]):
    server["env"] = {"ONLY": "this", "LC_CTYPE": "C"}
    facts = []
    for limits in ({}, {"files": 64}, {"files": 64, "memory": "1 GB", "cpu_seconds": 9}):
        async with limited(server, **limits) as trunk:
            found = json.loads((await trunk.call("hungry.facts")).text)
            assert found.pop("pid") == found.pop("sid")
            found.pop("hard"), found.pop("inner")
            facts.append(found)
    assert facts[0] == facts[1] == facts[2]


async def test_a_server_that_takes_too_much_before_it_is_ready_says_so_in_its_status(server: dict[str, Any]):
    policy = {"defaults": {"process": {"processes": 1}, "era": "legacy"}}
    server["args"][-1:] = ["-c", "import os, time; os.fork(); time.sleep(600)"]
    async with trunkline.connect({"hungry": server}, policy=policy) as trunk:
        await trunk.ready()
        status = trunk.status()["hungry"]
        assert (
            status.last_error == "the server was ended: it was 2 processes, and `process.processes` allows 1"
        )
        assert "Raise `process.processes`" in str(status.hint)
        with pytest.raises(trunkline.UnavailableError, match=r"`process.processes` allows 1") as caught:
            await trunk.call("hungry.facts")
        assert (caught.value.delivery, caught.value.code) == ("never_sent", "limit_exceeded")


async def test_each_connection_of_a_pool_is_held_by_itself_and_one_that_is_ended_costs_no_other(
    server: dict[str, Any], is_alive: Any
):
    settings = {"process": {"memory": "150 MB"}, "pool": {"min": 2, "max": 2}, "restart_delay": 0}
    async with trunkline.connect({"hungry": server}, policy={"defaults": settings}) as trunk:
        await trunk.ready()
        async with trunk.lease("hungry") as one, trunk.lease("hungry") as other:
            children = json.loads((await one.call("children", {"n": 1})).text)
            for each in (one, other):
                assert (await each.call("allocate", {"n": 40})).text == '"done"'
            with pytest.raises(trunkline.OutcomeUnknownError, match=r"`process.memory` allows 150 MB"):
                await one.call("allocate", {"n": 200})
            async with asyncio.timeout(20), trunk.events(MemberChanged) as events:
                while (await anext(events)).state != "ready":
                    pass
            with pytest.raises(trunkline.LeaseLostError, match=r"`process.memory` allows 150 MB"):
                await one.call("facts")
            assert (await other.call("facts")).text
            assert not any(is_alive(child) for child in children)
        status = trunk.status()["hungry"]
        assert (status.restarts, sorted(member.restarts for member in status.members)) == (0, [0, 1])


async def test_what_cannot_be_started_under_limits_says_so_on_its_standard_error(tmp_path: Path):
    program = tmp_path / "broken"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    policy = {"defaults": {"process": {"files": 64}}}
    async with trunkline.connect({"broken": {"command": str(program)}}, policy=policy) as trunk:
        await trunk.ready()
        assert "cannot be started" in trunk.status()["broken"].stderr


async def test_a_server_without_limits_is_started_as_it_is_written(server: dict[str, Any]):
    async with limited(server) as trunk:
        pid = int((await trunk.call("hungry.facts")).text.partition('"pid": ')[2].partition(",")[0])
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: ASYNC230 - no disk is behind it
            assert b"launch.py" not in file.read()
        assert asyncio.get_running_loop() not in bounds._rounds
        os.kill(pid, signal.SIGKILL)
