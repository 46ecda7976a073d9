"""What a configured server resolves to: one frozen record per way to reach it.

No record shows a secret in its repr: environment and header values are left out, and what a variable
gave stands as the name of the variable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from trunkline.config.inputs import Ask
from trunkline.config.url import origin
from trunkline.errors import ConfigError


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """The key in the configuration; any characters."""
    source: str
    """The file the entry came from, or `argument`."""
    replicas: tuple[Entry, ...] = ()
    """Further endpoints of the same server, given from code."""
    region: str = ""
    """Where this endpoint stands, in the application's words."""
    weight: float = 1.0
    """This endpoint's share of the calls that may go anywhere."""
    tags: tuple[str, ...] = ()
    """What this endpoint is marked with."""

    def visible(self) -> tuple[tuple[str, Any], ...]:
        """Give the fields that may be shown anywhere."""
        return (("name", self.name), ("source", self.source))

    def __repr__(self) -> str:
        fields = ", ".join(f"{key}={value!r}" for key, value in self.visible())
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return list(self.visible())


class StdioEntry(_Record, frozen=True, kw_only=True):
    """A server that is a child process."""

    command: str
    """Program to start: a name to look up on PATH, or an absolute path."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """The complete environment of the child; nothing is inherited beside it."""
    env_names: tuple[str, ...] = ()
    """Names of the variables that the entry or its `envFile` set, sorted."""
    cwd: str | None = None
    """Absolute folder to start in, or None for the caller's working directory."""
    secrets: tuple[str, ...] = ()
    """Values to scrub from every text that leaves the process, longest first."""
    shown: tuple[str, ...] = ()
    """Command and arguments as they may be shown; empty means that none may."""

    def visible(self) -> tuple[tuple[str, Any], ...]:
        """Give the fields that may be shown anywhere."""
        rest = (("command", self.shown), ("env_names", self.env_names), ("cwd", self.cwd))
        return (("name", self.name), *rest, ("source", self.source))

    def digest(self) -> str:
        """Give the SHA-256, in hex, of what runs.

        Covers the command, the folder, the arguments as `shown`, and the names of the variables set;
        neither the server's name nor any secret. A changed token keeps the digest, a changed program
        does not.
        """
        return _digest("stdio", self.command, list(self.shown[1:]), self.cwd, sorted(self.env_names))


class HttpEntry(_Record, frozen=True, kw_only=True):
    """A server behind a URL."""

    url: str
    headers: dict[str, str] = {}
    kind: Literal["http", "sse", "ws"] = "http"
    """`http` is Streamable HTTP, and what a URL means when nothing else is stated."""
    secrets: tuple[str, ...] = ()
    """Values to scrub from every text that leaves the process, longest first."""
    shown: str = ""
    """The URL as it may be shown; empty means that only its origin may."""
    shown_headers: dict[str, str] = {}
    """The headers as they may be shown; one that is missing may not."""

    def visible(self) -> tuple[tuple[str, Any], ...]:
        """Give the fields that may be shown anywhere."""
        rest = (
            ("url", self.shown or origin(self.url)),
            ("kind", self.kind),
            ("headers", tuple(self.headers)),
        )
        return (("name", self.name), *rest, ("source", self.source))

    def digest(self) -> str:
        """Give the SHA-256, in hex, of what is talked to.

        Covers the kind, the origin, the URL as `shown`, and the names of the headers; neither the
        server's name nor any secret.
        """
        return _digest(self.kind, origin(self.url), self.shown, sorted(name.lower() for name in self.headers))


class PeerEntry(_Record, frozen=True, kw_only=True):
    """A server that is an object in this process, with `async serve(receive, send)`."""

    peer: object

    def visible(self) -> tuple[tuple[str, Any], ...]:
        """Give the fields that may be shown anywhere."""
        return (("name", self.name), ("peer", type(self.peer).__qualname__), ("source", self.source))

    def digest(self) -> str:
        """Give the SHA-256, in hex, of the name of the peer's class."""
        return _digest("peer", type(self.peer).__module__, type(self.peer).__qualname__)


class BadEntry(_Record, frozen=True, kw_only=True):
    """A server whose entry cannot be used; only this server is affected."""

    error: ConfigError
    """Names server, field, file and line, and says the fix in its hint."""
    outside: bool = False
    """Whether the entry itself is well formed, and what it refers to is missing."""
    retry: Callable[[Ask], Entry] | None = None
    """Resolves the entry once more with somebody to ask; None when asking cannot help."""

    def visible(self) -> tuple[tuple[str, Any], ...]:
        """Give the fields that may be shown anywhere."""
        return (("name", self.name), ("error", str(self.error)), ("source", self.source))


Entry = StdioEntry | HttpEntry | PeerEntry | BadEntry


def _digest(*parts: Any) -> str:
    import hashlib
    import json

    return hashlib.sha256(json.dumps([1, *parts], separators=(",", ":")).encode()).hexdigest()
