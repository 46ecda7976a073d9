"""Prompts as their servers describe them. Every text in them comes from the server and is untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


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

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the arguments it cannot do without."""
        return tuple(argument.name for argument in self.arguments if argument.required)
