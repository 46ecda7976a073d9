"""The life of a background process: started once, used by those it is meant for, ended without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer

BOUND = 30.0
VALUES = '{"values": ["TOKEN"]}'
HERE = ("-c", "from trunkline.cli.main import run; run()")
"""The program without the template: a process of its own that attaches by itself."""


def folder_of(warm: Any) -> Path:
    return Path(warm.environ["XDG_RUNTIME_DIR"]) / "trunkline"


def until(condition: Any) -> Any:
    for _ in range(int(BOUND / 0.02)):
        if value := condition():
            return value
        threading.Event().wait(0.02)
    pytest.fail("it did not happen in time")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def up(warm: Any, *argv: str) -> int:
    """Start the background process and give its process id."""
    run = warm.run("up", "--json", *argv)
    assert run.code == 0, run
    return int(json.loads(run.out)["pid"])


@pytest.mark.parametrize("program", [("-m", "trunkline"), HERE], ids=["template", "own process"])
def test_the_first_use_pays_and_later_ones_start_no_server(warm: Any, program: tuple[str, ...]) -> None:
    assert warm.run("up", "--wait").code == 0
    assert len(warm.journal().pids) == 1
    for number in range(5):
        run = warm.run("call", "echo.echo", f"text={number}", program=program)
        assert (run.code, run.out, run.err) == (0, f'{{"text": "{number}"}}\n', "")
    for argv in (["list"], ["tools"], ["info", "echo.echo"], ["search", "text"], ["status"], []):
        assert warm.run(*argv, program=program).code == 0
    assert len(warm.journal().pids) == 1
    assert len(warm.journal().read().calls) == 5
    [pid] = warm.journal().pids
    assert warm.run("down").code == 0
    assert not is_alive(pid)


def test_up_prints_the_status_once_every_server_is_ready_or_failed(warm: Any) -> None:
    warm.serve("broken", failing_starts=99)
    run = warm.run("up", "--wait")
    assert run.code == 0
    assert re.search(r"^echo +ready", run.out, re.MULTILINE)
    assert re.search(r"^broken +(backoff|failed)", run.out, re.MULTILINE)
    assert "broken" in run.err.splitlines()[-1]
    document = json.loads(warm.run("up", "--wait", "--json").out)
    assert next(server["state"] for server in document["servers"]) == "ready"
    assert document["servers"][1]["state"] in ("backoff", "failed")


def test_up_twice_says_that_it_runs(warm: Any) -> None:
    first = up(warm)
    again = warm.run("up", "--json")
    assert json.loads(again.out) == {"ok": True, "pid": first, "started": False}
    assert again.err == f"trunkline: process {first} keeps 1 server warm already\n"


def test_several_at_once_make_one_process(warm: Any) -> None:
    warm.write()
    with ExitStack() as stack:
        running = [stack.enter_context(warm.start("up", "--json")) for _ in range(4)]
        runs = [warm.finish(process) for process in running]
    assert [run.code for run in runs] == [0] * 4, runs
    assert len({json.loads(run.out)["pid"] for run in runs}) == 1
    warm.run("up", "--wait")
    assert len(warm.journal().pids) == 1


def test_down_says_what_it_ended_and_that_nothing_runs(warm: Any) -> None:
    pid = up(warm)
    run = warm.run("down", "--json")
    assert json.loads(run.out) == {"ok": True, "ended": [pid]}
    assert run.err == f"trunkline: ended process {pid} of {warm.folder / 'mcp.json'}\n"
    run = warm.run("down")
    assert (run.code, run.out) == (0, "")
    assert run.err == "trunkline: no background process runs for this configuration\n"
    assert list(folder_of(warm).iterdir()) == []
    assert warm.run("down", "--all").err == "trunkline: no background process runs\n"


def test_idle_time_ends_the_process_and_its_servers(warm: Any) -> None:
    warm.run("up", "--idle", "0.2")  # where time is short it may have ended before this could find it
    until(lambda: "ending: nobody used it" in warm.run("up", "--log").out)
    until(lambda: list(folder_of(warm).iterdir()) == [])
    assert warm.living() == []


@pytest.mark.parametrize("argv", [["--no-daemon", "list"], ["call", "echo.echo", "text=x", "--no-daemon"]])
def test_a_command_can_be_kept_apart(warm: Any, argv: list[str]) -> None:
    warm.run("up", "--wait")
    assert warm.run(*argv).code == 0
    assert len(warm.journal().pids) == 2
    warm.environ["TRUNKLINE_NO_DAEMON"] = "1"
    warm.run("list")
    assert len(warm.journal().pids) == 3
    warm.environ["TRUNKLINE_NO_DAEMON"] = "0"
    warm.run("list")
    assert len(warm.journal().pids) == 3


def test_a_changed_file_is_taken_up_and_servers_that_are_as_before_stay(warm: Any) -> None:
    process = up(warm)
    assert warm.run("status").code == 0
    [kept] = warm.journal().pids
    warm.serve("other")
    assert (warm.run("call", "echo.echo", "text=1").err, warm.journal().pids) == ("", [kept])
    assert warm.run("call", "other.echo", "text=2").code == 0
    assert len(warm.living("other")) == 1
    (warm.folder / "trunkline.toml").write_text("[defaults]\ntimeout = 5\n")
    assert up(warm) == process
    assert (warm.run("status").err, warm.journal().pids) == ("", [kept])
    warm.environ["LC_ALL"] = "C"
    warm.serve("third")
    assert "another environment" in warm.run("-v", "status").err
    warm.environ.pop("LC_ALL")
    assert warm.run("down").err.count("ended process") == 1
    assert os.listdir(folder_of(warm)) == []


def test_a_changed_file_is_told_and_its_servers_are_not_used_where_files_are_not_watched(warm: Any) -> None:
    warm.run("up", "--wait", "--no-watch")
    warm.serve("other")
    for argv in (["status"], ["call", "echo.echo", "text=x"], ["list", "--json"]):
        run = warm.run(*argv)
        assert run.code == 0
        assert re.search(
            r"^trunkline: warning: mcp\.json has changed since `trunkline up`", run.err, re.MULTILINE
        ), argv
    assert len(warm.journal().pids) == 4
    assert warm.run("down").err.count("ended process") == 1, "down ends it all the same"


def test_a_changed_policy_is_told(warm: Any) -> None:
    warm.run("up", "--wait", "--no-watch")
    (warm.folder / "trunkline.toml").write_text("[defaults]\ntimeout = 5\n")
    assert "trunkline.toml has changed since `trunkline up`" in warm.run("status").err
    assert len(warm.journal().pids) == 2


def test_a_comment_in_the_file_changes_nothing(warm: Any) -> None:
    warm.run("up", "--wait")
    content = json.dumps({"mcpServers": warm.entries})
    warm.entries = {}
    warm.write(f"// the same servers\n{content}")
    assert warm.run("status").err == ""
    assert len(warm.journal().pids) == 1


def test_another_secret_in_the_environment_starts_servers_of_its_own(warm: Any) -> None:
    server = FakeServer("echo")
    server.tool("env", reports="environment")
    warm.serve("echo", server)
    warm.entries["echo"]["env"] = {**warm.entries["echo"].get("env", {}), "TOKEN": "${MY_TOKEN}"}
    warm.environ["MY_TOKEN"] = "old-secret-value"
    warm.run("up", "--wait")
    assert "old-secret-value" in warm.run("call", "echo.env", VALUES).out
    assert len(warm.journal().pids) == 1
    warm.environ["MY_TOKEN"] = "new-secret-value"
    run = warm.run("call", "echo.env", VALUES, "-v")
    assert "new-secret-value" in run.out
    assert "another environment" in run.err
    assert warm.run("call", "echo.env", VALUES).err == ""
    assert len(warm.journal().pids) == 3
    names = " ".join(path.name + path.read_text() for path in folder_of(warm).glob("*.json"))
    assert "secret-value" not in names


def test_another_folder_counts_where_a_server_starts_in_it(warm: Any) -> None:
    inner = warm.folder / "inner"
    inner.mkdir()
    warm.run("up", "--wait")
    outside = warm.folder
    warm.folder = inner
    warm.entries = {}
    run = warm.run("list", "-v")
    warm.folder = outside
    assert "they were started in" in run.err
    assert len(warm.journal().pids) == 2


def test_a_terminal_of_another_kind_does_not_matter(warm: Any) -> None:
    warm.environ["TERM"] = "xterm"
    warm.run("up", "--wait")
    warm.environ["TERM"] = "dumb"
    assert warm.run("list").code == 0
    assert len(warm.journal().pids) == 1


@pytest.mark.parametrize("program", [("-m", "trunkline"), HERE], ids=["template", "own process"])
def test_a_killed_process_is_noticed_and_its_files_are_removed(warm: Any, program: tuple[str, ...]) -> None:
    pid = up(warm)
    warm.run("status")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    until(lambda: warm.living() == [])
    assert list(folder_of(warm).glob("*.sock")) != []
    run = warm.run("call", "echo.echo", "text=x", "-v", program=program)
    assert (run.code, run.out) == (0, '{"text": "x"}\n')
    assert "had been killed" in run.err
    assert list(folder_of(warm).iterdir()) == []
    assert up(warm) != pid


def test_a_killed_process_takes_its_template_with_it(warm: Any) -> None:
    pid = up(warm)
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert children
    os.kill(pid, signal.SIGKILL)
    until(lambda: not any(is_alive(child) for child in children))


def test_a_stale_socket_does_not_stop_up(warm: Any) -> None:
    os.kill(pid := up(warm), signal.SIGKILL)
    until(lambda: not is_alive(pid))
    assert up(warm) != pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_a_short_call_end_in_the_foreground(warm: Any, number: int) -> None:
    server = FakeServer("echo")
    server.tool("wait", delay=1.0, returns="waited")
    warm.serve("echo", server)
    warm.write()
    with warm.start("up", "--foreground") as process:
        until(lambda: list(folder_of(warm).glob("*.json")))
        with warm.start("call", "echo.wait", "{}") as call:
            until(lambda: warm.journal().read().calls)
            process.send_signal(number)
            assert warm.finish(call).out == "waited\n"
        run = warm.finish(process)
    assert run.code == 0
    assert "ending: a signal" in run.err
    assert "Traceback" not in run.err
    assert warm.living() == []
    assert len(warm.journal().pids) == 1


def test_a_configuration_that_cannot_be_read_is_an_error_of_up(warm: Any) -> None:
    warm.entries = {}
    warm.write("{")
    run = warm.run("up")
    assert run.code == 2
    assert "mcp.json" in run.err
    assert warm.run("down").code == 0


def test_a_log_that_cannot_be_written_is_an_error_of_up_with_what_mends_it(warm: Any) -> None:
    Path(warm.environ["XDG_STATE_HOME"]).touch()
    run = warm.run("up")
    assert run.code == 1
    said = run.err.splitlines()
    assert re.fullmatch(r"trunkline: error: the log .* cannot be written: Not a directory", said[0])
    assert said[1:] == ["  hint: Set XDG_STATE_HOME to a folder of your own."]


def test_a_folder_that_others_may_enter_is_not_used(warm: Any) -> None:
    folder_of(warm).mkdir(mode=0o755)
    run = warm.run("up")
    assert run.code == 2
    assert "is not yours alone" in run.err
    assert warm.run("call", "echo.echo", "text=x").code == 0


def test_a_socket_of_something_else_is_not_trusted(warm: Any) -> None:
    pid = up(warm)
    [path] = folder_of(warm).glob("*.sock")
    warm.run("down")
    assert not is_alive(pid)
    folder_of(warm).mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(BOUND)
        answering = threading.Thread(target=lambda: listener.accept()[0].close())
        answering.start()
        run = warm.run("call", "echo.echo", "text=x", program=HERE)
        answering.join(BOUND)
    assert (run.code, run.out) == (0, '{"text": "x"}\n')


def test_the_log_is_kept_bounded_private_and_without_secrets(warm: Any) -> None:
    assert "there is no log" in warm.run("up", "--log").err
    warm.entries["echo"]["env"] = {"TOKEN": "${MY_TOKEN}"}
    warm.environ["MY_TOKEN"] = "very-secret-value"
    warm.entries["gone"] = {"command": "very-secret-value-tool", "args": ["--token", "${MY_TOKEN}"]}
    warm.run("up", "--wait")
    warm.run("down")
    run = warm.run("up", "--log")
    assert "serving " in run.out
    assert "ending: `trunkline down`" in run.out
    assert "very-secret-value" not in run.out
    [log] = Path(warm.environ["XDG_STATE_HOME"]).glob("trunkline/*.log")
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_url_has_a_process_of_its_own(warm: Any) -> None:
    url = "http://127.0.0.1:9/mcp"
    first, second = up(warm, "--config", url), up(warm, "--config", f"{url}2")
    assert first != second
    assert json.loads(warm.run("down", "--json", "--config", url).out)["ended"] == [first]
    assert json.loads(warm.run("down", "--json", "--all").out)["ended"] == [second]


def test_up_refuses_what_is_no_idle_time(warm: Any) -> None:
    for text in ("-1", "soon", "nan"):
        run = warm.run("up", "--idle", text)
        assert run.code == 2
        assert "is not a number of seconds, 0 or more" in run.err


def test_modules_of_the_working_directory_are_not_imported(warm: Any) -> None:
    (warm.folder / "asyncio.py").write_text("raise SystemExit('imported from the working directory')")
    warm.write()
    script = Path(sys.executable).with_name("trunkline")
    done = subprocess.run(
        [script, "up"], cwd=warm.folder, env=warm.environ, capture_output=True, timeout=BOUND, check=False
    )
    (warm.folder / "asyncio.py").unlink()
    assert done.returncode == 0, done.stderr
