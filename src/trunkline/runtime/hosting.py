"""The control socket that a runtime opens for itself, so that commands of its user can ask it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.errors import ConfigError

if TYPE_CHECKING:
    from trunkline.runtime.control_record import Kind
    from trunkline.runtime.trunk import Trunk

_MOST_NAMES = 5


class Hosting:
    """The control socket of one runtime, if it is to have one.

    Args:
        wanted: whether it is; a text is what the runtime is called.
    """

    def __init__(self, trunk: Trunk, wanted: bool | str) -> None:
        self._trunk = trunk
        self._wanted = wanted
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open it, where it is wanted.

        Raises:
            ConfigError: there is no place for it that is this user's alone, or no Unix sockets.
        """
        if self._wanted:
            name = self._wanted if isinstance(self._wanted, str) else _program()
            try:
                await self._stack.enter_async_context(hosted(self._trunk, "library", name))
            except OSError as cause:
                raise ConfigError(
                    f"the control socket cannot be opened: {cause.strerror or cause}", field="control"
                ) from cause

    async def close(self) -> None:
        """Close it; who asks something is not answered any more."""
        await self._stack.aclose()


@asynccontextmanager
async def hosted(trunk: Trunk, kind: Kind, program: str) -> AsyncIterator[None]:
    """Let the commands of this user ask a runtime while the body runs.

    Raises:
        ConfigError: there is no place for the socket that is this user's alone, or no Unix sockets.
    """
    if not (hasattr(os, "geteuid") and hasattr(asyncio, "start_unix_server")):
        raise ConfigError("`control` needs Unix sockets, which this system does not have", field="control")
    from trunkline._version import __version__
    from trunkline.runtime.control_record import Record, make_folder, write_record
    from trunkline.runtime.control_server import ControlServer

    folder = make_folder(os.environ)
    with ExitStack() as stack:
        record = Record(
            name=_claim_name(folder, stack),
            pid=os.getpid(),
            sources=trunk.config.sources,
            folder=_here(),
            kind=kind,
            program=program,
            version=__version__,
        )
        async with ControlServer(trunk).listening(str(folder / record.socket)):
            write_record(folder, record)
            yield


def _claim_name(folder: Path, stack: ExitStack) -> str:
    """Hold a name of our own; somebody who looks for what killed processes left may have been faster."""
    from trunkline.runtime.control_record import LockedError, claimed

    for _ in range(_MOST_NAMES):
        name = f"{os.getpid():x}-{os.urandom(6).hex()}"
        with contextlib.suppress(LockedError):
            stack.enter_context(claimed(folder, name))
            return name
    raise ConfigError("no name for the control socket could be had", field="control")


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _program() -> str:
    """Name what runs, without its arguments, which may hold anything."""
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"
