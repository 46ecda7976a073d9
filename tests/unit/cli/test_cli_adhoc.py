"""A server described by options: what the options say, and which of them exclude each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.cli.adhoc import describe_server
from trunkline.cli.exits import UsageError
from trunkline.cli.options import Settings

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


@pytest.mark.parametrize(
    ("settings", "entry"),
    [
        (
            {"http": "http://h/mcp", "header": ("Authorization: Bearer a:b", "X-Empty:")},
            {
                "type": "http",
                "url": "http://h/mcp",
                "headers": {"Authorization": "Bearer a:b", "X-Empty": ""},
            },
        ),
        ({"sse": "http://h/sse"}, {"type": "sse", "url": "http://h/sse", "headers": {}}),
        ({"ws": "ws://h/"}, {"type": "ws", "url": "ws://h/", "headers": {}}),
        (
            {"stdio": "run 'one word' two", "env": ("A=1", "B=x=y", "C="), "cwd": "sub"},
            {
                "command": "run",
                "args": ["one word", "two"],
                "env": {"A": "1", "B": "x=y", "C": ""},
                "cwd": "sub",
            },
        ),
    ],
)
def test_options_describe_one_server(settings: dict[str, Any], entry: dict[str, Any]) -> None:
    assert describe_server(Settings(**settings)) == (None, entry)
    assert describe_server(Settings(**settings, name="mine")) == ("mine", entry)


def test_without_such_options_there_is_no_server() -> None:
    assert describe_server(Settings(config=("a.json",), timeout=3)) is None


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"http": "http://h/", "stdio": "run"}, "--http and --stdio exclude each other"),
        ({"sse": "http://h/", "ws": "ws://h/"}, "--sse and --ws exclude each other"),
        ({"http": "http://h/", "config": ("a.json",)}, "--config and --http exclude each other"),
        ({"header": ("a: b",)}, "-H needs --http, --sse, --ws or --stdio"),
        ({"env": ("a=b",)}, "-e needs"),
        ({"cwd": "."}, "--cwd needs"),
        ({"name": "n"}, "--name needs"),
        ({"stdio": "run", "header": ("a: b",)}, "-H belongs to a URL and does not go with --stdio"),
        ({"http": "http://h/", "env": ("a=b",)}, "-e belongs to --stdio and does not go with --http"),
        ({"http": "http://h/", "cwd": "."}, "--cwd belongs to --stdio"),
        ({"stdio": "  "}, "--stdio names no command"),
        ({"stdio": "run 'x"}, "cannot be split into words: No closing quotation"),
        ({"http": "http://h/", "header": ("Bearer s3cret",)}, "a header of -H has no name"),
        ({"stdio": "run", "env": ("s3cret",)}, "a variable of -e has no name or no value"),
    ],
)
def test_options_that_do_not_fit_together_are_refused_without_showing_secrets(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        describe_server(Settings(**settings))
    assert complaint in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("command", ["list", "tools", "search", "status"])
def test_every_command_takes_a_described_server_and_reads_no_file(
    trunkline: Trunkline, world: Any, command: str
) -> None:
    words = ("commits",) if command == "search" else ()
    run = trunkline(command, *words, "--stdio", "some-command", "--name", "git")
    assert (run.code, world.started, world.read) == (0, ["git"], [])
    trunkline("--http", "http://127.0.0.1:9/", command, *words)
    assert (world.started, world.read) == (["server"], [])


@pytest.mark.parametrize("tool", ["log", "git.log", "git/log"])
def test_a_tool_of_a_described_server_needs_no_server_name(
    trunkline: Trunkline, world: Any, tool: str
) -> None:
    run = trunkline("call", "--stdio", "some-command", "--name", "git", tool, "count=3")
    assert run.code == 0
    assert world.called[0][1] == {"count": 3}
    assert "log(" in trunkline("info", "--stdio", "some-command", "--name", "git", tool).out


def test_a_described_server_that_cannot_be_used_is_an_error_of_the_command_line(
    trunkline: Trunkline, world: Any
) -> None:
    run = trunkline("list", "--http", "htp:/x")
    assert (run.code, world.started) == (2, [])
    assert "field 'url'" in run.err


def test_options_before_and_after_the_command_add_up(trunkline: Trunkline, world: Any) -> None:
    assert trunkline("-H", "A: b", "list", "--http", "http://127.0.0.1:9/", "-H", "C: d").code == 0
    assert world.started == ["server"]
    assert "exclude" in trunkline("--config", "a.json", "list", "--stdio", "x").err
