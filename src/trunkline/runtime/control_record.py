"""The files of runtimes that can be asked: a lock that tells whether each lives, and what it says of itself.

A process holds its lock as long as it lives, however it ends. Whoever gets the lock may remove the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.errors import ConfigError
from trunkline.runtime import control_place as place

_SUFFIXES = (place.SOCKET, place.CONTROL, place.TEMPLATE, place.RECORD, place.LOCK)
_LONGEST_PATH = 100
"""Bytes; the systems allow 103 to 107 for the path of a socket."""


Kind = Literal["up", "library", "command"]
"""`up`: the background process of `trunkline up`; `library`: a program that has asked for it; `command`: one
of our commands that has run for a while."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of one of its runtimes; holds no secret."""

    name: str
    digest: str = ""
    """See `trunkline.cli.warm.identity`; "" where commands cannot use the runtime."""
    pid: int
    sources: tuple[str, ...]
    files: dict[str, str] = {}
    """SHA-256 of the content of every file read, where commands can use the runtime."""
    folder: str
    """The working directory at its start."""
    idle: float = 0.0
    log: str = ""
    kind: Kind = "up"
    program: str = "trunkline up"
    """What the process is called, without its arguments."""
    version: str = ""
    """Of Trunkline."""
    follows: bool = False
    """Whether it takes up changes of its files."""

    @property
    def socket(self) -> str:
        """Name of its control socket."""
        return f"{self.name}{place.SOCKET if self.kind == 'up' else place.CONTROL}"


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
def claimed(folder: Path, name: str, again: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock of a name while the body runs; afterwards remove every file of that name.

    Files that a killed process left are removed before the body runs.

    Args:
        again: asked, while another process holds the lock, whether to try once more; it may take its time.

    Raises:
        LockedError: another process holds it.
    """
    lock = path_of(folder, name, place.LOCK)
    descriptor = _lock(lock, again)
    try:
        _remove(folder, name, _SUFFIXES[:-1])
        yield
    finally:
        if _is_at(descriptor, lock):
            _remove(folder, name, _SUFFIXES)
        os.close(descriptor)


def lives(folder: Path, name: str) -> bool:
    """Whether the runtime of this name runs; removes what a killed process left."""
    try:
        with claimed(folder, name):
            return False
    except LockedError:
        return True


def write_record(folder: Path, record: Record) -> None:
    """Write what a process says of its runtime, whole or not at all."""
    path = path_of(folder, record.name, place.RECORD)
    draft = path.with_suffix(".part")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def living(folder: Path, *kinds: Kind) -> list[Record]:
    """Give the records of the runtimes that run: of `trunkline up`, or of these kinds.

    What killed processes left is removed, whatever their kind.
    """
    names = {path.stem for suffix in (place.RECORD, place.LOCK) for path in folder.glob(f"*{suffix}")}
    found = [_read(path_of(folder, name, place.RECORD)) for name in sorted(names) if lives(folder, name)]
    return [record for record in found if record is not None and record.kind in (kinds or ("up",))]


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None


def _lock(path: Path, again: Callable[[], bool]) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        os.close(descriptor)
        if not again():
            raise LockedError(str(path))


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether what is open still is the file at `path`: the last holder of a lock removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(folder: Path, name: str, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        path_of(folder, name, suffix).unlink(missing_ok=True)
