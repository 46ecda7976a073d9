"""Follows the configuration files while a runtime is open: looks once they are quiet, and keeps what works.

Editors write by rename, write twice, and leave half a file for a moment. So a change is looked at once
nothing more has happened for a while, and what looks like half a file (it is gone, empty, or cannot be
read) once more after that, before it counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from trunkline.config.changes import Changes
from trunkline.config.footprint import entries_on_the_way, fingerprint
from trunkline.config.loading import Config
from trunkline.core.events import ConfigChanged, EventSink
from trunkline.errors import ConfigError
from trunkline.runtime.folder_watch import FolderWatch, SystemWatch
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.config")

QUIET = 0.2
"""Seconds without a change after which the files are looked at."""
LONGEST = 2.0
"""Seconds after which they are looked at although changes go on."""
PATIENCE = 1.0
"""Seconds that what looks like half a file has to stay so before it counts."""

Print = dict[Path, str | None]


class LiveFiles:
    """Takes up what the files of a configuration say, for as long as `run` runs.

    Args:
        load: reads the configuration; raises ConfigError where a file cannot be used.
        files: gives the files that decide what it says, there or not.
        adopt: brings the servers in line with it, at once.
        events: told of everything that was taken up, and of what could not be.
        watch: makes what tells of changes, given whom to tell.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        files: Callable[[], tuple[Path, ...]],
        adopt: Callable[[Config], Changes],
        events: EventSink,
        watch: Callable[[Callable[[], None]], FolderWatch] = SystemWatch,
    ) -> None:
        self.error: ConfigError | None = None
        """Why the files as they are now are not in use, or None."""
        self.files: tuple[Path, ...] = ()
        """What is watched."""
        self._load = load
        self._find = files
        self._adopt = adopt
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._watch = watch(self._news.set)
        self._armed: frozenset[tuple[str, int, int]] = frozenset()
        self._known: Print = {}
        self._doubt: tuple[Print, float] | None = None
        """What looks like half a file, and the moment from which it counts."""
        self._aim()
        self._known = self._look()

    @property
    def error_text(self) -> str | None:
        """The error in words that are safe to show."""
        return None if self.error is None else _say(self.error)

    async def run(self) -> None:
        """Follow the files until this is cancelled; nothing is left running then."""
        try:
            while True:
                await self._rest()
                try:
                    self._follow()
                except Exception:  # boundary: what cannot be followed now may be at the next change
                    logger.exception("the configuration could not be taken up")
        finally:
            await asyncio.shield(self._watch.close())

    async def _rest(self) -> None:
        """Wait for a change and then until all is quiet, or until what is in doubt counts."""
        left = None if self._doubt is None else max(0.0, self._doubt[1] - self._loop.time())
        if not await self._news_within(left):
            return
        until = self._loop.time() + LONGEST
        while await self._news_within(min(QUIET, max(0.0, until - self._loop.time()))):
            pass

    async def _news_within(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def _follow(self) -> None:
        """Look at the files, and take up what they say if that is something new."""
        self._aim()
        seen = self._look()
        if seen == self._known:
            self._doubt = None
            return
        try:
            config, error = self._load(), None
        except ConfigError as cause:
            config, error = None, cause
        if (error is not None or self._is_half(seen)) and not self._is_certain(seen):
            return
        self._known, self._doubt, self.error = seen, None, error
        if config is not None:
            self._take_up(config)
        elif error is not None:
            self._report(error)

    def _is_half(self, seen: Print) -> bool:
        return any(not now and self._known.get(file) for file, now in seen.items())

    def _is_certain(self, seen: Print) -> bool:
        """Whether it has looked so for long enough; else the time begins to count."""
        now = self._loop.time()
        if self._doubt is None or self._doubt[0] != seen:
            self._doubt = seen, now + PATIENCE
        return now >= self._doubt[1]

    def _take_up(self, config: Config) -> None:
        changes = self._adopt(config)
        facts = msgspec.structs.asdict(changes)
        words = ", ".join(f"{kind} {', '.join(names)}" for kind, names in facts.items() if names)
        logger.info("%s", escape_text(f"the configuration has changed: {words or 'no server is touched'}"))
        self._events.put(ConfigChanged(**facts))

    def _report(self, error: ConfigError) -> None:
        text = _say(error)
        hint = escape_text(error.hint or "Correct it.")
        logger.warning(
            "the configuration is not taken up, and everything goes on as before: %s %s", text, hint
        )
        self._events.put(ConfigChanged(error=text, hint=hint, source=error.source, line=error.line))

    def _look(self) -> Print:
        return {file: fingerprint(file) for file in self.files}

    def _aim(self) -> None:
        """Watch what is to be watched by now; a folder that was made anew is another one."""
        self.files = self._find()
        entries = {entry for file in self.files for entry in entries_on_the_way(file)}
        folders = {entry.parent for entry in entries}
        armed = frozenset(_identity(folder) for folder in folders)
        if armed != self._armed:
            self._armed = armed
            self._watch.watch(folders, entries)


def _say(error: ConfigError) -> str:
    """Give an error on one line, without the lines of the file that it shows: they may hold a secret."""
    return escape_text(str(error).partition("\n")[0])


def _identity(folder: Path) -> tuple[str, int, int]:
    try:
        found = folder.stat()
    except OSError:
        return str(folder), 0, 0
    return str(folder), found.st_dev, found.st_ino
