"""A tool's arguments as written on a command line: the forms they take and what each one means.

Pure: files and standard input are read through the function that is passed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from trunkline.cli.coercion import coerce_values
from trunkline.cli.exits import UsageError

STDIN = "-"
"""The path that stands for standard input."""

Read = Callable[[str], str]
"""Gives the text behind a path, `-` being standard input; raises OSError or UnicodeDecodeError."""

_FORMS = "Write key=value, key:=json, key=@file, @file, or one JSON object at the end."


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One `key=...` or `key:=...`."""

    key: str
    value: Any
    is_json: bool = False
    """Whether `value` is final (`:=`); otherwise it is text that the schema decides about."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the command line says about the arguments, before a schema is known."""

    whole: Mapping[str, Any] = {}
    """The object of `@file`, of JSON text, or of standard input."""
    named: tuple[Named, ...] = ()
    """In the order they were written."""


def parse_arguments(words: Sequence[str], read: Read) -> Given:
    """Read the argument words of one call.

    A JSON object (last) or `@file` gives the whole object; `key=value` and `key:=json` go on top and win.

    Raises:
        UsageError: a word has no known form, is not valid JSON, or its file cannot be read.
    """
    read_once = _reading_stdin_once(read)
    whole: Mapping[str, Any] | None = None
    named: list[Named] = []
    for position, word in enumerate(words):
        if not _is_whole(word):
            named.append(_parse_named(word, read_once))
            continue
        if whole is not None:
            raise UsageError(f"argument {_short(word)}: the whole object is given twice")
        if word[0] != "@" and position != len(words) - 1:
            raise UsageError(f"argument {_short(word)}: a JSON object must be the last argument", hint=_FORMS)
        whole = _parse_whole(word, read_once)
    _check_unicode([("the JSON object", whole), *((f"argument {item.key!r}", item.value) for item in named)])
    return Given(whole=whole or {}, named=tuple(named))


def parse_stdin(text: str) -> Given:
    """Read the whole object from standard input; nothing but white space means `{}`."""
    if not text.strip():
        return Given()
    return Given(whole=_parse_object(text, "standard input"))


def needs_schema(given: Given) -> bool:
    """Whether the tool's input schema decides about any of the arguments."""
    keys = {item.key for item in given.named}
    return len(keys) < len(given.named) or any(not item.is_json for item in given.named)


def resolve_arguments(given: Given, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the arguments to send, with every `key=value` coerced by the tool's input schema.

    Raises:
        UsageError: a key that does not take a list is given more than once.
    """
    arguments = dict(given.whole)
    for key in dict.fromkeys(item.key for item in given.named):
        items = [item for item in given.named if item.key == key]
        arguments[key] = coerce_values(key, [(item.value, item.is_json) for item in items], schema)
    return arguments


def _is_whole(word: str) -> bool:
    return word.startswith(("{", "[", "@"))


def _parse_whole(word: str, read: Read) -> Mapping[str, Any]:
    if word.startswith("@"):
        return _parse_object(_read_text(word, word[1:], read), word)
    return _parse_object(word, _short(word))


def _parse_named(word: str, read: Read) -> Named:
    key, equals, text = word.partition("=")
    if not equals:
        raise UsageError(f"argument {word!r} has no value", hint=_FORMS)
    is_json = key.endswith(":")
    key = key.removesuffix(":")
    if not key:
        raise UsageError(f"argument {_short(word)} has no name before the '='", hint=_FORMS)
    if is_json:
        return Named(key=key, value=_parse_json(text, repr(key)), is_json=True)
    if text.startswith("@@"):
        return Named(key=key, value=text[1:])
    if text.startswith("@"):
        return Named(key=key, value=_read_text(repr(key), text[1:], read))
    return Named(key=key, value=text)


def _read_text(label: str, path: str, read: Read) -> str:
    if not path:
        raise UsageError(
            f"argument {label} names no file after the '@'", hint="Write @path, or @- for stdin."
        )
    try:
        return read(path)
    except OSError as error:
        hint = f"For a value that begins with @ write @@{path}." if label != f"@{path}" else None
        raise UsageError(f"argument {label}: cannot read {path!r}: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"argument {label}: {path!r} is not UTF-8 text") from error


def _parse_object(text: str, label: str) -> Mapping[str, Any]:
    value = _parse_json(text, label)
    if not isinstance(value, dict):
        raise UsageError(f"argument {label}: must be a JSON object, not {_kind(value)}", hint=_FORMS)
    return value


def _parse_json(text: str, label: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise UsageError(
            f"argument {label}: not valid JSON: {error.msg} at {where}",
            hint="Put JSON in single quotes, so that the shell leaves it alone.",
        ) from error
    except RecursionError as error:
        raise UsageError(f"argument {label}: the JSON is nested too deep") from error
    except ValueError as error:
        raise UsageError(f"argument {label}: not valid JSON: {error}") from error


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _reading_stdin_once(read: Read) -> Read:
    seen: set[str] = set()

    def guarded(path: str) -> str:
        if path == STDIN and path in seen:
            raise UsageError("standard input is asked for twice", hint="Use @- for one argument only.")
        seen.add(path)
        return read(path)

    return guarded


def _check_unicode(values: Iterable[tuple[str, Any]]) -> None:
    for label, value in values:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{label} is not valid Unicode text") from error


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _short(word: str) -> str:
    return repr(word) if len(word) <= 40 else repr(word[:37] + "...")
