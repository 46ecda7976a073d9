"""Resources, and the templates from which more of them are named, as their servers describe them.

Every text in them comes from the server and is untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Something one server lets be read."""

    uri: str
    name: str
    """The server's own name for it."""
    server: str
    """The configured name of the server."""
    public_name: str
    """`server.name`; not unique, since servers give several resources one name."""
    title: str | None = None
    description: str = ""
    mime_type: str | None = None
    size: int | None = None
    """Bytes of its content before any encoding, where the server says so."""
    annotations: Mapping[str, Any] = {}
    """The server's hints: `audience`, `priority`, `lastModified`."""
    raw: Mapping[str, Any] = {}
    """The definition as received."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern of URIs that one server lets be read."""

    uri_template: str
    """A URI template (RFC 6570), such as `file:///{path}`."""
    name: str
    """The server's own name for it."""
    server: str
    """The configured name of the server."""
    public_name: str
    """`server.name`; not unique."""
    title: str | None = None
    description: str = ""
    mime_type: str | None = None
    annotations: Mapping[str, Any] = {}
    raw: Mapping[str, Any] = {}
    """The definition as received."""
