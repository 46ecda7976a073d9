"""Tells when something changes in folders: a thread over the library `watchfiles`, which is an extra.

It says that something may have changed, never what; looking is for who is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from trunkline.errors import ConfigError

logger = logging.getLogger("trunkline.config")

_STEP_MS = 100
"""Between two looks of the library at what the system has told it, and at whether it is to end."""
_POLL_MS = 300
"""Between two looks at the files where the system cannot tell."""
_FAREWELL = 2.0
"""Seconds to wait for the thread, which ends within a step."""


class FolderWatch(Protocol):
    """Calls back, in the loop, whenever something may have changed in its folders."""

    def watch(self, folders: Collection[Path], entries: Collection[Path]) -> None:
        """Watch these folders, and no others, for changes of these entries and of the folders themselves."""
        ...

    async def close(self) -> None:
        """Watch nothing any more; returns when nothing is left of it."""
        ...


def require_watchfiles() -> None:
    """Make sure that files can be watched.

    Raises:
        ConfigError: the library is not installed; names the command that does it.
    """
    if not has_watchfiles():
        raise ConfigError(
            "watching the configuration files needs the package watchfiles, which is not installed",
            hint="Install it with `pip install 'trunkline[watch]'`, or connect without `watch`.",
        )


def has_watchfiles() -> bool:
    """Whether the library is installed; does not load it."""
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None


class SystemWatch:
    """Asks the operating system, in a thread for each set of folders; polls where the system cannot tell.

    Args:
        on_change: called in the running loop; also when it begins to watch, for what came before.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_change = on_change
        self._running: _Thread | None = None
        self._ending: set[_Thread] = set()

    def watch(self, folders: Collection[Path], entries: Collection[Path]) -> None:
        """Watch these folders, and no others, for changes of these entries and of the folders themselves."""
        self._stop()
        if folders:
            wanted = frozenset(map(str, (*entries, *folders)))
            self._running = _Thread(tuple(map(str, folders)), wanted, self._tell)
            self._running.start()

    async def close(self) -> None:
        """Watch nothing any more; returns when the threads have ended."""
        self._stop()
        until = self._loop.time() + _FAREWELL
        # A thread can tell nobody that it has ended; it does so within a step.
        while any(thread.is_alive() for thread in self._ending) and self._loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_STEP_MS / 5000)

    def _stop(self) -> None:
        self._ending = {thread for thread in self._ending if thread.is_alive()}
        if self._running is not None:
            self._running.ended.set()
            self._ending.add(self._running)
            self._running = None

    def _tell(self) -> None:
        # The loop may have been closed meanwhile; then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_change)


class _Thread(threading.Thread):
    """Watches one set of folders until it is told to end."""

    def __init__(self, folders: tuple[str, ...], wanted: frozenset[str], tell: Callable[[], None]) -> None:
        super().__init__(name="trunkline files", daemon=True)
        self.ended = threading.Event()
        self._folders = folders
        self._wanted = wanted
        self._tell = tell

    def run(self) -> None:
        for polling in (_is_polling_asked_for(), True):
            try:
                self._watch(polling=polling)
                return
            except FileNotFoundError:
                break  # a folder is gone by now: whoever is told finds others
            except (OSError, RuntimeError) as error:
                what = "are not watched" if polling else "are polled, as the system cannot tell of changes"
                logger.warning("the configuration files %s: %s", what, error)
        self._tell()

    def _watch(self, *, polling: bool) -> None:
        # Not through `watchfiles.watch`: it logs every change, and a log in such a folder is one itself.
        from watchfiles._rust_notify import RustNotify

        with RustNotify(list(self._folders), False, polling, _POLL_MS, False, True) as system:
            self._tell()
            while not self.ended.is_set():
                changes = system.watch(_STEP_MS, _STEP_MS, 0, self.ended)
                if isinstance(changes, str):
                    return
                if any(path in self._wanted for _, path in changes):
                    self._tell()


def _is_polling_asked_for() -> bool:
    """Whether to poll although the system may be able to tell, as `watchfiles` itself decides."""
    asked = os.environ.get("WATCHFILES_FORCE_POLLING", "").lower()
    if asked:
        return asked not in ("false", "disable", "disabled")
    return "microsoft-standard" in platform.uname().release
