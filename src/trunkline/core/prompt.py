"""Prompts as their servers describe them, and what getting one gives. All text in them is untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.core.content import Content, parse_content, render_content
from trunkline.core.reply import Reply


class PromptArgument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument of a prompt; its value is always text."""

    name: str
    title: str | None = None
    description: str = ""
    required: bool = False


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt of one server: messages for a model, with places for arguments."""

    name: str
    """The server's own name for it."""
    server: str
    """The configured name of the server."""
    public_name: str
    """`server.name`, unique over the catalog."""
    title: str | None = None
    description: str = ""
    arguments: tuple[PromptArgument, ...] = ()
    raw: Mapping[str, Any] = {}
    """The definition as received."""
    stale: bool = False
    """Whether it is remembered from an earlier run, see `Tool.stale`."""

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the arguments it cannot do without."""
        return tuple(argument.name for argument in self.arguments if argument.required)


class PromptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a prompt."""

    role: str
    """`user` or `assistant`, as the server says."""
    content: Content
    raw: Mapping[str, Any]
    """The message as received."""

    @property
    def text(self) -> str:
        """Text as it is, anything else as one line, such as `[image image/png 12 KB]`."""
        return render_content(self.content)


class PromptReply(Reply, frozen=True, kw_only=True):
    """What getting a prompt gave. `tool` is the prompt's public name."""

    @property
    def description(self) -> str:
        """What the server says this prompt is for."""
        description = self.raw.get("description")
        return description if isinstance(description, str) else ""

    @property
    def messages(self) -> tuple[PromptMessage, ...]:
        """The messages, typed, in order; what is no message is left out, as `warnings` then says."""
        given = self.raw.get("messages")
        read = (parse_message(one) for one in given) if isinstance(given, list) else ()
        return tuple(message for message in read if message is not None)

    @property
    def is_error(self) -> bool:
        """Never: a prompt that cannot be made is an error that is raised."""
        return False

    @property
    def text(self) -> str:
        """The messages, each after its role, with an empty line between them."""
        return "\n\n".join(f"{message.role}: {message.text}" for message in self.messages)


def parse_message(raw: object) -> PromptMessage | None:
    """Give the typed view of one message, or None when it has no role or no content."""
    if not isinstance(raw, Mapping) or not isinstance(role := raw.get("role"), str) or "content" not in raw:
        return None
    return PromptMessage(role=role, content=parse_content(raw["content"]), raw=raw)
