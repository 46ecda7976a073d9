"""One server described by options instead of a file: `--http URL -H "K: V"`, `--stdio "command args"`.

Values are expanded like those of a file, so that `-H 'Authorization: Bearer ${TOKEN}'` keeps the token out of
the list of processes. No server file is read then; a `trunkline.toml` of the working directory applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.cli.exits import UsageError
from trunkline.cli.options import Settings

_KINDS = ("http", "sse", "ws", "stdio")
_OF_URLS = {"header": "-H"}
_OF_STDIO = {"env": "-e", "cwd": "--cwd"}


def describe_server(settings: Settings) -> tuple[str | None, Mapping[str, Any]] | None:
    """Give name and entry of the server the options describe, or None when they describe none.

    Raises:
        UsageError: options that exclude each other, one that needs another, or one of a wrong form.
    """
    kinds = [kind for kind in _KINDS if getattr(settings, kind) is not None]
    if not kinds:
        _refuse(settings, _OF_URLS | _OF_STDIO | {"name": "--name"}, "needs --http, --sse, --ws or --stdio")
        return None
    if len(kinds) > 1:
        raise UsageError(f"--{kinds[0]} and --{kinds[1]} exclude each other", hint="Name one server.")
    kind = kinds[0]
    if settings.config:
        raise UsageError(
            f"--config and --{kind} exclude each other", hint="Name files, or one server by its options."
        )
    if kind == "stdio":
        _refuse(settings, _OF_URLS, "belongs to a URL and does not go with --stdio")
        return settings.name, _stdio(settings)
    _refuse(settings, _OF_STDIO, f"belongs to --stdio and does not go with --{kind}")
    return settings.name, {"type": kind, "url": getattr(settings, kind), "headers": _headers(settings.header)}


def _stdio(settings: Settings) -> dict[str, Any]:
    words = _split(settings.stdio or "")
    entry: dict[str, Any] = {"command": words[0], "args": words[1:], "env": _variables(settings.env)}
    return entry if settings.cwd is None else entry | {"cwd": settings.cwd}


def _split(text: str) -> list[str]:
    import shlex

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--stdio {text!r} cannot be split into words: {error}") from error
    if not words:
        raise UsageError("--stdio names no command", hint='Write --stdio "command argument ...".')
    return words


def _headers(texts: Iterable[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            # The text may be a secret whose name was left out, so it is not shown.
            raise UsageError("a header of -H has no name", hint='Write -H "Name: value".')
        headers[name.strip()] = value.strip()
    return headers


def _variables(texts: Iterable[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError("a variable of -e has no name or no value", hint="Write -e NAME=value.")
        variables[name] = value
    return variables


def _refuse(settings: Settings, options: Mapping[str, str], why: str) -> None:
    for field, option in options.items():
        if getattr(settings, field) not in (None, ()):
            raise UsageError(f"{option} {why}")
