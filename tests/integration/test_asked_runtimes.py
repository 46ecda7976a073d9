"""A runtime that is asked by another process of its user, and what its owner can ask it itself."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

import trunkline
from trunkline.errors import ConfigError, NotFoundError, UnavailableError
from trunkline.runtime import control_inspection
from trunkline.runtime.control_inspection import Inspector
from trunkline.runtime.control_link import ControlLink
from trunkline.runtime.control_record import Record, living
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

Value = TypeVar("Value")
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets whose path is short enough; nothing may be left in it."""
    with tempfile.TemporaryDirectory(prefix="tl-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        yield Path(runtime) / "trunkline"
        assert list(Path(runtime).glob("trunkline/*")) == []


def offer(name: str = "notes") -> FakeServer:
    server = FakeServer(name)
    server.tool("add", schema=TEXT, reports="arguments")
    server.tool("work", delay=600)
    server.tool("rude", rpc_error=(-32000, "no \x1b[31mink"))
    return server


def the_record(folder: Path) -> Record:
    (record,) = living(folder, "library")
    return record


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Callable[[Callable[[Inspector], Value]], Any]]:
    """Give what asks the one runtime there is, in a thread, as another process would."""
    path = str(folder / the_record(folder).socket)
    link = await asyncio.to_thread(ControlLink.open, path, None)
    with Inspector(link) as inspector:

        async def ask(question: Callable[[Inspector], Value]) -> Value:
            async with asyncio.timeout(10):
                return await asyncio.to_thread(question, inspector)

        yield ask


async def test_a_program_that_asks_for_it_can_be_asked_and_leaves_nothing(folder: Path):
    async with trunkline.connect({"notes": offer()}, control="my agent") as trunk:
        await trunk.ready()
        record = the_record(folder)
        assert (record.pid, record.program, record.kind) == (os.getpid(), "my agent", "library")
        assert record.version == trunkline.__version__
        path = folder / record.socket
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        async with asking(folder) as ask:
            status = await ask(lambda inspector: inspector.status())
            assert status["notes"].state == "ready"
    assert living(folder, "library") == []


async def test_no_socket_is_opened_that_nobody_asked_for(folder: Path):
    async with trunkline.connect({"notes": offer()}) as trunk:
        await trunk.ready()
        assert not os.path.lexists(folder)  # noqa: ASYNC240
        assert trunk.why("notes").summary.startswith("ready for")


async def test_two_runtimes_of_one_process_are_told_apart(folder: Path):
    async with (
        trunkline.connect({"a": offer("a")}, control=True),
        trunkline.connect({"b": offer("b")}, control=True),
    ):
        assert len(living(folder, "library")) == 2


async def test_the_journal_the_logs_and_why_are_the_runtimes_own(folder: Path):
    async with trunkline.connect({"notes": offer()}, control=True) as trunk:
        await trunk.ready()
        reply = await trunk.call("notes.add", {"text": "very private"})
        with pytest.raises(trunkline.ServerError) as caught:
            await trunk.call("notes.rude")
        async with asking(folder) as ask:
            calls = await ask(lambda inspector: inspector.calls(10))
            assert [(one.call_id, one.code) for one in calls] == [
                (reply.call_id, None),
                (caught.value.call_id, "server_error"),
            ]
            assert "very private" not in repr(calls)
            assert "\x1b" not in repr(calls)
            why = await ask(lambda inspector: inspector.why(str(caught.value.call_id)))
            assert (why.about, why.name, why.server) == ("call", caught.value.call_id, "notes")
            assert why.call == as_seen(trunk, str(caught.value.call_id), why.call)
            said = await ask(lambda inspector: inspector.logs())
            assert said.lines == trunk.logs()
            assert [line.text for line in said.lines] == ["connecting", "ready"]
            with pytest.raises(NotFoundError, match="journal"):
                await ask(lambda inspector: inspector.why("abcdef-99"))


def as_seen(trunk: trunkline.Trunk, call_id: str, seen: Any) -> Any:
    """Give the call as the runtime knows it, at the moment at which it was seen."""
    known = trunk.journal.find(call_id)
    assert known is not None
    return replace(known, age=seen.age)


async def test_what_a_server_says_is_followed(folder: Path):
    server = offer()

    @server.tool
    async def talk(_: dict[str, Any], context: Any) -> str:
        await context.log("warning", "ink is low", "printer")
        return "said"

    async with trunkline.connect({"notes": server}, control=True) as trunk:
        await trunk.ready()
        await trunk.set_log_level("debug", "notes")
        async with asking(folder) as ask:
            newest = (await ask(lambda inspector: inspector.logs(most=0))).newest
            waiting = asyncio.create_task(ask(lambda inspector: inspector.logs(after=newest, wait=5)))
            await asyncio.sleep(0)
            await trunk.call("notes.talk")
            (line,) = (await waiting).lines
            assert (line.source, line.level, line.logger, line.text) == (
                "log",
                "warning",
                "printer",
                "ink is low",
            )
            nothing = await ask(lambda inspector: inspector.logs(after=line.number, wait=0.01))
            assert nothing.lines == ()


async def test_standard_error_is_kept_over_restarts_without_the_secrets_of_the_entry():
    code = "import os, sys; print('token', os.environ['TOKEN'], '\\x1b[2J', file=sys.stderr); sys.exit(3)"
    entry = {"command": sys.executable, "args": ["-c", code], "env": {"TOKEN": "very-secret-value"}}
    policy = {"defaults": {"restart_delay": 0.01, "max_restarts": 2}}
    async with trunkline.connect({"bad": entry}, policy=policy) as trunk:
        async with asyncio.timeout(20):
            while trunk.status()["bad"].state != "failed":  # noqa: ASYNC110 - seen from outside only
                await asyncio.sleep(0.01)
        lines = trunk.logs("bad")
        stderr = [line.text for line in lines if line.source == "stderr"]
        assert len(stderr) >= 2
        assert set(stderr) == {"token [redacted] "}
        why = trunk.why("bad")
        assert why.summary.startswith("failed for")
        assert why.status is not None
        assert "very-secret-value" not in repr((why, lines))


async def test_a_restart_over_the_socket_tells_what_it_cut(folder: Path):
    server = offer()
    async with trunkline.connect({"notes": server, "gone": {"command": "no-such"}}, control=True) as trunk:
        await trunk.ready()
        work = asyncio.create_task(trunk.call("notes.work"))
        await server.wait_for(lambda ledger: len(ledger.calls) == 1)
        async with asking(folder) as ask:
            report = await ask(lambda one: one.restart("notes", grace=0.01, timeout=10))
            assert (report.server, report.cut) == ("notes", 1)
            with pytest.raises(UnavailableError, match="was not found"):
                await ask(lambda one: one.restart("gone", grace=0.01, timeout=10))
            with pytest.raises(NotFoundError):
                await ask(lambda one: one.restart("none", grace=0.01, timeout=10))
        assert isinstance(
            (await asyncio.gather(work, return_exceptions=True))[0], trunkline.OutcomeUnknownError
        )


async def test_who_only_asks_can_use_no_server_and_end_nothing(folder: Path):
    server = offer()
    async with trunkline.connect({"notes": server}, control=True) as trunk:
        await trunk.ready()
        path = str(folder / the_record(folder).socket)
        with pytest.raises(ConfigError):
            await asyncio.to_thread(ControlLink.open, path, "")
        link = await asyncio.to_thread(ControlLink.open, path, None)
        for request in (b'{"type":"call","id":1,"tool":"notes.add"}\n', b'{"type":"shutdown","id":2}\n'):
            link.link.sendall(request)
            answer = await asyncio.to_thread(link.link.recv, 65536)
            assert b'"failure"' in answer
            assert b"inspection only" in answer
        link.close()
        assert server.calls == []


async def test_a_runtime_that_has_gone_or_is_frozen_is_told_within_a_bound(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_inspection, "_ANSWER", 0.05)
    monkeypatch.setattr("trunkline.runtime.control_link._GREETING", 0.05)
    async with trunkline.connect({"notes": offer()}, control=True) as trunk:
        await trunk.ready()
        record = the_record(folder)
        async with asking(folder) as ask:
            # Nothing else runs on the loop meanwhile: to who asks, this process is frozen.
            with pytest.raises(TimeoutError):
                ControlLink.open(str(folder / record.socket), None)
            inspector = await ask(lambda one: one)
            with pytest.raises(UnavailableError, match="does not answer"):
                inspector.status()
        async with asking(folder) as ask:
            await trunk.aclose()
            with pytest.raises(UnavailableError, match="has ended"):
                await ask(lambda one: one.status())


async def test_another_version_of_the_protocol_is_named(folder: Path):
    async with trunkline.connect({"notes": offer()}, control=True):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(folder / the_record(folder).socket))
            link.settimeout(5)
            link.sendall(b'{"type":"hello","id":0,"version":4,"digest":"","inspects":true}\n')
            answer = await asyncio.to_thread(link.recv, 65536)
        assert b"the protocol version is 6, not 4" in answer


async def test_a_place_that_others_may_enter_is_refused_at_once(folder: Path):
    os.mkdir(folder, 0o755)
    with pytest.raises(ConfigError, match="not yours alone"):
        async with trunkline.connect({"notes": offer()}, control=True):
            pass
    os.chmod(folder, 0o700)


@pytest.fixture(scope="module")
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    pytest.importorskip("uvloop").new_event_loop().close()


@pytest.mark.usefixtures("_uvloop_has_begun")
def test_the_blocking_library_has_the_same(folder: Path):
    from trunkline.sync import connect

    with connect({"notes": offer()}, control=True) as trunk:
        trunk.ready()
        reply = trunk.call("notes.add", {"text": "x"})
        assert trunk.journal.find(reply.call_id) is not None
        assert trunk.why(reply.call_id).about == "call"
        assert trunk.restart("notes").cut == 0
        assert [line.text for line in trunk.logs("notes", most=1)] == ["ready"]
        assert len(living(folder, "library")) == 1
