"""`call --stream`: what a call reports while it runs, as text on standard error or as lines of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.cli.progress import render_progress

if TYPE_CHECKING:
    from trunkline.cli.terminal import Terminal
    from trunkline.core.call import Progress


class EventLines:
    """Shows each event of one call as it comes.

    With `--json` each is one object on one line of standard output, and the envelope of the reply, or of
    the failure, is the last line. Else each is a line on standard error.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._as_json = terminal.settings.as_json
        terminal.one_line = True

    def show(self, event: Progress) -> None:
        """Take one event."""
        if self._as_json:
            self._terminal.print_document(event_document(event))
        else:
            self._terminal.note(render_progress(event))


def event_document(event: Progress) -> dict[str, Any]:
    """Give the object of one event."""
    return {
        "event": "progress",
        "progress": event.progress,
        "total": event.total,
        "message": event.message,
    }
