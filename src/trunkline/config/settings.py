"""What policy decides for one server and for one tool, after every table has been applied."""

from __future__ import annotations

from typing import Literal

import msgspec

Era = Literal["auto", "legacy", "modern"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one server may send; each limit fails only what exceeded it."""

    frame_bytes: int = 64 * 1024 * 1024
    """Largest message, in bytes. 64 MiB carries any sensible file and bounds memory."""
    depth: int = 64
    """Deepest nesting of a message. Real results stay below 20; parsers and callers recurse."""
    nodes: int = 200_000
    """Most values in one message. A small frame can hold millions of empty lists."""
    stderr_line_bytes: int = 65_536
    """Longest line of standard error kept, in bytes. The rest of a longer line is dropped."""
    pages: int = 1000
    """Most pages of one list. A server that always gives a next cursor would never end."""
    items: int = 100_000
    """Most items of one list, over all pages. Twenty times the largest catalog we plan for."""


class ServerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is treated."""

    timeout: float = 600.0
    """Total time of a call, in seconds. Ten minutes lets builds finish and still ends."""
    idle: float = 60.0
    """Longest silence within a call, in seconds; progress starts it anew."""
    connect: float = 30.0
    """Time to start and negotiate, in seconds. Includes the first download by a package runner."""
    era: Era = "auto"
    """Protocol family: `legacy` shakes hands, `modern` is stateless, `auto` finds out by itself."""
    trust: bool = False
    """Whether the server's annotations may relax policy. Off, because any server may claim anything."""
    limits: Limits = Limits()
    """How much the server may send."""


class ToolPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How calls of one tool are treated."""

    timeout: float = 600.0
    """Total time of a call, in seconds; the server's unless the tool has its own."""
    idle: float = 60.0
    """Longest silence within a call, in seconds; the server's unless the tool has its own."""
    validate: bool = True
    """Whether arguments are checked against the input schema before anything is sent."""
