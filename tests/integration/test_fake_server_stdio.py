"""The fake server as a real process: pipes, exit codes, signals, standard error and the journal."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer, Fault, stdio_entry

pytestmark = pytest.mark.anyio

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake() -> FakeServer:
    fake = FakeServer("alpha")
    fake.tool("echo", reports="arguments")
    return fake


def request(method: str, request_id: Any = None, /, **params: Any) -> bytes:
    identity = {} if request_id is None else {"id": request_id}
    message = {"jsonrpc": "2.0", **identity, "method": method, "params": {"_meta": META, **params}}
    return json.dumps(message).encode() + b"\n"


def call(request_id: Any, name: str, **arguments: Any) -> bytes:
    return request("tools/call", request_id, name=name, arguments=arguments)


class Child:
    """A started entry; every read is bounded."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def write(self, *frames: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(frames))
        await self.process.stdin.drain()

    async def line(self) -> bytes:
        assert self.process.stdout is not None
        return await asyncio.wait_for(self.process.stdout.readline(), 10)

    async def reply(self) -> Any:
        return json.loads(await self.line())

    async def finish(self) -> tuple[bytes, bytes, int | None]:
        """Close its input and give the rest of its output, its standard error and its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        out, err = await asyncio.wait_for(self.process.communicate(), 10)
        return out, err, self.process.returncode


@asynccontextmanager
async def start(entry: dict[str, Any], cwd: Path | None = None) -> AsyncIterator[Child]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        entry["command"],
        *entry["args"],
        env=entry["env"],
        cwd=cwd,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        limit=1 << 28,
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_answers_in_both_families_and_exits_at_the_end_of_input(
    fake: FakeServer, tmp_path: Path
) -> None:
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(request("initialize", 1, protocolVersion="2025-06-18"), request("tools/list", 2))
        assert (await child.reply())["result"]["protocolVersion"] == "2025-06-18"
        assert (await child.reply())["result"]["resultType"] == "complete"
        await child.write(b"\n", b"{broken\n", call("x", "echo", a=1))
        assert (await child.reply())["error"]["code"] == -32700
        assert (await child.reply())["result"]["structuredContent"] == {"a": 1}
        assert await child.finish() == (b"", b"", 0)


async def test_the_journal_tells_what_every_start_received(fake: FakeServer, tmp_path: Path) -> None:
    fake.tool("slow", delay=60)
    for _ in range(2):
        async with start(fake.to_stdio_entry(tmp_path)) as child:
            await child.write(
                call(1, "echo", a=1), call(2, "slow"), request("notifications/cancelled", requestId=2)
            )
            await child.write(call(3, "echo"))
            assert [(await child.reply())["id"] for _ in range(2)] == [1, 3]
            await child.finish()
    journal = fake.journal(tmp_path)
    seen = [(one.name, one.executed, one.cancelled) for one in journal.read().calls]
    assert seen == [("echo", True, False), ("slow", False, True), ("echo", True, False)] * 2
    assert (len(set(journal.pids)), journal.read().executed("echo")) == (2, 4)


@pytest.mark.parametrize(
    ("fault", "status", "executed"),
    [
        (Fault.crash_before_reply, 70, False),
        (Fault.crash_after_commit, 70, True),
        (Fault.kill, -signal.SIGKILL, False),
        (Fault.kill.after_commit(), -signal.SIGKILL, True),
    ],
)
async def test_a_crash_is_the_end_of_the_process(
    fake: FakeServer, tmp_path: Path, fault: Fault, status: int, executed: bool
) -> None:
    fake.fault("echo", fault)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"))
        assert await child.line() == b""
        assert (await child.finish())[2] == status
    assert fake.journal(tmp_path).read().calls[0].executed is executed


async def test_truncated_is_half_a_line_and_then_the_exit(fake: FakeServer, tmp_path: Path) -> None:
    fake.fault("echo", Fault.truncated, nth=2)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"), call(1, "echo"))
        whole = await child.line()
        assert await child.line() == whole[: len(whole) // 2]
        assert (await child.finish())[2] == 70


async def test_a_closed_connection_is_a_closed_stdout_of_a_living_process(
    fake: FakeServer, tmp_path: Path
) -> None:
    fake.fault("echo", Fault.close_connection)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"))
        assert await child.line() == b""
        assert child.process.returncode is None
        assert (await child.finish())[2] == 0


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Fault.garbage, b"Traceback (most recent call last): this is not JSON\n"),
        (Fault.raw('[{"id":$ID}]'), b'[{"id":1}]\n'),
    ],
)
async def test_a_spoiled_line_leaves_the_connection_alive(
    fake: FakeServer, tmp_path: Path, fault: Fault, line: bytes
) -> None:
    fake.fault("echo", fault, nth=1)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"), call(2, "echo"))
        assert await child.line() == line
        assert (await child.reply())["id"] == 2


async def test_invalid_utf8_wrong_id_and_duplicates_arrive_as_lines(fake: FakeServer, tmp_path: Path) -> None:
    fake.fault("echo", Fault.invalid_utf8, nth=1)
    fake.fault("echo", Fault.wrong_id, nth=2)
    fake.fault("echo", Fault.duplicate_reply, nth=3)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"), call(2, "echo"), call(3, "echo"))
        assert b"\xc3\x28\xff" in await child.line()
        assert [(await child.reply())["id"] for _ in range(3)] == ["not-2", 3, 3]


async def test_deep_and_oversized_replies_arrive_whole(fake: FakeServer, tmp_path: Path) -> None:
    fake.fault("echo", Fault.oversized(8_000_000), nth=1)
    fake.fault("echo", Fault.deep(300), nth=2)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"), call(2, "echo"))
        assert len(await child.line()) == 8_000_001
        assert b"[" * 300 in await child.line()


async def test_a_frame_without_end_outlives_any_cap(fake: FakeServer, tmp_path: Path) -> None:
    fake.fault("echo", Fault.endless)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"))
        assert child.process.stdout is not None
        data = await asyncio.wait_for(child.process.stdout.readexactly(4_000_000), 10)
    assert data.startswith(b'{"jsonrpc":"2.0","id":1,')
    assert b"\n" not in data


async def test_a_dripped_reply_is_whole_in_the_end(fake: FakeServer, tmp_path: Path) -> None:
    fake.fault("echo", Fault.drip(0.001, 50))
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"), call(2, "echo"))
        assert [(await child.reply())["id"] for _ in range(2)] == [1, 2]


async def test_a_hanging_call_holds_up_no_other(fake: FakeServer, tmp_path: Path) -> None:
    fake.fault("echo", Fault.hang, nth=1)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "echo"), call(2, "echo"))
        assert (await child.reply())["id"] == 2
        assert await child.finish() == (b"", b"", 0)


async def test_delays_overlap_and_progress_comes_meanwhile(fake: FakeServer, tmp_path: Path) -> None:
    fake.tool("slow", delay=0.4, progress=[(1, 2, "a"), (2, 2, "b")], returns="slow")
    fake.fault("echo", Fault.delay(0.1))
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(
            request("tools/call", 1, name="slow", _meta={**META, "progressToken": 5}), call(2, "echo")
        )
        seen = [await child.reply() for _ in range(4)]
    assert [one.get("id") or one["params"]["progress"] for one in seen] == [1, 2, 2, 1]
    assert [one["method"] for one in seen if "method" in one] == ["notifications/progress"] * 2


async def test_a_cancelled_call_replies_only_if_it_is_stubborn(fake: FakeServer, tmp_path: Path) -> None:
    fake.tool("obeys", delay=0.05)
    fake.tool("stubborn", delay=0.05, cancellable=False)
    fake.tool("later", delay=0.3)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(call(1, "obeys"), call(2, "stubborn"), call(3, "later"))
        await child.write(*(request("notifications/cancelled", requestId=number) for number in (1, 2)))
        assert [(await child.reply())["id"] for _ in range(2)] == [2, 3]
    calls = fake.journal(tmp_path).read().calls
    assert [(one.executed, one.cancelled) for one in calls] == [(False, True), (True, True), (True, False)]


@pytest.mark.parametrize(("discover", "status"), [("silent", 0), ("exit", 70)])
async def test_a_legacy_server_may_be_silent_or_die_at_discover(
    discover: Any, status: int, tmp_path: Path
) -> None:
    fake = FakeServer("alpha", eras=["legacy"], discover=discover)
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(request("server/discover", 1))
        if discover == "silent":
            await child.write(request("initialize", 2, protocolVersion="2025-11-25"))
            assert (await child.reply())["id"] == 2
        assert (await child.finish())[::2] == (b"", status)


async def test_reports_tell_about_the_process(tmp_path: Path) -> None:
    fake = FakeServer("alpha")
    for name in ("environment", "cwd", "pid"):
        fake.tool(name, reports=name)
    entry = fake.to_stdio_entry(tmp_path, env={"TOKEN": "s3cret"})
    (tmp_path / "here").mkdir()
    async with start(entry, cwd=tmp_path / "here") as child:
        await child.write(call(1, "environment", values=["TOKEN", "NONE"]), call(2, "cwd"), call(3, "pid"))
        environment, cwd, pid = [(await child.reply())["result"] for _ in range(3)]
        assert pid["content"][0]["text"] == str(child.process.pid)
    assert environment["structuredContent"]["values"] == {"TOKEN": "s3cret"}
    assert set(entry["env"]) <= set(environment["structuredContent"]["names"])
    assert cwd["content"][0]["text"] == str((tmp_path / "here").resolve())
    assert fake.journal(tmp_path).pids == [child.process.pid]


async def test_standard_error_carries_the_scripted_lines_and_the_flood(
    fake: FakeServer, tmp_path: Path
) -> None:
    entry = fake.to_stdio_entry(tmp_path, stderr=["starting", "warning: ünsafe"], stderr_flood=100_000)
    async with start(entry) as child:
        await child.write(request("ping", 1))
        out, err, _ = await child.finish()
    assert err.startswith("starting\nwarning: ünsafe\nnoise".encode())
    assert (len(err), json.loads(out)["id"]) == (100_000 + len("starting\nwarning: ünsafe\n".encode()), 1)


async def test_a_request_larger_than_any_pipe_is_read_whole(fake: FakeServer, tmp_path: Path) -> None:
    text = "x" * 400_000
    async with start(fake.to_stdio_entry(tmp_path)) as child, asyncio.TaskGroup() as group:
        group.create_task(child.write(call(1, "echo", text=text), call(2, "echo")))
        first, second = await child.reply(), await child.reply()
    assert first["result"]["structuredContent"] == {"text": text}
    assert second["id"] == 2


def test_a_process_ends_quietly_when_nobody_reads_it_any_more(fake: FakeServer, tmp_path: Path) -> None:
    entry, pipe = fake.to_stdio_entry(tmp_path), subprocess.PIPE
    with subprocess.Popen(
        [entry["command"], *entry["args"]], env=entry["env"], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(call(1, "echo"))
        process.stdin.flush()
        assert (process.wait(10), process.stderr.read()) == (0, b"")


async def test_a_prelude_comes_before_anything_else(fake: FakeServer, tmp_path: Path) -> None:
    async with start(fake.to_stdio_entry(tmp_path, prelude="\ufeffWelcome!\n", start_delay=0.05)) as child:
        await child.write(request("ping", 1))
        assert await child.line() == "\ufeffWelcome!\n".encode()
        assert (await child.reply())["id"] == 1


async def test_the_first_starts_fail_and_the_next_one_serves(fake: FakeServer, tmp_path: Path) -> None:
    entry = fake.to_stdio_entry(tmp_path, failing_starts=2, exit_code=3, stderr=["no licence"])
    statuses = []
    for _ in range(3):
        async with start(entry) as child:
            statuses.append((await child.finish())[1:])
    assert statuses == [(b"no licence\n", 3), (b"no licence\n", 3), (b"no licence\n", 0)]


async def test_a_stubborn_process_ignores_the_end_of_input_and_sigterm(
    fake: FakeServer, tmp_path: Path
) -> None:
    fake.tool("late", delay=0.2, returns="late")
    async with start(fake.to_stdio_entry(tmp_path, ignore_eof=True, ignore_sigterm=True)) as child:
        await child.write(request("ping", 0), call(1, "late"))
        assert (await child.reply())["id"] == 0
        assert child.process.stdin is not None
        child.process.stdin.close()
        child.process.terminate()
        assert (await child.reply())["id"] == 1
        assert child.process.returncode is None


async def test_an_ordinary_process_ends_at_sigterm(fake: FakeServer, tmp_path: Path) -> None:
    async with start(fake.to_stdio_entry(tmp_path)) as child:
        await child.write(request("ping", 1))
        await child.line()
        child.process.terminate()
        assert await asyncio.wait_for(child.process.wait(), 5) == -signal.SIGTERM


async def test_a_server_of_functions_runs_from_its_module(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from trunkline.testing import FakeServer, Fault\n"
        "fake = FakeServer('shop')\n"
        "@fake.tool\n"
        "async def add(arguments, context):\n"
        "    await context.progress(1, 1)\n"
        "    return arguments['a'] + arguments['b']\n"
        "fake.tool('die')\n"
        "fake.fault('die', Fault.crash_before_reply)\n"
    )
    async with start(stdio_entry("shop:fake"), cwd=tmp_path) as child:
        await child.write(
            request(
                "tools/call", 1, name="add", arguments={"a": 1, "b": 2}, _meta={**META, "progressToken": 1}
            )
        )
        assert (await child.reply())["params"]["progress"] == 1
        assert (await child.reply())["result"]["structuredContent"] == 3
        await child.write(call(2, "die"))
        assert await child.line() == b""
        assert (await child.finish())[2] == 70


async def test_without_one_argument_it_says_how_it_is_used() -> None:
    entry = stdio_entry("x")
    async with start({**entry, "args": entry["args"][:-1]}) as child:
        _, err, status = await child.finish()
    assert (status, b"SCRIPT.json | MODULE:ATTR" in err) == (2, True)


async def test_a_scripted_process_loads_nothing_slow(fake: FakeServer, tmp_path: Path) -> None:
    entry = fake.to_stdio_entry(tmp_path)
    entry["args"] = ["-X", "importtime", *entry["args"]]
    async with start(entry) as child:
        await child.write(call(1, "echo"))
        _, err, status = await child.finish()
    loaded = {line.rpartition("|")[2].strip() for line in err.decode().splitlines()}
    assert status == 0
    assert "trunkline.testing.exchange" in loaded
    assert not loaded & {
        "asyncio",
        "msgspec",
        "pydantic",
        "mcp",
        "aiohttp",
        "pathlib",
        "inspect",
        "dataclasses",
    }
