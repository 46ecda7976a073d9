"""Completion in real shells: what TAB offers, that it starts nothing, and that it stays silent."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Answer = Callable[..., list[str]]


@pytest.fixture
def shell_place(place: Any) -> Any:
    """The folder with the program on the path as `trunkline`."""
    program = place.folder / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    place.environ["PATH"] = f"{program.parent}:{place.environ['PATH']}"
    return place


def run_shell(place: Any, *command: str) -> str:
    done = subprocess.run(
        command, cwd=place.folder, env=place.environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def completed(shell_place: Any) -> Answer:
    """Complete words in bash after the tools were listed once; gives COMPREPLY."""
    bash = shutil.which("bash")
    assert bash is not None, "these tests need bash"
    assert shell_place.run("list").code == 0

    def completed(*words: str) -> list[str]:
        script = (
            'source <(trunkline completion bash); COMP_WORDS=(trunkline "$@"); COMP_CWORD=$#;'
            " _trunkline; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        shown = run_shell(shell_place, bash, "--norc", "-c", script, "bash", *words)
        return [line for line in shown.splitlines() if line]

    return completed


def test_bash_completes_tools_servers_commands_and_options(completed: Answer, shell_place: Any) -> None:
    starts = shell_place.journal().pids
    tools = [f"echo.{name}" for name in ("echo", "slow", "sad", "rude", "loud", "draw")]
    assert completed("call", "") == tools
    assert completed("call", "echo.s") == ["echo.slow", "echo.sad"]
    assert completed("call", "--raw", "echo.d") == ["echo.draw"]
    assert completed("call", "echo", ":", "lo") == ["loud"]
    assert completed("call", "echo", "sl") == ["slow"]
    assert completed("tools", "") == ["echo"]
    assert completed("sta") == ["status"]
    assert completed("call", "--tim") == ["--timeout"]
    assert shell_place.journal().pids == starts


def test_bash_quotes_what_a_server_calls_itself(completed: Answer, shell_place: Any) -> None:
    from trunkline.testing import FakeServer

    server = FakeServer("odd")
    server.tool("$(touch owned)", returns="x")
    server.tool("two words", returns="x")
    shell_place.serve("odd", server)
    assert shell_place.run("list").code == 0
    assert completed("call", "odd.") == [r"odd.\$\(touch\ owned\)", r"odd.two\ words"]
    assert not (shell_place.folder / "owned").exists()


def test_bash_stays_silent_when_nothing_is_known(completed: Answer, shell_place: Any) -> None:
    (shell_place.folder / "mcp.json").write_text("{")
    assert completed("call", "") == []
    (shell_place.folder / "mcp.json").unlink()
    assert completed("call", "") == []
    assert completed("nonsense", "x") == []


def test_bash_leaves_paths_to_its_own_completion(completed: Answer) -> None:
    assert completed("--config", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_the_one_that_was_tried(place: Any, shell: str, snapshot: Any) -> None:
    run = place.run("completion", shell)
    assert (run.code, run.err) == (0, "")
    snapshot(f"completion-{shell}", run.out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_has_no_mistake_of_syntax(place: Any, shell: str, tmp_path: Path) -> None:
    """Checked by the shell itself where it is installed; bash always is."""
    script = tmp_path / f"script.{shell}"
    script.write_text(place.run("completion", shell).out)
    program = shutil.which(shell)
    if program is None:
        assert shell != "bash"
        assert script.read_text().count("{") == script.read_text().count("}")
        return
    run_shell(place, program, "-n", str(script))
