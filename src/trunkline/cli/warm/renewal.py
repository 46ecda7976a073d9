"""A background process that follows its files: its servers change, and with them the name it is found by."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from trunkline.cli.session import read_config
from trunkline.cli.warm.identity import identify
from trunkline.cli.warm.seat import Seat
from trunkline.config.changes import Changes
from trunkline.config.endpoints import endpoints_of
from trunkline.config.footprint import files_of
from trunkline.config.loading import Config
from trunkline.runtime.control_record import LockedError, Record, write_record
from trunkline.runtime.control_server import ControlServer
from trunkline.runtime.followed_files import take_up
from trunkline.runtime.trunk import Trunk
from trunkline.security.scrub import Scrubber

logger = logging.getLogger("trunkline.up")


class ConfigFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line says about where the configuration is."""

    names: tuple[str, ...] = ()
    profile: str | None = None

    def load(self) -> Config:
        """Read it; raises ConfigError where a file cannot be used."""
        return read_config(self.names, self.profile)

    def find(self) -> tuple[Path, ...]:
        """Give the files that decide what it says, there or not."""
        return files_of(list(self.names) or None)


class Renewal:
    """Takes a changed configuration up in all that a background process consists of.

    Args:
        secrets: what keeps them out of the log.
    """

    def __init__(
        self, trunk: Trunk, server: ControlServer, seat: Seat, folder: Path, record: Record, secrets: Scrubber
    ) -> None:
        self._trunk = trunk
        self._server = server
        self._seat = seat
        self._folder = folder
        self._record = record
        self._secrets = secrets

    def adopt(self, config: Config) -> Changes:
        """Bring the servers in line, then be found by the commands that mean these servers."""
        identity = identify(config)
        self._secrets.learn(secrets_of(config))
        changes = take_up(self._trunk, config)
        try:
            self._seat.move(identity.name)
        except LockedError:
            logger.info("another process has been started for this configuration: this one ends")
            self._server.shutdown.set()
            return changes
        self._server.renew(identity.digest)
        self._record = msgspec.structs.replace(
            self._record,
            name=identity.name,
            digest=identity.digest,
            sources=identity.sources,
            files=identity.files,
        )
        write_record(self._folder, self._record)
        return changes


def secrets_of(config: Config) -> list[str]:
    """Give what must not be shown of all entries and their replicas."""
    endpoints = (one for entry in config.entries for one in endpoints_of(entry, config.policy))
    return [secret for one in endpoints for secret in getattr(one, "secrets", ())]
