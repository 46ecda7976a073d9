"""A command that has run for a while can be asked, like any runtime; a short one pays nothing for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from trunkline.errors import ConfigError

if TYPE_CHECKING:
    from trunkline.runtime.trunk import Trunk

logger = logging.getLogger("trunkline.control")

_LONG = 2.0
"""Seconds after which a command is one that somebody may want to ask."""


@asynccontextmanager
async def reachable(trunk: Trunk, program: str, after: float = _LONG) -> AsyncIterator[Trunk]:
    """Open a runtime, and its control socket once it has been open for `after` seconds."""
    async with trunk:
        opening = asyncio.create_task(_open(trunk, program, after), name="control socket")
        try:
            yield trunk
        finally:
            opening.cancel()
            await asyncio.wait({opening})


async def _open(trunk: Trunk, program: str, after: float) -> None:
    from trunkline.runtime.hosting import hosted

    await asyncio.sleep(after)
    try:
        async with hosted(trunk, "command", program):
            await asyncio.get_running_loop().create_future()
    except (ConfigError, OSError) as error:
        logger.info("this command cannot be asked by others: %s", error)
