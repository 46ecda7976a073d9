"""Answers kept on disk, for later runs of this user: one SQLite file, read and written in one thread.

It is a cache and no more: a file that is broken is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from trunkline.store.files import FileStore
from trunkline.store.replies import SALT_BYTES, Found

if TYPE_CHECKING:
    from sqlite3 import Connection

Value = TypeVar("Value")

_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = off;
create table if not exists replies (
    key text primary key, value blob not null, until real not null, used real not null
) without rowid;
create index if not exists replies_used on replies (used);
create table if not exists marks (server text primary key, mark integer not null) without rowid;
create table if not exists salts (one integer primary key check (one = 1), salt blob not null);
"""
_VERSION = 1
_BUSY = 0.3
"""Seconds to wait for another process."""
_TIDY = 100
"""Answers written between two looks at how much there is."""


class DiskReplies:
    """Keeps answers in a file of mode 0600, in a folder of mode 0700 that has to be this user's own.

    Args:
        folder: where the file is; made when it is needed.
        max_bytes: most bytes of answers; those used longest ago make place.
    """

    def __init__(self, folder: Path, max_bytes: int = 256 * 1024 * 1024) -> None:
        self.path = folder / "replies.sqlite"
        self.max_bytes = max_bytes
        self._folder = FileStore(folder)
        self._database: Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._written = 0

    def __repr__(self) -> str:
        return f"DiskReplies({str(self.path.parent)!r})"

    async def salt(self) -> bytes:
        """Give the random bytes that keys are made with; made by whoever comes first."""
        return await self._run(_read_salt)

    async def get(self, key: str) -> Found:
        """Give what is kept under a key."""
        return await self._run(lambda database: _get(database, key))

    async def put(self, key: str, value: bytes, keep_for: float, mark: int) -> bool:
        """Keep this for so many seconds, if nothing of its server was forgotten since."""

        def put(database: Connection) -> bool:
            if _mark(database, key.partition(":")[0]) != mark:
                return False
            row = (key, value, _now() + keep_for, _now())
            database.execute("insert or replace into replies values (?, ?, ?, ?)", row)
            if self._written % _TIDY == 0:
                _tidy(database, self.max_bytes)
            self._written += 1
            return True

        return await self._run(put)

    async def drop(self, server: str, concerned: Callable[[str], bool]) -> int:
        """Forget the answers of a server whose keys are meant."""
        return await self._run(lambda database: _drop(database, server, concerned))

    async def close(self) -> None:
        """Close the file."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        await asyncio.get_running_loop().run_in_executor(thread, self._close)
        thread.shutdown(wait=False)

    def clear(self, place_of: Callable[[bytes], str] | None = None) -> int:
        """Forget everything, or what is kept of one server; at once, in this thread; how many answers.

        Args:
            place_of: gives the first part of the server's keys, made with the salt.

        Raises:
            OSError, sqlite3.Error: the file cannot be used.
        """
        if not self.path.exists():
            return 0
        with contextlib.closing(_connect(self.path)) as database, database:
            if place_of is not None:
                return _drop(database, place_of(_read_salt(database)), lambda _: True)
            database.execute("update marks set mark = mark + 1")
            return database.execute("delete from replies").rowcount

    def measure(self) -> tuple[int, int]:
        """Give how many answers there are and the bytes they take; at once, in this thread.

        Raises:
            OSError, sqlite3.Error: the file cannot be used.
        """
        if not self.path.exists():
            return 0, 0
        with contextlib.closing(_connect(self.path)) as database:
            row = database.execute("select count(*), coalesce(sum(length(value)), 0) from replies").fetchone()
        return int(row[0]), int(row[1])

    async def _run(self, work: Callable[[Connection], Value]) -> Value:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="replies")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def _do(self, work: Callable[[Connection], Value]) -> Value:
        import sqlite3

        for attempt in (0, 1):
            try:
                database = self._database = self._database or self._open()
                with database:
                    database.execute("begin immediate")
                    return work(database)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                if attempt:
                    raise
                self._close()
                for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                    self.path.with_name(name).unlink(missing_ok=True)
        raise AssertionError("unreachable")

    def _open(self) -> Connection:
        self._folder.check()
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600))
        return _connect(self.path)

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def _connect(path: Path) -> Connection:
    import sqlite3

    database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        (version,) = database.execute("pragma user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.OperationalError(f"it is of version {version}, and this program knows {_VERSION}")
        database.executescript(f"{_SCHEMA} pragma user_version = {_VERSION};")
    except BaseException:
        database.close()
        raise
    return database


def _read_salt(database: Connection) -> bytes:
    database.execute("insert or ignore into salts values (1, ?)", (os.urandom(SALT_BYTES),))
    (salt,) = database.execute("select salt from salts").fetchone()
    return bytes(salt)


def _get(database: Connection, key: str) -> Found:
    mark = _mark(database, key.partition(":")[0])
    now = _now()
    row = database.execute(
        "select value, used from replies where key = ? and until > ?", (key, now)
    ).fetchone()
    if row is None:
        return Found(None, mark)
    if now - row[1] > 1:
        database.execute("update replies set used = ? where key = ?", (now, key))
    return Found(bytes(row[0]), mark)


def _mark(database: Connection, server: str) -> int:
    row = database.execute("select mark from marks where server = ?", (server,)).fetchone()
    return 0 if row is None else int(row[0])


def _drop(database: Connection, server: str, concerned: Callable[[str], bool]) -> int:
    database.execute(
        "insert into marks values (?, 1) on conflict (server) do update set mark = mark + 1", (server,)
    )
    # ";" is the character after ":".
    found = database.execute(
        "select key from replies where key > ? and key < ?", (f"{server}:", f"{server};")
    )
    keys = [(key,) for (key,) in found if concerned(key)]
    database.executemany("delete from replies where key = ?", keys)
    return len(keys)


def _tidy(database: Connection, max_bytes: int) -> None:
    """Forget what is of no use any more, and what was used longest ago where there is too much."""
    database.execute("delete from replies where until <= ?", (_now(),))
    (total,) = database.execute("select coalesce(sum(length(value)), 0) from replies").fetchone()
    oldest = (
        database.execute("select key, length(value) from replies order by used") if total > max_bytes else ()
    )
    keys = []
    for key, size in oldest:
        if total <= max_bytes:
            break
        total -= size
        keys.append((key,))
    database.executemany("delete from replies where key = ?", keys)


def _now() -> float:
    return datetime.now(UTC).timestamp()
