"""Where configuration files are looked for when none is named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from trunkline.errors import ConfigError

PROJECT_FILES = (".mcp.json", "mcp.json", ".vscode/mcp.json")
"""Files of a project, the first wins a name."""

POLICY_FILE = "trunkline.toml"

EXAMPLE = '{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}'

_HOST_FOLDERS = frozenset({".cursor", ".vscode"})


def discover(folder: Path, environ: Mapping[str, str], *, required: bool = True) -> list[Path]:
    """Give the files of the nearest folder upward that has any, then the user's file.

    Raises:
        ConfigError: there is none, and one is required.
    """
    found = [file for file in candidates(folder, environ) if exists(file)]
    if not found and required:
        raise nothing_found(folder, environ)
    return found


def nothing_found(folder: Path, environ: Mapping[str, str]) -> ConfigError:
    """Give the error for a place without any file."""
    own = user_file(environ)
    return ConfigError(
        f"no {', '.join(PROJECT_FILES[:2])} or {PROJECT_FILES[2]} in {folder} or above, and no {own}",
        hint=f"Create mcp.json with {EXAMPLE}, name a file, or run `trunkline import`.",
    )


def candidates(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """Give every file looked for, in order: folder by folder upward until one has any, then the user's."""
    places: list[Path] = []
    for candidate in (folder, *folder.parents):
        here = [candidate / name for name in PROJECT_FILES]
        places += here
        if any(exists(file) for file in here):
            break
    return list(dict.fromkeys((*places, user_file(environ))))


def user_file(environ: Mapping[str, str], *, windows: bool = os.name == "nt") -> Path:
    """Give the user's own file: `$XDG_CONFIG_HOME/trunkline/mcp.json`, `~/.config` by default.

    On Windows it is `%APPDATA%\\trunkline\\mcp.json`.
    """
    home = Path(home_folder(environ, windows=windows))
    if windows:
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "trunkline" / "mcp.json"
    stated = environ.get("XDG_CONFIG_HOME", "")
    return (Path(stated) if os.path.isabs(stated) else home / ".config") / "trunkline" / "mcp.json"


def home_folder(environ: Mapping[str, str], *, windows: bool = os.name == "nt") -> str:
    """Give the home folder of the user this environment belongs to."""
    return environ.get("USERPROFILE" if windows else "HOME") or os.path.expanduser("~")


def workspace_of(file: Path) -> Path:
    """Give the folder a configuration file speaks for: its own, or the one around `.vscode`."""
    return file.parent.parent if file.parent.name in _HOST_FOLDERS else file.parent


def find_policy(file: Path | None, folder: Path) -> Path | None:
    """Give the `trunkline.toml` beside the first server file, else of the working directory."""
    return next((path for path in policy_candidates(file, folder) if exists(path)), None)


def policy_candidates(file: Path | None, folder: Path) -> list[Path]:
    """Give every place of a `trunkline.toml`, in order; `file` is the first server file."""
    places = [file.parent, workspace_of(file), folder] if file is not None else [folder]
    return list(dict.fromkeys(place / POLICY_FILE for place in places))


def exists(path: Path) -> bool:
    """Whether something is there, readable or not."""
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return True  # it may be there and unreadable: reading it tells why
