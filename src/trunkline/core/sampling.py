"""What a server asks of the application's model, and what the model answers; and the roots it may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trunkline.core.content import Content

Role = Literal["user", "assistant"]


class ModelPreferences(msgspec.Struct, frozen=True, kw_only=True):
    """Which model a server would like; advice, never an order."""

    hints: tuple[str, ...] = ()
    """Parts of model names, the most wanted first."""
    cost_priority: float | None = None
    """How much a low price matters, 0 to 1."""
    speed_priority: float | None = None
    intelligence_priority: float | None = None


class SampleMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the conversation that the model is to continue."""

    role: Role
    content: tuple[Content, ...]
    """Blocks; `tool_use` and `tool_result` are `Unknown` blocks whose `raw` holds all of them."""
    raw: Mapping[str, Any]


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for one answer of a model. All text in it comes from the server and is untrusted.

    Show it to a person before it reaches a model where you can, and give the model nothing of other
    servers (specification 2026-07-28, client/sampling).
    """

    server: str
    """Configured name of the server that asks."""
    messages: tuple[SampleMessage, ...]
    max_tokens: int
    """The most tokens the model may generate; it is charged to the server's budget."""
    system_prompt: str | None = None
    model_preferences: ModelPreferences | None = None
    temperature: float | None = None
    stop_sequences: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    """Tools the model may ask for, as in `tools/list`; only with `Handlers(sample_tools=True)`."""
    tool_choice: str = "auto"
    """`auto`, `required` or `none`."""
    include_context: str = "none"
    """What context the server wishes for; safe to ignore."""
    metadata: Mapping[str, Any] = {}
    tool: str | None = None
    """Public name of the tool whose call it belongs to, where that is certain."""
    raw: Mapping[str, Any] = {}
    """The request's params as received."""


class SampleResult(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer. Its content never shows in a repr."""

    content: str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
    """Text, one content block, or several."""
    model: str
    """Name of the model that wrote it."""
    role: Role = "assistant"
    stop_reason: str | None = "endTurn"
    """`endTurn`, `stopSequence`, `maxTokens`, `toolUse`, or the model's own."""
    tokens: int | None = None
    """How many tokens were generated, where that is known: the rest of `max_tokens` is then not charged."""

    def __repr__(self) -> str:
        return f"SampleResult(model={self.model!r}, stop_reason={self.stop_reason!r})"


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """A directory or file that servers may take for the application's workspace."""

    uri: str
    """A `file://` URI."""
    name: str | None = None
