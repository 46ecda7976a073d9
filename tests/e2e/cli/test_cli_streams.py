"""Signals, pipes and encodings."""

from __future__ import annotations

import os
import select
import signal
from typing import Any

import pytest

from trunkline.testing import FakeServer

BOUND = 30.0


def wait_for_line(process: Any, part: bytes) -> None:
    assert process.stderr is not None
    seen = b""
    while part not in seen:
        ready, _, _ = select.select([process.stderr], [], [], BOUND)
        chunk = os.read(process.stderr.fileno(), 4096) if ready else b""
        assert chunk, (part, seen)
        seen += chunk


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_call_at_the_server_and_leaves_no_process(place: Any, number: int) -> None:
    place.write()
    with place.start("call", "echo.slow", "{}", "-v") as process:
        wait_for_line(process, b"progress: 1 of 4 (25 %) first\n")
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
