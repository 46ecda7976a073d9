"""Where each program keeps its files, by operating system; taken from the environment, never fixed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.config.discovery import home_folder

Platform = Literal["linux", "darwin", "windows"]


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The folders of one user on one machine."""

    environ: Mapping[str, str]
    platform: Platform
    home: Path

    def __repr__(self) -> str:
        return f"Places(platform={self.platform!r}, home={str(self.home)!r})"

    @property
    def config(self) -> Path:
        """`$XDG_CONFIG_HOME` or `~/.config`; `%APPDATA%` on Windows."""
        if self.platform == "windows":
            return self._appdata
        stated = self.environ.get("XDG_CONFIG_HOME", "")
        return Path(stated) if os.path.isabs(stated) else self.home / ".config"

    @property
    def application_data(self) -> Path:
        """Where desktop programs keep their settings."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.config

    def stated(self, variable: str, default: Path) -> Path:
        """Give the folder a variable of the program names, or its default."""
        value = self.environ.get(variable, "")
        return Path(value) if os.path.isabs(value) else default

    @property
    def _appdata(self) -> Path:
        return Path(self.environ.get("APPDATA") or self.home / "AppData" / "Roaming")


def places_of(environ: Mapping[str, str], platform: Platform | None = None) -> Places:
    """Give the folders of the user this environment belongs to."""
    here = platform or this_platform()
    home = Path(home_folder(environ, windows=here == "windows"))
    return Places(environ=environ, platform=here, home=home)


def this_platform() -> Platform:
    """Give the operating system we run on; what is neither macOS nor Windows counts as Linux."""
    if sys.platform == "win32":
        return "windows"
    return "darwin" if sys.platform == "darwin" else "linux"
