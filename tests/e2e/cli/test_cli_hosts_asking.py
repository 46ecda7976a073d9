"""`${input:id}` at a terminal: asked on standard error, masked when it is a password, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BOUND = 30.0
SECRET = "s3cret-VALUE"


class Asked:
    """One run of the program with a person at the terminal, whose results go into a pipe."""

    def __init__(self, place: Any, *argv: str) -> None:
        self._ours, theirs = pty.openpty()
        streams = {"stdin": theirs, "stderr": theirs, "stdout": subprocess.PIPE}
        # without a terminal of its own session, a password is read from standard input
        self.process = place.start(*argv, start_new_session=True, **streams)
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until a text is shown."""
        while text not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], BOUND)
            assert ready, self.shown
            self.shown += os.read(self._ours, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> tuple[int, str]:
        """Give exit code and result."""
        while True:
            ready, _, _ = select.select([self._ours], [], [], BOUND)
            assert ready, self.shown
            try:
                chunk = os.read(self._ours, 4096)
            except OSError:
                break
            if not chunk:
                break
            self.shown += chunk.decode()
        out, _ = self.process.communicate(timeout=BOUND)
        return self.process.returncode, out.decode()

    def close(self) -> None:
        os.close(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=BOUND)


@pytest.fixture
def asked(bare_place: Any) -> Iterator[Any]:
    """Start a command in a project whose server runs only if the variable TOKEN is the secret."""
    bare_place.serve("echo")
    entry = bare_place.entries.pop("echo")
    command = 'test "$TOKEN" = s3cret-VALUE && test "$1" = eu && shift && exec "$@"'
    args = ["-c", command, "sh", "${input:region}", entry["command"], *entry["args"]]
    guarded = {"command": "sh", "args": args, "env": {**entry.get("env", {}), "TOKEN": "${input:tok}"}}
    inputs = [
        {"type": "promptString", "id": "tok", "description": "Your to\x1b[31mken", "password": True},
        {"type": "pickString", "id": "region", "description": "Which region", "options": ["us", "eu"]},
    ]
    other = {"command": "sh", "args": ["-c", "exit 1", "${input:never}"]}
    servers = {"echo": guarded, "other": other}
    file = Path(bare_place.folder) / ".vscode/mcp.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"inputs": inputs, "servers": servers}))
    started: list[Asked] = []

    def start(*argv: str) -> Asked:
        started.append(Asked(bare_place, *argv))
        return started[-1]

    yield start
    for run in started:
        run.close()


def test_a_person_is_asked_and_a_password_is_not_shown(asked: Any) -> None:
    run = asked("call", "echo.echo", "text=hello")
    run.wait_for("Number or value: ")
    assert "1. us\r\n  2. eu\r\n" in run.shown
    run.type("2\n")
    run.wait_for("Your token")
    run.wait_for(": ")
    run.type(f"{SECRET}\n")
    code, out = run.end()
    assert code == 0, run.shown
    assert "hello" in out
    assert SECRET not in run.shown
    assert "\x1b" not in run.shown
    assert "never" not in run.shown, "only the server that is called is asked for"


def test_a_wrong_choice_is_asked_again_and_the_value_itself_is_taken(asked: Any) -> None:
    run = asked("call", "echo.echo", "text=hello")
    for typed in ("9\n", "eu\n"):
        run.wait_for("Number or value: ")
        run.shown = ""
        run.type(typed)
    run.wait_for("ken")
    run.type(f"{SECRET}\n")
    assert run.end()[0] == 0, run.shown


def test_ctrl_c_ends_the_question_and_the_command(asked: Any) -> None:
    run = asked("call", "echo.echo", "text=hello")
    run.wait_for("Number or value: ")
    run.process.send_signal(signal.SIGINT)
    code, out = run.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in run.shown


def test_the_end_of_input_fails_the_server(asked: Any) -> None:
    run = asked("call", "echo.echo", "text=hello")
    run.wait_for("Number or value: ")
    run.type("\x04")
    code, out = run.end()
    assert (code, out) == (2, "")
    assert "the input 'region' was not answered" in run.shown


def test_results_go_to_standard_output_only(asked: Any) -> None:
    run = asked("--json", "tools", "echo")
    run.wait_for("Number or value: ")
    run.type("eu\n")
    run.wait_for("ken")
    run.type(f"{SECRET}\n")
    code, out = run.end()
    assert code == 0, run.shown
    assert json.loads(out)["ok"] is True
