"""`trunkline add` takes every form of `claude mcp add`, and writes the entry that form means."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.hosting_grammar import put_in_order
from trunkline.cli.main import main

SECRET = "s3cret-VALUE"
HTTP = {"type": "http", "url": "https://h"}
Add = Callable[..., Any]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Add:
    """Run a command line and give the entries of the file it wrote, or its exit code and error."""
    file = tmp_path / "mcp.json"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def run(*argv: str) -> Any:
        code = main([*argv[:1], "--config", str(file), *argv[1:]])
        captured = capfd.readouterr()
        assert captured.out == ""
        if code:
            return code, captured.err
        return json.loads(file.read_text())["mcpServers"]

    return run


@pytest.mark.parametrize(
    ("line", "name", "entry"),
    [
        ("s -- npx -y pkg --flag", "s", {"command": "npx", "args": ["-y", "pkg", "--flag"]}),
        ("s npx -y pkg", "s", {"command": "npx", "args": ["-y", "pkg"]}),
        ("s npx @play/mcp@latest", "s", {"command": "npx", "args": ["@play/mcp@latest"]}),
        ("s /path/to/server", "s", {"command": "/path/to/server"}),
        ("-e A=1 -e B=2 s -- cmd", "s", {"command": "cmd", "env": {"A": "1", "B": "2"}}),
        ("-e A=1 B=x=y s -- cmd", "s", {"command": "cmd", "env": {"A": "1", "B": "x=y"}}),
        ("s --env A=1 B=2 -- c", "s", {"command": "c", "env": {"A": "1", "B": "2"}}),
        ("s -e A=1 -- d -e A i", "s", {"command": "d", "args": ["-e", "A", "i"], "env": {"A": "1"}}),
        ("--env=A=1 s cmd", "s", {"command": "cmd", "env": {"A": "1"}}),
        ("-eA=1 s cmd", "s", {"command": "cmd", "env": {"A": "1"}}),
        ("s cmd -e A=1", "s", {"command": "cmd", "env": {"A": "1"}}),
        ("--transport stdio s --env A= -- npx x", "s", {"command": "npx", "args": ["x"], "env": {"A": ""}}),
        ("s cmd --config x.json -v", "s", {"command": "cmd", "args": ["--config", "x.json", "-v"]}),
        ("s -- cmd -- x --json", "s", {"command": "cmd", "args": ["--", "x", "--json"]}),
        ("--transport http s https://h/mcp", "s", {"type": "http", "url": "https://h/mcp"}),
        ("-t sse s https://h/sse", "s", {"type": "sse", "url": "https://h/sse"}),
        ("s https://h/mcp", "s", {"type": "http", "url": "https://h/mcp"}),
        ("s ws://h/mcp", "s", {"type": "ws", "url": "ws://h/mcp"}),
        ("-t streamable-http s https://h/mcp", "s", {"type": "http", "url": "https://h/mcp"}),
        ("s https://h -H A:b -H X-C:d", "s", {**HTTP, "headers": {"A": "b", "X-C": "d"}}),
        ("-H A:b C:d s https://h", "s", {**HTTP, "headers": {"A": "b", "C": "d"}}),
        ("--header A:b --transport http s https://h", "s", {**HTTP, "headers": {"A": "b"}}),
        ("-t http s ${BASE:-https://h}/mcp", "s", {"type": "http", "url": "${BASE:-https://h}/mcp"}),
        ("ünï.cødé-✓ cmd", "ünï.cødé-✓", {"command": "cmd"}),
        ("-t stdio s https://h", "s", {"command": "https://h"}),
    ],
)  # fmt: skip
def test_every_form_is_understood(add: Add, line: str, name: str, entry: dict[str, Any]) -> None:
    assert add("add", *line.split()) == {name: entry}


def test_a_header_keeps_its_spaces_and_a_url(add: Add) -> None:
    written = add("add", "s", "https://h", "--header", "Authorization: Bearer a b", "-H", "Referer:https://x")
    assert written["s"]["headers"] == {"Authorization": "Bearer a b", "Referer": "https://x"}


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("s",), "missing argument"),
        ((), "missing argument 'NAME'"),
        (("-x", "s", "cmd"), "no such option: -x"),
        (("s", "--nope", "--", "cmd"), "no such option: --nope"),
        (("s", "-e", "novalue", "--", "cmd"), "-e takes NAME=value"),
        (("s", "-H", "novalue", "https://h"), '-H takes "Name: value"'),
        (("s", "cmd", "-H", "A: b"), "-H sets a header of a URL"),
        (("s", "https://h", "-e", "A=b"), "-e sets a variable of a program"),
        (("s", "https://h", "more"), "a URL takes no arguments, and 'more' follows it"),
        (("-t", "http", "s", "cmd"), "the transport http needs a URL"),
        (("-t", "carrier", "s", "cmd"), "there is no transport 'carrier'"),
        (("s", "cmd", "-e"), "requires an argument"),
        (("s", "https://"), "the URL has no host"),
        ((" ", "cmd"), "the name of the server is empty"),
        (("s", "cmd", "-e", "A=\x1b[31m\x00"), "NUL"),
    ],
)
def test_a_mistake_exits_two_and_writes_nothing(
    add: Add, tmp_path: Path, argv: tuple[str, ...], complaint: str
) -> None:
    code, error = add("add", *argv)
    assert (code, complaint in error) == (2, True), error
    assert not (tmp_path / "mcp.json").exists()


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ('{"type":"http","url":"https://h","headers":{"A":"b"}}', {**HTTP, "headers": {"A": "b"}}),
        ('{"command": "c", "x-own": {"keep": null}, /* c */}', {"command": "c", "x-own": {"keep": None}}),
    ],
)
def test_add_json_writes_the_object_as_it_is(add: Add, text: str, entry: dict[str, Any]) -> None:
    assert add("add-json", "s", text) == {"s": entry}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "invalid JSON"),
        ("[]", "the entry must be an object"),
        ("{}", "neither command nor url"),
        ('{"url": "nope"}', "the URL has no scheme"),
        ('{"command": ["npx"]}', "must be a string"),
    ],
)
def test_add_json_refuses_what_is_no_entry(add: Add, text: str, complaint: str) -> None:
    code, error = add("add-json", "s", text)
    assert (code, complaint in error) == (2, True), error


def test_no_value_of_a_variable_or_header_is_ever_shown(
    add: Add, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert add("add", "s", "-e", f"API_KEY={SECRET}", "--", "cmd")["s"]["env"] == {"API_KEY": SECRET}
    for argv in (
        ("add", "--config", "mcp.json", "t", "-e", f"X_TOKEN={SECRET}", "--", "cmd"),
        ("add", "--config", "mcp.json", "s", "-e", f"API_KEY={SECRET}", "--", "cmd"),
        ("add", "--config", "mcp.json", "u", "-e", f"={SECRET}", "--", "cmd"),
        ("add", "--config", "mcp.json", "u", "-H", f":{SECRET}", "https://h"),
        ("add-json", "--config", "mcp.json", "v", json.dumps({"url": f"nope://u:{SECRET}@h"})),
        ("add", "--config", "mcp.json", "--json", "w", "-H", f"Authorization: Bearer {SECRET}", "https://h"),
    ):
        main(list(argv))
        captured = capfd.readouterr()
        assert SECRET not in captured.out + captured.err
    assert (tmp_path / "mcp.json").read_text().count(SECRET) == 3


def test_options_come_first_whatever_the_order() -> None:
    options = {"-e": True, "--env": True, "--json": False, "--scope": True, "--config": True}
    assert put_in_order(["n", "c", "--scope", "user", "-x", "--json"], options) == [
        "--scope", "user", "--json", "--", "n", "c", "-x"
    ]  # fmt: skip
    assert put_in_order(["--", "n", "-e", "A=1"], options) == ["--", "n", "-e", "A=1"]
    assert put_in_order(["n", "-"], options) == ["--", "n", "-"]
    assert put_in_order(["n", "https://h", "--config", "f"], options) == [
        "--config",
        "f",
        "--",
        "n",
        "https://h",
    ]
