"""The import command: what is said, what is linked or copied, what is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.config import load

Trunkline = Callable[..., Any]
SECRET = "s3cret-VALUE"


def put(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cursor(home: Path, **entries: object) -> Path:
    return put(home / ".cursor/mcp.json", {"mcpServers": entries or {"a": {"command": "c"}}})


def test_a_dry_run_names_what_would_happen_and_changes_nothing(trunkline: Trunkline, home: Path) -> None:
    cursor(home, a={"command": "c"}, b={"url": "https://h"})
    put(home / ".gemini/settings.json", {"mcpServers": {"a": {"command": "other"}}})
    put(home / ".config/zed/settings.json", '{"context_servers": {"x": {"settings": {}}}, }')
    put(home / ".codex/config.toml", "[broken")
    before = tree(home)
    run = trunkline("import", "--dry-run")
    assert (run.code, run.out, tree(home)) == (0, "", before)
    rows = [line.split("  ") for line in run.err.splitlines()]
    assert ["link" in row or " link" in row for row in rows if row[0] == "cursor"] == [True, True]
    assert "clash: ~/.cursor/mcp.json keeps the name" in run.err
    assert "not usable: an extension of Zed provides it" in run.err
    assert f"warning: {home}/.codex/config.toml:1: invalid TOML" in run.err
    assert run.err.endswith("would link 2 files; nothing was changed\n")


def test_importing_links_and_its_undo_line_unlinks(trunkline: Trunkline, home: Path) -> None:
    cursor(home)
    foreign = tree(home)
    run = trunkline("import", "--from", "cursor")
    assert (run.code, run.out) == (0, "")
    assert "linked 1 file in" in run.err
    assert [entry.name for entry in load().entries] == ["a"]
    assert {path: data for path, data in tree(home).items() if path in foreign} == foreign
    assert trunkline("import", "--from", "cursor").err.endswith("nothing new; nothing was changed\n")
    run.undo()
    assert tree(home) == foreign


def test_a_second_import_is_undone_alone(trunkline: Trunkline, home: Path) -> None:
    cursor(home)
    put(home / ".gemini/settings.json", {"mcpServers": {"g": {"command": "c"}}})
    trunkline("import", "--from", "cursor")
    trunkline("import", "--from", "gemini").undo()
    assert [entry.name for entry in load().entries] == ["a"]


def test_import_as_json_has_a_stable_shape(trunkline: Trunkline, home: Path) -> None:
    cursor(home, a={"command": "c", "disabled": True})
    document = trunkline("import", "--from", "cursor,codex", "--json").document
    written = document.pop("written")
    assert set(written) == {"file", "backup", "undo"}
    assert document == {
        "ok": True,
        "mode": "link",
        "dry_run": False,
        "count": 1,
        "files": [
            {
                "program": "cursor",
                "scope": "user",
                "file": str(home / ".cursor/mcp.json"),
                "state": "new",
                "error": None,
                "servers": [
                    {"name": "a", "type": "stdio", "state": "new", "detail": None, "disabled": True}
                ],
            },
            {
                "program": "codex",
                "scope": "user",
                "file": str(home / ".codex/config.toml"),
                "state": "missing",
                "error": None,
                "servers": [],
            },
        ],
    }  # fmt: skip


def test_copying_writes_the_entries_and_keeps_names_that_exist(trunkline: Trunkline, home: Path) -> None:
    put(home / ".config/Code/User/mcp.json", {
        "inputs": [{"type": "promptString", "id": "t", "description": "Token", "password": True}],
        "servers": {"v": {"url": "https://h", "headers": {"A": "${input:t}"}}},
    })  # fmt: skip
    cursor(home, a={"command": "./run", "args": ["${workspaceFolder}"]}, mine={"command": "theirs"})
    own = put(
        home / ".config/trunkline/mcp.json", '{ // mine\n  "mcpServers": {"mine": {"command": "ours"}}\n}\n'
    )
    own.chmod(0o600)
    run = trunkline("import", "--copy", "--from", "cursor,vscode")
    assert "copied 2 servers in" in run.err
    assert "clash: ~/.config/trunkline/mcp.json keeps the name" in run.err
    text = own.read_text()
    assert text.startswith("{ // mine\n")
    config = load(own, ask=lambda spec: spec.description)
    assert {entry.name: getattr(entry, "command", None) for entry in config.entries} == {
        "mine": "ours",
        "a": f"{home}/app/run",
        "v": None,
    }
    assert getattr(config.entries[1], "args", None) == (str(home / "app"),)
    assert getattr(config.entries[2], "headers", None) == {"A": "Token"}
    assert own.stat().st_mode & 0o777 == 0o600
    run.undo()
    assert own.read_text() == '{ // mine\n  "mcpServers": {"mine": {"command": "ours"}}\n}\n'


def test_copying_a_projects_server_for_the_user_keeps_its_places(trunkline: Trunkline, home: Path) -> None:
    entry = {"command": "./run", "args": ["${workspaceFolder}/x"], "cwd": "sub", "envFile": ".env"}
    put(home / "app/.cursor/mcp.json", {"mcpServers": {"a": entry}})
    trunkline("import", "--copy", "--from", "cursor")
    copied = json.loads((home / ".config/trunkline/mcp.json").read_text())["mcpServers"]["a"]
    app = str(home / "app")
    assert copied == {
        "command": f"{app}/run",
        "args": [f"{app}/x"],
        "cwd": f"{app}/sub",
        "envFile": f"{app}/.env",
    }
    trunkline("import", "--copy", "--from", "cursor", "--scope", "project")
    assert not (home / "app/.mcp.json").exists(), "the name is taken by the user's copy"


def test_copying_into_a_project_warns_of_credentials(trunkline: Trunkline, home: Path) -> None:
    cursor(home, a={"command": "c", "env": {"API_KEY": SECRET}})
    run = trunkline("import", "--copy", "--scope", "project", "--dry-run")
    assert "env.API_KEY is written in plain text; ${API_KEY}" in run.err
    assert SECRET not in run.err
    assert not (home / "app/.mcp.json").exists()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("--from", "crusor"), "Did you mean 'cursor'?"),
        (("--from", "emacs"), "Programs are claude-desktop, "),
        (("--from", "cursor"), "nothing to import: there is no"),
        (("--from", "gemini"), "settings.json:1:2: invalid JSON"),
        (("--scope", "user"), "--scope goes with --copy"),
        (("--config", "x"), "--config goes with --copy"),
        (("--unlink", "--copy"), "--unlink goes with --from alone"),
        (("--copy", "--scope", "all"), "there is no scope 'all'"),
    ],
)
def test_an_import_that_cannot_be_done_exits_two(
    trunkline: Trunkline, home: Path, argv: tuple[str, ...], complaint: str
) -> None:
    put(home / ".gemini/settings.json", "{")
    if "--copy" in argv:
        cursor(home)
    run = trunkline("import", *argv)
    assert (run.code, run.out) == (2, "")
    assert complaint in run.err
    assert not (home / ".config").exists()


def test_unlinking_says_what_was_unlinked(trunkline: Trunkline, home: Path) -> None:
    cursor(home)
    trunkline("import")
    run = trunkline("import", "--from", "cursor", "--unlink")
    assert f"unlinked {home}/.cursor/mcp.json" in run.err
    assert "nothing is linked from there" in trunkline("import", "--from", "cursor", "--unlink").err
    run.undo()
    assert [entry.name for entry in load().entries] == ["a"]
