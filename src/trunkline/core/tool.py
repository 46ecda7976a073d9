"""One tool as its server describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of one server. Every text in it comes from the server and is untrusted."""

    name: str
    """The server's own name for it."""
    server: str
    """The configured name of the server."""
    public_name: str
    """`server.name`, unique over the catalog."""
    title: str | None = None
    description: str = ""
    input_schema: Mapping[str, Any]
    """JSON Schema of the arguments (2020-12 unless it says otherwise)."""
    output_schema: Mapping[str, Any] | None = None
    """JSON Schema of `Reply.structured`, or None."""
    annotations: Mapping[str, Any] = {}
    """The server's hints, such as `readOnlyHint`; never proof."""
    raw: Mapping[str, Any] = {}
    """The definition as received."""
    stale: bool = False
    """Whether it is remembered: its server has not listed in this run what it has, and may have changed."""
