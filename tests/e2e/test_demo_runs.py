"""The demo does what it tells: on real servers, with the right exit code, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = ("time", "git", "files", "everything", "web", "jobs")
SECTIONS = (
    "1. 6 servers from one mcp.json",
    "2. One catalog",
    "3. Search by words",
    "4. A long call: progress while it runs, and a deadline that holds",
    "5. Calls to all of them at once",
    "6. A server is killed in the middle of a call",
    "7. Summary",
)
LONGEST = 170
"""Seconds one run may take on a machine that does much else."""

pytestmark = [pytest.mark.timeout(LONGEST + 20), pytest.mark.usefixtures("peers")]


class Shown(NamedTuple):
    """One run of the demo, after its end."""

    code: int
    out: str
    err: str
    left: list[str]
    """Commands of processes it left, and names of files."""

    def section(self, number: int) -> str:
        """Give the text of one section."""
        return re.split(r"^\d\. .*\n", self.out, flags=re.MULTILINE)[number]


@pytest.fixture(scope="module")
def shown(peers: Any, tmp_path_factory: pytest.TempPathFactory) -> Shown:  # noqa: ARG001 - installed first
    """Give the one run that most tests look at."""
    return run_demo(tmp_path_factory.mktemp("shown"))


def test_demo_ends_with_exit_code_zero_and_complains_of_nothing(shown: Shown) -> None:
    assert (shown.code, shown.err) == (0, "")


def test_demo_tells_its_sections_in_order(shown: Shown) -> None:
    assert tuple(re.findall(r"^\d\. .+$", shown.out, re.MULTILINE)) == SECTIONS


def test_demo_is_short_plain_text_where_nobody_watches(shown: Shown) -> None:
    lines = shown.out.splitlines()
    assert "\x1b" not in shown.out
    assert len(lines) <= 85
    assert max(map(len, lines)) <= 110


def test_every_server_comes_up_and_is_ready_at_the_end(shown: Shown) -> None:
    row = r"^   (\w+) +ready +(\d{4}-\d\d-\d\d) +(stdio|http) +\d+ +[\d.]+ s"
    assert {name for name, _, _ in re.findall(row, shown.section(1), re.MULTILINE)} == set(SERVERS)
    summary = re.findall(row, shown.section(7), re.MULTILINE)
    assert [name for name, _, _ in summary] == list(SERVERS)
    assert {transport for _, _, transport in summary} == {"stdio", "http"}
    assert len({era for _, era, _ in summary}) == 3


def test_progress_of_the_long_call_arrives_while_it_runs(shown: Shown) -> None:
    reports = re.findall(r"^   (\d) of 4 +([\d.]+) s", shown.section(4), re.MULTILINE)
    assert [step for step, _ in reports] == ["1", "2", "3", "4"]
    moments = [float(moment) for _, moment in reports]
    assert moments[-1] - moments[0] > 0.5


def test_calls_to_all_servers_overlap(shown: Shown) -> None:
    total = re.search(r"calls in ([\d.]+) s; .* would have taken ([\d.]+) s", shown.section(5))
    assert total is not None
    assert float(total[1]) < 0.7 * float(total[2])


def test_killed_server_costs_its_own_call_and_nothing_else(shown: Shown) -> None:
    text = shown.section(6)
    assert re.search(r"^ +error +OutcomeUnknownError$", text, re.MULTILINE)
    assert re.search(r"^ +delivery +unknown$", text, re.MULTILINE)
    assert re.search(r"^ +stderr +started a job", text, re.MULTILINE)
    assert re.search(r"^ +hint +\S", text, re.MULTILINE)
    assert "answered: everything, files, git, time, web." in text
    before, after = (re.search(rf"{words} (\d+)", text) for words in (r"\(process", r"again: process"))
    assert before is not None
    assert after is not None
    assert before[1] != after[1]


def test_demo_leaves_no_process_and_no_file(shown: Shown) -> None:
    assert shown.left == []


@pytest.mark.parametrize("moment", ["1. 6 servers", "   1 of 4", "   Its call failed"])
def test_interrupted_demo_exits_130_and_leaves_nothing(moment: str, tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    watchdog = threading.Timer(LONGEST, demo.kill)
    watchdog.start()
    try:
        with demo:
            assert demo.stdout is not None
            assert demo.stderr is not None
            assert any(line.startswith(moment) for line in demo.stdout)
            demo.send_signal(signal.SIGINT)
            demo.stdout.read()
            err = demo.stderr.read()
    finally:
        watchdog.cancel()
        watchdog.join()
    assert (demo.returncode, err) == (130, "interrupted; everything that was started has ended\n")
    assert left_by(tmp_path) == []


def test_demo_fails_clearly_when_a_server_does_not_come_up(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "demo", copy / "demo")
    (copy / ".peers").symlink_to(ROOT / ".peers")
    (copy / "demo/jobs.py").write_text("raise SystemExit('out of order')\n")
    (tmp_path / "temporary").mkdir()
    failed = run_demo(tmp_path / "temporary", cwd=copy)
    assert failed.code == 1
    assert failed.err.startswith("the demo failed: it did not happen that every server comes up; but jobs: ")
    assert "Traceback" not in failed.err
    assert failed.left == []


def test_demo_without_node_says_so(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    failed = run_demo(tmp_path, environ={"PATH": str(programs)})
    assert (failed.code, failed.err) == (
        1,
        "the demo failed: Node is not installed: install Node 20 or newer, then run `make demo`\n",
    )


def run_demo(folder: Path, *, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> Shown:
    """Run the demo to its end, with its temporary files in a folder."""
    demo = start_demo(folder, cwd=cwd, environ=environ)
    with demo:
        try:
            out, err = demo.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            demo.kill()
            raise
    return Shown(demo.returncode, out, err, left_by(folder))


def start_demo(
    folder: Path, *, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the demo; all it starts can be told by `TMPDIR` in its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_by(folder: Path) -> list[str]:
    """Give what a run left: processes with this temporary folder, and the demo's files in it."""
    mark = f"TMPDIR={folder}".encode()
    left = [path.name for path in folder.glob("trunkline-demo-*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                left.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return left
