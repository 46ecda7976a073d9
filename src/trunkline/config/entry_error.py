"""What is wrong with one entry, before it is known which server and which file it stands in.

The loader turns it into a `ConfigError` with server, file and line. It never leaves this package.
"""

from __future__ import annotations

from trunkline.config.wording import KeyPath


class EntryError(Exception):
    """What is wrong, where inside the entry, and what to do about it.

    Attributes:
        path: the value concerned, relative to the entry.
        hint: one sentence that says the fix.
        source, line: where the mistake stands when that is another file, such as an `envFile`.
        outside: whether the entry is well formed, and what it refers to is missing.
    """

    outside = False

    def __init__(
        self, message: str, *, path: KeyPath, hint: str, source: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint
        self.source = source
        self.line = line


class MissingError(EntryError):
    """The entry is well formed; the variable, file or folder it refers to is not there."""

    outside = True


class InputNeededError(MissingError):
    """The entry refers to a value that has to be asked for."""
