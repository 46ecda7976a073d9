"""How much of a machine one server's processes may take, and what it means to have taken more."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

LimitName = Literal["memory", "cpu_seconds", "processes"]

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


class ProcessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Caps on a server that is a process of ours, together with all processes it starts; 0 is none."""

    memory: int = 0
    """Most memory that all its processes hold together, in bytes or as in `"512 MB"`; 0 for no limit.
    Resident memory is meant, what several share counted once; one that holds more is ended."""
    cpu_seconds: float = 0.0
    """Most time on a processor that all its processes take together, in seconds since its start; 0 for no
    limit. One that takes more is ended, and begins at 0 when it is started again."""
    processes: int = 0
    """Most processes that it is at a time, itself included; 0 for no limit. One that is more is ended."""
    files: int = 0
    """Most files, pipes and sockets that each of its processes has open; 0 for what the system allows. A
    process that opens more gets an error from the system, and goes on."""


class Exceeded(msgspec.Struct, frozen=True, kw_only=True):
    """A server was ended because it took more than it may."""

    limit: LimitName
    allowed: float
    taken: float
    """What was measured when it was ended."""

    def __str__(self) -> str:
        match self.limit:
            case "memory":
                taken, allowed = write_size(self.taken), write_size(self.allowed)
                return f"its processes held {taken} of memory, and `process.memory` allows {allowed}"
            case "cpu_seconds":
                return (
                    f"its processes took {self.taken:.3g} s on a processor, and `process.cpu_seconds` "
                    f"allows {self.allowed:g} s"
                )
            case "processes":
                return f"it was {self.taken:g} processes, and `process.processes` allows {self.allowed:g}"


def read_size(text: str) -> int | None:
    """Give the bytes of a size such as `512 MB` or `1.5 GiB`; None for what is none."""
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    return int(float(match[1]) * unit) if match and unit else None


def write_size(size: float) -> str:
    """Give a size as a person writes it, such as `512 MB`."""
    for unit in ("GB", "MB", "KB"):
        if size >= (factor := _UNITS[unit.lower()]):
            return f"{size / factor:.4g} {unit}"
    return f"{size:g} B"
