"""From the raw object of one server to its `Entry`; what is wrong with one server stays with it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from trunkline.config.dotenv import parse_dotenv
from trunkline.config.entry import HttpEntry, PeerEntry, StdioEntry
from trunkline.config.entry_error import EntryError, MissingError
from trunkline.config.expansion import Expanded, Scope, place
from trunkline.config.fields import Fields, check_characters
from trunkline.config.replicas import Replicas
from trunkline.config.secret import collect, conceal, conceal_arguments, header_secrets, show_headers
from trunkline.config.syntax import read_text
from trunkline.config.url import Kind, check_url
from trunkline.config.wording import describe_type, nearest
from trunkline.errors import ConfigError

MAX_ENV_FILE_BYTES = 1024 * 1024
"""Largest `envFile` read."""

_URL_KINDS: dict[str, Kind | None] = {
    "http": "http",
    "streamable-http": "http",
    "streamablehttp": "http",
    "sse": "sse",
    "ws": "ws",
    "websocket": "ws",
    "remote": None,
}
_PROCESS_TYPES = ("stdio", "local")
_URL_KEYS = ("url", "httpUrl", "serverUrl")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


def define(name: str, raw: object, *, scope: Scope, source: str) -> StdioEntry | HttpEntry | PeerEntry:
    """Resolve one server; `raw` is its object as written, a live peer, or several of these as `Replicas`.

    Raises:
        EntryError: the entry cannot be used.
    """
    if isinstance(raw, Replicas):
        return _replicated(name, raw, scope, source)
    if not isinstance(raw, Mapping):
        return _peer(name, raw, source)
    fields = Fields(raw, scope)
    stated = _stated_type(fields)
    url_keys = [key for key in _URL_KEYS if key in fields]
    _check_target(fields, url_keys, stated)
    if url_keys:
        return _http(name, fields, url_keys, stated, scope, source)
    return _stdio(name, fields, scope, source)


def is_disabled(raw: object) -> bool:
    """Tell whether the entry says `disabled: true` or `enabled: false`.

    Raises:
        EntryError: one of them is neither true nor false.
    """
    if not isinstance(raw, Mapping):
        return False
    disabled, enabled = raw.get("disabled"), raw.get("enabled")
    for key, value in (("disabled", disabled), ("enabled", enabled)):
        if value is not None and not isinstance(value, bool):
            message = f"must be true or false, not {describe_type(value)}"
            raise EntryError(message, path=(key,), hint=f"Write true or false for {key}, without quotes.")
    return disabled is True or enabled is False


def _replicated(name: str, raw: Replicas, scope: Scope, source: str) -> StdioEntry | HttpEntry | PeerEntry:
    first, *others = (
        replace(
            define(name, _as_entry(one.entry), scope=scope, source=source),
            region=one.region,
            weight=float(one.weight),
            tags=tuple(one.tags),
        )
        for one in raw.endpoints
    )
    return replace(first, replicas=(*others, *first.replicas))


def _as_entry(raw: object) -> object:
    return {"url": raw} if isinstance(raw, str) else raw


def _stated_type(fields: Fields) -> str | None:
    for key in ("type", "transport"):
        word = fields.word(key)
        stated = word.lower().replace("_", "-") if word else None
        if stated in _PROCESS_TYPES or stated in _URL_KINDS:
            return stated
        if word:
            raise _unknown_type(word, key)
    return None


def _peer(name: str, raw: object, source: str) -> PeerEntry:
    serve = None if isinstance(raw, str | bytes | os.PathLike) else getattr(raw, "serve", None)
    if isinstance(raw, type) and serve is not None:
        raise EntryError(
            "the peer is a class, not an object", path=(), hint=f"Pass an instance: {raw.__name__}(...)."
        )
    if not callable(serve):
        hint = 'Write {"command": "...", "args": [...]} or {"url": "..."}.'
        raise EntryError(f"the entry must be an object, not {describe_type(raw)}", path=(), hint=hint)
    return PeerEntry(name=name, peer=raw, source=source)


def _check_target(fields: Fields, url_keys: list[str], stated: str | None) -> None:
    has_command = "command" in fields
    if has_command and url_keys:
        hint = f"Keep command for a local program, or {url_keys[0]} for a remote server."
        raise EntryError(f"the entry has both command and {url_keys[0]}", path=(), hint=hint)
    if not has_command and not url_keys:
        hint = "Add command for a local program, or url for a remote server."
        for key, meant in fields.misspelled().items():
            hint = f"Rename {key} to {meant}." if meant in ("command", *_URL_KEYS) else hint
        raise EntryError("the entry has neither command nor url", path=(), hint=hint)
    if stated in _PROCESS_TYPES and url_keys:
        hint = "Remove type, or give a command instead of a URL."
        raise EntryError(
            f"the type {stated!r} needs a command, and the entry has {url_keys[0]}", path=("type",), hint=hint
        )
    if stated in _URL_KINDS and has_command:
        hint = "Remove type, or give a url instead of a command."
        message = f"the type {stated!r} needs a url, and the entry has command"
        raise EntryError(message, path=("type",), hint=hint)


def _stdio(name: str, fields: Fields, scope: Scope, source: str) -> StdioEntry:
    command, args, cwd = fields.text("command"), fields.texts("args"), _folder(fields, scope)
    assert command is not None  # noqa: S101 - _check_target has seen it
    own = _environment(fields, scope)
    shown, hidden = conceal_arguments((command, *args))
    env = {key: value for key, value in {**scope.public, **own}.items() if value is not None}
    given = [value for value in own.values() if value is not None]
    return StdioEntry(
        name=name,
        command=_program(command, scope, cwd),
        args=tuple(argument.value for argument in args),
        env=env,
        env_names=tuple(sorted(key for key, value in own.items() if value is not None)),
        cwd=cwd,
        source=source,
        secrets=_worth(scope, [*fields.secrets, *hidden, *given]),
        shown=shown,
    )


def _http(
    name: str, fields: Fields, url_keys: list[str], stated: str | None, scope: Scope, source: str
) -> HttpEntry:
    urls = [url for key in url_keys if (url := fields.text(key)) is not None]
    if len({url.value for url in urls}) > 1:
        message = f"{' and '.join(url_keys)} give different URLs"
        raise EntryError(message, path=(url_keys[1],), hint=f"Keep one of {' and '.join(url_keys)}.")
    kind = check_url(urls[0].value, kind=_URL_KINDS[stated] if stated else None, path=(url_keys[0],))
    given = {key: value for key, value in fields.pairs("headers").items() if value is not None}
    headers = {key: _header(key, value) for key, value in given.items()}
    shown, hidden = conceal(urls[0].shown)
    hidden += [secret for key, value in headers.items() for secret in header_secrets(key, value)]
    secrets = _worth(scope, [*fields.secrets, *hidden])
    return HttpEntry(
        name=name,
        url=urls[0].value,
        headers=headers,
        kind=kind,
        source=source,
        secrets=secrets,
        shown=shown,
        shown_headers=show_headers(given),
    )


def _folder(fields: Fields, scope: Scope) -> str | None:
    cwd = fields.text("cwd")
    if cwd is None:
        return None
    folder = place(cwd.value, scope)
    if not os.path.isdir(folder):
        what = "is not a folder" if os.path.exists(folder) else "does not exist"
        hint = f"Create the folder, or correct cwd; a relative one starts at {scope.workspace}."
        raise MissingError(
            f"the working directory {place(cwd.shown, scope)} {what}", path=("cwd",), hint=hint
        )
    return folder


def _program(command: Expanded, scope: Scope, cwd: str | None) -> str:
    text = command.value
    if text == "~" or os.path.dirname(text):
        return place(text, scope, folder=cwd)
    return text


def _environment(fields: Fields, scope: Scope) -> dict[str, str | None]:
    own: dict[str, str | None] = {}
    if (file := fields.text("envFile")) is not None:
        path = Path(place(file.value, scope))
        try:
            text = read_text(path, max_bytes=MAX_ENV_FILE_BYTES)
        except ConfigError as error:
            hint = f"{error.hint} A relative envFile starts at {scope.workspace}."
            raise MissingError(
                f"envFile {place(file.shown, scope)}: {error.message}", path=("envFile",), hint=hint
            ) from error
        own |= parse_dotenv(text, source=str(path))
        for key, item in own.items():
            check_characters(item or "", ("envFile", key))
    for key, value in fields.pairs("env").items():
        if not key or "=" in key or "\0" in key or not key.isprintable():
            hint = "Name it with letters, digits and underscores."
            message = "this is not a usable name for an environment variable"
            raise EntryError(message, path=("env", key), hint=hint)
        own[key] = None if value is None else value.value
    return own


def _header(name: str, value: Expanded) -> str:
    if not _HEADER_NAME.fullmatch(name):
        hint = "Name it with letters, digits and hyphens."
        raise EntryError("this is not a usable name for a header", path=("headers", name), hint=hint)
    if not _HEADER_VALUE.fullmatch(value.value):
        hint = "Remove line ends and control characters; a variable or file may have brought one in."
        message = "the header holds a line end or a control character"
        raise EntryError(message, path=("headers", name), hint=hint)
    return value.value.strip()


def _worth(scope: Scope, values: list[str]) -> tuple[str, ...]:
    return collect(values, public=(scope.home, scope.workspace, scope.cwd, *scope.public.values()))


def _unknown_type(stated: str, key: str) -> EntryError:
    known = ("stdio", "http", "sse", "ws")
    similar = nearest(stated, (*_PROCESS_TYPES, *_URL_KINDS), cutoff=0.6)
    hint = f"Did you mean {similar!r}?" if similar else "Remove it: the type follows from command or url."
    return EntryError(
        f"the transport {stated[:40]!r} is not known; known are {', '.join(known)}", path=(key,), hint=hint
    )
