"""The files an entry names as `envFile`: NAME=value lines, never expanded.

Comments, `export `, single quotes (taken as written) and double quotes (with `\\n`, `\\r`, `\\t`,
`\\"`, `\\\\`, `\\$`) are understood; a quoted value may span lines.
"""

from __future__ import annotations

import re

from trunkline.config.entry_error import EntryError

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_STATEMENT = re.compile(
    r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*=[ \t]*"
    r"(?:(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>[^']*)')[ \t]*(?:#[^\n]*)?"
    r"|(?P<bare>(?![\"'])[^\n]*))(?:\n|\Z)",
    re.ASCII | re.DOTALL,
)
_TRAILING_COMMENT = re.compile(r"(?:^|[ \t])#")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def parse_dotenv(text: str, *, source: str) -> dict[str, str]:
    """Give the variables of a dotenv file; of a name set twice the last value counts.

    Raises:
        EntryError: a line is not an assignment; names the file and the line, never the value.
    """
    text = text.replace("\r\n", "\n")
    variables: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        statement = _STATEMENT.match(text, at)
        if statement is None:
            raise _not_an_assignment(text, at, source)
        variables[statement["name"]] = _value(statement)
        at = statement.end()
    return variables


def _value(statement: re.Match[str]) -> str:
    if (quoted := statement["double"]) is not None:
        return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), quoted)
    if (literal := statement["single"]) is not None:
        return literal
    return _TRAILING_COMMENT.split(statement["bare"], maxsplit=1)[0].strip()


def _not_an_assignment(text: str, at: int, source: str) -> EntryError:
    line = text.count("\n", 0, at) + 1
    return EntryError(
        "this line is not NAME=value, or its quote is never closed",
        path=("envFile",),
        hint=f"Write line {line} of the envFile as NAME=value, NAME='value' or NAME=\"value\".",
        source=source,
        line=line,
    )
