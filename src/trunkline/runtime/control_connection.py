"""One client of the control server: its requests run side by side and end with its connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.core.call import Progress
from trunkline.errors import ConfigError, TrunklineError
from trunkline.runtime.control_asking import OpenQuestions
from trunkline.runtime.control_errors import encode_error
from trunkline.runtime.control_messages import (
    Answer,
    Failure,
    Hello,
    Inspection,
    Report,
    Request,
    Status,
    Told,
)
from trunkline.runtime.control_peer import is_same_user

if TYPE_CHECKING:
    from trunkline.runtime.control_server import ControlServer

logger = logging.getLogger("trunkline.control")

_MOST_REQUESTS = 256
"""Requests of one connection that may run at a time; one more ends it."""
_MOST_UNREAD = 1024 * 1024
"""Bytes that may wait for a client before progress is left out."""

_decode = msgspec.json.Decoder(Request).decode
_encode = msgspec.json.Encoder().encode


class ControlConnection:
    """One client."""

    def __init__(
        self, server: ControlServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._questions = OpenQuestions(self._send)
        self._inspects = False
        self.running: dict[int, asyncio.Task[None]] = {}
        """The requests that run, by number."""

    async def serve(self) -> None:
        """Greet the client, then answer until it goes; what still runs then is cancelled."""
        if not self._is_ours() or not self._greet(await self._next()):
            return
        async with asyncio.TaskGroup() as group:
            while (request := await self._next()) is not None:
                if isinstance(request, Told):
                    self._questions.settle(request)
                    continue
                self.running[request.id] = group.create_task(self._answer(request))
            for task in self.running.values():
                task.cancel()

    async def _next(self) -> Request | None:
        """Read the next request; None when the client has gone or does not speak this protocol."""
        try:
            line = await self._reader.readline()
            request = _decode(line) if line else None
        except (OSError, ValueError, msgspec.MsgspecError):
            return None
        if request is not None and (request.id in self.running or len(self.running) >= _MOST_REQUESTS):
            return None
        return request

    def _is_ours(self) -> bool:
        with socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno())) as duplicate:
            return is_same_user(duplicate)

    def _greet(self, hello: Request | None) -> bool:
        if not isinstance(hello, Hello):
            return False
        try:
            self._send(self._server.greet(hello))
            self._inspects = hello.inspects
        except ConfigError as error:
            self._send(Failure(id=hello.id, error=encode_error(error)))
            return False
        return True

    async def _answer(self, request: Request) -> None:
        try:
            self._send(await self._respond(request))
            with contextlib.suppress(OSError):
                await self._writer.drain()
        finally:
            del self.running[request.id]
            self._server.note_quiet()

    async def _respond(self, request: Request) -> Answer | Failure:
        def report(progress: Progress) -> None:
            if self._writer.transport.get_write_buffer_size() < _MOST_UNREAD:
                facts = msgspec.structs.asdict(progress)
                self._send(Report(id=request.id, **facts))

        self._questions.serve(request.id)
        try:
            if self._inspects and not isinstance(request, Status | Inspection):
                raise ConfigError("this connection is for inspection only")
            value = await self._server.perform(request, report)
            raw = value if isinstance(value, msgspec.Raw) else msgspec.Raw(_encode(value))
            return Answer(id=request.id, value=raw, statuses=self._server.statuses(request))
        except TrunklineError as error:
            statuses = self._server.statuses(request)
            return Failure(id=request.id, error=encode_error(error), statuses=statuses)
        except Exception as error:  # boundary: a defect met by one request must not end the others
            logger.exception("a request over the control socket failed")
            return Failure(id=request.id, error=encode_error(error))

    def _send(self, message: Any) -> None:
        self._writer.write(_encode(message) + b"\n")
