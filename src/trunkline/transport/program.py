"""Finding the program of a server before it is started, and saying why it cannot be. Starts nothing.

Source: execve(2) for `#!` lines.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from trunkline.errors import UnavailableError

_FIRST_LINE = 256
"""Bytes of a file in which its `#!` line is looked for, as Linux does."""


def find_program(server: str, command: str, env: Mapping[str, str], cwd: str | None) -> str:
    """Give the path of the file to start.

    Args:
        env: the complete environment of the child, whose PATH counts.
        cwd: the folder it starts in; a command with a slash is relative to it.

    Raises:
        UnavailableError: there is no such file, it is not executable, or the folder does not exist.
    """
    placed = os.path.join(cwd, command) if cwd is not None and os.path.dirname(command) else command
    program = shutil.which(placed, path=env.get("PATH", os.defpath))
    if program is None and os.path.dirname(placed) and os.path.isfile(placed):
        raise UnavailableError(
            f"the file {command!r} is not executable",
            code="command_not_executable",
            server=server,
            hint="Make it executable with `chmod +x`, or start it through its interpreter.",
        )
    if program is None:
        raise UnavailableError(
            f"the command {command!r} was not found",
            code="command_not_found",
            server=server,
            hint=f"Install {command!r}, or give its full path as `command`.",
        )
    if cwd is not None and not os.path.isdir(cwd):
        raise UnavailableError(
            f"the working directory {cwd!r} does not exist",
            code="missing_directory",
            server=server,
            hint="Create the directory, or correct `cwd`.",
        )
    return program


def require_interpreter(server: str, program: str, env: Mapping[str, str]) -> str | None:
    """Give the interpreter that the `#!` line of a script names, or None for what is no script.

    Raises:
        UnavailableError: it is not there.
    """
    words = _interpreter_line(program)
    if not words:
        return None
    named = words[0]
    if os.path.basename(named) == "env":
        named = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), named)
    found = shutil.which(named, path=env.get("PATH", os.defpath))
    if found is not None:
        return found
    raise UnavailableError(
        f"{program} is a script for {named!r}, which was not found",
        code="interpreter_not_found",
        server=server,
        hint=f"Install {os.path.basename(named)!r}, or correct the first line of the script.",
    )


def explain_start(
    server: str, command: str, program: str, env: Mapping[str, str], cause: Exception
) -> UnavailableError:
    """Give the error of a program that was found and could not be started."""
    try:
        require_interpreter(server, program, env)
    except UnavailableError as missing:
        return missing
    return UnavailableError(
        f"the command {command!r} could not be started ({cause})",
        code="start_failed",
        server=server,
        hint="Check that the file is executable and made for this system.",
    )


def _interpreter_line(program: str) -> list[str]:
    try:
        with Path(program).open("rb") as file:
            line = file.read(_FIRST_LINE).partition(b"\n")[0]
    except OSError:
        return []
    return os.fsdecode(line[2:]).split() if line.startswith(b"#!") else []
