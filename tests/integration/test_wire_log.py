"""The log of the wire over each transport: everything that is sent and received, and no secret."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.errors import CallError, ConfigError
from trunkline.telemetry import WireRecord
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

UNCHECKED = {"defaults": {"health_check_interval": 0}}
"""No request but those of the test."""
SECRET = "canary-3f9a17"


def make_server(**options: Any) -> FakeServer:
    server = FakeServer("fake", **options)
    server.tool("echo", reports="arguments")
    server.tool("slow", delay=30, progress=[(1, 2, "half")])
    return server


def heads(records: list[WireRecord]) -> list[str]:
    """Give direction, HTTP status and summary of each record."""
    return [
        " ".join(
            part
            for part in (
                record.direction,
                "" if record.http is None else str(record.http.status or record.http.method),
                record.summary,
            )
            if part
        )
        for record in records
    ]


async def test_every_message_of_a_connection_is_recorded_in_order() -> None:
    records: list[WireRecord] = []
    async with trunkline.connect({"mem": make_server()}, wire=records.append) as trunk:
        await trunk.call("mem.echo", {"n": 1})
    assert heads(records) == [
        "sent server/discover #1",
        "received result #1",
        "sent tools/list #2",
        "received result #2",
        "sent tools/call #3",
        "received result #3",
        "note ended: it was closed",
    ]
    assert {(record.server, record.transport) for record in records} == {("mem", "memory")}
    offsets = [record.offset for record in records]
    assert offsets == sorted(offsets)
    assert '"n": 1' in records[4].body


@pytest.mark.parametrize("json", [True, False])
async def test_http_shows_method_url_headers_and_status(json: bool) -> None:
    records: list[WireRecord] = []
    async with make_server(eras=["modern"]).http(json=json) as url:
        async with trunkline.connect({"web": {"url": url}}, wire=records.append) as trunk:
            await trunk.call("web.echo", {"n": 1})
        assert heads(records)[-3:] == ["sent POST tools/call #3", "received 200", "received result #3"]
        sent, answered, result = records[-3:]
        assert sent.http is not None
        assert (sent.http.number, sent.http.url) == (3, url)
        assert dict(sent.http.headers)["Mcp-Name"] == "echo"
        assert answered.http is not None
        assert (answered.http.number, answered.http.reason) == (3, "OK")
        assert '"structuredContent"' in result.body


async def test_a_refusal_over_http_shows_its_status_and_body() -> None:
    server, records = make_server(eras=["modern"]), []
    server.fault("echo", Fault.http_status(503, {"Retry-After": "7"}, "try later"))
    async with (
        server.http() as url,
        trunkline.connect({"web": {"url": url}}, wire=records.append) as trunk,
    ):
        with pytest.raises(CallError):
            await trunk.call("web.echo")
    at = heads(records).index("received 503")
    assert dict(records[at].http.headers)["Retry-After"] == "7"
    assert records[at + 1].body == "try later"


async def test_a_server_that_cannot_be_reached_leaves_a_note() -> None:
    records: list[WireRecord] = []
    async with trunkline.connect({"web": {"url": "http://127.0.0.1:1/mcp"}}, wire=records.append) as trunk:
        with pytest.raises(CallError):
            await trunk.call("web.echo")
    assert any(head.startswith("note request [1] failed:") for head in heads(records))


async def test_a_legacy_session_is_shown_to_its_end_and_its_id_is_not() -> None:
    records: list[WireRecord] = []
    async with (
        make_server(eras=["legacy"]).http() as url,
        trunkline.connect({"web": {"url": url}}, wire=records.append) as trunk,
    ):
        await trunk.call("web.echo")
    assert "sent POST notifications/initialized" in heads(records)
    delete = next(record.http for record in records if record.http and record.http.method == "DELETE")
    assert dict(delete.headers)["Mcp-Session-Id"] == "[redacted]"


async def test_stdio_shows_standard_error_and_what_is_no_message(tmp_path: Path) -> None:
    entry = make_server().to_stdio_entry(tmp_path, stderr=["warming up"], prelude="Listening!\n")
    for _ in range(3):
        records: list[WireRecord] = []
        async with trunkline.connect({"fake": entry}, wire=records.append) as trunk:
            await trunk.call("fake.echo")
            # Standard error is another pipe, which nothing waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while "stderr warming up" not in heads(records):  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.005)
        if "stderr warming up" in heads(records):
            break
    assert "stderr warming up" in heads(records), heads(records)
    (noise,) = [record for record in records if record.summary == "not JSON"]
    assert noise.body == "Listening!"
    assert heads(records)[-1].startswith("note ended: ")


async def test_half_a_message_at_the_end_is_shown(tmp_path: Path) -> None:
    server, records = make_server(), []
    server.fault("echo", Fault.truncated)
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}, wire=records.append) as trunk:
        with pytest.raises(CallError):
            await trunk.call("fake.echo", {"n": 1})
    assert "received not JSON" in heads(records)


@pytest.mark.parametrize("json", [True, False])
async def test_a_response_without_an_answer_leaves_a_note(json: bool) -> None:
    server, records = make_server(eras=["modern"]), []
    server.fault("echo", Fault.truncated)
    async with (
        server.http(json=json) as url,
        trunkline.connect({"web": {"url": url}}, policy=UNCHECKED, wire=records.append) as trunk,
    ):
        with pytest.raises(CallError):
            await trunk.call("web.echo", {"n": 1})
    assert heads(records)[-2] == "received 200"
    assert heads(records)[-1].startswith("note no answer to #3: ")


async def test_a_runtime_that_cannot_be_entered_leaves_no_file_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        async with trunkline.connect({"mem": make_server()}, require=["web"], wire=tmp_path / "wire.log"):
            pass
    gc.collect()  # an open file would be a warning, and so an error


async def test_progress_and_the_notice_of_a_cancellation_are_shown() -> None:
    server, records = make_server(), []
    async with trunkline.connect({"mem": server}, wire=records.append) as trunk:
        reported = asyncio.Event()
        call = trunk.call("mem.slow", on_progress=lambda _: reported.set())
        task = asyncio.create_task(call)
        await asyncio.wait_for(reported.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "received notifications/progress" in heads(records)
    assert "sent notifications/cancelled" in heads(records)


async def test_an_answer_over_the_limit_is_shown_in_part() -> None:
    server, records = make_server(), []
    server.tool("big", returns="x" * 100_000)
    policy = {"defaults": {"limits": {"frame_bytes": 50_000}}}
    async with trunkline.connect({"mem": server}, policy=policy, wire=records.append) as trunk:
        with pytest.raises(CallError):
            await trunk.call("mem.big")
    assert "note the message above is over the limit of its size; the rest is dropped" in heads(records)


async def test_a_large_message_is_cut_in_the_file_and_whole_for_the_caller(tmp_path: Path) -> None:
    server, path = make_server(), tmp_path / "wire.log"
    server.tool("big", returns="x" * 300_000)
    async with trunkline.connect({"mem": server}, wire=path) as trunk:
        assert len((await trunk.call("mem.big")).text) == 300_000
    text = path.read_text()
    assert "bytes are left out" in text
    assert len(text) < 100_000


@pytest.mark.parametrize("kind", ["http", "stdio"])
async def test_no_configured_secret_is_in_the_log_wherever_the_server_repeats_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    path, server = tmp_path / "wire.log", make_server()
    server.tool("tell", returns=f"your key is {SECRET}")
    async with server.http(json=False) as url:
        remote = {"url": f"{url}?token={SECRET}", "headers": {"Authorization": "Bearer ${TOKEN}"}}
        local = server.to_stdio_entry(tmp_path, stderr=[f"key {SECRET}"])
        local["env"] = {**local.get("env", {}), "KEY": "${TOKEN}"}
        entry = remote if kind == "http" else local
        async with trunkline.connect({"one": entry}, wire=path) as trunk:
            await trunk.call("one.tell", {"text": SECRET, "json": f'{{"k": "{SECRET}"}}'})
    text = path.read_text()
    assert "your key is [redacted]" in text
    assert SECRET not in text


async def test_the_secrets_of_a_server_that_is_added_later_are_known_too(tmp_path: Path) -> None:
    path, server = tmp_path / "wire.log", make_server()
    server.tool("tell", returns=f"your key is {SECRET}")
    async with server.http() as url, trunkline.connect({}, wire=path) as trunk:
        await trunk.add("web", {"url": url, "headers": {"X-Key": SECRET}})
        await trunk.call("web.tell")
    assert "your key is [redacted]" in path.read_text()
    assert SECRET not in path.read_text()


async def test_a_function_that_fails_does_not_fail_the_calls_it_watches() -> None:
    def fail(_: WireRecord) -> None:
        raise RuntimeError

    async with trunkline.connect({"mem": make_server()}, wire=fail) as trunk:
        assert not (await trunk.call("mem.echo")).is_error


async def test_a_file_that_cannot_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    server = make_server()
    with pytest.raises(ConfigError, match="cannot be written"):
        async with trunkline.connect({"mem": server}, wire=tmp_path / "no" / "wire.log"):
            pass
    assert len(server.ledger) == 0


async def test_the_file_is_closed_with_the_runtime(tmp_path: Path) -> None:
    path = tmp_path / "wire.log"
    async with trunkline.connect({"mem": make_server()}, wire=path) as trunk:
        await trunk.ready()
        log = trunk._insight.wire
    assert log is not None
    assert log._file is not None
    assert log._file.closed


def test_no_tap_is_loaded_unless_it_is_asked_for() -> None:
    import subprocess

    program = (
        "import asyncio, sys, trunkline\n"
        "from trunkline.testing import FakeServer\n"
        "async def main():\n"
        "    server = FakeServer('fake')\n"
        "    server.tool('echo', reports='arguments')\n"
        "    async with trunkline.connect({'mem': server}) as trunk:\n"
        "        await trunk.call('mem.echo')\n"
        "asyncio.run(main())\n"
        "assert not [name for name in sys.modules if name.startswith('trunkline.transport.wire')]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
