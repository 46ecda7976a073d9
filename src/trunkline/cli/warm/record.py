"""The files of background processes: a lock that tells whether each lives, and what it says of itself.

A process holds its lock as long as it lives, however it ends. Whoever gets the lock may remove the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from trunkline.cli.warm import place
from trunkline.errors import ConfigError

_SUFFIXES = (place.SOCKET, place.TEMPLATE, place.RECORD, place.LOCK)
_LOOK_AGAIN = 0.02
_LONGEST_PATH = 100
"""Bytes; the systems allow 103 to 107 for the path of a socket."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a background process says of itself; holds no secret."""

    name: str
    digest: str
    """See `Identity.digest`."""
    pid: int
    sources: tuple[str, ...]
    files: dict[str, str]
    """See `Identity.files`."""
    folder: str
    idle: float
    log: str
    follows: bool = False
    """Whether it takes up changes of its files."""


class LockedError(Exception):
    """Another process holds the lock."""


def make_folder(environ: Mapping[str, str]) -> Path:
    """Create the folder of the sockets, for this user alone.

    Raises:
        ConfigError: it cannot be made, or what stands there is not this user's alone.
    """
    folder = place.folder_of(environ)
    hint = "Set XDG_RUNTIME_DIR to a folder of your own, with a short path."
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
    except OSError as error:
        message = f"the folder {folder} for sockets cannot be made: {error.strerror}"
        raise ConfigError(message, hint=hint) from error
    if not place.is_ours(folder):
        raise ConfigError(f"the folder {folder} for sockets is not yours alone", hint=hint)
    if len(os.fsencode(folder)) + 32 > _LONGEST_PATH:
        raise ConfigError(f"the path {folder} is too long for sockets", hint=hint)
    return Path(folder)


def path_of(folder: Path, name: str, suffix: str) -> Path:
    """Give one of the files of a background process."""
    return folder / f"{name}{suffix}"


@contextmanager
def claimed(folder: Path, name: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of a name while the body runs; afterwards remove every file of that name.

    Files that a killed process left are removed before the body runs.

    Args:
        patience: seconds to wait for the lock.

    Raises:
        LockedError: another process holds it.
    """
    lock = path_of(folder, name, place.LOCK)
    descriptor = _lock(lock, time.monotonic() + patience)
    try:
        _remove(folder, name, _SUFFIXES[:-1])
        yield
    finally:
        if _is_at(descriptor, lock):
            _remove(folder, name, _SUFFIXES)
        os.close(descriptor)


def lives(folder: Path, name: str) -> bool:
    """Whether the process of this name runs; removes what a killed one left."""
    try:
        with claimed(folder, name):
            return False
    except LockedError:
        return True


def write_record(folder: Path, record: Record) -> None:
    """Write what a process says of itself, whole or not at all."""
    path = path_of(folder, record.name, place.RECORD)
    draft = path.with_suffix(".part")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def living(folder: Path) -> list[Record]:
    """Give the records of all background processes that run."""
    found = [_read(path) for path in sorted(folder.glob(f"*{place.RECORD}"))]
    return [record for record in found if record is not None and lives(folder, record.name)]


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None


def _lock(path: Path, until: float) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        os.close(descriptor)
        if time.monotonic() >= until:
            raise LockedError(str(path))
        time.sleep(_LOOK_AGAIN)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether what is open still is the file at `path`: the last holder of a lock removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(folder: Path, name: str, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        path_of(folder, name, suffix).unlink(missing_ok=True)
