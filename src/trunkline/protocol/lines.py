"""Newline framing of a byte stream, in linear time and bounded memory."""

from __future__ import annotations

import msgspec

_EDGE = 2048
"""How much of each end of an oversized frame is kept, in bytes; enough to read its id."""


class Oversized(msgspec.Struct, frozen=True, kw_only=True):
    """A frame passed the cap; its middle is dropped.

    Reported once when it crosses the cap (`ended` false) and once when its newline arrives.
    """

    head: bytes
    tail: bytes
    ended: bool


class Endless(msgspec.Struct, frozen=True, kw_only=True):
    """A frame reached twice the cap without a newline: the stream cannot be trusted any more."""


class LineFramer:
    """Cuts a byte stream into lines.

    Each byte is searched once and copied at most twice, whatever the sizes of the chunks.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._head = b""
        self._tail = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes of the unfinished line so far, dropped ones included."""
        return self._size

    def feed(self, chunk: bytes) -> list[bytes | Oversized | Endless]:
        """Take the next bytes; give the lines they complete, without newlines, empty ones left out."""
        if not self._size and len(chunk) <= self._max_bytes and chunk.endswith(b"\n"):
            return [line for line in chunk.split(b"\n") if line]
        *lines, rest = chunk.split(b"\n")
        done: list[bytes | Oversized | Endless] = []
        for line in lines:
            done.extend(self._end_line(line))
        if rest:
            done.extend(self._extend_line(rest))
        return done

    def finish(self) -> bytes:
        """Give what is left when the stream has ended; empty when it ended on a newline."""
        rest = b"" if self._head else b"".join(self._parts)
        self._reset()
        return rest

    def _end_line(self, line: bytes) -> list[bytes | Oversized | Endless]:
        crossed = self._extend_line(line) if line else []
        if self._head:
            whole = Oversized(head=self._head, tail=self._tail, ended=True)
            self._reset()
            return [*crossed, whole]
        done = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._reset()
        return [done] if done else []

    def _extend_line(self, piece: bytes) -> list[bytes | Oversized | Endless]:
        before = self._size
        self._size += len(piece)
        if self._size <= self._max_bytes:
            self._parts.append(piece)
            return []
        events: list[bytes | Oversized | Endless] = []
        if before <= self._max_bytes:
            self._head = b"".join(part[:_EDGE] for part in (*self._parts[:_EDGE], piece))[:_EDGE]
            self._tail = b"".join(part[-_EDGE:] for part in (*self._parts[-1:], piece))[-_EDGE:]
            self._parts.clear()
            events.append(Oversized(head=self._head, tail=b"", ended=False))
        else:
            self._tail = (self._tail + piece[-_EDGE:])[-_EDGE:]
        if before <= 2 * self._max_bytes < self._size:
            events.append(Endless())
        return events

    def _reset(self) -> None:
        self._parts = []
        self._size = 0
        self._head = b""
        self._tail = b""
