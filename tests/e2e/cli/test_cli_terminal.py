"""On a terminal: color, harmless text, one line of progress, a question before what may destroy."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import termios
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from trunkline.testing import FakeServer

BOUND = 30.0
COLORLESS = {"NO_COLOR": "1"}


Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def on_terminal(place: Any) -> Iterator[Terminal]:
    """Run the program with all three streams on a terminal; gives the exit code and what was shown."""
    opened: list[int] = []

    def run(
        *argv: str,
        until: bytes = b"",
        keys: bytes | None = None,
        columns: int = 80,
        environ: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        opened.append(ours)
        flags = termios.tcgetattr(theirs)
        flags[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, flags)
        termios.tcsetwinsize(theirs, (24, columns))
        place.environ |= {"TERM": "xterm", **(environ or {})}
        with place.start(*argv, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = read_terminal(ours, until)
            if until and keys is not None:
                os.write(ours, keys)
                shown += read_terminal(ours)
            elif until:
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


def test_a_terminal_gets_color_unless_it_is_not_wanted(on_terminal: Terminal, place: Any) -> None:
    shown = on_terminal("list")[1]
    assert "\x1b[32mready\x1b[0m" in shown
    assert "\x1b[1mecho\x1b[0m(text: str" in shown
    assert "\x1b[31merror:\x1b[0m" in on_terminal("call", "echo.nothing", "{}")[1]
    for environ in ({"CLICOLOR": "0"}, COLORLESS):
        assert "\x1b" not in on_terminal("list", environ=environ)[1]
    del place.environ["NO_COLOR"]
    assert "\x1b" not in place.run("list").out
    place.environ["FORCE_COLOR"] = "1"
    assert "\x1b[32mready\x1b[0m" in place.run("list").out
    assert "\x1b" not in place.run("list", "--json").out


def test_a_terminal_gets_nothing_that_acts_on_it(on_terminal: Terminal) -> None:
    code, shown = on_terminal("call", "echo.loud")
    assert (code, shown) == (0, "red text\\u202e\n")


def test_a_terminal_gets_text_of_a_resource_and_never_its_bytes(on_terminal: Terminal, place: Any) -> None:
    server = FakeServer("shelf")
    server.resource("shelf://sign", "red \x1b[31mtext\x1b[0m\u202e")
    server.resource("shelf://dot", data=b"\x1b[2J\x00\xff", mime_type="image/png")
    place.serve("shelf", server)
    place.write()
    assert on_terminal("read", "shelf://sign", environ=COLORLESS) == (0, "red text\\u202e\n")
    code, shown = on_terminal("read", "shelf://dot", environ=COLORLESS)
    assert (code, "\x1b" in shown, "\x00" in shown) == (0, False, False)
    assert "[resource shelf://dot image/png 6 B]" in shown
    code, shown = on_terminal("read", "shelf://dot", "-o", "-", environ=COLORLESS)
    assert (code, "\x00" in shown) == (2, False)


def test_a_terminal_gets_json_over_several_lines(on_terminal: Terminal) -> None:
    shown = on_terminal("call", "echo.loud", "--json")[1]
    assert json.loads(shown)["result"]["content"][0]["text"] == "red \x1b[31mtext\x1b[0m\u202e"
    assert shown.count("\n") > 5
    assert "\x1b" not in shown


@pytest.mark.parametrize("columns", [80, 30])
def test_a_terminal_shows_progress_in_one_line_that_vanishes(on_terminal: Terminal, columns: int) -> None:
    code, shown = on_terminal("call", "echo.slow", until=b"1 of 4", columns=columns, environ=COLORLESS)
    assert code == 130
    assert shown.endswith("\r\x1b[Ktrunkline: error: interrupted\n")
    *drawn, last = shown.split("\r\x1b[K")
    assert last == "trunkline: error: interrupted\n"
    assert all("\n" not in line and len(line) < columns for line in drawn)
    assert any("  25 %  1 of 4" in line for line in drawn)
    assert any("[######......" in line for line in drawn) == (columns == 80)


def test_a_call_that_reports_nothing_shows_how_long_it_takes(place: Any, on_terminal: Terminal) -> None:
    server = FakeServer("echo")
    server.tool("mute", delay=60)
    place.serve("echo", server)
    place.write()
    shown = on_terminal("call", "echo.mute", until=b"waiting  ", environ=COLORLESS)[1]
    assert re.match(r"\r\x1b\[Kwaiting  \d+ s", shown)
    assert shown.endswith("\r\x1b[Ktrunkline: error: interrupted\n")


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}], ids=["dumb", "verbose"])
def test_no_line_is_redrawn_on_a_dumb_terminal_or_among_logs(
    on_terminal: Terminal, environ: Mapping[str, str]
) -> None:
    options = [] if environ else ["-v"]
    until = b"" if environ else b"progress: 1 of 4 (25 %) first"
    shown = on_terminal(
        "call", "echo.slow" if until else "echo.loud", "{}", *options, until=until, environ=environ
    )[1]
    assert "\r\x1b[K" not in shown


def danger(place: Any) -> None:
    """Serve one tool that may destroy something and one that contradicts itself."""
    server = FakeServer("echo")
    properties = {"path": {"type": "string"}, "api_key": {"type": "string"}}
    schema = {"type": "object", "properties": properties}
    server.tool("remove", schema=schema, reports="arguments", annotations={"destructiveHint": True})
    server.tool("safe", returns="safe", annotations={"destructiveHint": False})
    place.serve("echo", server)
    place.write()


QUESTION = (
    "echo.remove may destroy something: its server says so.\n"
    "  path     x\n  api_key  ********\nCall it? [y/N] "
)
REMOVE = ("call", "echo.remove", "path=x", "api_key=s3cret")


def test_a_destructive_tool_is_called_after_a_yes(place: Any, on_terminal: Terminal) -> None:
    danger(place)
    code, shown = on_terminal(*REMOVE, until=b"[y/N] ", keys=b"y\n", environ=COLORLESS)
    assert code == 0
    assert shown.startswith(QUESTION)
    assert '{"path": "x", "api_key": "s3cret"}' in shown.removeprefix(QUESTION)
    assert [call.executed for call in place.journal().read().calls] == [True]


@pytest.mark.parametrize("keys", [b"\n", b"n\n", b"yep\n", b"\x04"])
def test_a_destructive_tool_is_not_called_after_anything_else(
    place: Any, on_terminal: Terminal, keys: bytes
) -> None:
    danger(place)
    code, shown = on_terminal(*REMOVE, until=b"[y/N] ", keys=keys, environ=COLORLESS)
    assert code == 6
    assert "trunkline: error: echo.remove: not called: you did not say yes\n" in shown
    assert place.journal().read().calls == []


def test_ctrl_c_at_the_question_calls_nothing(place: Any, on_terminal: Terminal) -> None:
    danger(place)
    code, shown = on_terminal(*REMOVE, until=b"[y/N] ", environ=COLORLESS)
    assert (code, shown) == (130, f"{QUESTION}\ntrunkline: error: interrupted\n")
    assert place.journal().read().calls == []


@pytest.mark.parametrize(
    "argv", [(*REMOVE, "--yes"), (*REMOVE, "-y"), ("call", "echo.safe", "{}")], ids=["yes", "y", "safe"]
)
def test_who_has_agreed_or_has_no_reason_is_not_asked(
    place: Any, on_terminal: Terminal, argv: tuple[str, ...]
) -> None:
    danger(place)
    code, shown = on_terminal(*argv)
    assert code == 0
    assert "[y/N]" not in shown
    assert len(place.journal().read().calls) == 1


def test_a_script_is_not_asked(place: Any) -> None:
    danger(place)
    run = place.run(*REMOVE)
    assert (run.code, run.err) == (0, "")


def test_a_huge_text_is_cut_on_a_terminal_and_nowhere_else(place: Any, on_terminal: Terminal) -> None:
    server = FakeServer("echo")
    text = "\n".join(f"line {number}" for number in range(5000))
    server.tool("big", returns=text)
    server.tool("wide", returns="x" * 150_000)
    place.serve("echo", server)
    place.write()
    shown = on_terminal("call", "echo.big")[1]
    assert shown.startswith("line 0\nline 1\n")
    assert "line 999\ntrunkline: cut after 8,889 of 48,889 characters; --full shows all of it" in shown
    assert "line 1000" not in shown
    assert "cut after 100,000 of 150,000 characters" in on_terminal("call", "echo.wide")[1]
    assert on_terminal("call", "echo.big", "--full")[1] == f"{text}\n"
    assert place.run("call", "echo.big").out == f"{text}\n"
    assert place.run("call", "echo.big", "-o", "big.txt").code == 0
    assert (place.folder / "big.txt").read_text() == text


def test_watching_redraws_one_table_that_fits(on_terminal: Terminal) -> None:
    code, shown = on_terminal(
        "status", "--watch", "--interval", "0.1", until=b"\x1b[3A", columns=40, environ=COLORLESS
    )
    assert code == 130
    note, _, shown = shown.partition("\n")
    assert note.startswith("trunkline: no runtime runs for this configuration")
    first, *others = shown.split("\x1b[3A\r\x1b[J")
    assert others
    assert re.fullmatch(r"SERVER  STATE +FOR +ERA .*…", first.splitlines()[0])
    assert first.splitlines()[2] == "every 0.1 s; Ctrl-C ends"
    assert all(len(line) <= 40 for line in first.splitlines())
