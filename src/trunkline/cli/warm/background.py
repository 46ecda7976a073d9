"""The background process: it keeps the servers of one configuration connected until it is no longer used."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import trunkline
from trunkline.cli.exits import OK
from trunkline.cli.loop import run_loop
from trunkline.cli.warm.logfile import log_path, logging_to, state_folder
from trunkline.cli.warm.renewal import ConfigFiles, Renewal, secrets_of
from trunkline.cli.warm.seat import Seat
from trunkline.cli.warm.template import template_running
from trunkline.runtime import control_place as place
from trunkline.runtime.control_asking import forwarding
from trunkline.runtime.control_record import LockedError, Record, make_folder, write_record
from trunkline.runtime.control_server import ControlServer
from trunkline.runtime.followed_files import follow

if TYPE_CHECKING:
    from trunkline.cli.warm.identity import Identity
    from trunkline.config.loading import Config
    from trunkline.runtime.trunk import Trunk
    from trunkline.security.scrub import Scrubber

ANNOUNCEMENT = "trunkline-up "
"""Begins the line that a detached process prints once it serves; JSON with `pid` and `started` follows."""

_DRAIN = 5.0
"""Seconds that running calls get to end after SIGTERM; long ones are cancelled then."""
_LOCK_PATIENCE = 1.0
"""Seconds to wait for the lock: somebody may just be looking whether we live."""
_LOOK_AGAIN = 0.02
_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")

logger = logging.getLogger("trunkline.up")

Reason = Literal["a signal", "`trunkline down`", "nobody used it"]


def keep_warm(
    config: Config, identity: Identity, *, idle: float, detached: bool, files: ConfigFiles | None = None
) -> int:
    """Be the background process of this configuration, unless there is one already; returns at its end.

    Args:
        files: where the configuration is, to follow its changes; None follows none.
        idle: seconds without a client after which it ends; 0 is never.
        detached: announce the start on standard output, then part from all three streams.

    Raises:
        ConfigError: there is no safe folder for the sockets, or none for the log.
    """
    folder = make_folder(os.environ)
    log = log_path(state_folder(os.environ), identity.sources, identity.name)
    record = Record(
        name=identity.name,
        digest=identity.digest,
        pid=os.getpid(),
        sources=identity.sources,
        files=identity.files,
        folder=identity.folder,
        idle=idle,
        log=str(log),
        version=trunkline.__version__,
        follows=files is not None,
    )
    secrets = secrets_of(config)
    try:
        with (
            Seat(folder, identity.name, _patient(_LOCK_PATIENCE)) as seat,
            template_running(str(seat.path(place.TEMPLATE))),
            logging_to(log, identity.sources, secrets, also_stderr=not detached) as scrubber,
        ):
            announce = _detach if detached else _say_nothing
            following = None if files is None else _Following(files, folder, seat, scrubber)
            return run_loop(_serve(config, seat, record, folder, announce, following))
    except LockedError:
        if detached:
            _announce(started=False)
        return OK


class _Following(NamedTuple):
    """What it takes to follow the files of a configuration."""

    files: ConfigFiles
    folder: Path
    seat: Seat
    secrets: Scrubber

    def begin(self, trunk: Trunk, server: ControlServer, record: Record) -> None:
        """Take up what changes from now on."""
        renewal = Renewal(trunk, server, self.seat, self.folder, record, self.secrets)
        follow(trunk, self.files.load, self.files.find, renewal.adopt)


async def _serve(
    config: Config,
    seat: Seat,
    record: Record,
    folder: Path,
    announce: Callable[[], None],
    following: _Following | None,
) -> int:
    ended = _signalled()
    async with trunkline.connect(config, handlers=forwarding(), remember=True) as trunk:
        server = ControlServer(trunk, digest=record.digest)
        async with server.listening(str(seat.path(place.SOCKET))):
            write_record(folder, record)
            if following is not None:
                following.begin(trunk, server, record)
            logger.info("serving %s, process %d", ", ".join(record.sources), record.pid)
            announce()
            reason = await _wait_for_end(server, ended, record.idle)
            logger.info("ending: %s", reason)
            await server.drain(_DRAIN)
    logger.info("ended")
    return OK


async def _wait_for_end(server: ControlServer, ended: asyncio.Event, idle: float) -> Reason:
    waits: dict[asyncio.Task[object], Reason] = {
        asyncio.create_task(ended.wait()): "a signal",
        asyncio.create_task(server.shutdown.wait()): "`trunkline down`",
    }
    if idle:
        waits[asyncio.create_task(server.wait_idle(idle))] = "nobody used it"
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return waits[done.pop()]
    finally:
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)


def _signalled() -> asyncio.Event:
    """Give an event that the first signal sets; a second one ends the process without waiting for calls."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    task = asyncio.current_task()

    def end() -> None:
        if ended.is_set() and task is not None:
            task.cancel()
        ended.set()

    for name in _ENDINGS:
        loop.add_signal_handler(getattr(signal, name), end)
    return ended


def _patient(seconds: float) -> Callable[[], bool]:
    """Give what waits a moment and says yes, until the time is over."""
    until = time.monotonic() + seconds

    def again() -> bool:
        time.sleep(_LOOK_AGAIN)
        return time.monotonic() < until

    return again


def _say_nothing() -> None:
    return


def _announce(*, started: bool) -> None:
    sys.stdout.write(f"{ANNOUNCEMENT}{json.dumps({'pid': os.getpid(), 'started': started})}\n")
    sys.stdout.flush()


def _detach() -> None:
    """Announce, and part from the streams: whoever started this process may end them now."""
    _announce(started=True)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
