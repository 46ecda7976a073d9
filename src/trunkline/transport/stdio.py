"""stdio: the server is a child process of ours, in a process group of its own.

Source: specification 2026-07-28, basic/transports/stdio ("Shutdown", "Unexpected Termination").
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import msgspec

from trunkline.core.limits import Limits
from trunkline.errors import UnavailableError
from trunkline.protocol.lines import LineFramer
from trunkline.transport.child import Child
from trunkline.transport.link import Inbox
from trunkline.transport.pace import PIECE, WHOLE, Pace
from trunkline.transport.pipes import OWN_PIPES, ChildPipes
from trunkline.transport.process import describe_exit, end_process, is_stopped, signal_group
from trunkline.transport.stderr import StderrTail
from trunkline.transport.stream import StreamCore

_DRAIN = 0.03
"""Seconds the pipes of a dead process may take to empty, and a process with closed pipes to die."""
_FLOOD_DRAIN = 1.0
"""The same where very much may be left to read."""


class StdioTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to start one server and talk to it over its standard streams."""

    server: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    """The complete environment of the child."""
    cwd: str | None = None
    limits: Limits = Limits()
    clean: Callable[[str], str] = str
    """Makes a line of the server's standard error safe to show."""
    core: Callable[[str, Limits, Callable[[bytes], None]], StreamCore] = StreamCore
    grace: float = 2.0
    """Seconds a server may take to exit after its input closes, and again after SIGTERM."""

    async def open(self) -> StdioLink:
        """Start the process.

        Raises:
            UnavailableError: the command is missing or cannot be started.
        """
        command = self.command
        if self.cwd is not None and os.path.dirname(command):
            command = os.path.join(self.cwd, command)
        program = shutil.which(command, path=self.env.get("PATH", os.defpath))
        if program is None:
            raise UnavailableError(
                f"the command {self.command!r} was not found",
                code="command_not_found",
                server=self.server,
                hint=f"Install {self.command!r}, or give its full path as `command`.",
            )
        if self.cwd is not None and not Path(self.cwd).is_dir():  # noqa: ASYNC240 - one stat, before a fork
            raise UnavailableError(
                f"the working directory {self.cwd!r} does not exist",
                code="missing_directory",
                server=self.server,
                hint="Create the directory, or correct `cwd`.",
            )
        try:
            return await self._start(program)
        except (OSError, ValueError) as cause:
            raise UnavailableError(
                f"the command {self.command!r} could not be started ({cause})",
                code="start_failed",
                server=self.server,
                hint="Check that the file is executable and made for this system.",
            ) from cause

    async def _start(self, program: str) -> StdioLink:
        if not OWN_PIPES:
            loop = asyncio.get_running_loop()
            _, link = await loop.subprocess_exec(
                lambda: StdioLink(self), program, *self.args, env=dict(self.env), cwd=self.cwd
            )
            return link
        link, pipes = StdioLink(self), ChildPipes()
        try:
            try:
                child = Child(
                    (program, *self.args),
                    env=self.env,
                    cwd=self.cwd,
                    pipes=pipes,
                    on_exit=link.process_exited,
                )
            finally:
                pipes.close_child_ends()
            await link.attach(child, pipes)
        finally:
            pipes.abandon()
        return link


class StdioLink(asyncio.SubprocessProtocol):
    """One running server process; reads in the pipe's callbacks, writes in the caller's task."""

    kind = "stdio"

    def __init__(self, settings: StdioTransport) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._framer = LineFramer(settings.limits.frame_bytes)
        self._stderr = StderrTail(settings.server, settings.limits.stderr_line_bytes, settings.clean)
        self._core = settings.core(settings.server, settings.limits, self._write)
        self._pace = Pace(settings.limits.notifications)
        self._taken = 0
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._open_pipes = {1, 2}
        self._input_open = True
        self._closing: asyncio.Task[None] | None = None
        self._transport: Child | asyncio.SubprocessTransport
        self._outputs: list[asyncio.ReadTransport] = []
        self.next_id = self._core.next_id
        self.request = self._core.request
        self.adopt = self._core.adopt
        self.wait_closed = self._core.wait_lost
        self.stderr_tail = self._stderr.text

    @property
    def lost(self) -> bool:
        """Whether the stream has ended."""
        return self._core.lost

    @property
    def unsolicited(self) -> Inbox:
        """What the server sends outside exchanges."""
        return self._core.inbox

    @property
    def pid(self) -> int:
        """Process id of the server, which is also its group's."""
        return self._transport.get_pid()

    @property
    def core(self) -> StreamCore:
        """The stream's state, for statistics and tests."""
        return self._core

    def listen(self) -> None:
        """Everything comes on the one stream."""

    def frozen(self) -> bool:
        """Whether its process was stopped by a signal, such as SIGSTOP."""
        return not self._exited.done() and is_stopped(self.pid)

    def distrust(self) -> None:
        """There is nothing to open anew but the process itself."""

    async def notify(self, body: bytes) -> None:
        """Send a message that has no answer."""
        await self._core.deliver(body)

    async def close(self, reason: str = "it was closed") -> None:
        """End the process: close its input, then SIGTERM, then SIGKILL to its whole group."""
        if self._closing is None:
            self._core.lose(reason)
            self._closing = asyncio.ensure_future(self._end())
            self._read_on()
        await asyncio.shield(self._closing)

    async def attach(self, child: Child, pipes: ChildPipes) -> None:
        """Take over a started child and its pipes; on failure the child is ended."""
        self._transport = child
        try:
            output, errors, self._stdin = await pipes.connect(
                lambda: _Output(self), lambda: _Errors(self), lambda: _Input(self)
            )
        except BaseException:
            signal_group(child.get_pid(), signal.SIGKILL)
            child.close()
            raise
        self._outputs = [output, errors]
        self._stdin.set_write_buffer_limits(high=0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        process = cast(asyncio.SubprocessTransport, transport)
        self._transport = process
        self._stdin = cast(asyncio.WriteTransport, process.get_pipe_transport(0))
        self._stdin.set_write_buffer_limits(high=0)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self.take_output(data)
        else:
            self._stderr.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._open_pipes.discard(fd)
        if fd == 0:
            self._input_open = False
            # What is asked from now on stays here, and so was never sent.
            self._core.pause()
        if fd == 1:
            self._core.finish(self._framer.finish())
        elif fd == 2:
            self._stderr.finish()
        if not self._open_pipes and not self._drained.done():
            self._drained.set_result(None)
        if self._exited.done():
            self._lose_when_drained()
        elif fd in (0, 1):
            self._loop.call_later(_FLOOD_DRAIN if self._pace.flooding else _DRAIN, self._lose)

    def process_exited(self) -> None:
        code = self._transport.get_returncode()
        self._exited.set_result(0 if code is None else code)
        self._read_on()
        self._lose_when_drained()

    def take_output(self, data: bytes) -> None:
        """Take the next bytes of the server's standard output."""
        pace, core = self._pace, self._core
        began = self._loop.time() if pace.flooding else None
        frames = self._framer.feed(data)
        self._taken += len(frames)
        core.receive(frames)
        if self._taken - core.answered > pace.allowed:
            self._slow_down(began)

    def pause_writing(self) -> None:
        self._core.pause()

    def resume_writing(self) -> None:
        self._core.resume()

    def _write(self, data: bytes) -> None:
        self._stdin.write(data)

    def _slow_down(self, began: float | None) -> None:
        """Read a server less that sends very much of what nobody asked for, so that others have turns."""
        if self._is_ending():
            # Nothing much can follow, and its last words have little time.
            return
        now = self._loop.time()
        rest = self._pace.rest(self._taken - self._core.answered, now if began is None else began, now)
        for output in self._outputs[:1] if rest else ():
            _read_pieces(output, PIECE)
            output.pause_reading()
            self._loop.call_later(rest, self._read_on)

    def _read_on(self) -> None:
        for output in self._outputs[:1]:
            if self._is_ending():
                _read_pieces(output, WHOLE)
            output.resume_reading()

    def _is_ending(self) -> bool:
        return self._closing is not None or self._exited.done()

    def _lose_when_drained(self) -> None:
        if self._drained.done():
            self._lose()
        else:
            self._loop.call_later(_FLOOD_DRAIN if self._pace.flooding else _DRAIN, self._lose)

    def _lose(self) -> None:
        if self._exited.done():
            self._core.lose(describe_exit(self._exited.result()))
        else:
            self._core.lose("it closed its standard streams")

    async def _end(self) -> None:
        self._stdin.close()
        try:
            await end_process(self.pid, self._exited, self._settings.grace, polite=self._core.heard)
            await asyncio.wait({self._drained}, timeout=_DRAIN)
        finally:
            self._transport.close()
            if self._input_open:
                self._stdin.abort()
            for output in self._outputs:
                output.close()
        # asyncio closes the descriptors one turn after `close`.
        await asyncio.sleep(0)


def _read_pieces(output: asyncio.ReadTransport, size: int) -> None:
    # asyncio's pipes take their size from here; those of other loops decide by themselves.
    with contextlib.suppress(AttributeError):
        output.max_size = size  # type: ignore[attr-defined]


class _Output(asyncio.Protocol):
    """The child's standard output."""

    def __init__(self, link: StdioLink) -> None:
        self._link = link
        self.data_received = link.take_output  # type: ignore[method-assign] # one call less per chunk

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipe_connection_lost(1, exc)


class _Errors(asyncio.Protocol):
    """The child's standard error."""

    def __init__(self, link: StdioLink) -> None:
        self._link = link

    def data_received(self, data: bytes) -> None:
        self._link.pipe_data_received(2, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipe_connection_lost(2, exc)


class _Input(asyncio.BaseProtocol):
    """The child's standard input."""

    def __init__(self, link: StdioLink) -> None:
        self._link = link

    def pause_writing(self) -> None:
        self._link.pause_writing()

    def resume_writing(self) -> None:
        self._link.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.pipe_connection_lost(0, exc)
