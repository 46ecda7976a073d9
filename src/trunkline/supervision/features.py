"""What a server said that it can do, as names that `needs` may ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.connection.negotiation import Negotiated

_GROUPS = ("extensions", "experimental")


class Features:
    """The names of one connection; read once for each time something is agreed."""

    __slots__ = ("_agreed", "_names")

    def __init__(self) -> None:
        self._agreed: Negotiated | None = None
        self._names: frozenset[str] = frozenset()

    def read(self, agreed: Negotiated | None) -> frozenset[str]:
        """Give capabilities, parts of them as `resources.subscribe`, and extensions by their names."""
        if agreed is not self._agreed:
            self._agreed = agreed
            self._names = frozenset(() if agreed is None else _names(agreed.capabilities))
        return self._names


def _names(capabilities: Mapping[str, Any]) -> Iterator[str]:
    for name, value in capabilities.items():
        if value is False or value is None:
            continue
        yield name
        inner = value if isinstance(value, Mapping) else {}
        prefix = "" if name in _GROUPS else f"{name}."
        yield from (f"{prefix}{key}" for key, part in inner.items() if part is not False and part is not None)
