"""The two streams of a command: the result on standard output, everything else on standard error.

A reader that goes away (`| head`) ends the output, not the command, and never changes its exit code.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from trunkline.cli.options import Settings
from trunkline.cli.style import Paint, choose_paint


class Terminal:
    """Where one command writes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.paint: Paint = choose_paint(sys.stdout, os.environ)
        """Gives color to text for standard output, or leaves it alone."""

    def print_text(self, text: str) -> None:
        """Print our own, already sanitized text as the result; nothing at all when it is empty."""
        if text:
            _write(sys.stdout, f"{text}\n")

    def print_result(self, text: str) -> None:
        """Print a server's text and a newline: to the letter into a pipe or file, sanitized on a terminal."""
        if sys.stdout.isatty():
            from trunkline.security.sanitize import sanitize_text

            text = sanitize_text(text, multiline=True)
        _write(sys.stdout, f"{text}\n")

    def print_document(self, document: object) -> None:
        """Print JSON as the result: one line, or indented on a terminal."""
        from trunkline.cli.envelope import encode_document

        _write(sys.stdout, encode_document(document, indent=sys.stdout.isatty()) + "\n")

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
        self.note(f"trunkline: warning: {text}")

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
            self.note(render_error(error))
        if self.settings.verbose and not isinstance(error, TrunklineError):
            self.note(_traceback(error))


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
