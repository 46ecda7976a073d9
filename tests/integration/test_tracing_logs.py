"""Log records of the library and of the program: where they come from, what they carry, one line each."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.cli.logs import hide_secrets, logs_shown
from trunkline.errors import CallError
from trunkline.telemetry.formatter import JsonFormatter
from trunkline.testing import FakeServer, Fault

SECRET = "canary-3f9a17"
FORGED = "x\r\nCRITICAL: forged\x1b[2J"
SOURCE = str(Path(__file__).parents[2] / "src")


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer("fake")
    server.tool("echo", reports="arguments")
    server.tool("rude", rpc_error=(-32000, FORGED))
    server.tool("progress", progress=[(1, 2, "half")])
    return server


@pytest.mark.anyio
async def test_the_library_leaves_logging_as_it_found_it(server: FakeServer) -> None:
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.call("fake.echo")
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "trunkline"]
    assert names
    for name in names:
        found = logging.getLogger(name)
        assert (found.handlers, found.filters, found.level, found.propagate) == ([], [], 0, True), name


@pytest.mark.anyio
async def test_records_about_a_call_carry_its_id_server_and_tool(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "trunkline")

    def fail(_: Any) -> None:
        raise ValueError

    async with trunkline.connect({"fake": server}) as trunk:
        reply = await trunk.call("fake.progress", on_progress=fail)
        with pytest.raises(CallError) as caught:
            await trunk.call("fake.rude")
    records = [record for record in caplog.records if record.name == "trunkline.call"]
    facts = [(vars(record)["call_id"], vars(record)["server"], vars(record)["tool"]) for record in records]
    good, bad = (reply.call_id, "fake", "fake.progress"), (caught.value.call_id, "fake", "fake.rude")
    assert facts == [good, good, bad]
    assert records[1].getMessage().startswith("fake.progress answered in ")
    assert records[2].getMessage() == "fake.rude failed: server_error (answered)"


@pytest.mark.anyio
async def test_no_server_can_put_a_second_line_into_a_record_of_any_formatter(
    server: FakeServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG, "trunkline")
    server.fault("tools/list", Fault.rpc_error(-32000, FORGED))
    noisy = FakeServer("noisy")
    noisy.tool("echo", reports="arguments")
    entry = noisy.to_stdio_entry(tmp_path, stderr=[f"up {FORGED}"])
    async with trunkline.connect({"fake\nforged": server, "noisy\nforged": entry}) as trunk:
        await trunk.ready()
        for tool in ("fake\nforged.rude", f"fake\nforged.{FORGED}", "noisy\nforged.echo"):
            try:
                await trunk.call(tool)
            except CallError:
                continue
    ours = [record for record in caplog.records if record.name.startswith("trunkline")]
    assert {"trunkline.call", "trunkline.stderr"} <= {record.name for record in ours}
    assert [record for record in ours if set(record.getMessage()) & set("\r\n\x1b")] == []
    lines = [JsonFormatter().format(record) for record in ours]
    assert [line for line in lines if set(line) & set("\r\n\x1b")] == []
    assert any(json.loads(line).get("server") == "noisy\nforged" for line in lines)


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, **environ: str) -> Any:
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": SOURCE, **environ}
        return subprocess.run(
            [sys.executable, "-m", "trunkline", *words],
            cwd=self.folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    server = FakeServer("fake")
    server.tool("echo", reports="arguments")
    entry = server.to_stdio_entry(tmp_path, stderr=[f"the key is {SECRET} {FORGED}"])
    entry["env"] = {**entry.get("env", {}), "KEY": "${KEY}"}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"fake": entry}}))
    return Place(tmp_path)


def test_a_command_shows_no_logs_by_default(place: Place) -> None:
    done = place.run("call", "fake.echo", KEY=SECRET)
    assert (done.returncode, done.stderr) == (0, "")


def test_logs_are_lines_of_text_on_standard_error(place: Place) -> None:
    done = place.run("call", "fake.echo", "-v", KEY=SECRET)
    assert done.stdout == "{}\n"
    lines = done.stderr.splitlines()
    assert all(line.startswith("trunkline: ") for line in lines)
    assert any("trunkline.call: fake.echo answered in" in line and "call_id=" in line for line in lines)
    assert any("trunkline.stderr: fake: the key is [redacted]" in line for line in lines)
    assert SECRET not in done.stderr


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_secret_is_redacted_whoever_logs_it(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    with logs_shown(verbose=1, log_format=log_format):
        hide_secrets([SECRET])
        logging.getLogger("somebody").warning("sending %s", SECRET)
    assert "sending [redacted]" in capsys.readouterr().err


def test_logs_can_be_json_for_programs(place: Place) -> None:
    done = place.run("call", "fake.echo", "-v", "--log-format", "json", KEY=SECRET)
    documents = [json.loads(line) for line in done.stderr.splitlines()]
    (answered,) = [document for document in documents if document["logger"] == "trunkline.call"]
    assert {"time", "level", "message", "call_id", "server", "tool"} <= set(answered)
    assert answered["server"] == "fake"
    assert {document["logger"].split(".")[0] for document in documents} == {"trunkline"}
    assert SECRET not in done.stderr


@pytest.mark.parametrize(("more", "loggers"), [((), {"trunkline"}), (("-v",), {"trunkline", "asyncio"})])
def test_a_second_v_shows_the_logs_of_libraries_too(
    place: Place, more: tuple[str, ...], loggers: set[str]
) -> None:
    (place.folder / "uvloop.py").write_text("raise ImportError")  # asyncio's own loop has something to log
    done = place.run("-v", "call", "fake.echo", *more, "--log-format=json", KEY=SECRET)
    assert {json.loads(line)["logger"].split(".")[0] for line in done.stderr.splitlines()} == loggers


def test_an_unknown_format_is_a_mistake_of_the_command_line(place: Place) -> None:
    done = place.run("call", "fake.echo", "--log-format", "xml", KEY=SECRET)
    assert done.returncode == 2
    assert "'xml' is not text or json" in done.stderr
