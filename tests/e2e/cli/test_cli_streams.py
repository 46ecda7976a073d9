"""Signals, pipes and encodings."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.testing import FakeServer

BOUND = 30.0


def wait_for(stream: Any, part: bytes) -> bytes:
    """Read whole lines from a pipe until one of them holds the part."""
    seen = b""
    while part not in seen or not seen.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], BOUND)
        chunk = os.read(stream.fileno(), 4096) if ready else b""
        assert chunk, (part, seen)
        seen += chunk
    return seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_call_at_the_server_and_leaves_no_process(place: Any, number: int) -> None:
    place.write()
    with place.start("call", "echo.slow", "{}", "-v") as process:
        wait_for(process.stderr, b"progress: 1 of 4 (25 %) first\n")
        process.send_signal(number)
        run = place.finish(process)
    assert run.code == 130
    assert run.out == ""
    assert "trunkline: error: interrupted\n" in run.err
    assert "Traceback" not in run.err
    journal = place.journal()
    assert place.living() == []
    assert [call.cancelled for call in journal.read().calls] == [True]


def test_a_reader_that_goes_away_is_no_failure(place: Any) -> None:
    server = FakeServer("many")
    for number in range(2000):
        server.tool(f"tool_{number}", description="Something that takes a line. " * 3)
    place.serve("many", server)
    place.write()
    with place.start("tools") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        run = place.finish(process)
    assert (run.code, run.err) == (0, "")


def test_a_reader_of_bytes_that_goes_away_is_no_failure(place: Any) -> None:
    place.write()
    with place.start("call", "echo.draw", "{}", "-o", "-") as process:
        process.stdout.close()
        process.stdout = None
        run = place.finish(process)
    assert (run.code, run.err) == (0, "  a dot\n")


def test_a_pipe_gets_server_text_to_the_letter(place: Any) -> None:
    assert place.run("call", "echo.loud", "{}").out == "red \x1b[31mtext\x1b[0m\u202e\n"
    assert "\\u202e" in place.run("call", "echo.loud", "{}", "--json").out


def test_output_that_an_encoding_lacks_is_escaped(place: Any) -> None:
    place.environ |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    server = FakeServer("echo")
    server.tool("greet", returns="Grüße")
    place.serve("echo", server)
    run = place.run("call", "echo.greet", "{}")
    assert (run.code, run.out) == (0, "Gr\\xfc\\xdfe\n")


def test_a_second_ctrl_c_leaves_at_once_and_leaves_no_process(place: Any) -> None:
    """A server that heeds neither the end of its input nor SIGTERM would be waited for."""
    place.serve("echo", ignore_eof=True, ignore_sigterm=True)
    place.write()
    with place.start("call", "echo.slow", "{}", "-v") as process:
        wait_for(process.stderr, b"progress: 1 of 4 (25 %) first\n")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: place.journal().read().calls[0].cancelled)
        process.send_signal(signal.SIGINT)
        run = place.finish(process)
    assert run.code == 130
    assert "interrupted" not in run.err
    wait_until(lambda: place.living() == [])


def test_a_stream_as_json_is_one_object_per_line_and_the_envelope_last(place: Any) -> None:
    server = FakeServer("echo")
    server.tool("steps", delay=0.2, progress=[(1, 2, "one"), (2, 2, None)], returns="done")
    server.tool("sad", error="no")
    place.serve("echo", server)
    run = place.run("call", "echo.steps", "{}", "--stream", "--json")
    first, second, last = map(json.loads, run.out.splitlines())
    assert first == {"event": "progress", "progress": 1.0, "total": 2.0, "message": "one"}
    assert second == {"event": "progress", "progress": 2.0, "total": 2.0, "message": None}
    assert (last["ok"], last["tool"], run.code, run.err) == (True, "echo.steps", 0, "")
    for tool, code in (("sad", "tool_error"), ("none", "not_found")):
        (only,) = map(
            json.loads, place.run("call", f"echo.{tool}", "{}", "--stream", "--json").out.splitlines()
        )
        assert only["error"]["code"] == code


def test_a_stream_as_text_keeps_events_from_the_result(place: Any) -> None:
    server = FakeServer("echo")
    server.tool("steps", delay=0.2, progress=[(1, 2, "one"), (2, 2, None)], returns="done")
    place.serve("echo", server)
    run = place.run("call", "echo.steps", "{}", "--stream")
    assert run.out == "done\n"
    assert run.err == "progress: 1 of 2 (50 %) one\nprogress: 2 of 2 (100 %)\n"


def test_watching_into_a_pipe_gives_a_line_per_change(place: Any) -> None:
    place.write()
    with place.start("status", "--watch", "--json", "--interval", "0.1") as process:
        assert process.stdout is not None
        seen = wait_for(process.stdout, b'"state":"ready"')
        process.send_signal(signal.SIGINT)
        run = place.finish(process)
    documents = [json.loads(line) for line in (seen.decode() + run.out).splitlines()]
    states = [one["server"]["state"] for one in documents[:-1]]
    assert {(one["event"], one["server"]["name"]) for one in documents[:-1]} == {("status", "echo")}
    assert len(states) == len(set(states))
    assert run.code == 130
    assert documents[-1]["error"]["code"] == "interrupted"
    assert place.living() == []


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again, for a bounded time."""
    for _ in range(int(BOUND / 0.02)):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come true")
