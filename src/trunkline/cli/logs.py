"""The log lines of a command: none by default, all of ours on standard error with -v."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logs_shown(*, verbose: bool) -> Iterator[None]:
    """Show our logs and the warnings of others while the body runs, or keep all of them quiet."""
    root, ours = logging.getLogger(), logging.getLogger("trunkline")
    before = ours.level
    handler = _stderr_handler() if verbose else logging.NullHandler()
    root.addHandler(handler)
    if verbose:
        ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(before)


def _stderr_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Sanitized("trunkline: %(levelname)s: %(name)s: %(message)s"))
    return handler


class _Sanitized(logging.Formatter):
    """A record may quote a server; nothing of it reaches the terminal raw."""

    def format(self, record: logging.LogRecord) -> str:
        from trunkline.security.sanitize import sanitize_text

        return sanitize_text(super().format(record), multiline=True)
