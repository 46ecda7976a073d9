"""What the end of a process most likely comes of: its exit code, and names of errors in its last words.

Only the names that runtimes and package runners give to errors count; no sentence is interpreted.
"""

from __future__ import annotations

import re
import signal

_EXIT_CODES = {
    2: "It does not take its arguments, or one is missing.",
    125: "The container could not be started: the daemon does not run, or there is no such image.",
    126: "A program that it starts is not executable.",
    127: "A program that it starts was not found.",
}
_CONTAINERS = frozenset({"docker", "podman", "nerdctl"})
_NAMES: dict[str, str] = {
    "ModuleNotFoundError": "A Python package that it needs is not installed where it runs.",
    "ImportError": "A Python package that it needs is missing, or of the wrong version.",
    "MODULE_NOT_FOUND": "A Node package that it needs is not installed where it runs.",
    "ERR_MODULE_NOT_FOUND": "A Node package that it needs is not installed where it runs.",
    "E404": "There is no package of this name.",
    "ETARGET": "There is no such version of the package.",
    "ENOTFOUND": "A host that it needs was not found; there may be no network.",
    "EAI_AGAIN": "A host that it needs was not found; there may be no network.",
    "ETIMEDOUT": "A host that it needs did not answer.",
    "ECONNREFUSED": "A service that it needs does not run.",
    "ConnectionRefusedError": "A service that it needs does not run.",
    "EADDRINUSE": "Another process uses the port that it wants.",
    "EACCES": "It may not read or write a file that it needs.",
    "EPERM": "It may not do something that it needs to do.",
    "PermissionError": "It may not read or write a file that it needs.",
    "ENOSPC": "The disk is full.",
    "ENOENT": "A file that it needs does not exist.",
    "FileNotFoundError": "A file that it needs does not exist.",
    "SyntaxError": "Its program is broken, or made for a newer runtime than the one it runs in.",
}
_SIGNALS = {
    signal.SIGKILL: "The system ran out of memory, or something else killed it.",
    signal.SIGTERM: "Something else on this machine ended it.",
    signal.SIGSEGV: "The program itself broke.",
    signal.SIGABRT: "The program itself broke.",
    signal.SIGILL: "The program is made for another processor.",
}
_WORD = re.compile(r"\b[A-Za-z][A-Za-z0-9_]{2,40}\b")


def explain_end(exit_code: int | None, stderr: str, program: str) -> str | None:
    """Give the likely cause in one sentence, or None where nothing points to one.

    Args:
        exit_code: negative for a signal, None while the process runs.
        stderr: its last words; names that come later count more.
        program: name of the command.
    """
    if exit_code is not None and exit_code < 0:
        return _SIGNALS.get(-exit_code)  # type: ignore[call-overload, no-any-return]
    named = [word for word in _WORD.findall(stderr) if word in _NAMES]
    if named:
        return f"{_NAMES[named[-1]].removesuffix('.')} ({named[-1]})."
    if exit_code == 125 and program not in _CONTAINERS:
        return None
    return _EXIT_CODES.get(exit_code) if exit_code is not None else None
