"""On a terminal: color, harmless text, one line of progress."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import termios
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

BOUND = 30.0


Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def on_terminal(place: Any) -> Iterator[Terminal]:
    """Run the program with all three streams on a terminal; gives the exit code and what was shown."""
    opened: list[int] = []

    def run(*argv: str, until: bytes = b"", environ: Mapping[str, str] | None = None) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        opened.append(ours)
        flags = termios.tcgetattr(theirs)
        flags[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, flags)
        place.environ |= {"TERM": "xterm", **(environ or {})}
        with place.start(*argv, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = read_terminal(ours, until)
            if until:
                process.send_signal(signal.SIGINT)
                shown += read_terminal(ours)
            code = process.wait(BOUND)
        return code, shown.decode()

    place.write()
    yield run
    for descriptor in opened:
        os.close(descriptor)


def read_terminal(descriptor: int, until: bytes = b"") -> bytes:
    """Read until the text has been seen, or without one until the other end is closed."""
    seen = b""
    while not until or until not in seen:
        ready, _, _ = select.select([descriptor], [], [], BOUND)
        assert ready, seen
        try:
            chunk = os.read(descriptor, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    return seen


def test_a_terminal_gets_color_unless_it_is_not_wanted(on_terminal: Terminal) -> None:
    assert "\x1b[32mready\x1b[0m" in on_terminal("list")[1]
    assert "\x1b" not in on_terminal("list", environ={"NO_COLOR": "1"})[1]


def test_a_terminal_gets_nothing_that_acts_on_it(on_terminal: Terminal) -> None:
    code, shown = on_terminal("call", "echo.loud")
    assert (code, shown) == (0, "red text\\u202e\n")


def test_a_terminal_gets_json_over_several_lines(on_terminal: Terminal) -> None:
    shown = on_terminal("call", "echo.loud", "--json")[1]
    assert json.loads(shown)["result"]["content"][0]["text"] == "red \x1b[31mtext\x1b[0m\u202e"
    assert shown.count("\n") > 5
    assert "\x1b" not in shown


def test_a_terminal_shows_progress_in_one_line_that_vanishes(on_terminal: Terminal) -> None:
    code, shown = on_terminal("call", "echo.slow", until=b"(25 %) first")
    assert code == 130
    assert shown == "\r\x1b[Kprogress: 1 of 4 (25 %) first\r\x1b[Ktrunkline: error: interrupted\n"
