"""Calls that leave together: how many, and which they are."""

from __future__ import annotations

import msgspec


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How calls of one server are grouped."""

    size: int = 20
    """Most calls in one message, where the revision has batches; as many fill a collecting window."""
    milliseconds: float = 0.0
    """Longest wait of a call for others to leave with; with 0 only `Trunk.batch` collects."""


class Bundle:
    """Marks calls that are to leave together; which of them still can is found out where they are written.

    Args:
        size: most of them in one message.
    """

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"Bundle(size={self.size})"
