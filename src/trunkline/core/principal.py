"""On whose behalf a call is made."""

from __future__ import annotations

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The identity a call carries from the front door to the audit record."""

    name: str
    """Stable identifier, such as a user name or a subject claim."""
    roles: frozenset[str] = frozenset()
    """Names that policy rules are written against."""


LOCAL = Principal(name="local")
"""The person or program that owns this process; what a call carries when nobody was named."""
