"""The programs we know: how each is called, where its files are, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.config.discovery import exists
from trunkline.config.hosts.places import Places
from trunkline.config.scopes import project_folder

Style = Literal["json", "toml", "yaml"]


class HostFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of one program, there or not."""

    program: str
    path: Path
    scope: Literal["user", "project"]
    folder: Path | None = None
    """The project, for a file of one."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One program with MCP servers of its own."""

    key: str
    """Its name on our command line."""
    title: str
    style: Style
    user_files: Callable[[Places], tuple[Path, ...]]
    project_file: str | None = None
    """Path within a project, or None when it has none."""


def _vscode_files(places: Places) -> tuple[Path, ...]:
    main = places.application_data / "Code" / "User" / "mcp.json"
    found: list[Path] = []
    for edition in ("Code", "Code - Insiders", "VSCodium"):
        user = places.application_data / edition / "User"
        # until mid-2025 the servers stood in settings.json
        found += [user / "mcp.json", *sorted(user.glob("profiles/*/mcp.json")), user / "settings.json"]
    return (main, *(path for path in found if path != main and exists(path)))


def _claude_code_files(places: Places) -> tuple[Path, ...]:
    return (places.stated("CLAUDE_CONFIG_DIR", places.home) / ".claude.json",)


def _zed_files(places: Places) -> tuple[Path, ...]:
    # Zed keeps to ~/.config on macOS too.
    folder = "Zed" if places.platform == "windows" else "zed"
    return (places.config / folder / "settings.json",)


def _goose_files(places: Places) -> tuple[Path, ...]:
    if places.platform == "windows":
        return (places.config / "Block" / "goose" / "config" / "config.yaml",)
    stated = places.environ.get("GOOSE_PATH_ROOT")
    folder = Path(stated) / "config" if stated else places.config / "goose"
    return (folder / "config.yaml",)


_ALL = (
    Program(
        key="claude-desktop",
        title="Claude Desktop",
        style="json",
        user_files=lambda places: (places.application_data / "Claude" / "claude_desktop_config.json",),
    ),
    Program(
        key="claude-code",
        title="Claude Code",
        style="json",
        user_files=_claude_code_files,
        project_file=".mcp.json",
    ),
    Program(
        key="cursor",
        title="Cursor",
        style="json",
        user_files=lambda places: (places.home / ".cursor" / "mcp.json",),
        project_file=".cursor/mcp.json",
    ),
    Program(
        key="vscode",
        title="VS Code",
        style="json",
        user_files=_vscode_files,
        project_file=".vscode/mcp.json",
    ),
    Program(
        key="windsurf",
        title="Windsurf",
        style="json",
        user_files=lambda places: (places.home / ".codeium" / "windsurf" / "mcp_config.json",),
    ),
    Program(
        key="codex",
        title="Codex",
        style="toml",
        user_files=lambda places: (places.stated("CODEX_HOME", places.home / ".codex") / "config.toml",),
        project_file=".codex/config.toml",
    ),
    Program(
        key="gemini",
        title="Gemini CLI",
        style="json",
        user_files=lambda places: (places.home / ".gemini" / "settings.json",),
        project_file=".gemini/settings.json",
    ),
    Program(
        key="zed",
        title="Zed",
        style="json",
        user_files=_zed_files,
        project_file=".zed/settings.json",
    ),
    Program(
        key="goose",
        title="Goose",
        style="yaml",
        user_files=_goose_files,
    ),
)

PROGRAMS: dict[str, Program] = {program.key: program for program in _ALL}
"""By key, in the order in which the first wins a name."""


def files_of(program: Program, folder: Path, places: Places) -> list[HostFile]:
    """Give the files of a program for a user who is in `folder`: the project's, if there, then the user's."""
    own = program.user_files(places)
    found = [file for file in _project_files(program, folder) if file.path not in own]
    return [*found, *(HostFile(program=program.key, path=path, scope="user") for path in own)]


def _project_files(program: Program, folder: Path) -> Iterator[HostFile]:
    """Look from `folder` up to its project's folder; the nearest file counts."""
    if program.project_file is None:
        return
    top = project_folder(folder)
    for place in (folder, *folder.parents):
        path = place / program.project_file
        if exists(path):
            yield HostFile(program=program.key, path=path, scope="project", folder=place)
            return
        if place == top:
            return
