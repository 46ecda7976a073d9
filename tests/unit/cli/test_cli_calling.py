"""`trunkline call`: what reaches the runtime, what is printed where, and the code it ends with."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.core.call import Progress
from trunkline.errors import (
    AmbiguousNameError,
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentsError,
    OutcomeUnknownError,
    UnavailableError,
)

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


def test_call_prints_the_text_and_a_newline_and_nothing_else(trunkline: Trunkline, world: Any) -> None:
    run = trunkline("call", "git.log", "path=.", "count=3")
    assert (run.code, run.out, run.err) == (0, "done\n", "")
    assert world.called == [("git.log", {"path": ".", "count": 3}, None)]
    assert world.closed


@pytest.mark.parametrize("words", [("git.log",), ("git/log",), ("git:log",), ("git", "log")])
def test_call_starts_only_the_server_it_needs(
    trunkline: Trunkline, world: Any, words: tuple[str, ...]
) -> None:
    trunkline("call", *words, "path=x")
    assert world.started == ["git"]
    assert world.called == [("git.log", {"path": "x"}, None)]


def test_call_of_a_bare_name_coerces_by_the_one_tool_of_that_name(trunkline: Trunkline, world: Any) -> None:
    trunkline("call", "log", "count=3")
    assert world.started == ["git", "time"]
    assert world.called == [("log", {"count": 3}, None)]


def test_call_reads_one_object_from_standard_input(
    trunkline: Trunkline, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"path": "p"}')))
    assert trunkline("call", "git.log").code == 0
    assert world.called == [("git.log", {"path": "p"}, None)]


@pytest.mark.parametrize("data", [b"[]", b"\xff", b"nonsense"])
def test_call_refuses_standard_input_that_is_no_object(
    trunkline: Trunkline, world: Any, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    run = trunkline("call", "git.log")
    assert run.code == 2
    assert "standard input" in run.err
    assert world.started == []


def test_call_leaves_standard_input_alone_when_arguments_are_given(
    trunkline: Trunkline, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)
    monkeypatch.setattr("sys.stdin", None)
    trunkline("call", "git.log", "{}")
    trunkline("call", "git.log")
    assert [arguments for _, arguments, _ in world.called] == [{}, {}]


def test_call_waits_and_calls_within_one_timeout(trunkline: Trunkline, world: Any) -> None:
    trunkline("call", "git.log", "path=.", "--timeout", "10")
    assert world.waited == [("git", 10.0)]
    left = world.called[0][2]
    assert left is not None
    assert 0 < left <= 10


def test_call_without_a_schema_to_wait_for_has_its_whole_timeout(trunkline: Trunkline, world: Any) -> None:
    trunkline("call", "git.log", "{}", "--timeout", "10")
    assert world.waited == []
    assert world.called == [("git.log", {}, 10.0)]


def test_call_leaves_it_to_the_call_to_say_why_its_server_failed(trunkline: Trunkline, world: Any) -> None:
    world.not_ready = UnavailableError("short")
    world.answer = UnavailableError("long", tool="git.log", stderr="last words")
    run = trunkline("call", "git.log", "path=.")
    assert run.code == 4
    assert "git.log: long" in run.err
    assert "last words" in run.err


def test_call_whose_server_is_not_ready_in_time_says_so(trunkline: Trunkline, world: Any) -> None:
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


def test_warnings_of_a_reply_go_to_standard_error_and_into_the_envelope(
    trunkline: Trunkline, world: Any
) -> None:
    world.warnings = ("the structured result\x1b[31m does not fit",)
    run = trunkline("call", "git.log", "path=.")
    assert (run.code, run.out) == (0, "done\n")
    assert run.err == "trunkline: warning: the structured result does not fit\n"
    document = trunkline("call", "git.log", "path=.", "--json").document
    assert document["meta"]["warnings"] == list(world.warnings)


def test_what_is_less_than_was_asked_for_is_one_warning_and_stands_in_the_envelope(
    trunkline: Trunkline, world: Any
) -> None:
    world.degraded = "git.log failed (unavailable);\x1b[31m answered by mirror.log"
    world.warnings = (world.degraded,)
    run = trunkline("call", "git.log", "path=.")
    assert (run.code, run.out) == (0, "done\n")
    assert run.err == "trunkline: warning: degraded: git.log failed (unavailable); answered by mirror.log\n"
    document = trunkline("call", "git.log", "path=.", "--json").document
    assert (document["ok"], document["meta"]["degraded"]) == (True, world.degraded)


def test_a_tools_own_error_is_printed_and_exits_five(trunkline: Trunkline, world: Any) -> None:
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


def test_raw_prints_the_result_object(trunkline: Trunkline, world: Any) -> None:
    world.answer = {"content": [], "structuredContent": {"b": 1, "a": 2}}
    assert trunkline("call", "git.log", "{}", "--raw").out == (
        '{"content":[],"structuredContent":{"b":1,"a":2}}\n'
    )


@pytest.mark.parametrize("other", [("--json",), ("-o", "file")])
def test_raw_goes_with_no_other_form_of_output(
    trunkline: Trunkline, world: Any, other: tuple[str, ...]
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
        (
            ConfigError('invalid JSON\n    "git": }\x1b[2J\n           ^', source="mcp.json"),
            2,
            'trunkline: error: mcp.json: invalid JSON\n    "git": }\n           ^\n',
        ),
    ],
)
def test_a_failed_call_says_what_happened_and_what_to_do(
    trunkline: Trunkline, world: Any, error: Exception, code: int, expected: str
) -> None:
    world.answer = error
    run = trunkline("call", "git.log", "{}")
    assert (run.code, run.out, run.err) == (code, "", expected)


def test_a_failed_call_as_json_is_an_envelope_on_standard_output(trunkline: Trunkline, world: Any) -> None:
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
    trunkline: Trunkline, world: Any
) -> None:
    world.answer = ZeroDivisionError("oops")
    run = trunkline("call", "git.log", "{}")
    assert run.code == 1
    assert run.err.startswith("trunkline: error: internal error: ZeroDivisionError: oops\n")
    assert "Traceback" in trunkline("call", "git.log", "{}", "-v").err
    assert trunkline("call", "git.log", "{}", "--json").document["error"]["code"] == "internal_error"


def test_ctrl_c_exits_130(trunkline: Trunkline, world: Any) -> None:
    world.answer = KeyboardInterrupt()
    run = trunkline("call", "git.log", "{}")
    assert (run.code, run.out, run.err) == (130, "", "trunkline: error: interrupted\n")
    assert world.closed


def test_progress_is_shown_as_lines_with_v_only(trunkline: Trunkline, world: Any) -> None:
    world.progress = [Progress(progress=1, total=4, message="one\x1b[2J"), Progress(progress=2)]
    assert trunkline("call", "git.log", "{}").err == ""
    run = trunkline("call", "git.log", "{}", "-v")
    assert "progress: 1 of 4 (25 %) one\nprogress: 2\n" in run.err
    assert run.out == "done\n"


def test_a_disabled_server_is_named(trunkline: Trunkline, world: Any) -> None:
    world.configure("git", disabled=("time",))
    for words in (["call", "time.now"], ["call", "time", "now"], ["info", "time"], ["tools", "time"]):
        run = trunkline(*words)
        assert run.code == 2
        assert run.err.startswith("trunkline: error: server 'time': is switched off\n")


def test_warnings_of_the_configuration_reach_standard_error(trunkline: Trunkline, world: Any) -> None:
    world.configure("git", warnings=("a\nb",))
    assert trunkline("call", "git.log", "{}").err == "trunkline: warning: a b\n"
