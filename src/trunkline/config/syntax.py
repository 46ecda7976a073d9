"""JSON as host files hold it: comments and trailing commas allowed, every error with its place.

Comments and trailing commas are blanked out in place, so that the offsets of the standard parser
are offsets in the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

from trunkline.config.position import line_and_column, point_at
from trunkline.errors import ConfigError

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Largest configuration file read; a larger one is some other file given by mistake."""

_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"?|//[^\n]*|/\*(?s:.*?)\*/|(?P<open>/\*)')
_COMMA = re.compile(r'"(?:[^"\\\n]|\\.)*"?|,(?=[ \t\r\n]*[}\]])')
_NOT_LINE_END = re.compile(r"[^\r\n]")
_SPACE = " \t\r\n"
_OPEN_STRING = "Close the string on its line, and write line ends and tabs inside it as \\n and \\t."
_REPAIRS = {
    "": "The file ends too early: close every quote, bracket and brace.",
    "'": "Put keys and strings in double quotes.",
    "#": "Start a comment with // instead of #.",
    "\\": 'Write each backslash twice, as in "C:\\\\tools".',
    "\n": _OPEN_STRING,
    "\r": _OPEN_STRING,
    "\t": _OPEN_STRING,
    "}": "Write the missing value, or remove what is left over before this brace.",
    "]": "Write the missing value, or remove what is left over before this bracket.",
    "=": 'Write each member as "key": value.',
}


class Members(dict[str, Any]):
    """One JSON object; of a key written twice the first value stays."""

    repeated: tuple[str, ...] = ()
    """Keys that were written more than once, each named once."""


def read_text(path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Give the text of a UTF-8 file, without a byte order mark.

    Raises:
        ConfigError: the file is missing, a folder, not readable, too large, or not UTF-8.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(data) > max_bytes:
        message = f"the file is larger than {max_bytes // 1024} KiB"
        raise ConfigError(message, source=source, hint="Check that this is the file you meant.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(
            f"the file is not UTF-8: byte 0x{data[error.start]:02x} cannot be decoded",
            source=source, line=line, column=column, hint="Save the file as UTF-8.",
        ) from error  # fmt: skip


def parse_json(text: str, *, source: str) -> Any:
    """Parse JSON with comments and trailing commas; objects come as `Members`.

    Raises:
        ConfigError: not JSON; names line and column and shows the place.
    """
    import json

    plain = strip_comments(text, source=source)
    if not plain.strip():
        raise ConfigError("the file is empty", source=source, hint='Write at least {"mcpServers": {}}.')
    try:
        decoder = json.JSONDecoder(object_pairs_hook=_members)
        value, end = decoder.raw_decode(plain, len(plain) - len(plain.lstrip(_SPACE)))
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:].rstrip(": ").removesuffix(" at").removesuffix(
            " starting"
        )
        _refuse(text, error.pos, reason, source=source, hint=_repair(text, error.pos))
    except RecursionError as error:
        message = "the JSON is nested too deeply"
        raise ConfigError(
            message, source=source, hint="Remove the nesting; entries need no more than 4 levels."
        ) from error
    except ValueError as error:
        message = "the JSON holds a number with too many digits"
        raise ConfigError(message, source=source, hint="Write the number as a string in quotes.") from error
    if left := plain[end:].lstrip(_SPACE):
        hint = "Remove what follows the last brace: a file holds one object."
        _refuse(text, len(plain) - len(left), "text after the end of the object", source=source, hint=hint)
    return value


def strip_comments(text: str, *, source: str) -> str:
    """Blank out comments and trailing commas; the length and every line stay as they are.

    Raises:
        ConfigError: a `/*` comment is never closed.
    """

    def blank_comment(match: re.Match[str]) -> str:
        if match["open"]:
            hint = "Close the comment with */."
            _refuse(text, match.start(), "this comment is never closed", source=source, hint=hint)
        return match[0] if match[0].startswith('"') else _NOT_LINE_END.sub(" ", match[0])

    def blank_comma(match: re.Match[str]) -> str:
        if match[0] != "," or _follows_nothing(match.string, match.start()):
            return match[0]
        return " "

    return _COMMA.sub(blank_comma, _COMMENT.sub(blank_comment, text))


def _members(pairs: list[tuple[str, Any]]) -> Members:
    members = Members(pairs)
    if len(members) == len(pairs):
        return members
    members = Members()
    for key, value in pairs:
        if key in members:
            members.repeated = (*members.repeated, key) if key not in members.repeated else members.repeated
        members.setdefault(key, value)
    return members


def _follows_nothing(text: str, comma: int) -> bool:
    """Whether no value stands before this comma, as in `[,]`, which stays an error."""
    at = comma - 1
    while at >= 0 and text[at] in " \t\r\n":
        at -= 1
    return at < 0 or text[at] in "[{,:"


def _refuse(text: str, offset: int, reason: str, *, source: str, hint: str) -> NoReturn:
    line, column = line_and_column(text, offset)
    raise ConfigError(
        f"invalid JSON: {reason}\n{point_at(text, offset)}",
        source=source,
        line=line,
        column=column,
        hint=hint,
    )


def _repair(text: str, offset: int) -> str:
    """Say the likely fix, judging by what stands at the place of the error and before it."""
    before = text[:offset].rstrip()[-1:]
    if (found := text[offset : offset + 1]) == '"' and before in ("", "{", "[", ",", ":"):
        return "Close this string with a double quote."
    if found in _REPAIRS:
        return _REPAIRS[found]
    if before in ("}", "]", '"'):
        return "Put a comma before this place, or a colon if a key stands before it."
    return "Put keys and strings in double quotes, and separate members with commas."


def _unreadable(path: Path, error: OSError | ValueError) -> ConfigError:
    source = str(path)
    match error:
        case FileNotFoundError() | NotADirectoryError():
            hint = "Check the path, or create the file."
            return ConfigError("the file does not exist", source=source, hint=hint)
        case IsADirectoryError():
            return ConfigError("this is a folder, not a file", source=source, hint="Name the file inside it.")
        case PermissionError():
            hint = "Give this user permission to read the file."
            return ConfigError("the file may not be read", source=source, hint=hint)
        case OSError():
            reason = error.strerror or type(error).__name__
            return ConfigError(f"the file cannot be read: {reason}", source=source, hint="Check the path.")
        case ValueError():
            return ConfigError("this is not a usable path", source=source, hint="Check the path.")
