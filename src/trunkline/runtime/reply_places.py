"""The places outside of a runtime where answers are kept: each opened once, by whoever wants it first."""

from __future__ import annotations

import asyncio
import logging
import os

from trunkline.config.caches import cache_folder, is_switched_off
from trunkline.config.policy import Policy
from trunkline.config.reference import resolve
from trunkline.core.cache_settings import CacheSettings
from trunkline.store.replies import ReplyStore

logger = logging.getLogger("trunkline.cache")

_FAREWELL = 2.0
"""Seconds that closing a place may take."""
FOLDER = "replies"
"""The folder of kept answers, among the user's caches."""


class Places:
    """Opens places by what `cache.store` says, and closes them.

    Args:
        given: the application's own place, which is used for every server; it is not closed.
    """

    def __init__(self, given: ReplyStore | None) -> None:
        self._given = given
        self._open: dict[str, ReplyStore] = {}

    def of(self, settings: CacheSettings) -> ReplyStore | None:
        """Give the place, or None for memory."""
        return self._given or self._open.get(settings.store)

    def open(self, settings: CacheSettings, server: str, policy: Policy) -> None:
        """Make ready the place that the settings of a server name.

        Raises:
            ConfigError: it cannot be used; names the server and the setting.
        """
        name = settings.store
        if name == "memory" or name in self._open or self._given is not None:
            return
        if name == "disk":
            if not is_switched_off(os.environ):
                from trunkline.store.sqlite_replies import DiskReplies

                self._open[name] = DiskReplies(cache_folder(os.environ) / FOLDER)
            return
        from trunkline.store.redis_replies import RedisReplies

        folder = str(policy.folder)
        url = resolve(name, os.environ, server=server, field="cache.store", folder=folder)
        self._open[name] = RedisReplies(url)

    async def close(self) -> None:
        """Close what was opened, in bounded time."""
        opened, self._open = self._open, {}
        for name, store in opened.items():
            try:
                async with asyncio.timeout(_FAREWELL):
                    await store.close()
            except Exception as error:  # boundary: a place may fail in any way, and must not keep us open
                kind = name.partition(":")[0]
                logger.warning("the place %s for answers was not closed: %s", kind, type(error).__name__)
