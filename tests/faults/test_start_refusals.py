"""Servers that cannot be started: what the error of a call says, and that it is not tried again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.supervision.failure import too_slow

pytestmark = pytest.mark.anyio


def script(folder: Path, text: str, mode: int = 0o755) -> dict[str, Any]:
    """Give the entry of a script."""
    file = folder / "server"
    file.write_text(text)
    file.chmod(mode)
    return {"command": str(file)}


async def fail(entry: dict[str, Any]) -> tuple[trunkline.CallError, str]:
    """Give the error of a call, and the state of the server after it."""
    async with trunkline.connect({"sick": entry}) as trunk:
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("sick.tool")
        return caught.value, trunk.status()["sick"].state


async def test_a_file_that_is_not_executable_is_told_from_one_that_is_missing(tmp_path: Path):
    error, state = await fail(script(tmp_path, "#!/bin/sh\n", 0o644))
    assert (error.code, state) == ("command_not_executable", "failed")
    assert "chmod +x" in (error.hint or "")
    (tmp_path / "server").unlink()
    error, state = await fail({"command": str(tmp_path / "server")})
    assert (error.code, state) == ("command_not_found", "failed")


async def test_a_url_that_is_no_mcp_server_is_not_told_of_as_a_process():
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 501 Unsupported\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
        error, _ = await fail({"url": f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/mcp"})
    assert "it could not be connected (" in error.message
    assert "URL" in (error.hint or "")


async def test_a_script_whose_interpreter_is_missing_names_the_interpreter(tmp_path: Path):
    error, state = await fail(script(tmp_path, "#!/nowhere/bin/python3.99 -u\nprint(1)\n"))
    assert (error.code, state) == ("interpreter_not_found", "failed")
    assert "is a script for '/nowhere/bin/python3.99'" in error.message
    assert "'python3.99'" in (error.hint or "")


async def test_a_file_that_is_no_program_is_told_as_before(tmp_path: Path):
    error, _ = await fail(script(tmp_path, "\x7fELF is not enough"))
    assert error.code == "start_failed"
    assert error.page == "docs/diagnostics/start_failed.md"


@pytest.mark.leaves_open("uvloop keeps a pipe for ever")
def test_a_process_that_is_gone_before_its_pipes_are_connected_is_no_internal_error_under_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def codes() -> set[str]:
        config = {f"s{number}": {"command": "sh", "args": ["-c", "exit 3"]} for number in range(20)}
        async with trunkline.connect(config) as trunk:
            errors = await trunk.call_many([(f"{name}.tool", {}) for name in config], max_concurrency=20)
        return {error.code for error in errors if isinstance(error, trunkline.CallError)}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(codes()) == {"start_failed"}


def test_only_a_program_is_to_be_run_by_hand():
    assert "Run its command by hand" in (too_slow("x", "connecting", 30, "stdio").hint or "")
    hint = too_slow("x", "connecting", 30, "http").hint or ""
    assert "command by hand" not in hint
    assert "trunkline doctor" in hint
