"""Resources, the templates from which more of them are named, and what reading one gives.

Every text in them comes from the server and is untrusted.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.core.content import parse_content as parse_block
from trunkline.core.content import render_content
from trunkline.core.reply import Reply


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
    stale: bool = False
    """Whether it is remembered from an earlier run, see `Tool.stale`."""


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
    stale: bool = False
    """Whether it is remembered from an earlier run, see `Tool.stale`."""


class ResourceContent(msgspec.Struct, frozen=True, kw_only=True):
    """Text or bytes that reading a resource gave; one read may give several."""

    uri: str
    mime_type: str | None = None
    text: str | None = None
    """The text of textual content, else None."""
    raw: Mapping[str, Any]
    """The content as received."""

    @property
    def data(self) -> bytes:
        """The decoded bytes, of text in UTF-8; raises ValueError when the server's base64 is broken."""
        if self.text is not None:
            return encode_text(self.text)
        return base64.b64decode(self.raw["blob"], validate=True)


class ReadReply(Reply, frozen=True, kw_only=True):
    """What reading a resource gave. `tool` is the server's name and the URI without its query."""

    uri: str = ""
    """The URI that was asked for."""

    @property
    def contents(self) -> tuple[ResourceContent, ...]:
        """The contents, typed; what is neither text nor base64 is left out, as `warnings` then says."""
        given = self.raw.get("contents")
        read = (parse_content(one, self.uri) for one in given) if isinstance(given, list) else ()
        return tuple(content for content in read if content is not None)

    @property
    def is_error(self) -> bool:
        """Never: a resource that cannot be read is an error that is raised."""
        return False

    @property
    def text(self) -> str:
        """Texts joined by newline, other contents as `[resource file:///a.png image/png 12 KB]`."""
        return "\n".join(_render(content) for content in self.contents)

    @property
    def data(self) -> bytes:
        """The bytes of all contents, one after the other; raises ValueError for broken base64."""
        return b"".join(content.data for content in self.contents)


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a resource's content, in order."""

    data: bytes
    uri: str
    mime_type: str | None = None
    position: int = 0
    """Which of the contents it belongs to, counted from 0."""


def parse_content(raw: object, uri: str) -> ResourceContent | None:
    """Give the typed view of one content, or None when it is neither text nor base64."""
    if not isinstance(raw, Mapping):
        return None
    text, blob = raw.get("text"), raw.get("blob")
    if not isinstance(text, str) and not isinstance(blob, str):
        return None
    own_uri, mime_type = raw.get("uri"), raw.get("mimeType")
    return ResourceContent(
        uri=own_uri if isinstance(own_uri, str) else uri,
        mime_type=mime_type if isinstance(mime_type, str) and mime_type else None,
        text=text if isinstance(text, str) else None,
        raw=raw,
    )


def encode_text(text: str) -> bytes:
    """Give text in UTF-8; a lone surrogate, which JSON can carry and UTF-8 cannot, becomes `?`."""
    return text.encode("utf-8", "replace")


def _render(content: ResourceContent) -> str:
    if content.text is not None:
        return content.text
    mime_type = content.mime_type or "application/octet-stream"
    block = {"type": "resource", "resource": {**content.raw, "uri": content.uri, "mimeType": mime_type}}
    return render_content(parse_block(block))
