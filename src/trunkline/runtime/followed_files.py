"""Owns the one task of a runtime that follows its configuration files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.config.changes import Changes
from trunkline.config.loading import Config
from trunkline.core.events import EventSink
from trunkline.core.status import ConfigStatus

if TYPE_CHECKING:
    from trunkline.runtime.live_files import LiveFiles
    from trunkline.runtime.trunk import Trunk


class FollowedFiles:
    """What one runtime follows, or nothing."""

    def __init__(self, events: EventSink) -> None:
        self._events = events
        self._live: LiveFiles | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def follow(
        self,
        load: Callable[[], Config],
        files: Callable[[], tuple[Path, ...]],
        adopt: Callable[[Config], Changes],
    ) -> None:
        """Begin to follow the files of a configuration; once.

        Args:
            load: reads it; raises ConfigError where a file cannot be used.
            files: gives the files that decide what it says, there or not.
            adopt: brings the servers in line with it, at once.
        """
        from trunkline.runtime.live_files import LiveFiles

        self._live = LiveFiles(load, files, adopt, self._events)
        self._task = asyncio.create_task(self._live.run(), name="configuration files")

    def status(self) -> ConfigStatus:
        """Say what is followed, and what is wrong with it."""
        if self._live is None:
            return ConfigStatus()
        error = self._live.error
        return ConfigStatus(
            files=tuple(map(str, self._live.files)),
            last_error=self._live.error_text,
            hint=error.hint if error is not None else None,
        )

    def stop(self) -> None:
        """Take up nothing any more."""
        if self._task is not None and not self._stopped:
            self._stopped = True
            self._task.cancel()

    async def close(self) -> None:
        """Return when nothing is left of what followed them."""
        self.stop()
        if self._task is not None:
            await asyncio.wait({self._task})


def take_up(trunk: Trunk, config: Config) -> Changes:
    """Bring an open runtime in line with a configuration that was read elsewhere, as `Trunk.reload` does."""
    return trunk._adopt(config)


def follow(
    trunk: Trunk,
    load: Callable[[], Config],
    files: Callable[[], tuple[Path, ...]],
    adopt: Callable[[Config], Changes],
) -> None:
    """Let an open runtime follow files from now on; see `FollowedFiles.follow`."""
    trunk._files.follow(load, files, adopt)
