"""A store in a folder of the user's: one small file per memory, written whole or not at all.

No locks: a file that another process replaces is read as it was before or as it is afterwards. Ages are told
by the file system's own clock, so that machines which share a folder agree on them.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from trunkline.store.port import SALT

_KEY = re.compile(r"[0-9a-z]+(\.[0-9a-z]+)*")
_DRAFT = "."
"""What the name of a file begins with until it is whole."""
_DRAFT_AGE = 3600.0
_READ = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept; what was true longest ago goes first."""

    record_bytes: int = 16 * 1024 * 1024
    """Largest memory; a larger one is not kept. Five thousand tools take some five megabytes."""
    entries: int = 1024
    """Most memories: two for each server and set of credentials."""
    total_bytes: int = 128 * 1024 * 1024
    age: float = 60 * 86400.0
    """Seconds after which what was not found to be still true is forgotten."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One memory, as `FileStore.kept` lists it."""

    key: str
    size: int
    """Bytes."""
    confirmed: float
    """When it was last found to be true, in seconds since the epoch."""


class FileStore:
    """Keeps memories as files, mode 0600, in a folder of mode 0700 that has to be this user's own.

    Every method raises OSError where the folder or a file cannot be used.
    """

    def __init__(self, folder: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - a frozen value
        self.folder = folder
        self.bounds = bounds
        self._pruned = False

    def __repr__(self) -> str:
        return f"FileStore({str(self.folder)!r})"

    def get(self, key: str) -> bytes | None:
        """Give what was kept under a key, or None; what is too large is as good as gone."""
        if not self.exists():
            return None
        try:
            descriptor = os.open(self._path(key), _READ)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > self.bounds.record_bytes:
                return None
            return file.read(self.bounds.record_bytes)

    def put(self, key: str, value: bytes) -> None:
        """Keep this; the same content only renews its age. What is too large is not kept."""
        path = self._path(key)
        if len(value) > self.bounds.record_bytes:
            self.drop(key)
            return
        if not self._confirm(path, value):
            self._make_folder()
            self._write(path, value)
            self._pruned = False
        if not self._pruned:
            self._pruned = True
            self._prune(path)

    def drop(self, key: str) -> None:
        """Forget what is kept under a key, if anything is."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(key))

    def exists(self) -> bool:
        """Whether there is a folder.

        Raises:
            PermissionError: what stands there is no folder of this user alone.
        """
        try:
            found = os.lstat(self.folder)
        except FileNotFoundError:
            return False
        own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or not own or (os.name == "posix" and found.st_mode & 0o022):
            raise PermissionError(f"{self.folder} is not a folder that only this user may write to")
        return True

    def check(self) -> None:
        """Raise OSError if memories cannot be read and written; tried, and nothing but the folder is left."""
        self._make_folder()
        trial = self.folder / f"{_DRAFT}check.{os.getpid()}.{os.urandom(4).hex()}"
        self._create(trial, b"written")
        os.unlink(trial)

    def kept(self) -> list[Kept]:
        """List the memories, those confirmed last first."""
        if not self.exists():
            return []
        found = [
            Kept(key=name, size=info.st_size, confirmed=info.st_mtime)
            for name, info in self._files()
            if _KEY.fullmatch(name) and name != SALT
        ]
        return sorted(found, key=lambda one: one.confirmed, reverse=True)

    def clear(self) -> int:
        """Forget everything, and give how many memories that were."""
        if not self.exists():
            return 0
        count = 0
        for name, _ in list(self._files()):
            if name.startswith(_DRAFT) or _KEY.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)
                count += not name.startswith(_DRAFT) and name != SALT
        return count

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key) or len(key) > 200:
            raise ValueError(f"not a key of a memory: {key!r}")
        return self.folder / key

    def _confirm(self, path: Path, value: bytes) -> bool:
        """Renew the age of a file that holds this already; tell whether it does."""
        try:
            if os.stat(path).st_size != len(value) or self.get(path.name) != value:
                return False
            os.utime(path)
        except OSError:
            return False
        return True

    def _make_folder(self) -> None:
        if not self.exists():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.folder, 0o700)
        if os.name == "posix" and os.stat(self.folder).st_mode & 0o077:
            os.chmod(self.folder, 0o700)

    def _write(self, path: Path, value: bytes) -> None:
        draft = path.with_name(f"{_DRAFT}{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            self._create(draft, value)
            os.replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise

    def _create(self, path: Path, value: bytes) -> None:
        with os.fdopen(os.open(path, _WRITE, 0o600), "wb") as file:
            file.write(value)

    def _prune(self, newest: Path) -> None:
        """Forget what is older than the file just written by too much, what is too much, and what is half."""
        try:
            now = os.stat(newest).st_mtime
        except FileNotFoundError:
            return  # another process has forgotten it, so that it is at work here anyway
        bounds, left = self.bounds, self.bounds.total_bytes
        for number, one in enumerate(self.kept(), 1):
            left -= one.size
            if now - one.confirmed > bounds.age or number > bounds.entries or left < 0:
                self.drop(one.key)
        for name, info in list(self._files()):
            if name.startswith(_DRAFT) and now - info.st_mtime > _DRAFT_AGE:
                (self.folder / name).unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(info.st_mode):
                        yield entry.name, info
