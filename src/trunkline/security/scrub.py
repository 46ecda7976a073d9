"""Removes every secret the runtime knows of from text on its way out, in each form a text may hold it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from trunkline.security.redact import Redactor


class Scrubber:
    """Replaces known secrets by `[redacted]`; learns those of servers that are added later."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._redactor = Redactor(())
        self.learn(secrets)

    def __repr__(self) -> str:
        return "Scrubber()"

    @property
    def longest(self) -> int:
        """Characters of the longest form of a secret: what a cut may run through."""
        return max(map(len, self._secrets), default=0)

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these from now on, as they are, as JSON strings write them, and as URLs write them."""
        self._secrets |= {form for secret in secrets for form in _forms(secret)}
        self._redactor = Redactor(self._secrets)

    def clean(self, text: str) -> str:
        """Give the text without the secrets."""
        return self._redactor.clean(text)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield text
        yield text.replace("/", "\\/")
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1]  # JSON as text within JSON
    yield quote(secret, safe="")
    yield quote(secret)
