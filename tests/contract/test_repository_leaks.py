"""The watch on leaks in tests/conftest.py sees each kind of leak and spares tests that clean up."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

SAMPLE = """
import asyncio, os, socket, subprocess
import pytest

held = []


@pytest.mark.anyio
async def test_leaves_a_task():
    held.append(asyncio.create_task(asyncio.Event().wait(), name="forgotten"))


@pytest.mark.anyio
async def test_leaves_a_socket():
    held.append(socket.socket())


def test_leaves_a_process():
    held.append(subprocess.Popen(["sleep", "3"], stdin=subprocess.DEVNULL))


def test_leaves_a_pipe():
    held.append(os.pipe())


@pytest.mark.leaves_open("it says so")
def test_is_allowed_to_leave_a_pipe():
    held.append(os.pipe())


@pytest.mark.anyio
async def test_cleans_up():
    process = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE)
    await asyncio.create_task(asyncio.sleep(0))
    process.stdin.close()
    await process.wait()
"""


@pytest.mark.timeout(180)
def test_a_leak_fails_the_test_that_made_it_and_no_other(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    conftest = (Path(__file__).parent.parent / "conftest.py").read_text()
    pytester.makeconftest(conftest.replace("GRACE = 2.0", "GRACE = 0.2"))
    pytester.makeini("[pytest]\nmarkers = leaves_open(reason)")
    pytester.makepyfile(test_sample=SAMPLE)
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-rE", timeout=120)
    result.assert_outcomes(passed=6, errors=4)
    for kind in ("task", "socket", "process", "pipe"):
        result.stdout.fnmatch_lines(
            [f"ERROR test_sample.py::test_leaves_a_{kind} - *left open by the test: *{kind}*"]
        )
