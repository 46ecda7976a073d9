"""The tap on a shared stream: every frame as it is written and as it arrives, readable or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from trunkline.core.limits import Limits
from trunkline.protocol.lines import Oversized
from trunkline.transport.memory import MemoryTransport
from trunkline.transport.stdio import StdioTransport
from trunkline.transport.stream import Arrived, StreamCore
from trunkline.transport.wire import Wire

Settings = TypeVar("Settings", StdioTransport, MemoryTransport)


def tap_stream(settings: Settings, wire: Wire) -> Settings:
    """Give the same settings of a transport, whose links show their frames and standard error to `wire`."""
    tapped = replace(settings, core=functools.partial(WireCore, wire=wire))
    if isinstance(tapped, StdioTransport):
        return replace(tapped, clean=wire.hearing(tapped.clean))
    return tapped


class WireCore(StreamCore):
    """A stream's core that shows its frames to the log of the wire; stands in for the plain one."""

    shows_nothing = False

    def __init__(self, server: str, limits: Limits, write: Callable[[bytes], None], *, wire: Wire) -> None:
        def shown(data: bytes) -> None:
            for frame in data.split(b"\n"):
                if frame:
                    wire.sent(frame)
            write(data)

        super().__init__(server, limits, shown)
        self._wire = wire

    def take(self, data: Arrived) -> None:
        """Take one frame."""
        if type(data) is bytes:
            self._wire.received(data)
        elif isinstance(data, Oversized):
            if not data.ended:
                self._wire.received(data.head)
                self._wire.note("the message above is over the limit of its size; the rest is dropped")
        else:
            self._wire.note("a message without end")
        super().take(data)

    def finish(self, rest: bytes) -> None:
        """The stream ended; a half message is shown too."""
        before = self.noise
        super().finish(rest)
        if self.noise > before:
            self._wire.received(rest)

    def lose(self, reason: str) -> None:
        """The stream has ended."""
        if not self.lost:
            self._wire.note(f"ended: {reason}")
        super().lose(reason)
