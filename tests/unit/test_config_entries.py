"""One entry at a time: what it resolves to, what makes it bad, and what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from trunkline.config import BadEntry, Entry, HttpEntry, PeerEntry, StdioEntry, load
from trunkline.errors import ConfigError

ENVIRON = {"HOME": "/home/ann", "PATH": "/usr/bin", "TOKEN": "sk-123456", "SHORT": "abc"}


class Peer:
    async def serve(self, receive: object, send: object) -> None: ...


def resolve(raw: object, *, cwd: Path | None = None, environ: Mapping[str, str] = ENVIRON) -> Entry:
    (entry,) = load({"mcpServers": {"s": raw}}, cwd=cwd, environ=environ).entries
    return entry


def process(raw: object, **where: Any) -> StdioEntry:
    entry = resolve(raw, **where)
    assert isinstance(entry, StdioEntry), entry
    return entry


def remote(raw: object, **where: Any) -> HttpEntry:
    entry = resolve(raw, **where)
    assert isinstance(entry, HttpEntry), entry
    return entry


def mistake(raw: object, **where: Any) -> ConfigError:
    entry = resolve(raw, **where)
    assert isinstance(entry, BadEntry), entry
    assert entry.error.server == "s"
    assert entry.error.hint
    return entry.error


def test_a_command_is_a_child_process_with_its_whole_environment() -> None:
    entry = process({"command": "uvx", "args": ["a", "b c"], "env": {"A": "1"}})
    assert (entry.command, entry.args, entry.cwd) == ("uvx", ("a", "b c"), None)
    assert entry.env == {"HOME": "/home/ann", "PATH": "/usr/bin", "A": "1"}
    assert entry.env_names == ("A",)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({"url": "https://h"}, "http"),
        ({"url": "ws://h"}, "ws"),
        ({"url": "https://h", "type": "http"}, "http"),
        ({"url": "https://h", "type": "streamable-http"}, "http"),
        ({"url": "https://h", "type": "streamableHttp"}, "http"),
        ({"url": "https://h", "type": "streamable_http"}, "http"),
        ({"url": "https://h", "type": "remote"}, "http"),
        ({"url": "https://h", "type": "sse"}, "sse"),
        ({"url": "https://h", "type": "SSE"}, "sse"),
        ({"url": "https://h", "transport": "sse"}, "sse"),
        ({"url": "wss://h", "type": "ws"}, "ws"),
        ({"url": "wss://h", "type": "websocket"}, "ws"),
        ({"serverUrl": "https://h"}, "http"),
        ({"httpUrl": "https://h", "url": None, "command": None}, "http"),
    ],
)
def test_the_transport_follows_from_type_or_url(raw: dict[str, Any], kind: str) -> None:
    assert remote(raw).kind == kind


@pytest.mark.parametrize("type_", ["stdio", "local", None])
def test_a_command_needs_no_type(type_: str | None) -> None:
    assert process({"command": "x", "type": type_}).command == "x"


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        ({}, None, "neither command nor url"),
        ({"args": ["x"]}, None, "neither command nor url"),
        ({"command": "x", "url": "https://h"}, None, "both command and url"),
        ({"command": "x", "serverUrl": "https://h"}, None, "both command and serverUrl"),
        ({"url": "https://a", "httpUrl": "https://b"}, "httpUrl", "give different URLs"),
        ({"type": "stdio", "url": "https://h"}, "type", "needs a command"),
        ({"type": "http", "command": "x"}, "type", "needs a url"),
        ({"type": "carrier-pigeon", "command": "x"}, "type", "is not known; known are stdio"),
        ({"type": 3, "command": "x"}, "type", "must be a string, not a number"),
        ({"command": ["x"]}, "command", "must be a string, not a list"),
        ({"command": " "}, "command", "command is empty"),
        ({"command": "${SHORT:-x}${NONE:-}", "args": "a b"}, "args", "must be a list of strings"),
        ({"command": "x", "args": [["a"]]}, "args[0]", "must be a string, not a list"),
        ({"command": "x", "args": [None]}, "args[0]", "must be a string, not null"),
        ({"command": "x", "env": ["A=1"]}, "env", "must be an object of strings, not a list"),
        ({"command": "x", "env": {"A": True}}, "env.A", "must be a string, not true"),
        ({"command": "x", "env": {"A=B": "1"}}, 'env."A=B"', "not a usable name"),
        ({"command": "x", "env": {"": "1"}}, 'env.""', "not a usable name"),
        ({"command": "x", "cwd": 1}, "cwd", "must be a string"),
        ({"command": "x", "args": ["a\0b"]}, "args[0]", "NUL"),
        ({"command": "x", "args": ["a\ud800b"]}, "args[0]", "surrogate"),
        ({"url": "ftp://h"}, "url", "has the scheme 'ftp'"),
        ({"url": "localhost:8000/mcp"}, "url", "has no scheme"),
        ({"url": "https://"}, "url", "has no host"),
        ({"url": "https://:80/"}, "url", "has no host"),
        ({"url": "https://a..b/"}, "url", "host that cannot exist"),
        ({"url": "https://[::1/"}, "url", "broken host"),
        ({"url": "https://h:x/"}, "url", "port"),
        ({"url": "https://h:0/"}, "url", "port"),
        ({"url": "https://h:65536/"}, "url", "port"),
        ({"url": "https://h/a b"}, "url", "space"),
        ({"url": "https://h/\n"}, "url", "space or a control character"),
        ({"url": "ws://h", "type": "http"}, "url", "does not fit the type 'http'"),
        ({"url": "https://h", "type": "ws"}, "url", "does not fit the type 'ws'"),
        ({"url": "https://h", "headers": {"A B": "x"}}, 'headers."A B"', "not a usable name"),
        ({"url": "https://h", "headers": {"A": "x\r\nB: y"}}, "headers.A", "line end"),
        ({"url": "https://h", "headers": "A: x"}, "headers", "must be an object of strings"),
        ("uvx", None, "the entry must be an object, not a string"),
        (None, None, "the entry must be an object, not null"),
        ([], None, "the entry must be an object, not a list"),
        ({"command": "x", "enabled": 1}, "enabled", "must be true or false, not a number"),
        (Peer, None, "the peer is a class"),
    ],
)
def test_a_bad_entry_names_server_field_and_cause(raw: object, field: str | None, message: str) -> None:
    error = mistake(raw)
    assert error.field == field
    assert message in error.message


def test_a_bad_entry_leaves_the_others_alone() -> None:
    config = load({"a": {"command": "x"}, "b": {}, "c": {"url": "https://h"}}, environ=ENVIRON)
    assert [type(entry) for entry in config.entries] == [StdioEntry, BadEntry, HttpEntry]


def test_servers_switched_off_are_listed_and_not_read() -> None:
    raw = {
        "a": {"command": "${NONE}", "disabled": True},
        "b": {"url": "?", "enabled": False},
        "c": {"command": "x", "disabled": False, "enabled": True},
    }
    config = load(raw, environ=ENVIRON)
    assert config.disabled == ("a", "b")
    assert [entry.name for entry in config.entries] == ["c"]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("comand", "command"), ("Args", "args"), ("enviroment", "env"), ("environment", "env"),
        ("header", "headers"), ("envfile", "envFile"), ("disable", "disabled"), ("working_directory", "cwd"),
    ],
)  # fmt: skip
def test_a_key_that_is_nearly_a_known_one_gives_a_warning_with_the_right_one(key: str, meant: str) -> None:
    base = {"url": "https://h"} if meant == "command" else {"command": "x"}
    (warning,) = load({"s": {**base, key: "y"}}, environ=ENVIRON).warnings
    assert (
        warning
        == f"argument: server 's' has the unknown key {key!r}, which is not read; did you mean {meant!r}?"
    )


@pytest.mark.parametrize(
    "key",
    [
        "timeout",
        "description",
        "autoApprove",
        "alwaysAllow",
        "trust",
        "tools",
        "oauth",
        "x-env",
        "name",
        "id",
    ],
)
def test_other_unknown_keys_are_silent(key: str) -> None:
    assert load({"s": {"command": "x", key: {"a": 1}}}, environ=ENVIRON).warnings == ()


def test_a_misspelled_command_is_the_hint_of_the_entry_without_one() -> None:
    assert mistake({"comand": "uvx"}).hint == "Rename comand to command."


def test_numbers_in_env_are_written_out_and_null_takes_a_variable_away() -> None:
    entry = process({"command": "x", "env": {"PORT": 8080, "RATE": 0.5, "HOME": None}})
    assert entry.env == {"PATH": "/usr/bin", "PORT": "8080", "RATE": "0.5"}
    assert entry.env_names == ("PORT", "RATE")


def test_home_and_relative_commands_are_made_absolute(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    assert process({"command": "~/bin/x"}).command == "/home/ann/bin/x"
    assert process({"command": "./x"}, cwd=tmp_path).command == str(tmp_path / "x")
    assert process({"command": "bin/x", "cwd": "srv"}, cwd=tmp_path).command == str(tmp_path / "srv/bin/x")
    assert process({"command": "x"}, cwd=tmp_path).command == "x"
    assert process({"command": "/opt/../x"}, cwd=tmp_path).command == "/opt/../x"


def test_a_working_directory_is_relative_to_the_file_and_must_exist(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "file").touch()
    assert process({"command": "x", "cwd": "srv"}, cwd=tmp_path).cwd == str(tmp_path / "srv")
    assert process({"command": "x", "cwd": "."}, cwd=tmp_path).cwd == str(tmp_path)
    missing = mistake({"command": "x", "cwd": "none"}, cwd=tmp_path)
    assert missing.message == f"the working directory {tmp_path / 'none'} does not exist"
    assert mistake({"command": "x", "cwd": "file"}, cwd=tmp_path).message.endswith("is not a folder")


def test_values_from_code_may_be_paths_and_tuples(tmp_path: Path) -> None:
    entry = process(MappingProxyType({"command": tmp_path / "x", "args": (tmp_path, "y"), "cwd": tmp_path}))
    assert (entry.command, entry.args, entry.cwd) == (
        str(tmp_path / "x"),
        (str(tmp_path), "y"),
        str(tmp_path),
    )


def test_a_live_peer_is_an_entry_alone_in_a_map_and_in_a_list() -> None:
    peer = Peer()
    for target, names in ((peer, ["server"]), ({"p": peer}, ["p"]), ([peer, {"q": peer}], ["server", "q"])):
        entries = load(target, environ=ENVIRON).entries
        assert [entry.name for entry in entries] == names
        assert all(isinstance(entry, PeerEntry) and entry.peer is peer for entry in entries)


def test_no_repr_shows_an_environment_or_header_value_or_a_secret() -> None:
    raw = {
        "process": {
            "command": "x",
            "args": ["--token", "${TOKEN}", "--key=lit-key", "--password", "lit-pass", "TOKEN=lit-assign",
                     "-H", "Authorization: Bearer lit-bearer", "pg://bob:lit-pg@h/db", "${SHORT}", "plain"],
            "env": {"A": "lit-env", "B": "${TOKEN}"},
        },
        "remote": {
            "url": "https://ann:lit-user@h:8080/${TOKEN}/mcp?api_key=lit-query&page=2",
            "headers": {"Authorization": "Bearer ${TOKEN}", "X-Short": "abc"},
        },
        "bad": {"command": "x", "args": ["lit-arg"], "env": {"A": "lit-env", "B": "${NONE}"}},
        "url": {"url": "https://lit-user:lit-pw@h:bad/", "headers": {"A": "lit-head"}},
    }  # fmt: skip
    config = load(raw, environ=ENVIRON)
    text = repr(config) + "".join(repr(list(entry.__rich_repr__())) for entry in config.entries)
    for secret in ("lit-", "sk-123456", "'abc'", "bob"):
        assert secret not in text
    for shown in ("${TOKEN}", "${SHORT}", "--key=***", "plain", "page=2", "https://***@h:8080/"):
        assert shown in text


def test_secrets_are_every_outside_value_and_every_value_of_env_and_headers() -> None:
    entry = process(
        {
            "command": "x",
            "args": ["${TOKEN}", "${SHORT}", "${HOME}/data", "--key=lit-key", "pg://bob:pass%20word@h/db"],
            "env": {"A": "lit-env", "B": "pre ${TOKEN}", "C": "tiny", "D": "${userHome}"},
        }
    )
    assert set(entry.secrets) == {
        "sk-123456", "pre sk-123456", "lit-env", "lit-key", "bob:pass%20word", "bob:pass word", "pass word",
    }  # fmt: skip
    assert list(entry.secrets) == sorted(entry.secrets, key=lambda secret: (-len(secret), secret))


@pytest.mark.parametrize(
    "raw",
    [
        {"command": "${TOKEN}"},
        {"command": "x", "args": ["a${TOKEN}b"]},
        {"command": "x", "env": {"A": "a ${TOKEN}"}},
        {"url": "https://h/${TOKEN}/mcp"},
        {"url": "https://h", "headers": {"Accept": "a/${TOKEN}"}},
    ],
)
def test_the_value_of_a_variable_is_a_secret_in_every_field(raw: dict[str, Any]) -> None:
    entry = resolve(raw)
    assert isinstance(entry, StdioEntry | HttpEntry)
    assert "sk-123456" in entry.secrets


def test_the_credential_of_a_header_is_a_secret_without_its_scheme_too() -> None:
    headers = {"Authorization": "Bearer lit-bearer", "Accept": "application/json"}
    assert remote({"url": "https://h", "headers": headers}).secrets == ("Bearer lit-bearer", "lit-bearer")


def digest(raw: object, **where: Any) -> str:
    entry = resolve(raw, **where)
    assert isinstance(entry, StdioEntry | HttpEntry | PeerEntry)
    return entry.digest()


def test_a_digest_stays_when_only_secrets_or_the_order_of_keys_change() -> None:
    other = {**ENVIRON, "TOKEN": "another"}
    first = {"command": "x", "args": ["--key", "${TOKEN}"], "env": {"A": "1", "B": "${TOKEN}"}}
    again = {"env": {"B": "x", "A": "2"}, "args": ["--key", "${TOKEN}"], "command": "x"}
    assert digest(first) == digest(again, environ=other)
    first = {"url": "https://h/${TOKEN}?key=lit-one", "headers": {"A": "1", "b": "2"}}
    again = {"url": "https://h/${TOKEN}?key=lit-two", "headers": {"B": "3", "a": "${TOKEN}"}}
    assert digest(first) == digest(again, environ=other)
    assert len(digest(first)) == 64


def test_a_digest_changes_with_what_is_started_or_reached() -> None:
    base: dict[str, Any] = {"command": "x", "args": ["a"], "env": {"A": "1"}}
    changed = [
        base, {**base, "command": "y"}, {**base, "args": ["b"]}, {**base, "args": []}, {**base, "cwd": "."},
        {**base, "env": {"B": "1"}}, {"url": "https://h"}, {"url": "https://i"}, {"url": "https://h:1"},
        {"url": "https://h/p"}, {"url": "https://h", "type": "sse"},
        {"url": "https://h", "headers": {"A": "1"}},
    ]  # fmt: skip
    assert len({digest(raw) for raw in changed}) == len(changed)


def test_a_variable_that_names_program_or_host_is_part_of_the_digest() -> None:
    for raw in ({"command": "${TOKEN}"}, {"url": "https://${TOKEN}/mcp"}):
        assert digest(raw) != digest(raw, environ={**ENVIRON, "TOKEN": "another"})
