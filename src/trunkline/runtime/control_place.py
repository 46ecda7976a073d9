"""The folder of the sockets: this user's alone, or not used at all.

Imported by every command before anything else: only `os` may be imported here.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = ".sock"
"""Suffix of a control socket."""
CONTROL = ".ctl"
"""Suffix of a control socket over which a runtime can be asked, but not used."""
TEMPLATE = ".run"
"""Suffix of the socket of a template process."""
RECORD = ".json"
LOCK = ".lock"

OFF = "TRUNKLINE_NO_DAEMON"
"""Set to anything but nothing, `0`, `false` or `no`, commands never attach."""


def is_supported() -> bool:
    """Whether this system has what a background process needs: fork, and sockets that carry descriptors."""
    return hasattr(os, "fork") and hasattr(os, "geteuid")


def is_switched_off(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for commands that never attach."""
    return environ.get(OFF, "").lower() not in ("", "0", "false", "no")


def folder_of(environ: Mapping[str, str]) -> str:
    """Give the folder: `$XDG_RUNTIME_DIR/trunkline`, or one in the folder for temporary files.

    The former only when that folder belongs to this user: `su` leaves the variable of another one.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and _owner(runtime) == os.geteuid():
        return os.path.join(runtime, "trunkline")
    temporary = environ.get("TMPDIR", "")
    return os.path.join(
        temporary if os.path.isabs(temporary) else "/tmp",  # noqa: S108 - `is_ours` decides about its use
        f"trunkline-{os.geteuid()}",
    )


def is_ours(folder: str) -> bool:
    """Whether it is a real folder that belongs to this user and that nobody else may enter."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    is_folder = found.st_mode & 0o170000 == 0o040000
    return is_folder and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def sockets(environ: Mapping[str, str], suffix: str) -> list[str]:
    """Give the paths of the sockets of one kind; none where the folder is missing or not ours alone."""
    folder = folder_of(environ)
    if not is_ours(folder):
        return []
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(suffix)]
    except OSError:
        return []


def _owner(folder: str) -> int:
    try:
        return os.stat(folder).st_uid
    except OSError:
        return -1
