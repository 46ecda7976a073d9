"""What makes a stream tiresome: some messages come by the piece, and comments or pings come between them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator

SELDOM = 40
"""One of so many messages comes by the piece, as the others on its stream have to wait for it."""
PIECES = 5
PAUSE = 0.001
"""Seconds between two pieces."""
CHATTER = 0.005
"""Seconds between two comments or pings."""

_TEXT, _MORE, _LAST = 0x1, 0x0, 0x80


async def drip(write: Callable[[bytes], Awaitable[object]], pieces: Iterator[bytes]) -> None:
    """Write one piece after another, with pauses."""
    for piece in pieces:
        await write(piece)
        await asyncio.sleep(PAUSE)


async def chatter(say: Callable[[], Awaitable[object]]) -> None:
    """Say what means nothing, over and over, until the stream is gone."""
    while True:
        await asyncio.sleep(CHATTER)
        try:
            await say()
        except ConnectionError:
            return


def cut(data: bytes) -> Iterator[bytes]:
    """Cut bytes into pieces."""
    size = max(1, -(-len(data) // PIECES))
    for start in range(0, len(data), size):
        yield data[start : start + size]


def fragment(message: bytes) -> Iterator[bytes]:
    """Give the frames of a WebSocket that carry one text message from a server.

    Source: RFC 6455, sections 5.2 and 5.4.
    """
    pieces = list(cut(message))
    for number, piece in enumerate(pieces):
        kind = (_MORE if number else _TEXT) | (_LAST if number == len(pieces) - 1 else 0)
        if len(piece) < 126:
            yield struct.pack("!BB", kind, len(piece)) + piece
        else:
            yield struct.pack("!BBQ", kind, 127, len(piece)) + piece
