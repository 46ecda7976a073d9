"""The two streams of a command: the result on standard output, everything else on standard error.

A reader that goes away (`| head`) ends the output, not the command, and never changes its exit code.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from trunkline.cli.options import Settings
from trunkline.cli.style import Paint, choose_paint

_MOST_LINES = 1000
_MOST_CHARACTERS = 100_000
"""How much of one text a terminal is given when not all of it is asked for."""


class Terminal:
    """Where one command writes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.paint: Paint = choose_paint(sys.stdout, os.environ)
        """Gives color to text for standard output, or leaves it alone."""
        self.paint_error: Paint = choose_paint(sys.stderr, os.environ)
        """The same for standard error."""
        self.one_line = False
        """Whether JSON stays on one line on a terminal too, as one of several documents."""

    def print_text(self, text: str) -> None:
        """Print our own, already sanitized text as the result; nothing at all when it is empty."""
        if text:
            _write(sys.stdout, f"{text}\n")

    def print_result(self, text: str, *, full: bool = False) -> None:
        """Print a server's text and a newline.

        A pipe or file gets it to the letter. A terminal gets it sanitized and, unless `full`, at most
        1,000 lines or 100,000 characters of it.
        """
        if not sys.stdout.isatty():
            _write(sys.stdout, f"{text}\n")
            return
        from trunkline.security.sanitize import sanitize_text

        shown = text if full else cut_text(text)
        _write(sys.stdout, f"{sanitize_text(shown, multiline=True)}\n")
        if len(shown) < len(text):
            self.note(
                f"trunkline: cut after {len(shown):,} of {len(text):,} characters;"
                " --full shows all of it, -o PATH saves it"
            )

    def print_document(self, document: object) -> None:
        """Print JSON as the result: one line, or indented on a terminal."""
        from trunkline.cli.envelope import encode_document

        indent = sys.stdout.isatty() and not self.one_line
        _write(sys.stdout, encode_document(document, indent=indent) + "\n")

    def print_bytes(self, data: bytes) -> None:
        """Write bytes as the result."""
        try:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            _abandon(sys.stdout)

    def warn(self, text: str) -> None:
        """Say something that does not stop the command."""
        self.note(f"trunkline: {self.paint_error('warning:', 'busy')} {text}")

    def note(self, text: str) -> None:
        """Write already sanitized text to standard error."""
        _write(sys.stderr, f"{text}\n")

    def fail(self, error: BaseException) -> None:
        """Report a failure: with `--json` as a document on standard output, else as text."""
        from trunkline.cli.describe import render_error
        from trunkline.cli.envelope import error_document
        from trunkline.errors import TrunklineError

        if self.settings.as_json:
            self.print_document(error_document(error))
        else:
            self.note(render_error(error, self.paint_error))
        if self.settings.verbose and not isinstance(error, TrunklineError):
            self.note(_traceback(error))


def cut_text(text: str) -> str:
    """Give the beginning of a text that a terminal is given: whole lines where there are any."""
    short = text[:_MOST_CHARACTERS]
    lines = short.split("\n", _MOST_LINES)
    if len(lines) > _MOST_LINES:
        return "\n".join(lines[:_MOST_LINES])
    return short if len(short) == len(text) else short[: short.rfind("\n") if "\n" in short else None]


def prepare_streams() -> None:
    """Make the streams print any text: a character their encoding lacks becomes an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _abandon(stream)


def _abandon(stream: TextIO) -> None:
    """Send what is still buffered for a reader that went away, and all that follows, nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _traceback(error: BaseException) -> str:
    import traceback

    from trunkline.security.sanitize import sanitize_text

    return sanitize_text("".join(traceback.format_exception(error)).rstrip(), multiline=True)
