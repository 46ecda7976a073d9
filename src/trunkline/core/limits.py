"""How much one server may send; each limit fails only what exceeded it."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Caps on what one server may send."""

    frame_bytes: int = 64 * 1024 * 1024
    """Longest message, in bytes; one without end at twice this closes the link. 64 MiB carries any
    sensible file and bounds memory."""
    inflation: int = 100
    """Largest ratio of a decompressed HTTP body to what was received."""
    depth: int = 64
    """Deepest nesting of a message. Real results stay below 20; parsers and callers recurse."""
    nodes: int = 200_000
    """Most values in one message. A small frame can hold millions of empty lists."""
    stderr_line_bytes: int = 65_536
    """Longest line of standard error kept, in bytes. The rest of a longer line is dropped."""
    notifications: int = 1_000
    """Most notifications of one second that are acted on; the rest is dropped and counted. Changes of lists
    and updates of resources are not among them: a thousand say no more than one."""
    pages: int = 1_000
    """Most pages of one list. A server that always gives a next cursor would never end."""
    items: int = 100_000
    """Most items of one list, over all pages. Twenty times the largest catalog we plan for."""
