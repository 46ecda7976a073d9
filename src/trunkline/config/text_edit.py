"""Smallest changes to a JSON text with comments: one member added or removed, every other byte kept.

Pure. The result is read again and compared with what was meant; a change that cannot be made safely is
refused and nothing is returned.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

from trunkline.config.syntax import parse_json, strip_comments
from trunkline.config.text_tree import Member, Node, find_node, read_tree
from trunkline.errors import ConfigError

Path = tuple[str, ...]

_COMMA = re.compile(r"//[^\n]*|/\*.*?\*/|(?P<comma>,)", re.DOTALL)
_INDENT = re.compile(r'^([ \t]+)"', re.MULTILINE)


def add_member(text: str, path: Path, key: str | None, value: Any, *, source: str) -> str:
    """Add a member at the end of the object at `path`, or an item to the list there (`key` None).

    Raises:
        ConfigError: the text is not JSON, nothing of that kind is at `path`, the key exists, or the
            change cannot be made safely.
    """

    def meant(content: Any) -> None:
        holder = _walk(content, path)
        if key is None:
            holder.append(value)
        else:
            holder[key] = value

    node = _node(text, path, source)
    if key is not None and any(member.key == key for member in node.members):
        raise _unsafe(source, f"there is a member {key!r} already")
    return _checked(text, _insert(text, node, key, value), meant, source)


def remove_member(text: str, path: Path, key: str, *, source: str) -> str:
    """Remove every member of this name from the object at `path`; comments around it stay.

    Raises:
        ConfigError: the text is not JSON, there is no such member, or the change cannot be made safely.
    """
    changed = text
    while any(member.key == key for member in _node(changed, path, source).members):
        node = _node(changed, path, source)
        position = next(at for at, member in enumerate(node.members) if member.key == key)
        changed = _cut(changed, node, position)
    return _checked(text, changed, lambda content: _walk(content, path).pop(key), source)


def replace_value(text: str, path: Path, value: Any, *, source: str) -> str:
    """Put another value at `path`.

    Raises:
        ConfigError: the text is not JSON, there is nothing at `path`, or it cannot be done safely.
    """
    node = _node(text, path, source)
    changed = text[: node.start] + json.dumps(value, ensure_ascii=False) + text[node.end :]
    return _checked(
        text, changed, lambda content: _walk(content, path[:-1]).update({path[-1]: value}), source
    )


def render(value: Any, *, indent: str = "  ", newline: str = "\n", margin: str = "") -> str:
    """Write a value over several lines; a list of plain values stays on one."""
    inner = margin + indent
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = (inner + render(item, indent=indent, newline=newline, margin=inner) for item in value)
        return "[" + newline + f",{newline}".join(items) + newline + margin + "]"
    if isinstance(value, dict) and value:
        members = (f"{inner}{_dump(key)}: {render(item, indent=indent, newline=newline, margin=inner)}"
                   for key, item in value.items())  # fmt: skip
        return "{" + newline + f",{newline}".join(members) + newline + margin + "}"
    return _dump(value)


def _node(text: str, path: Path, source: str) -> Node:
    parse_json(text, source=source)
    node = find_node(read_tree(strip_comments(text, source=source)), path)
    if node is None:
        raise _unsafe(source, f"there is no {'.'.join(path)}")
    return node


def _insert(text: str, node: Node, key: str | None, value: Any) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    close, last = node.end - 1, node.members[-1] if node.members else None
    body_end = _end_of_body(text, node.start + 1, close)
    trailing = None if last is None else _comma_between(text, last.end, close)
    head = "" if key is None else f"{_dump(key)}: "
    comma = "," if trailing is not None else ""
    if not _is_open(text, node):
        space = " " if body_end > node.start + 1 else ""
        added = f"{space}{head}{_dump(value)}{comma}"
        tail = text[close:] if last is None else text[body_end:]
    else:
        margin = _margin(text, node)
        shown = render(value, indent=_unit(text), newline=newline, margin=margin)
        added = f"{newline}{margin}{head}{shown}{comma}"
        tail = (
            text[body_end:]
            if "\n" in text[body_end:close]
            else newline + _line_indent(text, node.start) + text[close:]
        )
    if last is None or trailing is not None:
        return text[:body_end] + added + tail
    return text[: last.end] + "," + text[last.end : body_end] + added + tail


def _is_open(text: str, node: Node) -> bool:
    """Whether the members stand on lines of their own."""
    if not node.members:
        return "\n" in text.strip() or "\n" in text[node.start : node.end]
    return "\n" in text[node.start : node.members[0].start] or "\n" in text[node.members[-1].end : node.end]


def _margin(text: str, node: Node) -> str:
    for member in reversed(node.members):
        line = text.rfind("\n", 0, member.start) + 1
        if not text[line : member.start].strip():
            return text[line : member.start]
    return _line_indent(text, node.start) + _unit(text)


def _line_indent(text: str, at: int) -> str:
    line = text.rfind("\n", 0, at) + 1
    return text[line : len(text) - len(text[line:].lstrip(" \t"))]


def _unit(text: str) -> str:
    first = _INDENT.search(text)
    return first[1] if first else "  "


def _end_of_body(text: str, start: int, close: int) -> int:
    return start + len(text[start:close].rstrip())


def _comma_between(text: str, start: int, end: int) -> int | None:
    found = (match.start("comma") for match in _COMMA.finditer(text, start, end) if match["comma"])
    return next(found, None)


def _cut(text: str, node: Node, position: int) -> str:
    member, last = node.members[position], position == len(node.members) - 1
    following = node.end - 1 if last else node.members[position + 1].start
    comma = _comma_between(text, member.end, following)
    pieces = [(member.start, member.end)]
    if comma is not None:
        pieces.append((comma, comma + 1))
    elif position:
        before = _comma_between(text, node.members[position - 1].end, member.start)
        pieces += [] if before is None else [(before, before + 1)]
    return _without(text, sorted(pieces), member, following)


def _without(text: str, pieces: list[tuple[int, int]], member: Member, following: int) -> str:
    """Cut out pieces; a line that held nothing else goes too, and so does a gap within a line."""
    start, end = member.start, max(piece[1] for piece in pieces)
    gap_start = _line_indent_start(text, start)
    line_end = text.find("\n", end)
    line_is_empty = (
        gap_start is not None and line_end >= 0 and not text[member.end : line_end].strip(" \t\r,")
    )
    if line_is_empty and gap_start is not None:
        pieces = [piece for piece in pieces if piece[0] < gap_start]
        pieces.append((gap_start, line_end + 1))
    else:
        # one gap within the line goes with the member: that after its comma, or else that before it
        before = len(text[:start]) - len(text[:start].rstrip(" \t"))
        after = len(text[end:following]) - len(text[end:following].lstrip(" \t"))
        pieces.append((end, end + after) if end > member.end else (start - before, start))
    for first, behind in sorted(pieces, reverse=True):
        text = text[:first] + text[behind:]
    return text


def _line_indent_start(text: str, at: int) -> int | None:
    """Give where the line begins, if only white space stands before `at`."""
    line = text.rfind("\n", 0, at) + 1
    return line if not text[line:at].strip() else None


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair can be written as an escape only
        return json.dumps(value)
    return text


def _walk(content: Any, path: Path) -> Any:
    for key in path:
        content = content[key]
    return content


def _checked(old: str, new: str, change: Callable[[Any], object], source: str) -> str:
    expected = copy.deepcopy(parse_json(old, source=source))
    try:
        change(expected)
        found = parse_json(new, source=source)
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        raise _unsafe(source, "the text would not be what is meant") from error
    if found != expected:
        raise _unsafe(source, "the text would not be what is meant")
    return new


def _unsafe(source: str, reason: str) -> ConfigError:
    return ConfigError(
        f"the file cannot be changed safely, and was not changed: {reason}",
        source=source,
        hint="Make the change by hand.",
    )
