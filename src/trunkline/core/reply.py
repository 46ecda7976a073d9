"""What a call gives back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.core.content import Content, parse_content, render_block
from trunkline.core.task import Task
from trunkline.core.timing import Timing


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The complete answer to one call. A tool that says `isError` still gives a Reply."""

    raw: Mapping[str, Any]
    """The result object as received."""
    server: str
    """Configured name of the server that answered."""
    tool: str
    """The tool's public name."""
    call_id: str = ""
    elapsed: float = 0.0
    """Seconds from the caller's call to this reply."""
    attempts: int = 1
    cached: bool = False
    """Whether it was kept from an earlier call, and the server was not asked."""
    age: float = 0.0
    """Seconds since the server gave it, where it is `cached`."""
    stale: bool = False
    """Whether it is `cached` and older than it should be."""
    degraded: bool = False
    """Whether it stands in for a better one that could not be had."""
    reason: str = ""
    """Why it is `degraded`, in one sentence; else empty."""
    warnings: tuple[str, ...] = ()
    era: str = ""
    """Protocol revision the answer came in, such as `2025-11-25`."""
    transport: str = ""
    timing: Timing | None = None
    """Where the time of the call went."""
    task: Task | None = None
    """What a detached call gave in place of its result, or None."""

    @property
    def ttl_ms(self) -> int | None:
        """How long the server allows this result to be cached, in milliseconds, or None."""
        ttl = self.raw.get("ttlMs")
        return ttl if type(ttl) is int and ttl >= 0 else None

    @property
    def scope(self) -> str | None:
        """The server's `cacheScope` (`public` or `private`), or None."""
        scope = self.raw.get("cacheScope")
        return scope if isinstance(scope, str) else None

    @property
    def content(self) -> tuple[Content, ...]:
        """The content blocks, typed."""
        blocks = self.raw.get("content")
        return tuple(parse_content(block) for block in blocks) if isinstance(blocks, list) else ()

    @property
    def structured(self) -> Any:
        """The `structuredContent` member, any JSON value, or None."""
        return self.raw.get("structuredContent")

    @property
    def is_error(self) -> bool:
        """Whether the tool itself reports a failure."""
        return self.raw.get("isError") is True

    @property
    def text(self) -> str:
        """Text blocks joined by newline, other blocks as `[image image/png 12 KB]`.

        A result with structured content and no blocks at all reads as its JSON.
        """
        blocks = self.raw.get("content")
        if isinstance(blocks, list) and blocks:
            return "\n".join(map(render_block, blocks))
        structured = self.structured
        return "" if structured is None else msgspec.json.encode(structured).decode()

    @property
    def value(self) -> Any:
        """`structured` if present, else `text`."""
        return self.text if self.structured is None else self.structured
