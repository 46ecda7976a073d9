"""What happens with a resource that was read: printed, piped to the byte, or saved."""

from __future__ import annotations

import binascii
import os
import sys
from pathlib import Path
from urllib.parse import unquote

from trunkline.cli.envelope import read_document
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.render import line
from trunkline.cli.saving import Saved, check_target, safe_name, suffix_of, write_file
from trunkline.cli.terminal import Terminal
from trunkline.core.resource import ReadReply, ResourceContent
from trunkline.errors import ProtocolError

_STDOUT = "-"


class ResourceDelivery:
    """How one resource is handed over.

    Raises:
        UsageError: nothing can be written to `output`; found out before anything is read.
    """

    def __init__(
        self, terminal: Terminal, *, as_json: bool, raw: bool, full: bool, output: str | None
    ) -> None:
        self.terminal = terminal
        self._as_json = as_json
        self._raw = raw
        self._full = full
        self._output = output
        self._is_folder = output is not None and output != _STDOUT and check_target(output)

    def deliver(self, reply: ReadReply) -> int:
        """Print or save the resource."""
        if self._output is not None:
            self._save(reply, self._output)
        if self._as_json:
            self.terminal.print_document(read_document(reply))
        elif self._raw:
            self.terminal.print_document(reply.raw)
        elif self._output is None:
            self._print(reply)
        for warning in reply.warnings:
            self.terminal.warn(line(warning))
        return OK

    def _print(self, reply: ReadReply) -> None:
        if not sys.stdout.isatty():
            self.terminal.print_bytes(_bytes_of(reply))
            return
        self.terminal.print_result(reply.text, full=self._full)
        if _is_binary(reply):
            self.terminal.note(
                "trunkline: binary content is not shown; -o PATH saves it, a pipe gets it as it is"
            )

    def _save(self, reply: ReadReply, output: str) -> None:
        if output == _STDOUT:
            if not sys.stdout.isatty():
                self.terminal.print_bytes(_bytes_of(reply))
            elif _is_binary(reply):
                raise UsageError(
                    "binary content is never written to a terminal", hint="Use -o PATH or a pipe."
                )
            else:
                self.terminal.print_result(reply.text, full=True)
            return
        for file in plan_resource_files(reply, output, is_folder=self._is_folder):
            write_file(file.path, file.data)
            size = f"{len(file.data)} bytes"
            self.terminal.note(f"trunkline: saved {line(str(file.path))} ({line(file.mime_type)}, {size})")


def plan_resource_files(reply: ReadReply, target: str, *, is_folder: bool) -> list[Saved]:
    """Decide what `-o target` writes: one content into one file, several into numbered ones beside it.

    In a folder, files are called after the end of the URI.

    Raises:
        ProtocolError: a content is not valid base64; then nothing is written.
    """
    base = Path(target) / _name_of(reply.uri) if is_folder else Path(target)
    contents = [(content, decode(content, reply)) for content in reply.contents]
    if len(contents) == 1:
        content, data = contents[0]
        path = Path(f"{base}{_suffix(content)}") if is_folder and not base.suffix else base
        return [Saved(path=path, data=data, mime_type=_mime(content))]
    stem = base.with_suffix("")
    return [
        Saved(
            path=Path(f"{stem}-{number}{_suffix(content, base.suffix)}"), data=data, mime_type=_mime(content)
        )
        for number, (content, data) in enumerate(contents, 1)
    ]


def decode(content: ResourceContent, reply: ReadReply) -> bytes:
    """Give a content's bytes.

    Raises:
        ProtocolError: it is not valid base64.
    """
    try:
        return content.data
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(
            "the resource is not valid base64, nothing was written",
            code="malformed_answer",
            server=reply.server,
            tool=reply.tool,
            delivery="answered",
            hint="Use --json to see the reply as it was received.",
        ) from error


def _bytes_of(reply: ReadReply) -> bytes:
    return b"".join(decode(content, reply) for content in reply.contents)


def _is_binary(reply: ReadReply) -> bool:
    return any(content.text is None for content in reply.contents)


def _mime(content: ResourceContent) -> str:
    return content.mime_type or ("text/plain" if content.text is not None else "application/octet-stream")


def _suffix(content: ResourceContent, default: str = "") -> str:
    return default or suffix_of(_mime(content))


def _name_of(uri: str) -> str:
    path = uri.partition("?")[0].partition("#")[0].rstrip("/")
    return safe_name(unquote(path.rpartition("/")[2]).replace(os.sep, "_") or "resource")
