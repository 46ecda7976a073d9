"""Where the records of the wire go: a file of this user's, or the application's own function."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from typing import Protocol, TextIO

from trunkline.errors import ConfigError
from trunkline.telemetry.wire import (
    MOST_BYTES,
    Direction,
    Exchange,
    WireRecord,
    render_record,
    show_body,
    show_headers,
)

logger = logging.getLogger("trunkline.telemetry")

WireTarget = str | os.PathLike[str] | Callable[[WireRecord], None]
"""A file to write, or a function that takes each record."""


class Secrets(Protocol):
    """What removes secrets from text."""

    @property
    def longest(self) -> int:
        """Characters of the longest one."""
        ...

    def clean(self, text: str) -> str:
        """Give the text without them."""
        ...


class WireLog:
    """Takes what the taps of all servers see, in order, and hands it on with its secrets removed.

    A target that fails is given up with one warning; the calls it watched go on.

    Args:
        clock: gives the moment, in seconds; offsets count from the first look at it.
        most_bytes: how much of one body is kept.
    """

    def __init__(
        self,
        target: WireTarget,
        secrets: Secrets,
        clock: Callable[[], float],
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._file: TextIO | None = None
        self._take: Callable[[WireRecord], None] | None = target if callable(target) else self._open(target)
        self._secrets = secrets
        self._clock = clock
        self._began = clock()
        self._most = most_bytes

    def close(self) -> None:
        """End the log; what comes later is dropped."""
        self._take = None
        if self._file is not None:
            self._file.close()

    def headers(self, headers: object) -> tuple[tuple[str, str], ...]:
        """Give HTTP headers as they may be shown."""
        return show_headers(headers, self._secrets.clean)

    def message(
        self, server: str, transport: str, direction: Direction, data: bytes, http: Exchange | None = None
    ) -> None:
        """Take one message."""
        summary, body, cut = "", "", 0
        if data:
            summary, body, cut = show_body(data, self._secrets.clean, self._secrets.longest, self._most)
        record = WireRecord(
            offset=self._clock() - self._began,
            server=server,
            transport=transport,
            direction=direction,
            summary=self._secrets.clean(summary),
            body=body,
            size=len(data),
            cut=cut,
            http=http,
        )
        self.take(record)

    def note(self, server: str, transport: str, direction: Direction, text: str) -> None:
        """Take a line of standard error, or say what happened to the link."""
        offset = self._clock() - self._began
        summary = self._secrets.clean(text)[: self._most]
        self.take(
            WireRecord(
                offset=offset, server=server, transport=transport, direction=direction, summary=summary
            )
        )

    def take(self, record: WireRecord) -> None:
        """Take a record whose secrets are removed already."""
        if self._take is None:
            return
        try:
            self._take(record)
        except (
            Exception
        ):  # boundary: a full disk or the application's function must not end the calls it watches
            self._take = None
            logger.warning("the log of the wire ends here", exc_info=True)

    def _open(self, path: str | os.PathLike[str]) -> Callable[[WireRecord], None]:
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except (OSError, ValueError) as cause:
            reason = getattr(cause, "strerror", None) or "not a usable path"
            raise ConfigError(
                f"the log of the wire cannot be written to {os.fspath(path)}: {reason}",
                field="wire",
                hint="Name a file in a folder that exists and that you may write to.",
            ) from cause
        if stat.S_ISREG(os.fstat(number).st_mode):
            os.chmod(number if os.chmod in os.supports_fd else path, 0o600)
        self._file = file = os.fdopen(number, "w", encoding="utf-8", newline="\n")

        def write(record: WireRecord) -> None:
            file.write(render_record(record))
            file.flush()

        return write
