"""Every command against a runtime of values: what it prints where, and with which code it ends."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from trunkline.cli import session
from trunkline.cli.main import main
from trunkline.core.call import Progress
from trunkline.core.reply import Reply
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.errors import (
    AmbiguousNameError,
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentsError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(20))


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    name: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    entries: tuple[Entry, ...] = ()
    sources: tuple[str, ...] = ("mcp.json",)
    warnings: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


def tool(server: str, name: str, description: str = "", **properties: Any) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return Tool(
        name=name, server=server, public_name=f"{server}.{name}", description=description, input_schema=schema
    )


TOOLS = (
    tool(
        "git",
        "log",
        "Show commits. And more.",
        path={"type": "string"},
        count={"type": "integer", "default": 5},
    ),
    tool("git", "status", "Show the state."),
    tool("time", "now", "Tell the time.", zone={"type": "string", "description": "IANA name"}),
)


class FakeTrunk:
    """Answers from values and keeps what it was asked."""

    def __init__(self, config: Config, world: World) -> None:
        self.names = [entry.name for entry in config.entries]
        self.world = world
        self.catalog = SimpleNamespace(
            tools=tuple(tool for tool in TOOLS if tool.server in self.names), resolve=self._resolve
        )

    async def __aenter__(self) -> FakeTrunk:
        self.world.started = self.names
        return self

    async def __aexit__(self, *_: object) -> None:
        self.world.closed = True

    async def ready(self, name: str | None = None, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self.world.waited.append((name, timeout))
        if self.world.not_ready is not None:
            raise self.world.not_ready

    def status(self) -> dict[str, ServerStatus]:
        return {name: self.world.statuses.get(name, ready()) for name in self.names}

    async def search(self, query: str, *, limit: int = 5) -> Sequence[Any]:
        found = [
            SimpleNamespace(tool=tool, score=0.5) for tool in self.catalog.tools if query in tool.description
        ]
        return found[:limit]

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float | None,  # noqa: ASYNC109
        on_progress: Callable[..., None],
    ) -> Reply:
        self.world.called.append((name, dict(arguments), timeout))
        for progress in self.world.progress:
            on_progress(progress)
        if isinstance(self.world.answer, BaseException):
            raise self.world.answer
        return Reply(
            raw=self.world.answer,
            server="git",
            tool=name,
            elapsed=0.0125,
            era="2025-11-25",
            transport="stdio",
        )

    def _resolve(self, name: str) -> Tool:
        for known in self.catalog.tools:
            if name in (known.public_name, known.name):
                return known
        raise NotFoundError("no such tool", tool=name, candidates=("git.log",))


class World:
    """What the fake runtime does, and what happened to it."""

    def __init__(self) -> None:
        self.config = Config(entries=(Entry(name="git"), Entry(name="time")))
        self.statuses: dict[str, ServerStatus] = {}
        self.answer: Any = {"content": [{"type": "text", "text": "done"}]}
        self.progress: list[Progress] = []
        self.not_ready: Exception | None = None
        self.started: list[str] = []
        self.waited: list[tuple[str | None, float | None]] = []
        self.called: list[tuple[str, dict[str, Any], float | None]] = []
        self.read: list[tuple[str, ...]] = []
        self.closed = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def read_config(names: Sequence[str]) -> Config:
        world.read.append(tuple(names))
        return world.config

    monkeypatch.setattr(session, "read_config", read_config)
    monkeypatch.setattr(session, "open_trunk", lambda config: FakeTrunk(config, world))
    monkeypatch.setattr("trunkline.cli.loop._loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    return world


@pytest.fixture
def trunkline(world: World, capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    assert world.closed is False

    def run(*argv: str) -> Run:
        code = main(argv)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err or "-v" in argv
        return Run(code=code, out=captured.out, err=captured.err)

    return run


Trunkline = Callable[..., Run]


def ready() -> ServerStatus:
    return ServerStatus(state="ready", since=1.0, era="2025-11-25", transport="stdio", tools=2)


def failed(**changes: Any) -> ServerStatus:
    facts = {
        "state": "failed",
        "since": 1.0,
        "era": None,
        "tools": None,
        "last_error": "exited with 1",
        "hint": "Look.",
    }
    return ServerStatus(**(facts | changes))


# --- list, status ---


@pytest.mark.parametrize("argv", [(), ("list",)])
def test_list_shows_servers_with_their_tools_beneath(trunkline: Trunkline, argv: tuple[str, ...]) -> None:
    run = trunkline(*argv)
    lines = run.out.splitlines()
    assert run.code == 0
    assert run.err == ""
    assert lines[0].split() == ["git", "ready", "2025-11-25", "stdio", "2", "tools"]
    assert lines[1].startswith("  log(")
    assert lines[2].startswith("  status(")
    assert lines[3].split()[0] == "time"
    assert lines[4].startswith("  now(")


def test_list_with_a_sick_server_shows_why_and_exits_zero_with_one_warning(
    trunkline: Trunkline, world: World
) -> None:
    world.statuses["time"] = failed()
    run = trunkline("list")
    assert run.code == 0
    assert "  error: exited with 1\n  hint: Look.\n" in run.out
    assert run.err == "trunkline: warning: 1 of 2 servers is not ready: time\n"


def test_list_as_json_has_a_stable_shape(trunkline: Trunkline, world: World) -> None:
    world.statuses["time"] = failed()
    document = trunkline("--json").document
    assert document["ok"] is True
    assert [server["name"] for server in document["servers"]] == ["git", "time"]
    assert set(document["servers"][1]) == {
        *("name", "state", "since", "era", "transport", "tools", "resources", "last_error", "hint", "stderr"),
        *("restarts", "latency_ms", "last_check", "breaker"),
    }
    assert [tool["public_name"] for tool in document["tools"]] == ["git.log", "git.status", "time.now"]
    assert set(document["tools"][0]) == {
        *("name", "public_name", "server", "title", "description"),
        *("input_schema", "output_schema", "annotations"),
    }


def test_list_still_shows_what_is_there_when_the_time_is_up(trunkline: Trunkline, world: World) -> None:
    world.not_ready = DeadlineExceededError("not ready")
    world.statuses["git"] = ServerStatus(state="connecting", since=0.1)
    run = trunkline("list", "--timeout", "2")
    assert run.code == 0
    assert "connecting" in run.out
    assert world.waited == [(None, 2.0)]
    assert run.err.count("\n") == 1


def test_an_empty_file_lists_nothing_and_says_so(trunkline: Trunkline, world: World) -> None:
    world.config = Config()
    run = trunkline("list", "--json")
    assert run.document == {"ok": True, "servers": [], "tools": []}
    assert run.err == "trunkline: warning: no server is configured in mcp.json\n"
    assert trunkline("list").out == ""


def test_status_is_a_table(trunkline: Trunkline, world: World) -> None:
    world.statuses["time"] = failed(since=300, restarts=3)
    run = trunkline("status")
    lines = run.out.splitlines()
    assert lines[0].split()[:4] == ["SERVER", "STATE", "FOR", "ERA"]
    assert lines[1].split()[:4] == ["git", "ready", "1.0", "s"]
    assert "5 min" in lines[2]
    assert lines[3] == "  error: exited with 1"
    assert run.code == 0


def test_status_as_json_lists_the_servers(trunkline: Trunkline) -> None:
    document = trunkline("status", "--json").document
    assert document["ok"] is True
    assert document["servers"][0]["state"] == "ready"


# --- tools, info, search ---


def test_tools_gives_signatures_and_first_sentences(trunkline: Trunkline) -> None:
    run = trunkline("tools")
    assert run.out.splitlines()[1] == "    Show commits."
    assert run.out.splitlines()[0].startswith("git.log(")


@pytest.mark.parametrize(
    ("query", "expected", "started"),
    [
        ("git", ["git.log", "git.status"], ["git"]),
        ("git.*", ["git.log", "git.status"], ["git"]),
        ("git/sta", ["git.status"], ["git"]),
        ("*o*", ["git.log", "time.now"], ["git", "time"]),
        ("LOG", ["git.log"], ["git", "time"]),
        ("nothing", [], ["git", "time"]),
    ],
)
def test_tools_can_be_narrowed(
    trunkline: Trunkline, world: World, query: str, expected: list[str], started: list[str]
) -> None:
    run = trunkline("tools", query, "--json")
    assert run.code == 0
    assert [tool["public_name"] for tool in run.document["tools"]] == expected
    assert world.started == started
    assert ("no tool fits" in run.err) is (not expected)


@pytest.mark.parametrize("words", [("git.log",), ("git/log",), ("git:log",), ("git", "log")])
def test_info_describes_a_tool_and_starts_its_server_only(
    trunkline: Trunkline, world: World, words: tuple[str, ...]
) -> None:
    run = trunkline("info", *words)
    assert run.code == 0
    assert world.started == ["git"]
    assert "  path   string   required" in run.out
    assert "  count  integer  default 5" in run.out
    assert "Show commits. And more." in run.out


def test_info_of_a_bare_name_asks_every_server(trunkline: Trunkline, world: World) -> None:
    run = trunkline("info", "now", "--json")
    assert world.started == ["git", "time"]
    assert run.document["tool"]["input_schema"]["properties"]["zone"]["type"] == "string"


def test_info_of_a_server_shows_its_state_and_tools(trunkline: Trunkline, world: World) -> None:
    run = trunkline("info", "git")
    assert "log(" in run.out
    assert world.started == ["git"]
    document = trunkline("info", "git", "--json").document
    assert document["server"]["name"] == "git"
    assert len(document["tools"]) == 2


def test_info_of_an_unknown_tool_exits_five_with_the_nearest(trunkline: Trunkline) -> None:
    run = trunkline("info", "git.lgo")
    assert (run.code, run.out) == (5, "")
    assert run.err == "trunkline: error: git.lgo: no such tool\n  hint: Did you mean git.log?\n"


def test_info_of_a_tool_on_a_failed_server_exits_four(trunkline: Trunkline, world: World) -> None:
    world.not_ready = UnavailableError("exited with 1", server="git", hint="Look.")
    run = trunkline("info", "git.log")
    assert run.code == 4
    assert run.err == "trunkline: error: git: exited with 1\n  hint: Look.\n"


def test_a_bare_name_that_is_not_found_names_the_servers_that_could_not_be_asked(
    trunkline: Trunkline, world: World
) -> None:
    world.statuses["time"] = failed()
    world.answer = NotFoundError("no such tool", tool="zone")
    for argv in (["info", "zone"], ["call", "zone", "a=1"]):
        run = trunkline(*argv)
        assert run.code == 5
        assert run.err.startswith("trunkline: warning: 1 of 2 servers is not ready: time\n")
    assert "warning" not in trunkline("call", "git.zone").err


def test_info_with_a_word_too_many_is_a_usage_error(trunkline: Trunkline) -> None:
    assert trunkline("info", "git", "log", "more").code == 2


def test_search_gives_scores(trunkline: Trunkline) -> None:
    run = trunkline("search", "Show", "commits")
    assert run.out.startswith(" 0.500  git.log(")
    assert trunkline("search", "Show", "--limit", "1", "--json").document == {
        "ok": True,
        "query": "Show",
        "matches": [{"score": 0.5, "tool": trunkline("info", "git.log", "--json").document["tool"]}],
    }


def test_search_without_a_match_exits_zero(trunkline: Trunkline) -> None:
    run = trunkline("search", "zebra")
    assert (run.code, run.out) == (0, "")
    assert run.err == "trunkline: no tool fits 'zebra'\n"


# --- call ---


def test_call_prints_the_text_and_a_newline_and_nothing_else(trunkline: Trunkline, world: World) -> None:
    run = trunkline("call", "git.log", "path=.", "count=3")
    assert (run.code, run.out, run.err) == (0, "done\n", "")
    assert world.called == [("git.log", {"path": ".", "count": 3}, None)]
    assert world.closed


@pytest.mark.parametrize("words", [("git.log",), ("git/log",), ("git:log",), ("git", "log")])
def test_call_starts_only_the_server_it_needs(
    trunkline: Trunkline, world: World, words: tuple[str, ...]
) -> None:
    trunkline("call", *words, "path=x")
    assert world.started == ["git"]
    assert world.called == [("git.log", {"path": "x"}, None)]


def test_call_of_a_bare_name_coerces_by_the_one_tool_of_that_name(trunkline: Trunkline, world: World) -> None:
    trunkline("call", "log", "count=3")
    assert world.started == ["git", "time"]
    assert world.called == [("log", {"count": 3}, None)]


def test_call_reads_one_object_from_standard_input(
    trunkline: Trunkline, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.cli.loop._loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"path": "p"}')))
    assert trunkline("call", "git.log").code == 0
    assert world.called == [("git.log", {"path": "p"}, None)]


@pytest.mark.parametrize("data", [b"[]", b"\xff", b"nonsense"])
def test_call_refuses_standard_input_that_is_no_object(
    trunkline: Trunkline, world: World, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr("trunkline.cli.loop._loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    run = trunkline("call", "git.log")
    assert run.code == 2
    assert "standard input" in run.err
    assert world.started == []


def test_call_leaves_standard_input_alone_when_arguments_are_given(
    trunkline: Trunkline, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.cli.loop._loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", None)
    trunkline("call", "git.log", "{}")
    trunkline("call", "git.log")
    assert [arguments for _, arguments, _ in world.called] == [{}, {}]


def test_call_waits_and_calls_within_one_timeout(trunkline: Trunkline, world: World) -> None:
    trunkline("call", "git.log", "path=.", "--timeout", "10")
    assert world.waited == [("git", 10.0)]
    left = world.called[0][2]
    assert left is not None
    assert 0 < left <= 10


def test_call_without_a_schema_to_wait_for_has_its_whole_timeout(trunkline: Trunkline, world: World) -> None:
    trunkline("call", "git.log", "{}", "--timeout", "10")
    assert world.waited == []
    assert world.called == [("git.log", {}, 10.0)]


def test_call_leaves_it_to_the_call_to_say_why_its_server_failed(trunkline: Trunkline, world: World) -> None:
    world.not_ready = UnavailableError("short")
    world.answer = UnavailableError("long", tool="git.log", stderr="last words")
    run = trunkline("call", "git.log", "path=.")
    assert run.code == 4
    assert "git.log: long" in run.err
    assert "last words" in run.err


def test_call_whose_server_is_not_ready_in_time_says_so(trunkline: Trunkline, world: World) -> None:
    world.not_ready = DeadlineExceededError("not ready within 1 s", server="git")
    run = trunkline("call", "git.log", "path=.", "--timeout", "1")
    assert (run.code, run.err) == (7, "trunkline: error: git: not ready within 1 s\n")
    assert world.called == []


def test_call_as_json_gives_exactly_the_envelope(trunkline: Trunkline) -> None:
    run = trunkline("call", "git.log", "path=.", "--json")
    assert run.out.endswith("}\n")
    assert run.out.count("\n") == 1
    assert run.document == {
        "ok": True,
        "server": "git",
        "tool": "git.log",
        "result": {"content": [{"type": "text", "text": "done"}]},
        "meta": {
            "duration_ms": 12.5,
            "attempts": 1,
            "cached": False,
            "era": "2025-11-25",
            "transport": "stdio",
        },
    }


def test_a_tools_own_error_is_printed_and_exits_five(trunkline: Trunkline, world: World) -> None:
    world.answer = {"content": [{"type": "text", "text": "no repository"}], "isError": True}
    run = trunkline("call", "git.log", "{}")
    assert (run.code, run.out) == (5, "no repository\n")
    assert run.err == "trunkline: git.log reports an error\n"
    document = trunkline("call", "git.log", "{}", "--json").document
    assert document["ok"] is False
    assert document["result"] == world.answer
    assert document["error"] == {
        "code": "tool_error",
        "message": "no repository",
        "hint": None,
        "delivery": "answered",
        "server": "git",
    }


def test_raw_prints_the_result_object(trunkline: Trunkline, world: World) -> None:
    world.answer = {"content": [], "structuredContent": {"b": 1, "a": 2}}
    assert trunkline("call", "git.log", "{}", "--raw").out == (
        '{"content":[],"structuredContent":{"b":1,"a":2}}\n'
    )


@pytest.mark.parametrize("other", [("--json",), ("-o", "file")])
def test_raw_goes_with_no_other_form_of_output(
    trunkline: Trunkline, world: World, other: tuple[str, ...]
) -> None:
    assert trunkline("call", "git.log", "--raw", *other).code == 2
    assert world.started == []


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (
            UnavailableError("exited", server="git", stderr="a\nb\x1b[31m\n", hint="Install it."),
            4,
            "trunkline: error: git: exited\n  hint: Install it.\n  the server's last words:\n    a\n    b\n",
        ),
        (
            InvalidArgumentsError("wrong", tool="git.log", problems=("path: is required",)),
            2,
            "trunkline: error: git.log: wrong\n  - path: is required\n",
        ),
        (
            AmbiguousNameError("two", tool="log", candidates=("a.log", "b.log")),
            5,
            "trunkline: error: log: two\n  hint: Name one of a.log, b.log.\n",
        ),
        (
            OutcomeUnknownError("link lost", tool="git.log"),
            7,
            "trunkline: error: git.log: link lost\n  delivery: unknown, the tool may have run\n",
        ),
        (
            ConfigError("bad\x1b[2J", server="git", field="url", source="mcp.json", line=3),
            2,
            "trunkline: error: mcp.json:3, server 'git', field 'url': bad\n",
        ),
    ],
)
def test_a_failed_call_says_what_happened_and_what_to_do(
    trunkline: Trunkline, world: World, error: Exception, code: int, expected: str
) -> None:
    world.answer = error
    run = trunkline("call", "git.log", "{}")
    assert (run.code, run.out, run.err) == (code, "", expected)


def test_a_failed_call_as_json_is_an_envelope_on_standard_output(trunkline: Trunkline, world: World) -> None:
    world.answer = OutcomeUnknownError("link lost", tool="git.log", server="git", hint="Look first.")
    run = trunkline("call", "git.log", "{}", "--json")
    assert (run.code, run.err) == (7, "")
    assert run.document == {
        "ok": False,
        "error": {
            "code": "outcome_unknown",
            "message": "git.log: link lost",
            "hint": "Look first.",
            "delivery": "unknown",
            "server": "git",
        },
    }


def test_an_unexpected_failure_is_one_line_and_a_traceback_only_with_v(
    trunkline: Trunkline, world: World
) -> None:
    world.answer = ZeroDivisionError("oops")
    run = trunkline("call", "git.log", "{}")
    assert run.code == 1
    assert run.err.startswith("trunkline: error: internal error: ZeroDivisionError: oops\n")
    assert "Traceback" in trunkline("call", "git.log", "{}", "-v").err
    assert trunkline("call", "git.log", "{}", "--json").document["error"]["code"] == "internal_error"


def test_ctrl_c_exits_130(trunkline: Trunkline, world: World) -> None:
    world.answer = KeyboardInterrupt()
    run = trunkline("call", "git.log", "{}")
    assert (run.code, run.out, run.err) == (130, "", "trunkline: error: interrupted\n")
    assert world.closed


def test_progress_is_shown_as_lines_with_v_only(trunkline: Trunkline, world: World) -> None:
    world.progress = [Progress(progress=1, total=4, message="one\x1b[2J"), Progress(progress=2)]
    assert trunkline("call", "git.log", "{}").err == ""
    run = trunkline("call", "git.log", "{}", "-v")
    assert "progress: 1 of 4 (25 %) one\nprogress: 2\n" in run.err
    assert run.out == "done\n"


def test_a_disabled_server_is_named(trunkline: Trunkline, world: World) -> None:
    world.config = Config(entries=(Entry(name="git"),), disabled=("time",))
    for words in (["call", "time.now"], ["call", "time", "now"], ["info", "time"], ["tools", "time"]):
        run = trunkline(*words)
        assert run.code == 2
        assert run.err.startswith("trunkline: error: server 'time': is switched off\n")


def test_warnings_of_the_configuration_reach_standard_error(trunkline: Trunkline, world: World) -> None:
    world.config = msgspec.structs.replace(world.config, warnings=("a\nb",))
    assert trunkline("call", "git.log", "{}").err == "trunkline: warning: a b\n"


# --- call -o ---


def image(data: bytes = PNG, mime: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": mime}


def test_one_image_is_saved_as_its_bytes_and_its_text_is_not_lost(
    trunkline: Trunkline, world: World, tmp_path: Path
) -> None:
    world.answer = {"content": [{"type": "text", "text": "a picture"}, image()]}
    target = tmp_path / "logo.png"
    target.write_text("old")
    run = trunkline("call", "git.log", "{}", "-o", str(target))
    assert (run.code, run.out) == (0, "")
    assert target.read_bytes() == PNG
    assert run.err == f"trunkline: saved {target} (image/png, 28 bytes)\n  a picture\n"
    assert list(tmp_path.iterdir()) == [target]


def test_several_blocks_are_numbered(trunkline: Trunkline, world: World, tmp_path: Path) -> None:
    resource = {"type": "resource", "resource": {"uri": "file:///x", "mimeType": "text/plain", "text": "hi"}}
    world.answer = {"content": [image(), image(b"j", "image/jpeg"), resource]}
    trunkline("call", "git.log", "{}", "-o", str(tmp_path / "out.png"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out-1.png": PNG,
        "out-2.jpg": b"j",
        "out-3.txt": b"hi",
    }


def test_a_folder_gets_files_named_after_the_tool(trunkline: Trunkline, world: World, tmp_path: Path) -> None:
    world.answer = {"content": [image()]}
    trunkline("call", "git.log", "{}", "-o", f"{tmp_path}/")
    world.answer = {"content": [{"type": "text", "text": "words"}]}
    trunkline("call", "git.log", "{}", "-o", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"git.log.png", "git.log.txt"}


def test_text_is_saved_to_the_letter(trunkline: Trunkline, world: World, tmp_path: Path) -> None:
    world.answer = {"content": [{"type": "text", "text": "a\r\nb\x1b[0m é"}]}
    trunkline("call", "git.log", "{}", "-o", str(tmp_path / "t"))
    assert (tmp_path / "t").read_bytes() == "a\r\nb\x1b[0m é".encode()


def test_bytes_can_go_to_standard_output(world: World, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    world.answer = {"content": [image()]}
    assert main(["call", "git.log", "{}", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == PNG


def test_a_tools_own_error_is_never_saved(trunkline: Trunkline, world: World, tmp_path: Path) -> None:
    world.answer = {"content": [{"type": "text", "text": "no"}], "isError": True}
    run = trunkline("call", "git.log", "{}", "-o", str(tmp_path / "t"))
    assert (run.code, run.out) == (5, "no\n")
    assert list(tmp_path.iterdir()) == []


def test_broken_base64_saves_nothing_and_says_so(trunkline: Trunkline, world: World, tmp_path: Path) -> None:
    world.answer = {"content": [image(), {"type": "image", "data": "%%%", "mimeType": "image/png"}]}
    run = trunkline("call", "git.log", "{}", "-o", str(tmp_path / "t.png"))
    assert run.code == 1
    assert "not valid base64" in run.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["missing/file", "missing/"])
def test_a_target_that_cannot_be_written_is_refused_before_the_call(
    trunkline: Trunkline, world: World, tmp_path: Path, target: str
) -> None:
    run = trunkline("call", "git.log", "{}", "-o", f"{tmp_path}/{target}")
    assert run.code == 2
    assert "cannot save to" in run.err
    assert world.called == []


def test_the_permissions_of_a_replaced_file_stay(trunkline: Trunkline, tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.touch(mode=0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert trunkline("call", "git.log", "{}", "-o", str(link)).code == 0
    assert link.is_symlink()
    assert target.read_text() == "done"
    assert target.stat().st_mode & 0o777 == 0o600


# --- the command line itself ---


def test_common_options_are_taken_before_and_after_the_command(trunkline: Trunkline, world: World) -> None:
    trunkline("--config", "a.json", "--timeout", "5", "list", "--config", "b.json", "--timeout", "7")
    assert world.read == [("a.json", "b.json")]
    assert world.waited == [(None, 7.0)]
    assert trunkline("--json", "status").document["ok"] is True


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("lst",), "no such command 'lst'; did you mean 'list'?"),
        (
            ("list", "--timeout", "soon"),
            "invalid value for '--timeout': 'soon' is not a number of seconds above 0",
        ),
        (("list", "--timeout", "0"), "'0' is not a number of seconds above 0"),
        (("list", "--timeout", "nan"), "'nan' is not a number of seconds above 0"),
        (("search", "x", "--limit", "0"), "'0' is not a whole number above 0"),
        (("list", "--nope"), "no such option: --nope"),
        (("call",), "missing argument 'TOOL'"),
        (("search",), "missing argument 'WORD"),
        (("call", "git.log", "word"), "argument 'word' has no value"),
        (("call", "a=b"), "'a=b' is an argument, not a tool"),
    ],
)
def test_a_mistyped_command_line_exits_two_with_one_message(
    trunkline: Trunkline, world: World, argv: tuple[str, ...], complaint: str
) -> None:
    run = trunkline(*argv)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("trunkline: error: ")
    assert complaint in run.err
    document = trunkline(*argv, "--json").document
    assert document["error"]["code"] == "usage_error"
    assert world.started == []


def test_version_and_help_print_to_standard_output(trunkline: Trunkline) -> None:
    assert trunkline("--version").out.startswith("trunkline ")
    for words in (["--help"], ["-h"], ["call", "--help"], ["status", "-h"]):
        run = trunkline(*words)
        assert run.code == 0
        assert run.out.startswith("Usage: trunkline")
