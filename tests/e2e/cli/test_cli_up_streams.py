"""Streams, files and signals of a command that runs on warm servers."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer

BOUND = 30.0
HERE = ("-c", "from trunkline.cli.main import run; run()")


@pytest.fixture
def up(warm: Any) -> Any:
    """The folder `warm` with its background process running."""
    assert warm.run("up", "--wait").code == 0
    return warm


def wait_for_line(process: Any, part: bytes) -> None:
    seen = b""
    while part not in seen:
        ready, _, _ = select.select([process.stderr], [], [], BOUND)
        chunk = os.read(process.stderr.fileno(), 4096) if ready else b""
        assert chunk, (part, seen)
        seen += chunk


def until(condition: Any) -> None:
    for _ in range(int(BOUND / 0.02)):
        if condition():
            return
        threading.Event().wait(0.02)
    pytest.fail("it did not happen in time")


@pytest.mark.parametrize("program", [("-m", "trunkline"), HERE], ids=["template", "own process"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_call_at_the_server_which_stays(
    up: Any, number: int, program: tuple[str, ...]
) -> None:
    with up.start("call", "echo.slow", "{}", "-v", program=program) as process:
        wait_for_line(process, b"progress: 1 of 4 (25 %) first\n")
        process.send_signal(number)
        run = up.finish(process)
    assert (run.code, run.out) == (130, "")
    assert "trunkline: error: interrupted\n" in run.err
    assert "Traceback" not in run.err
    until(lambda: [call.cancelled for call in up.journal().read().calls] == [True])
    assert up.run("call", "echo.echo", "text=x").code == 0
    assert len(up.journal().pids) == 1


def test_a_killed_command_cancels_its_call_at_the_server(up: Any) -> None:
    with up.start("call", "echo.slow", "{}", "-v") as process:
        wait_for_line(process, b"progress: 1 of 4 (25 %) first\n")
        process.kill()
        up.finish(process)
    until(lambda: [call.cancelled for call in up.journal().read().calls] == [True])
    assert len(up.journal().pids) == 1


def test_the_end_of_the_background_process_in_a_call_is_an_unknown_outcome(up: Any) -> None:
    with up.start("call", "echo.slow", "{}", "-v", program=HERE) as process:
        wait_for_line(process, b"progress: 1 of 4 (25 %) first\n")
        [record] = Path(up.environ["XDG_RUNTIME_DIR"], "trunkline").glob("*.json")
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
        run = up.finish(process)
    assert (run.code, run.out) == (7, "")
    assert "delivery: unknown, the tool may have run" in run.err


def test_the_end_of_the_template_in_a_call_leaves_the_call_alone(up: Any) -> None:
    with up.start("call", "echo.slow", "{}", "-v") as process:
        wait_for_line(process, b"progress: 1 of 4 (25 %) first\n")
        [record] = Path(up.environ["XDG_RUNTIME_DIR"], "trunkline").glob("*.json")
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
        run = up.finish(process)
    assert (run.code, run.out) == (7, "")


def test_arguments_come_from_standard_input(up: Any) -> None:
    assert up.run("call", "echo.echo", text=b'{"text": "piped"}').out == '{"text": "piped"}\n'
    assert up.run("call", "echo.echo", "text=@-", text=b"piped").out == '{"text": "piped"}\n'
    assert len(up.journal().pids) == 1


def test_a_process_that_declines_leaves_standard_input_to_the_one_that_runs(up: Any) -> None:
    assert up.run("down").code == 0
    assert up.run("up", "--no-watch", "--wait").code == 0
    before = len(up.journal().pids)
    up.serve("other")
    run = up.run("call", "echo.echo", text=b'{"text": "piped"}')
    assert run.out == '{"text": "piped"}\n'
    assert run.err.count("has changed since") == 1
    assert len(up.journal().pids) == before + 1


def test_files_are_those_of_the_command_with_its_own_mask(up: Any) -> None:
    run = up.run("call", "echo.draw", "{}", "-o", "dot.png")
    assert run.code == 0
    assert (up.folder / "dot.png").read_bytes() == bytes(28)
    before = os.umask(0o077)
    try:
        up.run("call", "echo.draw", "{}", "-o", "private.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((up.folder / "private.png").stat().st_mode) == 0o600
    assert stat.S_IMODE((up.folder / "dot.png").stat().st_mode) == 0o666 & ~before


def test_an_encoding_of_its_own_is_kept(up: Any) -> None:
    server = FakeServer("echo")
    server.tool("greet", returns="Grüße")
    up.serve("echo", server)
    up.run("down")
    up.run("up", "--wait")
    assert up.run("call", "echo.greet", "{}").out == "Grüße\n"
    up.environ |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    run = up.run("call", "echo.greet", "{}")
    assert (run.code, run.out) == (0, "Gr\\xfc\\xdfe\n")
    assert len(up.journal().pids) == 2


def test_a_reader_that_goes_away_is_no_failure(up: Any) -> None:
    server = FakeServer("many")
    for number in range(2000):
        server.tool(f"tool_{number}", description="Something that takes a line. " * 3)
    up.serve("many", server)
    up.run("down")
    up.run("up", "--wait")
    with up.start("tools") as process:
        process.stdout.close()
        process.stdout = None
        run = up.finish(process)
    assert (run.code, run.err) == (0, "")


def test_a_terminal_is_a_terminal(up: Any) -> None:
    ours, theirs = os.openpty()
    with up.start("call", "echo.loud", "{}", stdout=theirs, stdin=theirs) as process:
        os.close(theirs)
        run = up.finish(process)
    shown = os.read(ours, 4096)
    os.close(ours)
    assert run.code == 0
    assert shown == b"red text\\u202e\r\n"
    assert len(up.journal().pids) == 1


def test_commands_at_the_same_time_do_not_mix(up: Any) -> None:
    running = {n: up.start("call", "echo.echo", f"text={n}", "--json") for n in range(12)}
    for number, process in running.items():
        run = up.finish(process)
        assert run.code == 0, run
        assert json.loads(json.loads(run.out)["result"]["content"][0]["text"]) == {"text": str(number)}
    assert len(up.journal().pids) == 1


def test_watching_sees_what_changes_at_the_warm_servers(up: Any) -> None:
    [server] = up.journal().pids
    argv = ("status", "--watch", "--interval", "0.1")
    with up.start(*argv, stderr=None, stdout=subprocess.PIPE) as process:
        process.stderr = process.stdout
        wait_for_line(process, b"echo  ready")
        os.kill(server, signal.SIGKILL)
        wait_for_line(process, b"1 restart\n")
        process.stderr = None
        process.send_signal(signal.SIGINT)
        assert up.finish(process).code == 130


def test_a_person_is_asked_at_the_terminal_of_the_command(up: Any) -> None:
    server = FakeServer("echo")
    server.tool("drop", returns="dropped", annotations={"destructiveHint": True})
    up.serve("echo", server)
    up.run("down")
    up.run("up", "--wait")
    for answer, code in ((b"y\n", 0), (b"n\n", 6)):
        ours, theirs = os.openpty()
        with up.start("call", "echo.drop", "{}", stdin=theirs, stderr=theirs) as process:
            os.close(theirs)
            seen = b""
            while b"[y/N]" not in seen:
                ready, _, _ = select.select([ours], [], [], BOUND)
                assert ready, seen
                seen += os.read(ours, 4096)
            os.write(ours, answer)
            run = up.finish(process)
        os.close(ours)
        assert run.code == code
        assert run.out == ("dropped\n" if code == 0 else "")
    assert len(up.journal().read().calls) == 1
    assert len(up.journal().pids) == 2, "both were the warm server's"


def test_the_wire_is_that_of_servers_of_its_own(up: Any) -> None:
    run = up.run("call", "echo.echo", "text=x", "--wire", "-")
    assert run.out == '{"text": "x"}\n'
    assert "tools/call" in run.err
    assert len(up.journal().pids) == 2


GIVES_UP = """
import os, socket, sys
from trunkline.cli import front
from trunkline.runtime import control_place as place
[path] = place.sockets(os.environ, place.TEMPLATE)
message = front.encode_request(["call", "echo.echo", "text=x"], os.environ)
with socket.socket(socket.AF_UNIX) as link:
    link.connect(path)
    socket.send_fds(link, [message[:8]], [0, 1, 2])
    link.sendall(message[8:])
    fork = int(link.recv(64)[1:])
    link.sendall(sys.argv[1].encode())
    link.shutdown(socket.SHUT_WR)
    print(link.recv(64).decode().strip())
"""


@pytest.mark.parametrize(("go", "told", "calls"), [("", "d", 0), ("g", "x0", 1)])
def test_a_front_that_gives_up_has_run_nothing(up: Any, go: str, told: str, calls: int) -> None:
    run = up.run(go, program=("-c", GIVES_UP))
    assert run.out.splitlines()[-1] == told
    assert len(up.journal().read().calls) == calls
