"""Content blocks of a reply: typed views, a line of text for each, and their bytes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Plain text."""

    text: str
    raw: Mapping[str, Any]


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """An image, a piece of audio, or an embedded resource, with its bytes or its text."""

    kind: str
    """`image`, `audio` or `resource`."""
    mime_type: str
    uri: str | None = None
    text: str | None = None
    """The text of a textual resource, else None."""
    raw: Mapping[str, Any]

    @property
    def data(self) -> bytes:
        """The decoded bytes; raises ValueError when the server's base64 is broken."""
        if self.text is not None:
            return self.text.encode()
        body = self.raw.get("resource", self.raw) if self.kind == "resource" else self.raw
        return base64.b64decode(body.get("blob" if self.kind == "resource" else "data", ""), validate=True)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A pointer to a resource, never followed by itself."""

    uri: str
    name: str = ""
    mime_type: str | None = None
    raw: Mapping[str, Any]


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A block of a kind this version does not know; nothing of it is lost."""

    kind: str
    raw: Mapping[str, Any]


Content = Text | Blob | Link | Unknown


def parse_content(block: object) -> Content:
    """Give the typed view of one block; never raises, whatever the server sent."""
    if not isinstance(block, Mapping):
        return Unknown(kind=type(block).__name__, raw={"value": block})
    kind = str(block.get("type", "unknown"))
    if kind == "text" and isinstance(text := block.get("text"), str):
        return Text(text=text, raw=block)
    if kind in ("image", "audio") and isinstance(block.get("data"), str):
        return Blob(kind=kind, mime_type=_mime(block, "application/octet-stream"), raw=block)
    if kind == "resource" and isinstance(body := block.get("resource"), Mapping):
        if isinstance(text := body.get("text"), str):
            return Blob(kind=kind, mime_type=_mime(body, "text/plain"), uri=_uri(body), text=text, raw=block)
        if isinstance(body.get("blob"), str):
            return Blob(
                kind=kind, mime_type=_mime(body, "application/octet-stream"), uri=_uri(body), raw=block
            )
    if kind == "resource_link" and isinstance(uri := block.get("uri"), str):
        mime = block.get("mimeType")
        return Link(
            uri=uri,
            name=str(block.get("name", "")),
            mime_type=mime if isinstance(mime, str) else None,
            raw=block,
        )
    return Unknown(kind=kind, raw=block)


def render_content(content: Content) -> str:
    """Give text as it is and anything else as one line, such as `[image image/png 12 KB]`."""
    match content:
        case Text():
            return content.text
        case Blob():
            where = f" {content.uri}" if content.uri else ""
            return f"[{content.kind}{where} {content.mime_type} {_size(content)}]"
        case Link():
            mime = f" {content.mime_type}" if content.mime_type else ""
            return f"[resource_link {content.uri}{mime}]"
        case Unknown():
            return f"[{content.kind}]"


def render_block(block: object) -> str:
    """Give the line of one block as it was received."""
    if block.__class__ is dict and block.get("type") == "text" and isinstance(text := block.get("text"), str):
        return text
    return render_content(parse_content(block))


def _mime(body: Mapping[str, Any], default: str) -> str:
    mime = body.get("mimeType")
    return mime if isinstance(mime, str) and mime else default


def _uri(body: Mapping[str, Any]) -> str | None:
    uri = body.get("uri")
    return uri if isinstance(uri, str) else None


def _size(blob: Blob) -> str:
    try:
        count = len(blob.data)
    except (binascii.Error, ValueError):
        return "invalid base64"
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{round(count / 1000)} KB"
    return f"{count / 1_000_000:.1f} MB"
