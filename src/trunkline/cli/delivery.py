"""What happens with the reply of a call: printed as text or JSON, or saved; and the exit code it means."""

from __future__ import annotations

import sys

from trunkline.cli.envelope import reply_document
from trunkline.cli.exits import OK, TOOL_ERROR
from trunkline.cli.render import indent_text, line
from trunkline.cli.saving import check_target, leftover_text, plan_files, write_file
from trunkline.cli.terminal import Terminal
from trunkline.core.content import Blob
from trunkline.core.reply import Reply

_STDOUT = "-"


class Delivery:
    """How one reply is handed over.

    Raises:
        UsageError: nothing can be written to `output`; found out before anything is called.
    """

    def __init__(
        self, terminal: Terminal, *, as_json: bool, raw: bool, full: bool, output: str | None
    ) -> None:
        self.terminal = terminal
        self._as_json = as_json
        self._full = full
        self._raw = raw
        self._output = output
        self._is_folder = output is not None and output != _STDOUT and check_target(output)

    def deliver(self, reply: Reply) -> int:
        """Print or save the reply. A tool's own error is printed, never saved."""
        if self._output is not None and not reply.is_error:
            self._save(reply, self._output)
        if self._as_json:
            self.terminal.print_document(reply_document(reply))
        elif self._raw:
            self.terminal.print_document(reply.raw)
        elif self._output is None or reply.is_error:
            self.terminal.print_result(reply.text, full=self._full)
        if reply.degraded:
            self.terminal.warn(f"degraded: {line(reply.reason)}")
        for warning in reply.warnings:
            if warning != reply.reason:
                self.terminal.warn(line(warning))
        if not reply.is_error:
            return OK
        if not self._as_json:
            self.terminal.note(f"trunkline: {line(reply.tool)} reports an error")
        return TOOL_ERROR

    def _save(self, reply: Reply, output: str) -> None:
        if output == _STDOUT and sys.stdout.isatty():
            self.terminal.print_result(reply.text, full=True)
            if any(isinstance(block, Blob) for block in reply.content):
                self.terminal.note("trunkline: binary content is not shown; -o PATH saves it")
            return
        files = plan_files(reply, output, is_folder=self._is_folder)
        for file in files:
            if output == _STDOUT:
                self.terminal.print_bytes(file.data)
                continue
            write_file(file.path, file.data)
            size = f"{len(file.data)} bytes"
            self.terminal.note(f"trunkline: saved {line(str(file.path))} ({line(file.mime_type)}, {size})")
        has_bytes = any(isinstance(block, Blob) for block in reply.content)
        if has_bytes and (text := leftover_text(reply.content)):
            self.terminal.note(indent_text(text))
