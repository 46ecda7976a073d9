"""What an exchange asks of whoever plays it: wait, write, run a tool, or end the connection.

Effects are plain values, so one exchange plays the same over memory, pipes and sockets, and a test
can read it as a list. They are named tuples because a stdio fake has to start in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from trunkline.testing.script import Tool

Ending = Literal["close", "reset", "crash", "kill"]
"""`close`: this connection ends in good order. `reset`: it breaks. `crash`, `kill`: the server is gone."""


class Pause(NamedTuple):
    """Wait; the exchange can be cancelled meanwhile."""

    seconds: float | None
    """None waits until the exchange is cancelled or the connection ends."""


class Write(NamedTuple):
    """Put these bytes on the wire, whole or in pieces."""

    data: bytes
    piece: int = 0
    """Bytes per write; 0 writes all at once."""
    seconds: float = 0.0
    """Wait between pieces."""


class Invoke(NamedTuple):
    """Run a tool's Python function; its return value is sent back into the exchange."""

    tool: Tool
    arguments: dict[str, Any]


class Await(NamedTuple):
    """Wait for the client's response to a request of ours; it is sent back into the exchange."""

    number: str


class End(NamedTuple):
    """End the connection, or the whole server."""

    how: Ending


Effect = Pause | Write | Invoke | Await | End
Steps = Generator[Effect, Any, None]


def advance(steps: Steps, value: Any = None) -> Effect | None:
    """Send the outcome of one effect and give the next; None at the end."""
    try:
        return steps.send(value)
    except StopIteration:
        return None
