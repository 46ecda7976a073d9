"""What a server proposes for an argument of a prompt or of a template."""

from __future__ import annotations

from typing import Any

from trunkline.core.reply import Reply

MOST_VALUES = 100
"""Most values one answer may hold (specification 2026-07-28, server/utilities/completion)."""


class CompletionReply(Reply, frozen=True, kw_only=True):
    """Values that complete what was typed, best first. `tool` is what the argument belongs to."""

    @property
    def values(self) -> tuple[str, ...]:
        """At most 100 values; all of them come from the server and are untrusted."""
        given = self._completion.get("values")
        read = (value for value in given if isinstance(value, str)) if isinstance(given, list) else ()
        return tuple(read)[:MOST_VALUES]

    @property
    def total(self) -> int | None:
        """How many values there are in all, where the server says so."""
        total = self._completion.get("total")
        return total if type(total) is int and total >= 0 else None

    @property
    def has_more(self) -> bool:
        """Whether there are more values than these."""
        given = self._completion.get("values")
        cut = isinstance(given, list) and len(given) > MOST_VALUES
        return cut or self._completion.get("hasMore") is True

    @property
    def is_error(self) -> bool:
        """Never: what cannot be completed is an error that is raised."""
        return False

    @property
    def text(self) -> str:
        """The values, one on each line."""
        return "\n".join(self.values)

    @property
    def _completion(self) -> dict[str, Any]:
        completion = self.raw.get("completion")
        return completion if isinstance(completion, dict) else {}
