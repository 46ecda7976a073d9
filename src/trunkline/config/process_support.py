"""Which limits of processes this system can hold a server to, and what is said where it cannot."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from trunkline.core.process_limits import ProcessLimits

if TYPE_CHECKING:
    from trunkline.config.egress import Remark

COUNTS = sys.platform == "linux" and os.path.exists("/proc/self/stat")
"""Whether the memory, time and number of several processes can be measured here."""
HOLDS = os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)
"""Whether a process can be held to limits of its own here, which takes a Python to start it."""


def unsupported(limits: ProcessLimits) -> tuple[str, ...]:
    """Name the limits that are set and that this system can hold nobody to."""
    can = {"memory": COUNTS, "cpu_seconds": COUNTS or HOLDS, "processes": COUNTS, "files": HOLDS}
    return tuple(name for name, held in can.items() if getattr(limits, name) and not held)


def examine_process(limits: ProcessLimits) -> Iterator[Remark]:
    """Warn of every limit that is set and not held here."""
    from trunkline.config.egress import Remark

    for name in unsupported(limits):
        yield Remark(
            severity="warning",
            key=f"process.{name}",
            message=f"this system cannot hold a server to {name}; it runs without that limit",
            hint=f"Limit {name} around the server, for example with a container, or remove the key.",
        )
