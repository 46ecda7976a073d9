"""Bad input and sick servers: one clear message, the right exit code, no traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from trunkline.testing import FakeServer, Fault

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
def test_bad_configuration_is_one_clear_message(bare_place: Any, case: str, as_json: bool) -> None:
    content, argv, code, parts = CASES[case]
    if content is not None:
        bare_place.write(content if isinstance(content, str) else json.dumps({"mcpServers": content}))
    run = bare_place.run(*argv, *(["--json"] if as_json else []))
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
def test_a_call_that_fails_is_one_clear_message(place: Any, case: str, as_json: bool) -> None:
    argv, code, parts = TOOL_CASES[case]
    run = place.run(*argv, *(["--json"] if as_json else []))
    check_failure(run, code, parts, as_json=as_json)
    sent = place.journal().read().calls
    assert len(sent) == (1 if case in ("JSON-RPC error", "slow call") else 0)
    assert place.living() == []


def check_failure(run: Any, code: int, parts: Sequence[str], *, as_json: bool) -> None:
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


def test_a_server_that_ends_at_the_start_is_told_with_its_last_words(place: Any) -> None:
    place.serve("crash", failing_starts=9, stderr=["license \x1b[31mmissing"])
    for arguments in ("{}", "text=x"):
        run = place.run("call", "crash.echo", arguments)
        assert run.code == 4
        assert "  hint: " in run.err
        assert "    license missing\n" in run.err
        assert "\x1b" not in run.err


def test_a_server_that_never_answers_costs_its_timeout(place: Any) -> None:
    place.serve("hung", start_delay=60)
    for arguments in ("{}", "text=x"):
        run = place.run("call", "hung.echo", arguments, "--timeout", "1", "--json")
        assert run.code == 7
        assert json.loads(run.out)["error"]["delivery"] == "never_sent"
    run = place.run("list", "--timeout", "1")
    assert run.code == 0
    assert re.search(r"^hung +connecting", run.out, re.MULTILINE)
    assert place.living("hung") == []


def test_a_server_that_dies_in_a_call_leaves_the_outcome_unknown(place: Any) -> None:
    server = FakeServer("echo")
    server.tool("echo", reports="arguments")
    server.fault("echo", Fault.kill)
    place.serve("echo", server)
    run = place.run("call", "echo.echo", "text=x")
    assert (run.code, run.out) == (7, "")
    assert "  delivery: unknown, the tool may have run\n" in run.err


def test_a_tools_own_error_is_its_text_and_exit_code_five(place: Any) -> None:
    run = place.run("call", "echo.sad", "{}")
    assert (run.code, run.out, run.err) == (5, "no such file\n", "trunkline: echo.sad reports an error\n")
    document = json.loads(place.run("call", "echo.sad", "{}", "--json").out)
    assert document["error"]["code"] == "tool_error"
    assert document["result"]["isError"] is True
