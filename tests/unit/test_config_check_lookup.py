"""Which files were looked at, what each holds, and who won each name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trunkline.config.loading import load
from trunkline.config.lookup import Lookup, look_up, policy_place, project_place


def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def write(file: Path, servers: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(servers if isinstance(servers, str) else json.dumps({"mcpServers": servers}, indent=1))
    return file


def shape(found: Lookup) -> list[tuple[str, str, bool, bool]]:
    return [(file.path, file.role, file.exists, file.used) for file in found.files]


def test_every_place_is_told_in_order_of_precedence(tmp_path: Path) -> None:
    project, folder = tmp_path / "a", tmp_path / "a/b"
    folder.mkdir(parents=True)
    write(project / "mcp.json", {})
    policy = write(
        folder / "trunkline.toml", "[defaults]\nidle = 1\n[servers.x]\n[profiles.p.tools.y]\nidle = 2"
    )
    found = look_up(None, cwd=folder, environ=environ(tmp_path))
    user = tmp_path / "home/.config/trunkline/mcp.json"
    names = (".mcp.json", "mcp.json", ".vscode/mcp.json")
    assert shape(found) == [
        *((str(folder / name), "project", False, False) for name in names),
        *((str(project / name), "project", name == "mcp.json", name == "mcp.json") for name in names),
        (str(user), "user", False, False),
        (str(project / "trunkline.toml"), "policy", False, False),
        (str(policy), "policy", True, True),
    ]
    assert found.files[-1].tables == ("defaults", "profiles.p.tools.y")
    assert found.policy == policy_place(found) == policy
    assert project_place(found) == project / "mcp.json"


def test_who_won_each_name_is_told_for_every_definition(tmp_path: Path) -> None:
    first = write(
        tmp_path / ".mcp.json",
        '{"mcpServers": {\n"a": {"command": "x"},\n"off": {"command": "x", "disabled": true},\n"a": {}\n}}',
    )
    second = write(tmp_path / "mcp.json", {"a": {}, "off": {"command": "x"}, "b": {"command": "x"}})
    user = write(tmp_path / "home/.config/trunkline/mcp.json", {"b": {"command": "y"}, "c": 3})
    found = look_up(None, cwd=tmp_path, environ=environ(tmp_path))
    told = [
        (Path(file.path), server.name, server.line, server.state, Path(server.winner))
        for file in found.files
        for server in file.servers
    ]
    assert told == [
        (first, "a", 2, "used", first),
        (first, "a", 4, "repeated", first),
        (first, "off", 3, "disabled", first),
        (second, "a", 3, "overridden", first),
        (second, "off", 4, "overridden", first),
        (second, "b", 7, "used", second),
        (user, "b", 3, "overridden", second),
        (user, "c", 6, "used", user),
    ]
    config = load(cwd=tmp_path, environ=environ(tmp_path))
    assert {entry.name for entry in config.entries} | set(config.disabled) == set(found.chosen)


def test_a_broken_file_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path / ".mcp.json", "{")
    write(tmp_path / "mcp.json", {"a": {"command": "x"}})
    write(tmp_path / "trunkline.toml", "[default]")
    found = look_up(None, cwd=tmp_path, environ=environ(tmp_path))
    by_name = {Path(file.path).name: file for file in found.files if file.exists}
    assert by_name[".mcp.json"].error is not None
    assert by_name["trunkline.toml"].error is not None
    assert list(found.chosen) == ["a"]
    assert not found.complete


def test_named_sources_are_looked_at_alone(tmp_path: Path) -> None:
    write(tmp_path / "mcp.json", {"no": {}})
    one = write(tmp_path / "x/one.json", {"a": {"command": "x"}})
    found = look_up([str(one), "gone.json", "https://x/", "https://y/"], cwd=tmp_path, environ={})
    assert shape(found)[:4] == [
        (str(one), "named", True, True),
        (str(tmp_path / "gone.json"), "named", False, False),
        ("argument", "named", True, True),
        ("argument", "named", True, True),
    ]
    assert list(found.chosen) == ["a", "server", "server-2"]
    assert policy_place(found) == tmp_path / "x/trunkline.toml"
    assert project_place(found) == tmp_path / ".mcp.json"


def test_nothing_found_is_told(tmp_path: Path) -> None:
    found = look_up(None, cwd=tmp_path, environ=environ(tmp_path))
    assert found.missing is not None
    assert not found.complete
    assert project_place(found) == tmp_path / ".mcp.json"
    assert policy_place(found) == tmp_path / "trunkline.toml"
