"""What a server's URL must be before anything is sent to it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from trunkline.config.entry_error import EntryError
from trunkline.config.wording import KeyPath

Kind = Literal["http", "sse", "ws"]

_SCHEMES: dict[str, Kind] = {"http": "http", "https": "http", "ws": "ws", "wss": "ws"}
_EXAMPLE = "https://example.com/mcp"


def check_url(url: str, *, kind: Kind | None, path: KeyPath) -> Kind:
    """Give the transport a URL means; `kind` is the one its entry states, or None.

    Raises:
        EntryError: not a usable URL. The text never repeats the URL, which may hold a token.
    """
    if any(character <= " " or character == "\x7f" for character in url):
        raise EntryError(
            "the URL holds a space or a control character", path=path, hint="Write %20 for a space in a URL."
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        hint = f"Write a URL such as {_EXAMPLE}."
        raise EntryError("the URL has a broken host", path=path, hint=hint) from None
    meant = _SCHEMES.get(parts.scheme)
    if meant is None:
        raise _unknown_scheme(parts.scheme if "://" in url else "", path)
    if kind is not None and (kind == "ws") != (meant == "ws"):
        raise EntryError(
            f"a URL with the scheme {parts.scheme!r} does not fit the type {kind!r}",
            path=path,
            hint="Correct the type or the scheme: http and https for http and sse, ws and wss for ws.",
        )
    _check_host(parts.hostname, path)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise EntryError(
            "the URL has a port that is not a number from 1 to 65535", path=path, hint="Correct the port."
        )
    return kind or meant


def origin(url: str) -> str:
    """Give scheme, host and port: where a URL goes, without what it says there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _unknown_scheme(scheme: str, path: KeyPath) -> EntryError:
    what = f"the URL has the scheme {scheme!r}" if scheme else "the URL has no scheme"
    hint = f"Start it with http://, https://, ws:// or wss://, as in {_EXAMPLE}."
    return EntryError(what, path=path, hint=hint)


def _check_host(host: str | None, path: KeyPath) -> None:
    hint = f"Write a host name or an address after ://, as in {_EXAMPLE}."
    if not host:
        raise EntryError("the URL has no host", path=path, hint=hint)
    labels = [] if ":" in host else host.removesuffix(".").split(".")
    if not all(0 < len(label) < 64 for label in labels) or any(mark in host for mark in '<>"{}|\\^`$'):
        raise EntryError("the URL has a host that cannot exist", path=path, hint=hint)
