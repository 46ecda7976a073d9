"""Where this user's caches are, and whether the environment wants any.

The places are those of `platformdirs`, in fifteen lines: importing that costs as much as all of this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from trunkline.config.discovery import home_folder

OFF = "TRUNKLINE_NO_CACHE"
"""Set to anything but nothing, `0`, `false` or `no`, nothing is remembered between runs."""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Give our folder among the user's caches."""
    home = Path(home_folder(environ))
    if os.name == "nt":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "trunkline" / "cache"
    stated = environ.get("XDG_CACHE_HOME", "")
    usual = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return (Path(stated) if os.path.isabs(stated) else usual) / "trunkline"


def store_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder of what is remembered of servers."""
    return cache_folder(environ) / "servers"


def is_switched_off(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for nothing to be remembered."""
    return environ.get(OFF, "").lower() not in ("", "0", "false", "no")
