"""What a holder is told whose connection, or the session on it, is gone: nothing takes its place unseen."""

from __future__ import annotations

from trunkline.errors import Delivery, LeaseLostError

_HINT = "What the server held for this lease is gone; lease again and begin anew."


def lost_lease(
    server: str, delivery: Delivery, status: int | None = None, reason: str = "the server forgot its session"
) -> LeaseLostError:
    """Tell that what was leased is gone."""
    return LeaseLostError(
        f"the lease is lost: {reason}", server=server, delivery=delivery, status=status, hint=_HINT
    )
