"""`call --detach` and `trunkline task`: what is printed where, and what a mistyped handle meets."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from trunkline.cli.main import main
from trunkline.testing import FakeServer, TaskScript


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


@pytest.fixture
def fake() -> FakeServer:
    server = FakeServer("ci", eras=["modern"])
    server.tool("build", returns="built", task=TaskScript(polls=1))
    server.tool("broken", error="red", task=TaskScript(polls=0))
    server.tool("endless", task=TaskScript(ends="never", message="half\x1b[31m way"))
    server.tool("echo", returns="echo")
    return server


@pytest.fixture
def run(
    fake: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Give a function that runs a command line and gives code, output and errors."""
    urls: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with fake.http() as url:
            urls.append(url)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"ci": {"url": urls[0]}}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUNKLINE_NO_DAEMON", "1")

    def line(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
        code = main(list(words))
        said = capfd.readouterr()
        return code, said.out, said.err

    yield line
    over.set()
    thread.join(20)


def test_a_detached_call_prints_its_handle_alone_and_the_handle_leads_to_the_reply(
    run: Any, fake: Any
) -> None:
    code, handle, _ = run("call", "ci.build", "--detach")
    assert (code, handle) == (0, "ci/build/ci-task-1\n")
    assert run("task", "wait", handle.strip()) == (0, "built\n", "")
    assert run("task", "get", handle.strip()) == (0, "completed\n", "")
    assert len(fake.calls) == 1


def test_as_json_a_task_is_a_document(run: Any) -> None:
    code, out, err = run("call", "ci.build", "--detach", "--json")
    document = json.loads(out)
    assert (code, err, document["ok"], document["tool"]) == (0, "", True, "ci.build")
    assert document["task"]["handle"] == "ci/build/ci-task-1"
    assert json.loads(run("task", "get", "ci/build/ci-task-1", "--json")[1])["task"]["status"] == "working"
    assert json.loads(run("task", "wait", "ci/build/ci-task-1", "--json")[1])["result"]["content"]


def test_a_call_that_is_answered_at_once_prints_its_reply(run: Any) -> None:
    assert run("call", "ci.echo", "--detach") == (0, "echo\n", "")


def test_waiting_ends_with_the_code_of_the_call(run: Any) -> None:
    handle = run("call", "ci.broken", "--detach")[1].strip()
    code, out, err = run("task", "wait", handle)
    assert (code, out) == (5, "red\n")
    assert "ci.broken reports an error" in err


def test_waiting_too_long_leaves_the_task_alone_and_cancelling_ends_it(run: Any, fake: FakeServer) -> None:
    handle = run("call", "ci.endless", "--detach")[1].strip()
    code, _, err = run("task", "wait", handle, "--timeout", "0.3")
    assert code == 7
    assert "wait for it again" in err
    assert not fake.tasks["ci-task-1"].cancelled
    code, out, _ = run("task", "get", handle)
    assert (code, "\x1b" in out, out.startswith("working: half")) == (0, False, True)
    code, out, err = run("task", "cancel", handle)
    assert (code, out, "asked to cancel" in err) == (0, "", True)
    assert fake.tasks["ci-task-1"].cancelled
    code, _, err = run("task", "wait", handle)
    assert (code, "was cancelled" in err) == (7, True)


def test_a_deadline_of_an_awaited_call_tells_the_handle(run: Any) -> None:
    code, out, _ = run("call", "ci.endless", "--timeout", "0.8", "--json")
    assert code == 7
    assert json.loads(out)["error"]["task"] == "ci/endless/ci-task-1"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("task", "get", "ci/build/unknown"), 5),
        (("task", "get", "nonsense"), 2),
        (("task", "get", "other/build/1"), 2),
        (("task", "steal", "ci/build/1"), 2),
        (("task", "wait", "ci/build/1", "--raw", "--json"), 2),
        (("call", "ci.build", "--detach", "--stream"), 2),
        (("call", "ci.build", "--detach", "--curl"), 2),
    ],
)
def test_what_names_no_task_or_asks_for_too_much_is_refused(
    run: Any, words: tuple[str, ...], code: int
) -> None:
    ended, out, err = run(*words)
    assert (ended, bool(out or err)) == (code, True)
