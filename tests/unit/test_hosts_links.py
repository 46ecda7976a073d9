"""Linked files are read where they are, after our own, and one that is broken costs only itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.config import BadEntry, Config, HttpEntry, StdioEntry, load
from trunkline.config.checking import check
from trunkline.config.hosts.importing import link_files, unlink_files
from trunkline.config.hosts.plan import PlannedFile, plan_import
from trunkline.config.hosts.program import PROGRAMS
from trunkline.config.lookup import look_up
from trunkline.config.scopes import local_file, project_folder, scope_file
from trunkline.errors import ConfigError


class Desk:
    """A user with a home folder, in a project."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.app = self.home / "app"
        (self.app / ".git").mkdir(parents=True)
        self.environ = {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}

    def put(self, path: str, content: object) -> Path:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def plan(self, *programs: str, **options: Any) -> dict[str, PlannedFile]:
        planned = plan_import(programs or PROGRAMS, self.app, self.environ, **options)
        return {str(file.file.path.relative_to(self.home)): file for file in planned}

    def link(self, *programs: str) -> None:
        files = [file.file for file in self.plan(*programs).values() if file.state == "new"]
        link_files(files, self.environ)

    def load(self, folder: Path | None = None) -> Config:
        return load(cwd=folder or self.app, environ=self.environ)

    @property
    def links(self) -> Path:
        return self.home / ".config/trunkline/imports.json"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def servers(**entries: str) -> dict[str, Any]:
    return {"mcpServers": {name: {"command": command} for name, command in entries.items()}}


def sources(config: Config) -> dict[str, str]:
    return {entry.name: Path(entry.source).name for entry in config.entries}


def test_a_link_is_a_reference_and_nothing_else(desk: Desk) -> None:
    file = desk.put(
        ".cursor/mcp.json", {"mcpServers": {"a": {"command": "c", "env": {"TOKEN": "s3cret-value"}}}}
    )
    desk.link("cursor")
    assert json.loads(desk.links.read_text()) == {
        "links": [{"program": "cursor", "scope": "user", "file": str(file)}]
    }
    assert desk.links.stat().st_mode & 0o777 == 0o600


def test_linked_servers_follow_their_file(desk: Desk) -> None:
    file = desk.put(".cursor/mcp.json", servers(a="one"))
    desk.link("cursor")
    (entry,) = desk.load().entries
    assert isinstance(entry, StdioEntry)
    assert (entry.name, entry.command, entry.source) == ("a", "one", str(file))
    desk.put(".cursor/mcp.json", servers(a="two", b="new"))
    assert [getattr(entry, "command", None) for entry in desk.load().entries] == ["two", "new"]


def test_our_own_files_win_and_among_links_the_project_does(desk: Desk) -> None:
    desk.put(".cursor/mcp.json", servers(a="cursor", b="cursor", c="cursor", d="cursor"))
    desk.put("app/.cursor/mcp.json", servers(d="project"))
    desk.link("cursor")
    desk.put("app/mcp.json", servers(a="app"))
    desk.put(".config/trunkline/mcp.json", servers(a="own", b="own"))
    local_file(desk.app, desk.environ).parent.mkdir(parents=True)
    local_file(desk.app, desk.environ).write_text(json.dumps(servers(a="local")))
    config = desk.load()
    commands = {entry.name: getattr(entry, "command", "") for entry in config.entries}
    assert commands == {"a": "local", "b": "own", "c": "cursor", "d": "project"}
    assert sum("'a' is not used" in warning for warning in config.warnings) == 3


def test_the_same_server_in_two_programs_is_no_clash_and_no_warning(desk: Desk) -> None:
    desk.put(".cursor/mcp.json", {"mcpServers": {"a": {"command": "c", "args": ["x"]}}})
    desk.put(
        ".claude.json", {"mcpServers": {"a": {"type": "stdio", "command": "c", "args": ["x"], "env": {}}}}
    )
    desk.put(".gemini/settings.json", servers(a="other"))
    states = {path: file.servers[0] for path, file in desk.plan().items() if file.servers}
    assert {path: one.state for path, one in states.items()} == {
        ".claude.json": "new",
        ".cursor/mcp.json": "same",
        ".gemini/settings.json": "clash",
    }
    assert states[".gemini/settings.json"].detail == str(desk.home / ".claude.json")
    desk.link()
    (warning,) = desk.load().warnings
    assert ".gemini/settings.json: server 'a' is not used" in warning


def test_a_link_to_a_project_counts_inside_the_project_only(desk: Desk) -> None:
    desk.put(
        "app/.cursor/mcp.json", {"mcpServers": {"a": {"command": "./run", "args": ["${workspaceFolder}"]}}}
    )
    desk.put(".config/trunkline/mcp.json", servers(own="c"))
    desk.link("cursor")
    (desk.app / "src").mkdir()
    inside = next(entry for entry in desk.load(desk.app / "src").entries if entry.name == "a")
    assert isinstance(inside, StdioEntry)
    assert (inside.command, inside.args) == (str(desk.app / "run"), (str(desk.app),))
    assert [entry.name for entry in desk.load(desk.home).entries] == ["own"]


def test_a_broken_linked_file_is_a_warning_with_its_place_and_the_others_stay(desk: Desk) -> None:
    desk.put(".cursor/mcp.json", servers(a="c"))
    desk.put(".gemini/settings.json", servers(b="c"))
    desk.put(".codex/config.toml", '[mcp_servers.c]\ncommand = "c"\n')
    desk.link()
    desk.put(".cursor/mcp.json", '{\n  "mcpServers": {\n')
    (desk.home / ".gemini/settings.json").unlink()
    config = desk.load()
    assert [entry.name for entry in config.entries] == ["c"]
    broken, missing = config.warnings
    assert f"{desk.home}/.cursor/mcp.json:3:1: invalid JSON" in broken
    assert f"{desk.home}/.gemini/settings.json: the file does not exist" in missing


def test_a_broken_list_of_links_is_an_error_with_its_place(desk: Desk) -> None:
    for text in ("{", '{"links": 1}', '{"links": [{"program": "emacs", "scope": "user", "file": "/x"}]}',
                 '{"links": [{"program": "cursor", "scope": "project", "file": "/x"}]}'):  # fmt: skip
        desk.put(".config/trunkline/imports.json", text)
        with pytest.raises(ConfigError, match=r"imports\.json"):
            desk.load()
        report = check(cwd=desk.app, environ=desk.environ)
        errors = [problem for problem in report.problems if problem.severity == "error"]
        assert errors[0].source == str(desk.links)


def test_one_broken_file_does_not_stop_the_import_of_the_others(desk: Desk) -> None:
    desk.put(".cursor/mcp.json", "{")
    desk.put(".codex/config.toml", "= 1")
    desk.put(".config/goose/config.yaml", "extensions: &x\n")
    desk.put(".gemini/settings.json", servers(b="c"))
    planned = desk.plan()
    broken = {path: file.error for path, file in planned.items() if file.state == "broken"}
    assert sorted(broken) == [".codex/config.toml", ".config/goose/config.yaml", ".cursor/mcp.json"]
    assert all(error is not None and error.line == 1 for error in broken.values())
    assert planned[".gemini/settings.json"].state == "new"


def test_what_is_read_already_or_linked_or_empty_is_not_linked_again(desk: Desk) -> None:
    desk.put("app/.mcp.json", servers(a="c"))
    desk.put("app/.vscode/mcp.json", {"servers": {"v": {"command": "c"}}})
    desk.put(".cursor/mcp.json", servers(b="c"))
    desk.put(".config/zed/settings.json", {"theme": "x"})
    desk.link("cursor")
    states = {path: file.state for path, file in desk.plan().items() if file.state != "missing"}
    assert states == {
        "app/.mcp.json": "read already",
        "app/.vscode/mcp.json": "read already",
        ".cursor/mcp.json": "linked",
        ".config/zed/settings.json": "no servers",
    }


def test_unlinking_removes_the_links_of_a_program_only(desk: Desk) -> None:
    desk.put(".cursor/mcp.json", servers(a="c"))
    desk.put(".gemini/settings.json", servers(b="c"))
    desk.link()
    _, removed = unlink_files(["cursor"], desk.environ)
    assert [link.program for link in removed] == ["cursor"]
    assert sources(desk.load()) == {"b": "settings.json"}
    assert unlink_files(["cursor"], desk.environ)[0].undo is None


def test_every_program_can_be_linked_at_once(desk: Desk) -> None:
    desk.put(".config/Claude/claude_desktop_config.json", servers(desktop="c"))
    desk.put(".claude.json", {"projects": {str(desk.app): servers(code="c")}})
    desk.put(".cursor/mcp.json", servers(cursor="c"))
    desk.put(".config/Code/User/mcp.json", {"servers": {"vscode": {"type": "stdio", "command": "c"}}})
    desk.put(
        ".codeium/windsurf/mcp_config.json", {"mcpServers": {"windsurf": {"serverUrl": "https://h/mcp"}}}
    )
    desk.put(".codex/config.toml", '[mcp_servers.codex]\ncommand = "c"\n')
    desk.put(".gemini/settings.json", {"mcpServers": {"gemini": {"httpUrl": "https://h/mcp"}}})
    desk.put(".config/zed/settings.json", {"context_servers": {"zed": {"command": "c"}}})
    desk.put(".config/goose/config.yaml", "extensions:\n  goose:\n    type: stdio\n    cmd: c\n")
    desk.link()
    entries = {entry.name: entry for entry in desk.load().entries}
    names = ["desktop", "code", "cursor", "vscode", "windsurf", "codex", "gemini", "zed", "goose"]
    assert list(entries) == names
    assert not any(isinstance(entry, BadEntry) for entry in entries.values())
    assert [name for name in names if isinstance(entries[name], HttpEntry)] == ["windsurf", "gemini"]


def test_an_error_in_a_linked_entry_names_the_programs_file_and_line(desk: Desk) -> None:
    desk.put(
        ".codex/config.toml", '[mcp_servers.a]\nurl = "https://h"\nbearer_token_env_var = "NOPE_TOKEN"\n'
    )
    desk.link("codex")
    (entry,) = desk.load().entries
    assert isinstance(entry, BadEntry)
    assert str(entry.error).startswith(
        f"{desk.home}/.codex/config.toml:1:1, server 'a', field 'headers.Authorization'"
    )


def test_config_check_and_sources_know_local_files_and_links(desk: Desk) -> None:
    local_file(desk.app, desk.environ).parent.mkdir(parents=True)
    local_file(desk.app, desk.environ).write_text(json.dumps(servers(mine="sh")))
    desk.put(".cursor/mcp.json", servers(mine="sh", other="no-such-program"))
    desk.put(".gemini/settings.json", servers(g="sh"))
    desk.link()
    desk.put(".gemini/settings.json", "{")
    found = look_up(None, cwd=desk.app, environ=desk.environ)
    used = [(file.role, [(one.name, one.state) for one in file.servers]) for file in found.files if file.used]
    assert used == [
        ("local", [("mine", "used")]),
        ("link", [("mine", "same"), ("other", "used")]),
        ("link", []),
    ]
    report = check(cwd=desk.app, environ=desk.environ)
    assert [(problem.severity, problem.server) for problem in report.problems] == [
        ("error", "other"),
        ("warning", None),
    ]


def test_the_policy_is_that_of_the_project_also_for_local_servers(desk: Desk) -> None:
    local_file(desk.app, desk.environ).parent.mkdir(parents=True)
    local_file(desk.app, desk.environ).write_text(json.dumps(servers(mine="sh")))
    desk.put("app/trunkline.toml", "[defaults]\ntimeout = 7\n")
    (desk.app / "src").mkdir()
    config = desk.load(desk.app / "src")
    assert config.policy.for_server("mine").timeout == 7
    (entry,) = config.entries
    assert entry.name == "mine"
    assert desk.app.name in Path(entry.source).parent.name


def test_a_local_server_starts_relative_to_its_project_and_is_seen_nowhere_else(desk: Desk) -> None:
    path = local_file(desk.app, desk.environ)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(servers(mine="./run")))
    (entry,) = desk.load().entries
    assert getattr(entry, "command", None) == str(desk.app / "run")
    with pytest.raises(ConfigError, match=r"no \.mcp\.json"):
        desk.load(desk.home)


def test_scopes_lead_to_their_files(desk: Desk) -> None:
    deep = desk.app / "a/b"
    deep.mkdir(parents=True)
    assert project_folder(deep) == desk.app
    assert project_folder(desk.home) == desk.home
    assert scope_file("project", deep, desk.environ) == desk.app / ".mcp.json"
    assert scope_file("local", deep, desk.environ) == local_file(desk.app, desk.environ)
    assert scope_file("user", deep, desk.environ) == desk.home / ".config/trunkline/mcp.json"
    desk.put("app/a/mcp.json", servers(x="c"))
    assert scope_file("project", deep, desk.environ) == desk.app / "a/mcp.json"
    desk.put("app/a/.mcp.json", servers(x="c"))
    assert scope_file("project", deep, desk.environ) == desk.app / "a/.mcp.json"
    (desk.home / "link").symlink_to(desk.app)
    assert local_file(desk.home / "link", desk.environ) == local_file(desk.app, desk.environ)
