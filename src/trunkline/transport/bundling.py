"""Messages that leave as one: a JSON-RPC batch of what waits together and belongs together.

Source: specification 2025-03-26, basic, "Batching"; no other revision has batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from trunkline.core.batch import Bundle
from trunkline.core.call import Flight

MOST_BYTES = 1024 * 1024
"""Bytes above which a batch takes no further message: it is decoded as a whole at the other end."""


def encode_batch(bodies: Sequence[bytes]) -> bytes:
    """Give one message out of several; a single one stays as it is."""
    return bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"


def join_bundle(body: bytes, bundle: Bundle, outbox: deque[tuple[bytes, Flight | None]], now: float) -> bytes:
    """Give a message together with those behind it that leave with it, which are taken from the outbox."""
    bodies, size = [body], len(body)
    while outbox and len(bodies) < bundle.size:
        following, flight = outbox[0]
        size += len(following)
        if flight is None or flight.bundle is not bundle or size > MOST_BYTES:
            break
        outbox.popleft()
        flight.delivery, flight.wrote = "unknown", now
        flight.queued += now - flight.sent
        bodies.append(following)
    return encode_batch(bodies)
