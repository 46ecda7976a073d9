"""The tail of a server's standard error: always drained, bounded, safe to print."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from trunkline.protocol.lines import LineFramer, Oversized
from trunkline.telemetry.escape import escape_text

_LINES = 20
_LINE_CHARACTERS = 2_000


class StderrTail:
    """Keeps the last lines of a server's standard error.

    `clean` is applied to every line: it must remove control characters and secrets.
    """

    def __init__(self, server: str, max_line_bytes: int, clean: Callable[[str], str]) -> None:
        self._framer = LineFramer(max_line_bytes)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._clean = clean
        self._server = server
        self._logger = logging.getLogger("trunkline.stderr")

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        lines = self._framer.feed(chunk)
        if not self._logger.isEnabledFor(logging.DEBUG):
            lines = lines[-_LINES:]  # nobody will see the others
        for line in lines:
            if isinstance(line, bytes):
                self._keep(line)
            elif isinstance(line, Oversized) and not line.ended:
                self._keep(line.head)

    def text(self) -> str:
        """Give the last lines, joined by newlines; "" when there were none."""
        return "\n".join(self._lines)

    def finish(self) -> None:
        """The stream has ended; keep what had no newline."""
        if rest := self._framer.finish():
            self._keep(rest)

    def _keep(self, line: bytes) -> None:
        text = self._clean(line.decode("utf-8", "replace").rstrip("\r"))[:_LINE_CHARACTERS]
        if text:
            self._lines.append(text)
            self._logger.debug("%s: %s", escape_text(self._server), text, extra={"server": self._server})
