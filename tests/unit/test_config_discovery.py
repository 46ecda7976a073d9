"""Which files are read when none is named, and which policy goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.config import Config, StdioEntry, load, user_file
from trunkline.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "deep/er").mkdir(parents=True)
    (project / ".vscode").mkdir()
    return project


def write(file: Path, *names: str) -> Path:
    servers = ", ".join(f'"{name}": {{"command": "{file.parent.name}-{file.name}"}}' for name in names)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'{{"mcpServers": {{{servers}}}}}')
    return file


def discover(folder: Path, home: Path) -> Config:
    return load(cwd=folder, environ={"HOME": str(home)})


def test_all_files_of_the_nearest_folder_are_merged_before_the_users_own(project: Path, home: Path) -> None:
    files = [
        write(project / ".mcp.json", "a", "b"),
        write(project / "mcp.json", "b", "c"),
        write(project / ".vscode/mcp.json", "c", "d"),
        write(home / ".config/trunkline/mcp.json", "d", "e"),
    ]
    write(project.parent / "mcp.json", "too-far")
    config = discover(project / "deep/er", home)
    assert config.sources == tuple(str(file) for file in files)
    assert [entry.name for entry in config.entries] == ["a", "b", "c", "d", "e"]
    assert len(config.warnings) == 3


def test_the_nearest_folder_ends_the_search(project: Path, home: Path) -> None:
    write(project / "mcp.json", "far")
    near = write(project / "deep/.mcp.json", "near")
    assert discover(project / "deep/er", home).sources == (str(near),)


def test_a_project_file_is_not_needed_when_the_user_has_one(project: Path, home: Path) -> None:
    own = write(home / ".config/trunkline/mcp.json", "mine")
    assert discover(project, home).sources == (str(own),)


def test_nothing_found_says_where_was_looked_and_how_to_begin(project: Path, home: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        discover(project, home)
    error = caught.value
    assert str(project) in error.message
    assert str(home / ".config/trunkline/mcp.json") in error.message
    assert error.hint is not None
    example = error.hint[error.hint.index("{") : error.hint.rindex("}") + 1]
    (project / "mcp.json").write_text(example)
    (entry,) = discover(project, home).entries
    assert isinstance(entry, StdioEntry)


def test_a_discovered_file_that_cannot_be_read_is_an_error(project: Path, home: Path) -> None:
    write(project / "mcp.json", "a")
    (project / ".mcp.json").symlink_to("gone")
    with pytest.raises(ConfigError, match="does not exist"):
        discover(project, home)


def test_the_users_file_follows_the_platform() -> None:
    assert user_file({"HOME": "/h"}, windows=False) == Path("/h/.config/trunkline/mcp.json")
    assert user_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, windows=False) == Path("/x/trunkline/mcp.json")
    relative = user_file({"HOME": "/h", "XDG_CONFIG_HOME": "x"}, windows=False)
    assert relative == Path("/h/.config/trunkline/mcp.json")
    assert user_file({"APPDATA": "/a"}, windows=True) == Path("/a/trunkline/mcp.json")
    assert user_file({"USERPROFILE": "/u"}, windows=True) == Path("/u/AppData/Roaming/trunkline/mcp.json")


def timeout(config: Config) -> float:
    return config.policy.for_server("x").timeout


def test_the_policy_beside_the_first_server_file_is_used(project: Path, home: Path) -> None:
    first = write(project / "deep/first.json", "a")
    second = write(project / "second.json", "b")
    (project / "trunkline.toml").write_text("[defaults]\ntimeout = 2\n")
    (project / "deep/er/trunkline.toml").write_text("[defaults]\ntimeout = 3\n")
    environ = {"HOME": str(home)}
    assert timeout(load([first, second], cwd=project / "deep/er", environ=environ)) == 3
    (project / "deep/trunkline.toml").write_text("[defaults]\ntimeout = 1\n")
    config = load(["https://h", first, second], cwd=project / "deep/er", environ=environ)
    assert (timeout(config), config.policy.source) == (1, str(project / "deep/trunkline.toml"))


def test_the_policy_of_a_vscode_file_may_stand_in_the_workspace(project: Path, home: Path) -> None:
    write(project / ".vscode/mcp.json", "a")
    (project / "trunkline.toml").write_text("[defaults]\ntimeout = 2\n")
    assert timeout(discover(project / "deep", home)) == 2


def test_without_a_server_file_the_policy_of_the_working_directory_is_used(project: Path) -> None:
    (project / "trunkline.toml").write_text("[defaults]\ntimeout = 2\n")
    assert timeout(load("https://h", cwd=project, environ={})) == 2
    assert timeout(load("https://h", cwd=project / "deep", environ={})) == 600


def test_a_policy_that_is_given_replaces_what_would_be_found(project: Path) -> None:
    (project / "trunkline.toml").write_text("[defaults]\ntimeout = 2\n")
    (project / "deep/other.toml").write_text("[defaults]\ntimeout = 4\n")
    given = [{"defaults": {"timeout": 4}}, "deep/other.toml", project / "deep/other.toml"]
    for policy in given:
        assert timeout(load("https://h", cwd=project, environ={}, policy=policy)) == 4
    assert timeout(load("https://h", cwd=project, environ={}, policy={})) == 600
    same = load("https://h", cwd=project, environ={}).policy
    assert load("https://h", environ={}, policy=same).policy is same


def test_a_given_policy_that_is_missing_or_of_another_kind_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load("https://h", cwd=project, environ={}, policy="none.toml")
    with pytest.raises(ConfigError, match="a policy cannot be read from a number"):
        load("https://h", cwd=project, environ={}, policy=3)  # type: ignore[arg-type]


def test_a_working_directory_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("os.getcwd", gone)
    with pytest.raises(ConfigError, match="working directory does not exist"):
        load("https://h", environ={})
