"""The server's own count of the calls it answered, in a small file that the bench reads from outside.

It is the proof that a contender really sent what it claims: no cache, no repeat, no lost argument.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_SLOTS = struct.Struct("=QQQ")
_MASK = (1 << 64) - 1


class Tally:
    """Three counters shared between one server process and the bench."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SLOTS.size)

    @classmethod
    def create(cls, path: Path) -> Tally:
        """Make the file, all counters at zero, and open it."""
        path.write_bytes(bytes(_SLOTS.size))
        return cls(path)

    @property
    def calls(self) -> int:
        """How many tool calls the server answered."""
        return self._read()[0]

    @property
    def total(self) -> int:
        """Sum, modulo 2**64, of the argument `n` of those calls: every call has another `n`."""
        return self._read()[1]

    @property
    def first_byte(self) -> float:
        """Moment, on the system's monotonic clock, just before the last large result began to be written."""
        return self._read()[2] / 1e9

    def add(self, number: int) -> None:
        """Count one call whose argument `n` was `number`."""
        calls, total, stamp = self._read()
        _SLOTS.pack_into(self._memory, 0, calls + 1, (total + number) & _MASK, stamp)

    def stamp(self, nanoseconds: int) -> None:
        """Record the moment just before a large result is written."""
        calls, total, _ = self._read()
        _SLOTS.pack_into(self._memory, 0, calls, total, nanoseconds)

    def close(self) -> None:
        """Release the mapping."""
        self._memory.close()

    def _read(self) -> tuple[int, int, int]:
        return _SLOTS.unpack_from(self._memory, 0)
