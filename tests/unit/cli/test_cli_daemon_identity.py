"""Which command lines mean the same servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.warm.identity import identify
from trunkline.config.loading import load

PLAIN = {"command": "server", "args": ["a"], "cwd": "/", "env": {"TOKEN": "${TOKEN}"}}
ENVIRON = {"HOME": "/home/a", "PATH": "/bin", "TERM": "xterm", "TOKEN": "secret-one", "UNUSED": "x"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(entries: dict[str, Any] | None = None, policy: Any = None, **environ: str) -> str:
    Path("mcp.json").write_text(json.dumps({"mcpServers": {"a": PLAIN} if entries is None else entries}))
    return identify(load("mcp.json", environ=ENVIRON | environ, policy=policy)).digest


@pytest.mark.parametrize(
    "changed",
    [
        {"TOKEN": "secret-two"},
        {"PATH": "/usr/bin"},
        {"HOME": "/home/b"},
        {"TZ": "UTC"},
    ],
)
def test_an_environment_that_servers_would_see_counts(changed: dict[str, str]) -> None:
    assert digest(**changed) != digest()


@pytest.mark.parametrize("changed", [{"UNUSED": "y"}, {"OTHER": "z"}, {"TERM": "dumb"}])
def test_an_environment_that_makes_no_difference_does_not_count(changed: dict[str, str]) -> None:
    assert digest(**changed) == digest()


@pytest.mark.parametrize(
    "entries",
    [
        {"b": PLAIN},
        {"a": {**PLAIN, "command": "other"}},
        {"a": {**PLAIN, "args": ["b"]}},
        {"a": {**PLAIN, "cwd": "/tmp"}},
        {"a": {**PLAIN, "env": {"TOKEN": "${TOKEN}", "TERM": "x"}}},
        {"a": {**PLAIN, "disabled": True}},
        {"a": PLAIN, "b": {"url": "http://127.0.0.1/"}},
        {"a": {"command": "x", "env": {"T": "${UNSET_FOR_SURE}"}}},
    ],
)
def test_every_entry_counts(entries: dict[str, Any]) -> None:
    assert digest(entries) != digest()


def test_headers_count() -> None:
    first = {"a": {"url": "http://127.0.0.1/", "headers": {"Authorization": "Bearer one"}}}
    second = {"a": {"url": "http://127.0.0.1/", "headers": {"Authorization": "Bearer two"}}}
    assert digest(first) != digest(second)
    assert digest(first) == digest(first)


@pytest.mark.parametrize(
    "policy",
    [
        {"defaults": {"timeout": 5}},
        {"servers": {"a": {"connect": 5}}},
        {"tools": {"a.*": {"timeout": 5}}},
    ],
)
def test_policy_counts(policy: dict[str, Any]) -> None:
    assert digest(policy=policy) != digest(policy={})
    assert digest(policy=policy) == digest(policy=policy)


def test_a_policy_that_has_been_asked_is_the_same() -> None:
    config = load({"a": PLAIN}, environ=ENVIRON, policy={"tools": {"a.*": {"timeout": 5}}})
    before = identify(config).digest
    config.policy.for_tool("a", "x")
    config.policy.for_server("a")
    assert identify(config).digest == before


def test_the_working_directory_counts_for_servers_that_start_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"a": {"command": "server"}}
    path = folder / "mcp.json"
    inner = folder / "inner"
    inner.mkdir()
    found = []
    for entries in (here, {"a": PLAIN}):
        path.write_text(json.dumps(entries))
        for place in (folder, inner):
            monkeypatch.chdir(place)
            found.append(identify(load(str(path), environ=ENVIRON)).digest)
    assert found[0] != found[1]
    assert found[2] == found[3]


def test_bytes_that_are_no_text_are_taken() -> None:
    assert digest(TOKEN="\udcff") != digest()


def test_the_identity_shows_no_secret() -> None:
    Path("mcp.json").write_text(json.dumps({"a": PLAIN}))
    assert "secret" not in repr(identify(load("mcp.json", environ=ENVIRON)))


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ({}, "HTTPS_PROXY"),
        ({"proxy": "http://me:${PASSWORD}@p.example"}, "PASSWORD"),
        ({"tls": {"cert": "c.pem", "key_password": "${PASSWORD}"}}, "PASSWORD"),
    ],
)
def test_variables_that_lead_to_a_url_count_for_it_alone(
    policy: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("https_proxy", "all_proxy", "no_proxy", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    remote = {"a": {"url": "https://far.example/mcp"}}
    seen = []
    for value in ("http://one.example", "http://two.example"):
        monkeypatch.setenv(name, value)
        seen.append((digest(remote, {"defaults": policy}), digest(None, {"defaults": policy})))
    (far, local), (far_again, local_again) = seen
    assert far != far_again
    assert local == local_again


def test_an_environment_that_a_replica_is_found_by_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"a": {"url": "http://127.0.0.1:1/"}}
    policy = {"servers": {"a": {"replicas": ["http://127.0.0.1:2/${REPLICA_KEY}"]}}}
    monkeypatch.setenv("REPLICA_KEY", "one")
    before = digest(entries, policy)
    monkeypatch.setenv("REPLICA_KEY", "two")
    assert digest(entries, policy) != before


def test_files_that_entries_name_are_among_those_that_were_read(folder: Path) -> None:
    entry = {"command": "server", "args": ["${file:args.txt}"], "cwd": "/", "envFile": "tokens.env"}
    Path("mcp.json").write_text(json.dumps({"mcpServers": {"a": entry}}))
    seen = []
    for content in ("A=1", "A=2"):
        for name in ("args.txt", "tokens.env"):
            Path(name).write_text(content)
        seen.append(identify(load("mcp.json", environ=ENVIRON)).files)
    assert set(seen[0]) == {str(folder / name) for name in ("mcp.json", "args.txt", "tokens.env")}
    assert [path for path in seen[0] if seen[0][path] == seen[1][path]] == [str(folder / "mcp.json")]
