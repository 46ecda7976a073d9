"""The program as a process, against real servers of the test kit: results, failures, signals, streams."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.testing import FakeServer, Fault

SOURCE = Path(__file__).resolve().parents[2] / "src"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "times": {"type": "integer"}},
    "required": ["text"],
}
BOUND = 30.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    out: str
    err: str


class Place:
    """A folder with an `mcp.json`, and the program started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, Any] = {}
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(SOURCE),
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
        }

    def serve(self, name: str, server: FakeServer, **process: Any) -> None:
        self.entries[name] = server.to_stdio_entry(self.folder, **process)

    def write(self, text: str | None = None) -> None:
        content = json.dumps({"mcpServers": self.entries}) if text is None else text
        (self.folder / "mcp.json").write_text(content)

    def start(self, *argv: str, **streams: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "trunkline", *argv]
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, env=self.environ, **(options | streams))

    def run(self, *argv: str, text: bytes | None = None) -> Run:
        self.write() if self.entries else None
        stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
        with self.start(*argv, stdin=stdin) as process:
            return finish(process, text)


def finish(process: subprocess.Popen[bytes], text: bytes | None = None) -> Run:
    try:
        out, err = process.communicate(text, timeout=BOUND)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Run(code=process.returncode, out=(out or b"").decode(), err=(err or b"").decode())


def fake(name: str = "echo", **settings: Any) -> FakeServer:
    server = FakeServer(name, **settings)
    server.tool("echo", schema=TEXT, description="Gives the text back. And no more.", reports="arguments")
    server.tool("slow", delay=20, progress=[(1, 4, "first"), (2, 4, "second")])
    server.tool("sad", error="no such file")
    server.tool("rude", rpc_error=(-32000, "out of order"))
    server.tool("loud", returns="red \x1b[31mtext\x1b[0m\u202e")
    image = {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    server.tool("draw", returns=[{"type": "text", "text": "a dot"}, image])
    return server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.serve("echo", fake())
    return place


def pids(place: Place, name: str = "echo") -> list[int]:
    return FakeServer(name).journal(place.folder).pids


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- the happy ways ---


def test_the_way_of_a_newcomer_from_list_to_reply(place: Place) -> None:
    listed = place.run()
    assert listed.code == 0
    assert re.match(r"echo +ready +\S+ +stdio +6 tools\n  echo\(text: str", listed.out)
    assert place.run("list").out.splitlines()[1:] == listed.out.splitlines()[1:]
    assert "echo.echo(text: str, times?: int)\n    Gives the text back.\n" in place.run("tools").out
    assert re.match(r" \d\.\d{3}  echo\.echo\(", place.run("search", "give", "text", "back").out)
    assert "  text   string   required\n" in place.run("info", "echo", "echo").out
    assert place.run("status").out.splitlines()[1].startswith("echo")
    called = place.run("call", "echo.echo", "text=hi", "times=3")
    assert (called.code, called.err) == (0, "")
    assert json.loads(called.out) == {"text": "hi", "times": 3}
    assert not any(is_alive(pid) for pid in pids(place))


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["echo/echo", '{"text": "x"}'], None),
        (["echo:echo", 'text:="x"'], None),
        (["echo", "echo", "text=@-"], b"x"),
        (["echo", "@args.json"], None),
        (["echo.echo"], b'{"text": "x"}'),
    ],
)
def test_every_selector_and_form_of_argument_reaches_the_server(
    place: Place, argv: list[str], text: bytes | None
) -> None:
    (place.folder / "args.json").write_text('{"text": "x"}')
    run = place.run("call", *argv, text=text)
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out) == {"text": "x"}


def test_json_output_is_one_line_of_the_stated_envelope(place: Place) -> None:
    run = place.run("call", "echo.draw", "{}", "--json")
    assert run.out.count("\n") == 1
    document = json.loads(run.out)
    assert set(document) == {"ok", "server", "tool", "result", "meta"}
    assert set(document["meta"]) == {"duration_ms", "attempts", "cached", "era", "transport"}
    assert document["result"]["content"][1]["mimeType"] == "image/png"
    assert (document["ok"], document["server"], document["tool"]) == (True, "echo", "echo.draw")


def test_an_image_prints_as_a_line_and_saves_as_its_bytes(place: Place) -> None:
    assert place.run("call", "echo.draw", "{}").out == "a dot\n[image image/png 28 B]\n"
    run = place.run("call", "echo.draw", "{}", "-o", "dot.png")
    assert (run.code, run.out) == (0, "")
    assert run.err == "trunkline: saved dot.png (image/png, 28 bytes)\n  a dot\n"
    assert (place.folder / "dot.png").read_bytes() == PNG


def test_only_the_server_that_is_called_is_started(place: Place) -> None:
    place.serve("other", fake("other"))
    assert place.run("call", "echo.echo", "text=x").code == 0
    assert (len(pids(place, "echo")), len(pids(place, "other"))) == (1, 0)


def test_a_sick_server_costs_a_list_one_warning_and_no_exit_code(place: Place) -> None:
    place.entries["gone"] = {"command": "trunkline-test-no-such-command"}
    place.serve("crash", fake("crash"), failing_starts=9, stderr=["no license"])
    for command in ("list", "tools", "status"):
        run = place.run(command)
        assert run.code == 0
        assert run.err == "trunkline: warning: 2 of 3 servers are not ready: gone, crash\n"
    assert place.run("search", "text").code == 0


def test_a_url_is_taken_for_a_configuration(place: Place) -> None:
    run = place.run("list", "--config", "http://127.0.0.1:9/mcp")
    assert run.code == 0
    assert re.match(r"server +failed", run.out)


# --- bad input: one clear message, the right code, no traceback ---

BROKEN = '{\n  // servers\n  "mcpServers": {\n    "a": {"command": }\n  }\n}\n'
GONE = {"command": "trunkline-test-no-such-command"}
CASES: dict[str, tuple[Any, list[str], int, Sequence[str]]] = {
    "missing file": (None, ["list", "--config", "nowhere.json"], 2, ["nowhere.json"]),
    "no file at all": (None, ["list"], 2, ["mcp.json"]),
    "broken JSON": (BROKEN, ["list"], 2, ["mcp.json:4:22"]),
    "not an object": ("[]", ["status"], 2, ["mcp.json"]),
    "unknown transport": (
        {"a": {"type": "pigeon", "url": "http://x/"}},
        ["call", "a.t", "{}"],
        2,
        ["pigeon", "'a'"],
    ),
    "missing command": ({"a": GONE}, ["call", "a.t", "{}"], 4, ["a", "trunkline-test-no-such-command"]),
    "bad URL": ({"a": {"url": "htp:/x"}}, ["call", "a.t", "{}"], 2, ["'a'", "'url'"]),
    "unset variable": (
        {"a": {"command": "x", "env": {"TOKEN": "${TRUNKLINE_TEST_UNSET}"}}},
        ["call", "a.t", "k=v"],
        2,
        ["'a'", "'env.TOKEN'", "TRUNKLINE_TEST_UNSET", "mcp.json:1:"],
    ),
    "unreachable": ({"a": {"url": "http://127.0.0.1:9/mcp"}}, ["call", "a.t", "{}"], 4, ["a.t"]),
    "unknown server": ({"a": GONE}, ["call", "b.t", "{}"], 5, ["b.t"]),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("case", CASES)
def test_bad_configuration_is_one_clear_message(tmp_path: Path, case: str, as_json: bool) -> None:
    content, argv, code, parts = CASES[case]
    place = Place(tmp_path)
    if content is not None:
        place.write(content if isinstance(content, str) else json.dumps({"mcpServers": content}))
    run = place.run(*argv, *(["--json"] if as_json else []))
    check_failure(run, code, parts, as_json=as_json)


TOOL_CASES: dict[str, tuple[list[str], int, Sequence[str]]] = {
    "unknown tool": (["call", "echo.ecko", "{}"], 5, ["echo.ecko", "echo.echo"]),
    "unknown bare tool": (["call", "ecko", "{}"], 5, ["ecko", "echo.echo"]),
    "unknown tool of info": (["info", "echo.ecko"], 5, ["echo.ecko", "echo.echo"]),
    "missing argument": (["call", "echo.echo", "times=1"], 2, ["echo.echo", "text"]),
    "wrong type": (["call", "echo.echo", "text=a", "times=many"], 2, ["times"]),
    "wrong type of bare name": (["call", "echo", "text=a", "times=many"], 2, ["times"]),
    "unreadable form": (["call", "echo.echo", "text"], 2, ["'text'"]),
    "bad JSON": (["call", "echo.echo", '{"text": }'], 2, ["line 1 column 10"]),
    "missing argument file": (["call", "echo.echo", "text=@nowhere"], 2, ["'text'", "nowhere"]),
    "JSON-RPC error": (["call", "echo.rude", "{}"], 5, ["out of order"]),
    "slow call": (["call", "echo.slow", "{}", "--timeout", "1"], 7, ["echo.slow"]),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("case", TOOL_CASES)
def test_a_call_that_fails_is_one_clear_message(place: Place, case: str, as_json: bool) -> None:
    argv, code, parts = TOOL_CASES[case]
    run = place.run(*argv, *(["--json"] if as_json else []))
    check_failure(run, code, parts, as_json=as_json)
    sent = FakeServer("echo").journal(place.folder).read().calls
    assert len(sent) == (1 if case in ("JSON-RPC error", "slow call") else 0)
    assert not any(is_alive(pid) for pid in pids(place))


def check_failure(run: Run, code: int, parts: Sequence[str], *, as_json: bool) -> None:
    assert run.code == code, run
    assert "Traceback" not in run.out + run.err
    if as_json:
        error = json.loads(run.out)["error"]
        assert set(error) == {"code", "message", "hint", "delivery", "server"}
        said = f"{error['message']} {error['hint']}"
    else:
        assert run.out == ""
        assert run.err.count("trunkline: error: ") == 1
        assert "\n  hint: " in run.err or code in (5, 7)
        said = run.err
    for part in parts:
        assert part in said, (part, said)


def test_a_server_that_ends_at_the_start_is_told_with_its_last_words(place: Place) -> None:
    place.serve("crash", fake("crash"), failing_starts=9, stderr=["license \x1b[31mmissing"])
    for arguments in ("{}", "text=x"):
        run = place.run("call", "crash.echo", arguments)
        assert run.code == 4
        assert "  hint: " in run.err
        assert "    license missing\n" in run.err
        assert "\x1b" not in run.err


def test_a_server_that_never_answers_costs_its_timeout(place: Place) -> None:
    place.serve("hung", fake("hung"), start_delay=60)
    for arguments in ("{}", "text=x"):
        run = place.run("call", "hung.echo", arguments, "--timeout", "1", "--json")
        assert run.code == 7
        assert json.loads(run.out)["error"]["delivery"] == "never_sent"
    run = place.run("list", "--timeout", "1")
    assert run.code == 0
    assert re.search(r"^hung +connecting", run.out, re.MULTILINE)
    assert not any(is_alive(pid) for pid in pids(place, "hung"))


def test_a_server_that_dies_in_a_call_leaves_the_outcome_unknown(place: Place) -> None:
    server = fake()
    server.fault("echo", Fault.kill)
    place.serve("echo", server)
    run = place.run("call", "echo.echo", "text=x")
    assert (run.code, run.out) == (7, "")
    assert "  delivery: unknown, the tool may have run\n" in run.err


def test_a_tools_own_error_is_its_text_and_exit_code_five(place: Place) -> None:
    run = place.run("call", "echo.sad", "{}")
    assert (run.code, run.out, run.err) == (5, "no such file\n", "trunkline: echo.sad reports an error\n")
    document = json.loads(place.run("call", "echo.sad", "{}", "--json").out)
    assert document["error"]["code"] == "tool_error"
    assert document["result"]["isError"] is True


# --- signals and streams ---


def wait_for_line(process: subprocess.Popen[bytes], part: bytes) -> None:
    assert process.stderr is not None
    seen = b""
    while part not in seen:
        ready, _, _ = select.select([process.stderr], [], [], BOUND)
        chunk = os.read(process.stderr.fileno(), 4096) if ready else b""
        assert chunk, (part, seen)
        seen += chunk


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_call_at_the_server_and_leaves_no_process(place: Place, number: int) -> None:
    place.write()
    with place.start("call", "echo.slow", "{}", "-v") as process:
        wait_for_line(process, b"progress: 1 of 4 (25 %) first\n")
        process.send_signal(number)
        run = finish(process)
    assert run.code == 130
    assert run.out == ""
    assert "trunkline: error: interrupted\n" in run.err
    assert "Traceback" not in run.err
    journal = FakeServer("echo").journal(place.folder)
    assert not any(is_alive(pid) for pid in journal.pids)
    assert [call.cancelled for call in journal.read().calls] == [True]


def test_a_reader_that_goes_away_is_no_failure(place: Place) -> None:
    server = FakeServer("many")
    for number in range(2000):
        server.tool(f"tool_{number}", description="Something that takes a line. " * 3)
    place.serve("many", server)
    place.write()
    with place.start("tools") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        run = finish(process)
    assert (run.code, run.err) == (0, "")


def test_a_pipe_gets_server_text_to_the_letter(place: Place) -> None:
    assert place.run("call", "echo.loud", "{}").out == "red \x1b[31mtext\x1b[0m\u202e\n"
    assert "\\u202e" in place.run("call", "echo.loud", "{}", "--json").out


def test_output_that_an_encoding_lacks_is_escaped(place: Place) -> None:
    place.environ |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    server = FakeServer("echo")
    server.tool("greet", returns="Grüße")
    place.serve("echo", server)
    run = place.run("call", "echo.greet", "{}")
    assert (run.code, run.out) == (0, "Gr\\xfc\\xdfe\n")


Terminal = Callable[..., tuple[int, str]]


@pytest.fixture
def on_terminal(place: Place) -> Iterator[Terminal]:
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


# --- start-up ---

LOADED = """
import sys
from trunkline.cli.main import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("argv", "unwanted"),
    [
        (["--help"], {"trunkline.runtime", "asyncio", "msgspec", "logging", "pydantic", "rich"}),
        (["--version"], {"trunkline.runtime", "asyncio", "msgspec", "pydantic", "rich"}),
        (["call", "--help"], {"trunkline.runtime", "asyncio", "msgspec", "pydantic", "rich"}),
        (["call", "echo.echo", "text=x"], {"pydantic", "rich", "mcp", "aiohttp"}),
        (["list", "--timeout", "20"], {"pydantic", "rich", "mcp", "aiohttp"}),
    ],
)
def test_a_command_loads_only_what_it_needs(place: Place, argv: list[str], unwanted: set[str]) -> None:
    place.write()
    command = [sys.executable, "-c", LOADED, *argv]
    done = subprocess.run(
        command,
        cwd=place.folder,
        env=place.environ,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=True,
    )
    assert unwanted & set(done.stderr.split()) == set()
