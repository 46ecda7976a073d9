"""Removes known secret values from text that leaves the runtime: logs, errors, tails of stderr."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHORTEST = 6
"""Shorter values are left alone: they would black out ordinary words."""


class Redactor:
    """Replaces every known secret by `[redacted]`; holds no state but the secrets it was given."""

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({value for value in secrets if len(value) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def __repr__(self) -> str:
        return "Redactor()"

    def clean(self, text: str) -> str:
        """Give the text without the secrets."""
        return text if self._pattern is None else self._pattern.sub("[redacted]", text)
