"""What one server tells of itself: all of it, until another server has taken its name."""

from __future__ import annotations

from trunkline.core.events import Event, EventSink, ListChanged, MemberChanged, ServerChanged


class Voice:
    """Passes on the events of one server.

    After `succeed` the name means its successor, of which alone states and lists are told then; of the
    earlier one only that it takes no more calls, and what its calls cause.
    """

    def __init__(self, events: EventSink) -> None:
        self._events = events
        self._succeeded = False

    @property
    def watched(self) -> bool:
        """See `EventSink`."""
        return self._events.watched

    def succeed(self) -> None:
        """Another server has the name now."""
        self._succeeded = True

    def put(self, event: Event) -> None:
        """See `EventSink`."""
        if self._succeeded:
            of_its_end = isinstance(event, ServerChanged | MemberChanged) and event.state != "draining"
            if of_its_end or isinstance(event, ListChanged):
                return
        self._events.put(event)
