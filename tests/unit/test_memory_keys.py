"""What makes two entries the same server for memory, and what makes them the same for what was listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.loading import load
from trunkline.core.principal import LOCAL, Principal
from trunkline.runtime.memory_key import gather

SALT = b"s" * 32
LOCAL_ENTRY: dict[str, Any] = {
    "command": "/bin/true",
    "args": ["--root", "/srv", "--token", "aaaaaaaa"],
    "env": {"API_TOKEN": "bbbbbbbb"},
}
REMOTE_ENTRY: dict[str, Any] = {
    "url": "https://me:cccccccc@example.com/mcp?token=dddddddd&team=1",
    "headers": {"Authorization": "Bearer eeeeeeee"},
}


def keys(
    entry: Any,
    *,
    name: str = "a",
    policy: Any = None,
    principal: Principal = LOCAL,
    salt: bytes = SALT,
    **environ: str,
) -> tuple[str, str]:
    """Give the key of the server and that of its lists."""
    config = load({"mcpServers": {name: entry}}, policy=policy or {}, environ=environ)
    material = gather(config.entries[0], config.policy, principal, environ)
    assert material is not None
    return material.keys(salt)


def changed(entry: Any, other: Any, **options: Any) -> tuple[bool, bool]:
    """Tell whether the server is another one, and whether its lists are."""
    (one, lists), (two, others) = keys(entry), keys(other, **options)
    assert lists.startswith(f"{one}.")
    assert others.startswith(f"{two}.")
    return one != two, lists != others


@pytest.mark.parametrize(
    "change",
    [
        {"command": "/bin/false"},
        {"args": ["--root", "/etc", "--token", "aaaaaaaa"]},
        {"args": ["--root", "/srv"]},
        {"env": {"OTHER": "bbbbbbbb"}},
        {"env": {}},
        {"cwd": "/"},
    ],
)
def test_another_program_argument_folder_or_variable_is_another_server(change: dict[str, Any]) -> None:
    assert changed(LOCAL_ENTRY, LOCAL_ENTRY | change) == (True, True)


@pytest.mark.parametrize(
    "change",
    [
        {"url": REMOTE_ENTRY["url"].replace("/mcp", "/other")},
        {"url": REMOTE_ENTRY["url"].replace("example.com", "example.org")},
        {"url": REMOTE_ENTRY["url"].replace("team=1", "team=2")},
        {"type": "sse"},
        {"headers": {}},
        {"headers": {"X-Api-Key": "eeeeeeee"}},
    ],
)
def test_another_url_kind_or_header_is_another_server(change: dict[str, Any]) -> None:
    assert changed(REMOTE_ENTRY, REMOTE_ENTRY | change) == (True, True)


@pytest.mark.parametrize(
    "change",
    [
        {"args": ["--root", "/srv", "--token", "zzzzzzzz"]},
        {"env": {"API_TOKEN": "zzzzzzzz"}},
    ],
)
def test_another_secret_of_a_program_is_the_same_server_with_other_lists(change: dict[str, Any]) -> None:
    assert changed(LOCAL_ENTRY, LOCAL_ENTRY | change) == (False, True)


@pytest.mark.parametrize("secret", ["cccccccc", "dddddddd", "eeeeeeee"])
def test_another_secret_of_a_url_is_the_same_server_with_other_lists(secret: str) -> None:
    other = json.loads(json.dumps(REMOTE_ENTRY).replace(secret, "zzzzzzzz"))
    assert changed(REMOTE_ENTRY, other) == (False, True)


@pytest.mark.parametrize(
    "policy",
    [
        {"servers": {"a": {"tls": {"cert": "other.pem"}}}},
        {"servers": {"a": {"tls": {"verify": False}}}},
        {"servers": {"a": {"proxy": "http://127.0.0.1:9"}}},
    ],
)
def test_another_certificate_or_way_gives_other_lists(policy: Any) -> None:
    assert changed(REMOTE_ENTRY, REMOTE_ENTRY, policy=policy) == (False, True)


def test_the_password_of_a_key_is_a_credential() -> None:
    policy = {"servers": {"a": {"tls": {"key_password": "${PASSWORD}"}}}}
    one, two = (keys(REMOTE_ENTRY, policy=policy, PASSWORD=word) for word in ("aaaaaaaa", "bbbbbbbb"))
    assert (one[0] == two[0], one[1] == two[1]) == (True, False)


def test_a_variable_makes_the_same_server_with_lists_of_its_own_for_each_value() -> None:
    entry = {"command": "/bin/true", "args": ["--project", "${PROJECT}"]}
    one, two = (keys(entry, PROJECT=word) for word in ("first", "second"))
    assert (one[0] == two[0], one[1] == two[1]) == (True, False)


@pytest.mark.parametrize("who", [Principal(name="ann"), Principal(name="local", roles=frozenset({"admin"}))])
def test_another_principal_has_other_lists(who: Principal) -> None:
    assert changed(LOCAL_ENTRY, LOCAL_ENTRY, principal=who) == (False, True)


def test_the_folder_counts_where_the_entry_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(LOCAL_ENTRY)
    monkeypatch.chdir(tmp_path)
    after = keys(LOCAL_ENTRY)
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


@pytest.mark.parametrize("entry", [LOCAL_ENTRY, REMOTE_ENTRY])
def test_the_name_does_not_count_and_what_is_inherited_neither(entry: Any) -> None:
    assert keys(entry) == keys(entry, name="b", PATH="/bin", HOME="/home/x", LANG="C")


def test_other_salt_gives_other_keys_so_that_nobody_can_try_secrets_without_it() -> None:
    assert not set(keys(LOCAL_ENTRY)) & set(keys(LOCAL_ENTRY, salt=b"t" * 32))


def test_material_shows_nothing() -> None:
    config = load({"mcpServers": {"a": REMOTE_ENTRY}}, policy={}, environ={})
    assert repr(gather(config.entries[0], config.policy, LOCAL, {})) == "Material()"


@pytest.mark.parametrize("entry", [{"command": "${MISSING}"}, {}])
def test_an_entry_that_cannot_be_used_has_no_key(entry: Any) -> None:
    config = load({"mcpServers": {"a": entry}}, policy={}, environ={})
    assert gather(config.entries[0], config.policy, LOCAL, {}) is None
