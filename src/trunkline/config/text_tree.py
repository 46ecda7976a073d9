"""Where every member of a JSON text stands, so that one can be changed and the rest kept to the byte."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Node:
    """One value: where it begins and ends, and its members if it is an object or a list."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.members: list[Member] = []


class Member:
    """One member of an object, or item of a list (then `key` is None)."""

    def __init__(self, key: str | None, start: int, node: Node) -> None:
        self.key = key
        self.start = start
        """Where its key begins, or the item itself."""
        self.node = node

    @property
    def end(self) -> int:
        """Where its value ends."""
        return self.node.end


def read_tree(plain: str) -> Node:
    """Give the tree of a valid JSON text, without comments and trailing commas."""
    root = Node(0, 0)
    around = [(root, False)]
    key: tuple[str, int] | None = None
    for match in _TOKEN.finditer(plain):
        mark, (parent, is_object) = match[0], around[-1]
        if mark in (",", ":"):
            continue
        if mark in ("}", "]"):
            around.pop()[0].end = match.end()
            continue
        if is_object and key is None:
            key = (json.loads(mark), match.start())
            continue
        node = Node(match.start(), match.end())
        name, start = key or (None, match.start())
        parent.members.append(Member(name, start, node))
        key = None
        if mark in ("{", "["):
            around.append((node, mark == "{"))
    return root.members[0].node


def find_node(node: Node, path: tuple[str, ...]) -> Node | None:
    """Give the value at a path of keys; of a key written twice the first counts."""
    for key in path:
        member = next((member for member in node.members if member.key == key), None)
        if member is None:
            return None
        node = member.node
    return node
