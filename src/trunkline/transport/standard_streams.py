"""What asyncio tells of each standard stream of a child, handed to its link."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.transport.stdio import StdioLink


class Output(asyncio.Protocol):
    """The child's standard output."""

    def __init__(self, link: StdioLink) -> None:
        self._link = link
        self.data_received = link.take_output  # type: ignore[method-assign] # one call less per chunk

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipe_connection_lost(1, exc)


class Errors(asyncio.Protocol):
    """The child's standard error."""

    def __init__(self, link: StdioLink) -> None:
        self._link = link

    def data_received(self, data: bytes) -> None:
        self._link.pipe_data_received(2, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipe_connection_lost(2, exc)


class Input(asyncio.BaseProtocol):
    """The child's standard input."""

    def __init__(self, link: StdioLink) -> None:
        self._link = link

    def pause_writing(self) -> None:
        self._link.pause_writing()

    def resume_writing(self) -> None:
        self._link.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipe_connection_lost(0, exc)
