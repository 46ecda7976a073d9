"""Sees what passes on one server's link, through the taps of the log of the wire, and keeps what explains."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.telemetry.wire import WireRecord

_LONGEST = 200


class Witness:
    """Takes the records of one server; all their text has its secrets removed already.

    Args:
        clock: gives the moment, in seconds.
        forward: takes each record as well, or None.
    """

    def __init__(
        self, clock: Callable[[], float], forward: Callable[[WireRecord], None] | None = None
    ) -> None:
        self.answered_at: float | None = None
        """Moment of the first HTTP answer, or of the first message where there is no HTTP."""
        self.statuses: list[int] = []
        """HTTP statuses, in order."""
        self.headers: dict[str, str] = {}
        """Headers of the latest HTTP answer that was none of success, names in small letters."""
        self.messages = 0
        """Messages that were received."""
        self.posts = 0
        """Messages that were sent."""
        self.noise: list[str] = []
        """What was received and is no message, each cut short."""
        self._clock = clock
        self._forward = forward

    def take(self, record: WireRecord) -> None:
        """Take one record."""
        if self._forward is not None:
            self._forward(record)
        if record.direction == "sent" and record.size:
            self.posts += 1
        if record.direction != "received":
            return
        if record.http is not None and record.http.status is not None:
            self._note_answer()
            self.statuses.append(record.http.status)
            if record.http.status >= 300:
                self.headers = {name.lower(): value for name, value in record.http.headers}
        if record.size:
            self._take_message(record)

    def _take_message(self, record: WireRecord) -> None:
        if record.summary in ("not JSON", "not JSON-RPC"):
            self.noise.append(record.body[:_LONGEST])
        else:
            self._note_answer()
            self.messages += 1

    def _note_answer(self) -> None:
        if self.answered_at is None:
            self.answered_at = self._clock()
