"""Which files decide what a configuration says, and which entries of folders lead to them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from trunkline.config.footprint import entries_on_the_way, files_of, fingerprint


def test_files_that_are_looked_for_count_whether_they_are_there_or_not(tmp_path: Path):
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    (project / "mcp.json").write_text("{}")
    files = files_of(None, cwd=project, environ={"HOME": str(home)})
    assert {
        project / ".mcp.json",
        project / "mcp.json",
        project / ".vscode/mcp.json",
        project / "trunkline.toml",
        home / ".config/trunkline/mcp.json",
        home / ".config/trunkline/imports.json",
    } <= set(files)
    assert [file.name for file in files if "projects" in file.parts] == ["mcp.json"]


def test_files_that_entries_include_count_and_so_does_a_named_policy(tmp_path: Path):
    entry = {
        "command": "x",
        "args": ["--token", "${file:secrets/token}", "${HOME}"],
        "envFile": "${DIR}/x.env",
        "env": {"KEY": "a ${file:~/key} b ${file:two}"},
    }
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"one": entry, "off": {"command": "y", "envFile": "off.env"}}}))
    files = files_of(
        file, policy="rules.toml", cwd=tmp_path, environ={"HOME": "/home/ann", "DIR": str(tmp_path / "sub")}
    )
    assert files == (
        file,
        tmp_path / "rules.toml",
        tmp_path / "sub/x.env",
        tmp_path / "secrets/token",
        Path("/home/ann/key"),
        tmp_path / "two",
        tmp_path / "off.env",
    )


def test_files_of_what_is_no_file_are_those_of_its_policy(tmp_path: Path):
    assert files_of({"one": {"command": "x"}}, cwd=tmp_path, environ={}) == (tmp_path / "trunkline.toml",)
    assert files_of("https://example.com/mcp", policy={}, cwd=tmp_path, environ={}) == ()


def test_a_broken_file_hides_no_other(tmp_path: Path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text("{")
    two.write_text('{"mcpServers": {"two": {"command": "x", "envFile": "two.env"}}}')
    assert {one, two, tmp_path / "two.env"} <= set(files_of([one, two], cwd=tmp_path, environ={}))


def test_every_link_on_the_way_to_a_file_is_an_entry_to_watch(tmp_path: Path):
    version = tmp_path / "mount/..2024"
    version.mkdir(parents=True)
    (version / "mcp.json").write_text("{}")
    (tmp_path / "mount/..data").symlink_to("..2024")
    (tmp_path / "mount/mcp.json").symlink_to("..data/mcp.json")
    (tmp_path / "link").symlink_to(tmp_path / "mount")
    assert entries_on_the_way(tmp_path / "link/../link/mcp.json") == (
        tmp_path / "link",
        tmp_path / "link",
        tmp_path / "mount/mcp.json",
        tmp_path / "mount/..data",
        version / "mcp.json",
    )


def test_a_missing_folder_ends_the_way_and_a_circle_of_links_does_not_go_on_for_ever(tmp_path: Path):
    assert entries_on_the_way(tmp_path / "none/deep/mcp.json") == (tmp_path / "none",)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert set(entries_on_the_way(tmp_path / "a")) == {tmp_path / "a", tmp_path / "b"}


def test_a_pipe_is_never_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "full").write_text("x")
    assert fingerprint(tmp_path / "pipe") == fingerprint(tmp_path / "empty") == fingerprint(tmp_path) == ""
    assert fingerprint(tmp_path / "none") is None
    assert fingerprint(tmp_path / "full") not in (None, "")
