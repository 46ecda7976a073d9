"""Server-sent events: the byte stream of the WHATWG HTML standard, section "Server-sent events"."""

from __future__ import annotations

import msgspec

from trunkline.protocol.lines import Oversized

_EDGE = 2048
"""How much of each end of an event over the cap is kept, in bytes; enough to read an id."""


_FIELDS = 8
"""Lines of an event besides its data that are nothing odd."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One dispatched event."""

    data: bytes
    event: str = "message"
    id: str | None = None
    oversized: Oversized | None = None
    """The ends of an event that passed the cap; `data` is then empty."""


class EventTooLarge(ValueError):  # noqa: N818 - a verdict, not a fault of ours
    """An event passed the cap on its size."""


class EventParser:
    """Turns chunks of an event stream into events, in linear time and bounded memory.

    Args:
        max_bytes: the cap on one event.
        skips: drop what passes the cap and go on with the next event, up to twice the cap; False ends there.
    """

    def __init__(self, max_bytes: int, *, skips: bool = False) -> None:
        self._max_bytes = max_bytes
        self._skips = skips
        self._head = b""
        self._tail = b""
        self._over = False
        self._line: list[bytes] = []
        self._size = 0
        self._data: list[bytes] = []
        self._event = ""
        self._last_id: str | None = None
        self._after_cr = False
        self._started = False
        self._odd = 0
        self.idle = 0
        """Lines so far that were no part of an event with data; of its own lines, a few may be no data."""
        self.retry_ms: int | None = None
        """The reconnection time the server asked for, or None."""

    @property
    def last_id(self) -> str | None:
        """The id in force, also where an event had no data."""
        return self._last_id

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes and give the events they complete.

        Raises:
            EventTooLarge: one event is larger than the cap, or than twice the cap where those are skipped.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        events: list[Event] = []
        for line in lines:
            self._grow(len(line))
            if self._over:
                if (event := self._skip_line(line)) is not None:
                    events.append(event)
                continue
            whole = b"".join([*self._line, line]) if self._line else line
            self._line.clear()
            if (event := self._take_line(whole)) is not None:
                events.append(event)
        if rest:
            self._grow(len(rest))
            self._line.append(self._skip(rest) if self._over else rest)
        return events

    def _grow(self, count: int) -> None:
        self._size += count
        if self._size <= self._max_bytes:
            return
        if not self._skips or self._size > 2 * self._max_bytes:
            raise EventTooLarge(f"an event is larger than {self._max_bytes:,} bytes")
        self._over = True

    def _skip(self, piece: bytes) -> bytes:
        """Drop a piece of an event over the cap, but for its ends; give a mark that a line has begun."""
        if not self._head:
            begun = b"".join([*self._line, piece])
            self._head, self._data = (self._data[0] if self._data else _value(begun))[:_EDGE], []
            self._line.clear()
        self._tail = (self._tail + piece[-_EDGE:])[-_EDGE:]
        return b"."

    def _skip_line(self, line: bytes) -> Event | None:
        if line or self._line:
            self._skip(line)
            self._line.clear()
            return None
        oversized = Oversized(head=self._head, tail=self._tail, ended=True)
        self._head = self._tail = b""
        self._over = False
        self._dispatch()
        return Event(data=b"", id=self._last_id, oversized=oversized)

    def _take_line(self, line: bytes) -> Event | None:
        if not self._started:
            self._started = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        if line.startswith(b":"):
            self._size -= len(line)
            self.idle += 1
            return None
        colon = line.find(b":")
        if colon < 0:
            self._set_field(line, b"")
        else:
            # Sliced once, as a value may be as large as a frame may be.
            self._set_field(line[:colon], line[colon + 1 + line.startswith(b" ", colon + 1) :])
        return None

    def _set_field(self, field: bytes, value: bytes) -> None:
        if field == b"data":
            self._data.append(value)
            return
        self._odd += 1
        match field:
            case b"event":
                self._event = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._last_id = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit() and len(value) < 10:
                self.retry_ms = int(value)
            case _:
                pass

    def _dispatch(self) -> Event | None:
        data, event, odd = self._data, self._event, self._odd
        self._data, self._event, self._size, self._odd = [], "", 0, 0
        if not data:
            self.idle += 1 + odd
            return None
        if odd > _FIELDS:
            self.idle += odd
        return Event(
            data=data[0] if len(data) == 1 else b"\n".join(data), event=event or "message", id=self._last_id
        )


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].removeprefix(b" ")
