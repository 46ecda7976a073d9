"""The environment of a child process, and the files that add to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.config import BadEntry, StdioEntry, load
from trunkline.config.environment import inherit
from trunkline.errors import ConfigError

PASSED = {
    "HOME": "/h", "LOGNAME": "ann", "PATH": "/bin", "SHELL": "/bin/sh", "TERM": "xterm", "USER": "ann",
    "LANG": "C", "LC_ALL": "C", "LC_TIME": "C", "TZ": "UTC", "TMPDIR": "/tmp", "XDG_CACHE_HOME": "/c",
    "XDG_CONFIG_HOME": "/x", "XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r",
    "SSL_CERT_FILE": "/c.pem", "SSL_CERT_DIR": "/certs", "NODE_EXTRA_CA_CERTS": "/n.pem",
}  # fmt: skip


def test_a_child_inherits_the_allowlist_and_nothing_else() -> None:
    canaries = {f"CANARY_{number}": "x" for number in range(50)}
    kept_back = {
        "AWS_SECRET_ACCESS_KEY": "x", "GITHUB_TOKEN": "x", "LD_PRELOAD": "x", "PYTHONPATH": "x", "PWD": "/",
        "SSH_AUTH_SOCK": "x", "NPM_CONFIG_REGISTRY": "x", "npm_config_registry": "x", "PIP_INDEX_URL": "x",
        "UV_INDEX_URL": "x", "NODE_OPTIONS": "x", "home": "x", "APPDATA": "x",
    }  # fmt: skip
    assert inherit({**canaries, **PASSED, **kept_back}, windows=False) == PASSED


def test_shell_functions_are_dropped() -> None:
    assert inherit({"TERM": "() { :;}; echo", "USER": "ann"}, windows=False) == {"USER": "ann"}


def test_proxies_pass_only_without_credentials() -> None:
    plain = {"HTTP_PROXY": "http://proxy:3128", "https_proxy": "proxy:3128", "NO_PROXY": "localhost,.corp"}
    held = {"ALL_PROXY": "http://ann:secret@proxy:3128", "http_proxy": "ann:secret@proxy"}
    assert inherit({**plain, **held}, windows=False) == plain


def test_windows_passes_its_own_names_in_any_case() -> None:
    environ = {"SystemRoot": "C:\\Windows", "COMSPEC": "cmd", "Path": "C:\\bin", "SECRET": "x"}
    assert set(inherit(environ, windows=True)) == {"SystemRoot", "COMSPEC", "Path"}
    assert inherit(environ, windows=False) == {}


def entry_with(env_file: str | bytes, tmp_path: Path, env: dict[str, str] | None = None) -> StdioEntry:
    (tmp_path / ".env").write_bytes(env_file.encode() if isinstance(env_file, str) else env_file)
    raw = {"s": {"command": "x", "envFile": ".env", "env": env or {}}}
    (entry,) = load(raw, cwd=tmp_path, environ={"PATH": "/bin", "TOKEN": "outer"}).entries
    if isinstance(entry, BadEntry):
        raise entry.error
    assert isinstance(entry, StdioEntry)
    return entry


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b c ", "b c"),
        ("export A=b", "b"),
        ("\t export\tA=b", "b"),
        ("A=", ""),
        ("A= # only a comment", ""),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ('A="b # c" # comment', "b # c"),
        ("A='b\"\\n${X}'", 'b"\\n${X}'),
        ('A="one\\ntwo\\t\\"q\\" \\\\ \\$X \\z"', 'one\ntwo\t"q" \\ $X \\z'),
        ('A="one\ntwo"', "one\ntwo"),
        ("A=${TOKEN} $TOKEN", "${TOKEN} $TOKEN"),
        ("A=b=c", "b=c"),
        ("A=it's", "it's"),
        ("A=old\nA=b", "b"),
        ("A=b\r", "b"),
    ],
)
def test_an_env_file_line_is_read_as_dotenv_without_expansion(line: str, value: str, tmp_path: Path) -> None:
    assert entry_with(f"# top\n\n{line}\n  # end", tmp_path).env["A"] == value.replace("\r", "")


def test_a_byte_order_mark_before_the_first_name_is_tolerated(tmp_path: Path) -> None:
    assert entry_with(b"\xef\xbb\xbfA=b\r\nB=c\r\n", tmp_path).env_names == ("A", "B")


def test_the_entry_wins_over_its_env_file_and_both_over_what_is_inherited(tmp_path: Path) -> None:
    entry = entry_with("PATH=/file\nA=file\nB=file\n", tmp_path, {"A": "entry"})
    assert entry.env == {"PATH": "/file", "A": "entry", "B": "file"}
    assert entry.env_names == ("A", "B", "PATH")


def test_values_of_an_env_file_are_secrets(tmp_path: Path) -> None:
    assert entry_with("TOKEN=sk-123456\n", tmp_path).secrets == ("sk-123456",)


@pytest.mark.parametrize(
    "bad", ["oops lit-x", 'A="lit-x', "A='lit-x", 'A="x" lit-x', "1A=lit-x", "=lit-x", "?lit-x"]
)
def test_a_bad_line_is_named_by_file_and_line_and_not_shown(bad: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        entry_with(f"# c\nB=1\n{bad}\n", tmp_path)
    error = caught.value
    assert (error.source, error.line) == (str(tmp_path / ".env"), 3)
    assert (error.server, error.field) == ("s", "envFile")
    assert "lit-x" not in str(error) + str(error.hint)


def test_an_env_file_that_cannot_be_read_is_named_in_the_entry(tmp_path: Path) -> None:
    (entry,) = load({"s": {"command": "x", "envFile": "none.env"}}, cwd=tmp_path, environ={}).entries
    assert isinstance(entry, BadEntry)
    assert entry.error.field == "envFile"
    assert entry.error.message == f"envFile {tmp_path / 'none.env'}: the file does not exist"
    assert isinstance(entry.error.__cause__, ConfigError)


def test_without_a_mapping_the_environment_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_TEST_VALUE", "from-os")
    (entry,) = load({"command": "x", "args": ["${TRUNKLINE_TEST_VALUE}"]}).entries
    assert isinstance(entry, StdioEntry)
    assert entry.args == ("from-os",)
    assert "TRUNKLINE_TEST_VALUE" not in entry.env
