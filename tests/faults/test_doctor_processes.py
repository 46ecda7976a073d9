"""The doctor with processes that are sick in their own ways, with many servers, and with what files say."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.loading import load
from trunkline.runtime.diagnostics import DIAGNOSTICS
from trunkline.runtime.doctor.background import read_backgrounds
from trunkline.runtime.doctor.checkup import Checkup, Trouble
from trunkline.runtime.doctor.examine import examine
from trunkline.testing import FakeServer
from trunkline.transport import bounds, http

assert http  # importing it takes longer than some tests may wait
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def checked(entry: Any, policy: Mapping[str, Any] | None = None, **options: Any) -> Checkup:
    config = load({"far": entry}, policy={"defaults": {"connect": 20, **(policy or {})}}, profile="")
    (checkup,) = await examine(config, **options)
    return checkup


async def sick(entry: Any, policy: Mapping[str, Any] | None = None, **options: Any) -> Trouble:
    """Examine a server that fails in one phase, and check that nothing behind it was reached."""
    checkup = await checked(entry, policy, **options)
    trouble = checkup.failure
    assert trouble is not None
    names = [phase.name for phase in checkup.phases]
    at = names.index(trouble.phase)
    assert checkup.phases[at].outcome == "failed"
    assert {phase.outcome for phase in checkup.phases[:at]} <= {"ok", "skipped"}
    assert {phase.outcome for phase in checkup.phases[at + 1 :]} <= {"not_reached"}
    assert trouble.code in DIAGNOSTICS
    return trouble


def offering(**options: Any) -> FakeServer:
    server = FakeServer("shop", **options)
    server.tool("greet", returns="Hello")
    return server


def script(folder: Path, text: str, name: str = "server.sh") -> dict[str, Any]:
    """Give the entry of a shell script."""
    file = folder / name
    file.write_text(text)
    file.chmod(0o755)
    return {"command": str(file)}


def details(checkup: Checkup) -> dict[str, str]:
    return {phase.name: phase.detail for phase in checkup.phases}


# Processes


async def test_a_command_that_is_missing_fails_before_anything_is_started():
    trouble = await sick({"command": "no-such-command-here"})
    assert (trouble.phase, trouble.code) == ("command", "command_not_found")
    assert trouble.message == "the command 'no-such-command-here' was not found"


async def test_a_command_on_our_path_and_not_on_its_own_is_found_elsewhere(tmp_path: Path):
    trouble = await sick({"command": "sh", "env": {"PATH": str(tmp_path)}})
    assert trouble.code == "command_not_found"
    assert "not on the PATH which the server gets" in trouble.cause
    assert '"command": "/' in trouble.fix


@pytest.mark.skipif(sys.platform != "linux", reason="memory of processes is measured on Linux only")
async def test_a_process_that_we_ended_for_its_limit_is_not_blamed_on_the_system(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(bounds, "INTERVAL", 0.02)
    greedy = {"command": sys.executable, "args": ["-I", "-S", "-c", "x = b'x' * 80_000_000; input()"]}
    trouble = await sick(greedy, {"process": {"memory": "50 MB"}})
    assert (trouble.phase, trouble.code) == ("process", "limit_exceeded")
    assert "`process.memory` allows 50 MB" in trouble.message
    assert "Raise `process.memory`" in (trouble.fix or "")


async def test_a_file_that_is_not_executable_gets_the_command_that_makes_it_so(tmp_path: Path):
    entry = script(tmp_path, "#!/bin/sh\n", "my server.sh")
    os.chmod(entry["command"], 0o644)
    trouble = await sick(entry)
    assert (trouble.phase, trouble.code) == ("command", "command_not_executable")
    assert trouble.command == f"chmod +x '{entry['command']}'"
    os.chmod(entry["command"], 0o755)
    assert (await sick(entry, timeout=5)).code != "command_not_executable"


async def test_a_script_without_its_interpreter_fails_before_it_is_started(tmp_path: Path):
    for line in ("#!/nowhere/bin/python", "#!/usr/bin/env -S no-such-interpreter --flag"):
        trouble = await sick(script(tmp_path, f"{line}\n"))
        assert (trouble.phase, trouble.code) == ("command", "interpreter_not_found")
        assert (
            line.split("/")[-1].split()[-1].split("--")[0] in trouble.message or "no-such" in trouble.message
        )


async def test_a_process_that_exits_is_told_with_its_code_and_its_last_words(tmp_path: Path):
    trouble = await sick(script(tmp_path, "#!/bin/sh\necho 'npm error code E404' >&2\nexit 3\n"))
    assert (trouble.phase, trouble.code) == ("process", "process_exited")
    assert trouble.message == "its process exited with code 3"
    assert trouble.stderr == "npm error code E404"
    assert trouble.cause == "There is no package of this name (E404)."
    assert trouble.command == f"{tmp_path}/server.sh </dev/null"


async def test_what_a_process_says_acts_on_no_terminal_and_holds_no_secret(tmp_path: Path):
    entry = script(tmp_path, "#!/bin/sh\nprintf '\\033[31m%s\\033]0;x\\007\\n' \"$TOKEN\" >&2\nexit 1\n")
    trouble = await sick({**entry, "env": {"TOKEN": "very-secret-value"}})
    assert "very-secret-value" not in str(trouble)
    assert "[redacted]" in trouble.stderr
    assert "\x1b" not in trouble.stderr
    assert "\x07" not in trouble.stderr


async def test_a_process_that_is_killed_is_told_with_its_signal(tmp_path: Path):
    trouble = await sick(script(tmp_path, "#!/bin/sh\nkill -9 $$\n"))
    assert (trouble.phase, trouble.code) == ("process", "process_killed")
    assert "SIGKILL" in trouble.message
    assert "memory" in trouble.cause


async def test_a_process_that_answers_nothing_is_told_as_that(tmp_path: Path):
    trouble = await sick(script(tmp_path, "#!/bin/sh\nexec sleep 30\n"), timeout=0.5)
    assert (trouble.phase, trouble.code) == ("process", "no_answer")
    assert trouble.message == "its process runs and has answered nothing within 0.5 s"


async def test_a_process_that_closes_its_output_is_told_as_that(tmp_path: Path):
    trouble = await sick(script(tmp_path, "#!/bin/sh\nexec >/dev/null\nexec sleep 30\n"))
    assert (trouble.phase, trouble.code) == ("process", "streams_closed")


async def test_a_slow_start_is_healthy_and_a_warning_when_it_took_much_of_its_time(tmp_path: Path):
    entry = offering().to_stdio_entry(tmp_path, start_delay=0.3)
    checkup = await checked(entry)
    assert checkup.ok
    assert checkup.troubles == ()
    assert next(phase.seconds for phase in checkup.phases if phase.name == "process") >= 0.3
    slow = await checked(entry, timeout=0.6) if checkup.seconds < 0.5 else None
    if slow is not None and slow.ok:
        assert [trouble.code for trouble in slow.troubles] == ["slow_start"]


async def test_garbage_printed_first_is_a_warning_and_the_server_is_healthy(tmp_path: Path):
    entry = offering().to_stdio_entry(tmp_path, prelude="Starting \x1b[1mserver\x1b[0m\n{not json\n")
    checkup = await checked(entry)
    assert checkup.ok
    (warning,) = checkup.troubles
    assert (warning.code, warning.severity, warning.phase) == ("stdout_noise", "warning", "process")
    assert warning.message.startswith("2 lines on its standard output are no message, such as 'Starting")
    assert "\x1b" not in warning.message


# Many servers


async def test_servers_are_examined_at_the_same_time_and_told_in_their_order():
    started: list[str] = []
    gate = asyncio.Event()

    class Peer:
        def __init__(self, name: str) -> None:
            self.name = name
            self.inner = offering()

        async def serve(self, receive: Any, send: Any) -> None:
            started.append(self.name)
            if len(started) == 3:
                gate.set()
            await gate.wait()
            from trunkline.testing.memory import serve

            await serve(self.inner, receive, send)

    config = load({name: Peer(name) for name in "abc"}, policy={})
    told: list[str] = []
    checkups = await examine(config, timeout=20, on_done=lambda checkup: told.append(checkup.server))
    assert all(checkup.ok for checkup in checkups), checkups
    assert sorted(started) == told == ["a", "b", "c"]


async def test_a_sick_server_changes_nothing_for_its_neighbors(tmp_path: Path):
    entries = {
        "good": offering().to_stdio_entry(tmp_path),
        "gone": {"command": "no-such-command-here"},
        "bad": {"url": "https://far.example/mcp", "headers": {"A": "${NOT_SET_ANYWHERE}"}},
    }
    checkups = await examine(load(entries, policy={}), timeout=20)
    assert [(checkup.server, checkup.ok) for checkup in checkups] == [
        ("good", True),
        ("gone", False),
        ("bad", False),
    ]
    assert checkups[2].failure is not None
    assert (checkups[2].failure.phase, checkups[2].failure.code) == ("configuration", "config_error")


async def test_an_examination_that_is_cancelled_leaves_nothing_running(tmp_path: Path):
    entry = script(tmp_path, f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec cat >/dev/null\n")
    task = asyncio.ensure_future(examine(load({"far": entry}, policy={})))
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_link_that_cannot_be_closed_ends_one_examination_only(monkeypatch: pytest.MonkeyPatch):
    from trunkline.transport.memory import MemoryLink

    close = MemoryLink.close

    async def fail(self: Any, *reason: Any) -> None:
        await close(self, *reason)
        raise TypeError("x")

    monkeypatch.setattr(MemoryLink, "close", fail)
    checkup = await checked(offering())
    assert checkup.failure is not None
    assert checkup.failure.message == "an internal error: TypeError: x"


async def test_a_fault_of_ours_ends_one_examination_only(monkeypatch: pytest.MonkeyPatch):
    from trunkline.runtime.doctor import session

    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("x")

    monkeypatch.setattr(session, "parse_tools", fail)
    trouble = await sick(offering())
    assert (trouble.code, trouble.message) == ("internal", "an internal error: KeyError: 'x'")


# What files say


async def test_every_variable_that_is_not_set_is_in_the_command(tmp_path: Path):
    file = tmp_path / "mcp.json"
    file.write_text(
        '{"mcpServers": {\n "far": {"url": "https://far.example/mcp",\n'
        '  "headers": {"A": "${FIRST_UNSET}", "B": "x ${SECOND_UNSET} ${HOME}", "C": "${THIRD:-x}"}}}}'
    )
    environ = {"HOME": str(tmp_path)}
    backgrounds = read_backgrounds(str(file), environ=environ)
    assert backgrounds["far"].place == f"{file}:2"
    config = load(str(file), environ=environ, policy={})
    (checkup,) = await examine(config, backgrounds=backgrounds)
    trouble = checkup.failure
    assert trouble is not None
    assert (trouble.phase, trouble.code) == ("configuration", "config_error")
    assert trouble.command == "export FIRST_UNSET=... SECOND_UNSET=..."
    assert trouble.cause == "FIRST_UNSET and SECOND_UNSET are not set where Trunkline runs."
    assert details(checkup)["configuration"] == f"{file}:2"


async def test_a_mistake_of_the_policy_fails_the_configuration_and_a_doubt_warns(tmp_path: Path):
    file = tmp_path / "mcp.json"
    file.write_text(
        '{"mcpServers": {"far": {"url": "https://far.example/mcp"},\n'
        f' "near": {{"command": "npx", "args": ["some@latest"], "env": {{"PATH": "{tmp_path}"}}}}}}}}'
    )
    (tmp_path / "trunkline.toml").write_text('[servers.far.tls]\nca = "nowhere.pem"\n')
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    config = load(str(file), environ=environ)
    backgrounds = read_backgrounds(str(file), environ=environ)
    far, near = await examine(config, backgrounds=backgrounds, timeout=20)
    assert far.failure is not None
    assert (far.failure.phase, far.failure.code) == ("configuration", "config_error")
    assert "nowhere.pem" in far.failure.message
    assert [trouble.code for trouble in near.troubles] == ["command_not_found", "config_warning"]
    assert "some@latest" in near.troubles[1].message
