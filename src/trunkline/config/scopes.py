"""Where a server is written down: for the project, for the project but only on this machine, for the user.

`project` is the `.mcp.json` or `mcp.json` of the project's folder, shared with everybody who has that.
`user` is the user's own file. `local` belongs to one project and one user; its file lies in the user's
folder under a name made from the project's path, so that it is never committed with the project.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from trunkline.config.discovery import PROJECT_FILES, exists, user_file

ScopeName = Literal["local", "project", "user"]

SCOPES: tuple[ScopeName, ...] = ("local", "project", "user")
"""In the order of precedence: the first to define a name wins."""

_WRITABLE = PROJECT_FILES[:2]
_MARKS = (*PROJECT_FILES, ".git")


def scope_file(scope: ScopeName, folder: Path, environ: Mapping[str, str]) -> Path:
    """Give the file that a scope writes to when the program runs in `folder`; it need not exist."""
    match scope:
        case "local":
            return local_file(project_folder(folder), environ)
        case "project":
            place = project_folder(folder)
            return next((file for name in _WRITABLE if exists(file := place / name)), place / _WRITABLE[0])
        case "user":
            return user_file(environ)


def project_folder(folder: Path) -> Path:
    """Give the nearest folder upward with a server file or a Git repository, else `folder` itself."""
    around = (folder, *folder.parents)
    return next((place for place in around if any(exists(place / mark) for mark in _MARKS)), folder)


def local_file(project: Path, environ: Mapping[str, str]) -> Path:
    """Give the file with the servers that one user has in one project."""
    real = os.path.realpath(project)
    slug = re.sub(r"[^\w.-]+", "-", Path(real).name).strip("-")[:40]
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    return user_file(environ).parent / "projects" / f"{slug or 'project'}-{digest}" / "mcp.json"


def find_local(folder: Path, environ: Mapping[str, str]) -> tuple[Path, Path] | None:
    """Give the local file that applies in `folder`, and the project it is for: of several the nearest."""
    if not exists(user_file(environ).parent / "projects"):
        return None
    around = ((local_file(place, environ), place) for place in (folder, *folder.parents))
    return next((found for found in around if exists(found[0])), None)
