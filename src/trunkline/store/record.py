"""The two memories of a server as bytes: how it was reached, and what it listed. Pure.

Both say their version first. Lists are kept item by item as JSON, so that the limits on what a server may
send can be held against each before anything is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

VERSION = 1
_LONGEST_NAME = 200


class BrokenRecordError(ValueError):
    """The bytes are no memory of ours."""


class NewerRecordError(ValueError):
    """A newer Trunkline wrote it; it is neither read nor replaced."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    version: int = VERSION
    server: str = ""
    """What the server was called in the configuration; for display."""


class Way(_Record, frozen=True, kw_only=True):
    """How a server was reached; the same for all credentials."""

    revision: str
    """Revision of the protocol that was agreed on."""
    transport: str = ""
    """`sse` where a URL was found to be of the older HTTP transport."""
    program: str = ""
    """Name and version the server gives itself."""
    starts: int = 0
    """How often in a row this was believed, and not found out anew."""


class Lists(_Record, frozen=True, kw_only=True):
    """What a server declared and listed, for one set of credentials."""

    capabilities: msgspec.Raw = msgspec.Raw(b"{}")
    lists: dict[str, list[msgspec.Raw]] = {}
    """Items by kind of list."""


class _Version(msgspec.Struct, frozen=True):
    version: int


Record = TypeVar("Record", Way, Lists)
_version_of = msgspec.json.Decoder(_Version).decode
_encode = msgspec.json.Encoder().encode


def encode_way(way: Way) -> bytes:
    """Give the bytes of a memory of how a server was reached."""
    return _encode(way)


def encode_lists(server: str, capabilities: Mapping[str, Any], lists: Mapping[Any, tuple[Any, ...]]) -> bytes:
    """Give the bytes of a memory of what a server listed; the same content gives the same bytes.

    Args:
        lists: items by kind of list.

    Raises:
        ValueError, TypeError: it holds what is no JSON.
    """
    members = {"version": VERSION, "server": server, "capabilities": capabilities, "lists": lists}
    return _encode(members)


def decode(data: bytes, kind: type[Record]) -> Record:
    """Read a memory.

    Raises:
        NewerRecordError: it is of a version after ours.
        BrokenRecordError: it is of no version.
    """
    try:
        if (version := _version_of(data).version) > VERSION:
            raise NewerRecordError(f"it is of version {version}, and this program knows {VERSION}")
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise BrokenRecordError(f"it cannot be read ({type(cause).__name__})") from cause


def name_program(server_info: Mapping[str, Any]) -> str:
    """Give what a server calls itself, cut: only whether it changes matters."""
    return f"{server_info.get('name')} {server_info.get('version')}"[:_LONGEST_NAME]
