"""A fake server as a JSON document: everything survives the way, and what does not exist is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer, Fault, Result
from trunkline.testing.document import to_document


def full_server() -> FakeServer:
    fake = FakeServer(
        "alpha", eras=["legacy"], versions=["2025-03-26"], page_size=2, cursors="cyclic", ttl_ms=7
    )
    fake.tool("echo", reports="arguments", description="says it back", schema={"type": "object"})
    fake.tool(
        "slow", delay=0.5, progress=[(1, 2, "a")], returns=[{"type": "text", "text": "b"}], cancellable=False
    )
    fake.tool("fail", error="no")
    fake.tool("rpc", rpc_error=(-32000, "no"))
    fake.tool("whole", returns=Result(content=[], isError=True))
    fake.raw_tool({"name": "raw", "inputSchema": None})
    fake.resource("memo://{id}", "text", mime_type="text/plain")
    fake.prompt("greet", "hello {who}", arguments=["who"])
    fake.fault("slow", Fault.http_status(503, {"Retry-After": "1"}, "x"), nth=2)
    fake.fault("*", Fault.hang, nth=9, times=3)
    return fake


def test_a_server_survives_its_way_through_a_file(tmp_path: Path) -> None:
    fake = full_server()
    path = tmp_path / "alpha.json"
    path.write_text(json.dumps(to_document(fake)))
    again = FakeServer.from_script(path)
    for name in (
        "name",
        "versions",
        "page_size",
        "cursors",
        "discover",
        "ttl_ms",
        "tools",
        "resources",
        "prompts",
    ):
        assert getattr(again, name) == getattr(fake, name), name
    assert again.faults.rules == fake.faults.rules
    assert isinstance(again.tools["whole"].returns, Result)


def test_a_short_script_is_enough() -> None:
    fake = FakeServer.from_script(
        {
            "name": "alpha",
            "tools": [{"name": "add", "returns": "3"}],
            "faults": [{"target": "add", "fault": "hang"}],
        }
    )
    assert fake.tools["add"].returns == "3"
    assert fake.strike("tools/call", "add") is Fault.hang


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"nam": "x"}, "unknown nam"),
        ({"tools": [{"name": "a", "retuns": 1}]}, "tool 'a': unknown retuns; known are name"),
        ({"tools": [{"name": "a", "function": 1}]}, "unknown function"),
        ({"faults": [{"target": "ping", "fault": "hag"}]}, "unknown fault 'hag'"),
    ],
)
def test_a_misspelled_script_is_refused_by_name(script: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FakeServer.from_script(script)


def test_an_entry_runs_this_interpreter_and_finds_the_package_by_itself(tmp_path: Path) -> None:
    entry = full_server().to_stdio_entry(tmp_path, env={"KEY": "value"})
    assert set(entry) == {"command", "args", "env"}
    assert (Path(entry["env"]["PYTHONPATH"]) / "trunkline" / "testing" / "stdio.py").is_file()
    assert entry["env"]["KEY"] == "value"


def test_a_python_function_cannot_leave_its_process(tmp_path: Path) -> None:
    fake = FakeServer()

    @fake.tool
    def add(arguments: dict[str, Any]) -> None: ...

    with pytest.raises(ValueError, match="tool 'add' is a Python function and cannot run in another process"):
        fake.to_stdio_entry(tmp_path)


def test_an_unknown_process_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="process: unknown stder"):
        FakeServer().to_stdio_entry(tmp_path, stder=["x"])
