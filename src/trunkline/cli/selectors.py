"""Which tool is meant: `server.tool`, `server/tool`, `server:tool`, two words, or a bare tool name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trunkline.cli.exits import UsageError

SEPARATORS = "./:"


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """One tool as it was named on the command line."""

    server: str | None
    """Configured name of the server, or None where only the tool was named."""
    tool: str
    """The server's own name of the tool, or whatever was typed when `server` is None."""

    @property
    def name(self) -> str:
        """What `trunk.call` takes: the public name, or the bare name."""
        return self.tool if self.server is None else f"{self.server}.{self.tool}"


def split_prefix(word: str, servers: Iterable[str]) -> Selector | None:
    """Split `word` after the longest configured server name it starts with, or give None."""
    fits = [name for name in servers if _starts_with_server(word, name)]
    if not fits:
        return None
    server = max(fits, key=len)
    return Selector(server=server, tool=word[len(server) + 1 :])


def select_tool(
    words: Sequence[str], servers: Iterable[str], *, default: str | None = None
) -> tuple[Selector, list[str]]:
    """Read the tool from the start of `words` and give it with the words that are left.

    The longest configured server name wins. Two words are read as server and tool when the first is
    exactly a configured server and the second does not look like an argument.

    Args:
        default: the server of a bare tool name, or None where any may have it.

    Raises:
        UsageError: no tool is named.
    """
    if not words or not words[0]:
        raise UsageError("which tool?", hint="Name it as server.tool; `trunkline tools` lists them.")
    names = tuple(servers)
    first, rest = words[0], list(words[1:])
    if first in names and rest and not looks_like_argument(rest[0]):
        return Selector(server=first, tool=rest[0]), rest[1:]
    if (selector := split_prefix(first, names)) is not None:
        return selector, rest
    if looks_like_argument(first):
        raise UsageError(
            f"{first!r} is an argument, not a tool", hint="The tool comes first, as server.tool."
        )
    return Selector(server=default, tool=first), rest


def looks_like_argument(word: str) -> bool:
    """Whether `word` can only be meant as an argument of a tool."""
    return "=" in word or word.startswith(("{", "[", "@"))


def _starts_with_server(word: str, name: str) -> bool:
    rest = word[len(name) :]
    return word.startswith(name) and len(rest) > 1 and rest[0] in SEPARATORS
