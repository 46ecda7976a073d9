"""From the words of `trunkline add` to an entry of a server file. Pure, but for the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.cli.exits import UsageError
from trunkline.errors import ConfigError

_TRANSPORTS = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamablehttp": "http",
    "sse": "sse",
    "ws": "ws",
    "websocket": "ws",
}
_SCHEMES = {"http": "http", "https": "http", "ws": "ws", "wss": "ws"}


def build_entry(
    target: str,
    arguments: Sequence[str],
    *,
    transport: str | None,
    env: Sequence[str],
    headers: Sequence[str],
) -> dict[str, Any]:
    """Make the entry of a program or of a URL.

    Raises:
        UsageError: the words contradict each other, or one is not of the form it must have.
    """
    kind = _transport(transport, target)
    if kind == "stdio":
        if headers:
            raise UsageError("-H sets a header of a URL, and this server is a program", hint="Use -e.")
        entry: dict[str, Any] = {"command": target}
        entry |= {"args": list(arguments)} if arguments else {}
        return entry | ({"env": read_pairs(env)} if env else {})
    if arguments:
        raise UsageError(f"a URL takes no arguments, and {arguments[0]!r} follows it")
    if env:
        raise UsageError("-e sets a variable of a program, and this server is a URL", hint="Use -H.")
    return {"type": kind, "url": target} | ({"headers": read_headers(headers)} if headers else {})


def read_pairs(words: Sequence[str]) -> dict[str, str]:
    """Read NAME=value words.

    Raises:
        UsageError: one has no name or no equals sign; its text is not repeated, for it may be a secret.
    """
    pairs = [word.partition("=") for word in words]
    if any(not name or not equals for name, equals, _ in pairs):
        raise UsageError("-e takes NAME=value", hint="As in -e API_KEY=abc.")
    return {name: value for name, _, value in pairs}


def read_headers(words: Sequence[str]) -> dict[str, str]:
    """Read `Name: value` words.

    Raises:
        UsageError: one has no name or no colon; its text is not repeated, for it may be a secret.
    """
    pairs = [word.partition(":") for word in words]
    if any(not name.strip() or not colon for name, colon, _ in pairs):
        raise UsageError('-H takes "Name: value"', hint='As in -H "Authorization: Bearer abc".')
    return {name.strip(): value.strip() for name, _, value in pairs}


def check_entry(name: str, entry: Mapping[str, Any]) -> str | None:
    """Say what is missing before the server can start, such as a variable that is not set, or None.

    Raises:
        ConfigError: the entry itself is wrong.
    """
    from trunkline.config.entry import BadEntry
    from trunkline.config.loading import load

    config = load({"mcpServers": {name: dict(entry)}}, policy={})
    for made in config.entries:
        if isinstance(made, BadEntry):
            if not made.outside:
                raise made.error
            return str(made.error)
    return None


def parse_entry(text: str) -> dict[str, Any]:
    """Read the JSON of `add-json`.

    Raises:
        ConfigError: it is not one object.
    """
    from trunkline.config.syntax import parse_json

    content = parse_json(text, source="argument")
    if not isinstance(content, dict):
        hint = 'Write {"command": "..."} or {"url": "..."}.'
        raise ConfigError("the entry must be an object", source="argument", hint=hint)
    return content


def plain_secrets(name: str, entry: Mapping[str, Any]) -> list[str]:
    """Say where an entry holds a credential in plain text, and what to write instead; no value is shown."""
    from trunkline.config.hosts.withhold import withhold
    from trunkline.config.wording import describe_path

    _, found = withhold(name, entry)
    return [
        f"{describe_path(item.path)} is written in plain text; ${{{item.variable}}} would take it from the "
        "environment"
        for item in found
    ]


def _transport(stated: str | None, target: str) -> str:
    scheme = _SCHEMES.get(target.partition("://")[0].lower()) if "://" in target else None
    if stated is None:
        return scheme or "stdio"
    kind = _TRANSPORTS.get(stated.lower())
    if kind is None:
        raise UsageError(f"there is no transport {stated!r}; transports are stdio, http, sse and ws")
    if kind != "stdio" and scheme is None and "${" not in target:
        raise UsageError(f"the transport {stated} needs a URL, and {target!r} is none")
    return kind
