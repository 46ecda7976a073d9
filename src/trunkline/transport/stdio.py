"""stdio: the server is a child process of ours, in a process group of its own.

Source: specification 2026-07-28, basic/transports/stdio ("Shutdown", "Unexpected Termination").
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import msgspec

from trunkline.config.process_support import COUNTS
from trunkline.core.limits import Limits
from trunkline.core.process_limits import Exceeded, ProcessLimits
from trunkline.protocol.lines import LineFramer
from trunkline.transport.bounds import Bounds, bounded_command
from trunkline.transport.child import Child
from trunkline.transport.ending import end_process
from trunkline.transport.kin import Kin
from trunkline.transport.link import Inbox
from trunkline.transport.pace import PIECE, WHOLE, Pace
from trunkline.transport.pipes import OWN_PIPES, ChildPipes, Reading, Writing, read_pieces
from trunkline.transport.process import describe_exit, is_stopped, signal_group
from trunkline.transport.program import explain_start, find_program
from trunkline.transport.share import SLICE, cut_lines
from trunkline.transport.stderr import StderrTail
from trunkline.transport.stream import StreamCore

_DRAIN = 0.03
"""Seconds of silence after which nothing more is expected of a dead process, or one with closed pipes."""
_LONGEST_DRAIN = 5.0
"""Seconds that reading what such a process has left may take."""


class StdioTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to start one server and talk to it over its standard streams."""

    server: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    """The complete environment of the child."""
    cwd: str | None = None
    limits: Limits = Limits()
    process: ProcessLimits = ProcessLimits()
    """What the server and all processes it starts may take of this machine."""
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
        program = find_program(self.server, self.command, self.env, self.cwd)
        try:
            return await self._start(program)
        except (OSError, ValueError) as cause:
            raise explain_start(self.server, self.command, program, self.env, cause) from cause

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
                    bounded_command((program, *self.args), self.process, self.env),
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
        self._spent = 0.0
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._open_pipes = {1, 2}
        self._input_open = True
        self._closing: asyncio.Task[None] | None = None
        self._transport: Child | asyncio.SubprocessTransport
        self._outputs: list[asyncio.ReadTransport] = []
        self._catching_up = self._is_silent = False
        self._losing: asyncio.TimerHandle | None = None
        self._pieces: deque[bytes] = deque()
        self._bounds: Bounds | None = None
        self.exceeded: Exceeded | None = None
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
    def exit_code(self) -> int | None:
        """How the process ended: its exit code, negative for a signal; None while it runs."""
        return self._exited.result() if self._exited.done() else None

    @property
    def core(self) -> StreamCore:
        """The stream's state."""
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
                lambda: Reading(self.take_output, partial(self.pipe_connection_lost, 1)),
                lambda: Reading(self._stderr.feed, partial(self.pipe_connection_lost, 2)),
                lambda: Writing(self, partial(self.pipe_connection_lost, 0)),
            )
        except BaseException:
            signal_group(child.get_pid(), signal.SIGKILL)
            child.close()
            raise
        self._outputs = [output, errors]
        if self._stdin.is_closing():  # the child has ended already; uvloop refuses to be told anything then
            self._core.pause()
        else:
            self._stdin.set_write_buffer_limits(high=0)
        limits = self._settings.process
        if COUNTS and (limits.memory or limits.cpu_seconds or limits.processes) and not self._exited.done():
            self._bounds = Bounds(limits, self.pid, self._take_exceeded)

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
            self._take_the_rest()
            self._core.finish(self._framer.finish())
        elif fd == 2:
            self._stderr.finish()
        if not self._open_pipes and not self._drained.done():
            self._drained.set_result(None)
        if self._exited.done():
            self._lose_when_drained()
        elif fd in (0, 1):
            self._lose_later()

    def process_exited(self) -> None:
        code = self._transport.get_returncode()
        self._exited.set_result(0 if code is None else code)
        self._part_from_bounds()
        if (seconds := self._settings.process.cpu_seconds) and code == -signal.SIGXCPU:
            self.exceeded = Exceeded(limit="cpu_seconds", allowed=seconds, taken=seconds)
        self._read_on()
        self._lose_when_drained()

    def take_output(self, data: bytes) -> None:
        """Take the next bytes of the server's standard output."""
        if self._catching_up:
            self._pieces.extend(cut_lines(data))
            return
        if len(data) > SLICE:
            data, *later = cut_lines(data)
            self._pieces.extend(later)
        self._is_silent = False
        began = self._loop.time() if self._pace.flooding else None
        if began is not None and self._pace.has_ended(began) and (output := self._output()) is not None:
            read_pieces(output, WHOLE)
        behind = self._core.receive(self._framer.feed(data))
        if began is not None:
            self._spent += self._loop.time() - began
        if behind or self._pieces:
            self._catching_up = True
            self._pause_reading()
            self._loop.call_soon(self._catch_up)
        elif self._core.share.total > self._pace.allowed:
            self._read_later()

    def pause_writing(self) -> None:
        self._core.pause()

    def resume_writing(self) -> None:
        self._core.resume()

    def _write(self, data: bytes) -> None:
        self._stdin.write(data)

    def _take_exceeded(self, exceeded: Exceeded) -> None:
        self.exceeded = exceeded

    def _part_from_bounds(self) -> None:
        if self._bounds is not None:
            self._bounds.close()

    def _take(self, data: bytes) -> bool:
        return self._core.receive(self._framer.feed(data))

    def _read_later(self) -> None:
        """Read again, but late where very much came that nobody asked for, so that others have turns."""
        unasked, rest = self._core.share.total, 0.0
        # Of one that is ending nothing much can follow, and its last words have little time.
        if unasked > self._pace.allowed and not self._is_ending():
            now = self._loop.time()
            rest = self._pace.rest(unasked, now - self._spent, now)
        self._spent = 0.0
        if rest:
            self._pause_reading(PIECE)
            self._loop.call_later(rest, self._read_on)
        else:
            self._read_on()

    def _pause_reading(self, size: int | None = None) -> None:
        """Read nothing for now, and later so many bytes at once."""
        if 1 in self._open_pipes and (output := self._output()) is not None:
            output.pause_reading()
            if size is not None:
                read_pieces(output, size)

    def _read_on(self) -> None:
        self._is_silent = False
        if not self._catching_up and 1 in self._open_pipes and (output := self._output()) is not None:
            if self._is_ending():
                read_pieces(output, WHOLE)
            output.resume_reading()

    def _is_ending(self) -> bool:
        return self._closing is not None or self._exited.done()

    def _lose_when_drained(self) -> None:
        if self._drained.done():
            self._lose()
        else:
            self._lose_later()

    def _lose_later(self, left: float = _LONGEST_DRAIN) -> None:
        if self._losing is None:
            self._is_silent = True
            self._losing = self._loop.call_later(_DRAIN, self._look_again, left - _DRAIN)

    def _look_again(self, left: float) -> None:
        """Give a turn to what has arrived while the loop was held up: some loops have timers first."""
        self._losing = self._loop.call_later(0, self._lose_if_silent, left)

    def _lose_if_silent(self, left: float) -> None:
        self._losing = None
        rests = self._pace.flooding and not self._exited.done()
        if (rests or self._catching_up or not self._is_silent) and left > 0 and not self.lost:
            self._lose_later(left)
        else:
            self._lose()

    def _catch_up(self) -> None:
        """Others have had a turn: go on with what has arrived, and read again when all of it is taken."""
        core = self._core
        began = self._loop.time()
        core.go_on()
        while self._pieces and not core.behind:
            self._take(self._pieces.popleft())
        self._spent += self._loop.time() - began
        if core.behind:
            self._loop.call_soon(self._catch_up)
            return
        self._catching_up = False
        self._read_later()

    def _take_the_rest(self) -> None:
        """Take all that has arrived at once: the stream is about to end."""
        while self._pieces:
            self._take(self._pieces.popleft())
        self._core.catch_up()

    def _output(self) -> asyncio.ReadTransport | None:
        """Give what its standard output is read from; None until there is anything."""
        if self._outputs:
            return self._outputs[0]
        if isinstance(self._transport, Child):
            return None
        return cast("asyncio.ReadTransport | None", self._transport.get_pipe_transport(1))

    def _lose(self) -> None:
        self._take_the_rest()
        if self.exceeded is not None:
            self._core.lose(str(self.exceeded))
        elif self._exited.done():
            self._core.lose(describe_exit(self._exited.result()))
        else:
            self._core.lose("it closed its standard streams")

    async def _end(self) -> None:
        kin = Kin(self.pid, () if self._bounds is None else self._bounds.tree.members.values())
        kin.look(root=not self._exited.done())
        self._stdin.close()
        try:
            await end_process(kin, self._exited, self._settings.grace, polite=self._core.heard)
            await asyncio.wait({self._drained}, timeout=_DRAIN)
        finally:
            self._part_from_bounds()
            self._transport.close()
            if self._input_open:
                self._stdin.abort()
            for output in self._outputs:
                output.close()
        # asyncio closes the descriptors one turn after `close`.
        await asyncio.sleep(0)
