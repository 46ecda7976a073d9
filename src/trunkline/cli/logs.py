"""The log lines of a command: none by default, ours on standard error with -v, everybody's with -vv."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.security.scrub import Scrubber


@contextmanager
def logs_shown(*, verbose: int, log_format: str = "text") -> Iterator[None]:
    """Show logs while the body runs, one record a line, or keep all of them quiet.

    Args:
        verbose: 0 shows nothing, 1 all of ours and the warnings of others, 2 everything.
        log_format: `text` or `json`.
    """
    root, ours = logging.getLogger(), logging.getLogger("trunkline")
    before = root.level, ours.level
    handler = _stderr_handler(log_format) if verbose else logging.NullHandler()
    root.addHandler(handler)
    if verbose:
        ours.setLevel(logging.DEBUG)
    if verbose > 1:
        root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])


def hide_secrets(secrets: Iterable[str]) -> None:
    """Keep these out of every log line from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StderrHandler):
            handler.secrets.learn(secrets)


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error, without the secrets it has been told of."""

    def __init__(self, secrets: Scrubber) -> None:
        super().__init__(sys.stderr)
        self.secrets = secrets


def _stderr_handler(log_format: str) -> logging.Handler:
    from trunkline.security.scrub import Scrubber
    from trunkline.telemetry.formatter import JsonFormatter, LineFormatter

    secrets = Scrubber()
    handler = _StderrHandler(secrets)
    handler.setFormatter(
        JsonFormatter(clean=secrets.clean)
        if log_format == "json"
        else LineFormatter(prefix="trunkline: ", clean=secrets.clean)
    )
    return handler
