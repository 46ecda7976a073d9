"""What a server asks a person through us, and what the person answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Mode = Literal["form", "url"]
Action = Literal["accept", "decline", "cancel"]


class ElicitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a person. All text in it comes from the server and is untrusted.

    Show who asks (`server`), and let the person decline. For `form`, ask for an object that fits
    `schema`; for `url`, show the whole URL and its host, and open it only after the person agreed.
    Nothing in this library fetches the URL (specification 2026-07-28, client/elicitation).
    """

    server: str
    """Configured name of the server that asks."""
    message: str
    """Why it asks, in the server's words."""
    mode: Mode = "form"
    schema: Mapping[str, Any] = {}
    """JSON Schema of the answer to a form: an object with flat fields."""
    url: str | None = None
    """Where the person is to go, in full; one that could deceive was refused before."""
    host: str | None = None
    """The host of `url`, to be shown apart from it."""
    warnings: tuple[str, ...] = ()
    """What a person should know before answering, one sentence each, in our words."""
    elicitation_id: str | None = None
    """Names a `url` question in `notifications/elicitation/complete`, where the era has it."""
    tool: str | None = None
    """Public name of the tool whose call it belongs to, where that is certain."""

    @property
    def defaults(self) -> dict[str, Any]:
        """The fields for which the schema has a default, with that default."""
        fields = self.schema.get("properties")
        if not isinstance(fields, Mapping):
            return {}
        return {
            name: field["default"]
            for name, field in fields.items()
            if isinstance(field, Mapping) and "default" in field
        }


class ElicitResult(msgspec.Struct, frozen=True, kw_only=True):
    """A person's answer. Its content never shows in a repr."""

    action: Action
    content: Mapping[str, Any] | None = None
    """The fields of an accepted form; None for everything else."""

    @classmethod
    def accept(cls, content: Mapping[str, Any] | None = None) -> ElicitResult:
        """The person agreed; for a form these are the fields."""
        return cls(action="accept", content=content)

    @classmethod
    def decline(cls) -> ElicitResult:
        """The person said no."""
        return cls(action="decline")

    @classmethod
    def cancel(cls) -> ElicitResult:
        """The person made no choice, as by closing the dialog."""
        return cls(action="cancel")

    def __repr__(self) -> str:
        filled = "" if self.content is None else f", {len(self.content)} fields"
        return f"ElicitResult({self.action}{filled})"
