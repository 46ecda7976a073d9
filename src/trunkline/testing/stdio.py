"""Runs a fake server on real pipes: `python -m trunkline.testing.stdio SCRIPT.json | MODULE:ATTR`.

A script runs on one plain loop without asyncio, because tests start it hundreds of times. A `MODULE:ATTR` may
hold Python functions and therefore runs on asyncio; faults that need a byte stream work in scripts only.
"""

from __future__ import annotations

import functools
import heapq
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trunkline.testing.dialogue import Conversation
from trunkline.testing.document import read_document, read_script
from trunkline.testing.effects import Await, Effect, End, Ending, Pause, Write, advance
from trunkline.testing.exchange import Exchange
from trunkline.testing.framing import Lines, decode, encode, error_message
from trunkline.testing.ledger import Journal, Received
from trunkline.testing.script import Process, RpcError

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_NOISE = b"noise on standard error, drained by a careful client\n"


def main(arguments: list[str]) -> int:
    """Serve standard input and output until the input ends; give the exit status."""
    if len(arguments) != 1:
        print(__doc__.partition("\n")[0], file=sys.stderr)
        return 2
    if ":" in arguments[0] and not os.path.exists(arguments[0]):
        return _serve_module(arguments[0])
    document = read_document(arguments[0])
    process = Process.from_json(document.get("process", {}))
    server = read_script(document)
    _start(server, process)
    return _Loop(server, process).run()


class _Loop:
    """Plays every exchange of one connection, waiting only for input and for the next timer."""

    def __init__(self, server: FakeServer, process: Process) -> None:
        self._conversation = Conversation(server)
        self._process = process
        self._timers: list[tuple[float, int, Exchange]] = []
        self._reading = True
        self._writing = True

    def run(self) -> int:
        lines = _read_lines()
        while True:
            ready = self._wait()
            self._resume_due()
            if not ready:
                continue
            chunk = next(lines, None)
            if chunk is None and not self._process.ignore_eof:
                return 0
            self._reading = chunk is not None
            for line in chunk or ():
                self._receive(line)

    def _wait(self) -> bool:
        """Tell whether there is something to read once that is so or a timer is due."""
        pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        if self._reading:
            return bool(select.select([_STDIN], [], [], pause)[0])
        time.sleep(3600 if pause is None else pause)
        return False

    def _resume_due(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._advance(heapq.heappop(self._timers)[2])

    def _receive(self, line: bytes) -> None:
        try:
            exchanges = self._conversation.open_each(decode(line), Lines)
        except RpcError as error:
            self._write(Write(encode(error_message(None, error)) + b"\n"))
            return
        for exchange in exchanges:
            exchange.on_cancel = functools.partial(_finish, exchange)
            self._advance(exchange)

    def _advance(self, exchange: Exchange, value: Any = None) -> None:
        """Play an exchange up to its next wait; one that was cancelled is over already.

        Args:
            value: what it waited for, if it was a response.
        """
        effect: Effect | None = None
        while (effect := advance(exchange.steps, value)) is not None:
            value = None
            match effect:
                case Write():
                    self._write(effect)
                case Pause(None):
                    return
                case Pause(float() | int() as seconds) if seconds > 0:
                    entry = (time.monotonic() + seconds, exchange.received.position, exchange)
                    heapq.heappush(self._timers, entry)
                    return
                case Await(number):
                    take = functools.partial(self._advance, exchange)
                    self._conversation.await_response(number, take)
                    return
                case End(how):
                    self._end(how)
        exchange.finish()

    def _write(self, effect: Write) -> None:
        if not self._writing:
            return
        step = effect.piece or len(effect.data) or 1
        for start in range(0, len(effect.data), step):
            try:
                _write_all(_STDOUT, effect.data[start : start + step])
            except BrokenPipeError:
                os._exit(0)
            time.sleep(effect.seconds)

    def _end(self, how: Ending) -> None:
        if how == "close":
            os.close(_STDOUT)
            self._writing = False
            return
        _die(how, self._process.exit_code)


def _finish(exchange: Exchange) -> None:
    if exchange.cancellable:
        exchange.finish()


def _start(server: FakeServer, process: Process) -> None:
    """Do what the script asks for before the first byte is read."""
    starts = 0
    if process.journal is not None:
        starts = len(Journal(process.journal).pids) if process.failing_starts else 0
        _keep_journal(server, process.journal)
    if process.ignore_sigterm:
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in process.stderr:
        _write_all(_STDERR, line.encode() + b"\n")
    _write_all(_STDERR, (_NOISE * (process.stderr_flood // len(_NOISE) + 1))[: process.stderr_flood])
    if starts < process.failing_starts:
        os._exit(process.exit_code)
    _write_all(_STDOUT, process.prelude.encode())
    time.sleep(process.start_delay)


def _keep_journal(server: FakeServer, path: str) -> None:
    journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(event: str, **members: object) -> None:
        _write_all(
            journal,
            json.dumps({"event": event, "pid": os.getpid(), "at": time.monotonic(), **members}).encode()
            + b"\n",
        )

    def record(what: str, one: Received) -> None:
        facts = {"method": one.method, "params": one.params, "id": one.request_id, "version": one.version}
        write(what, position=one.position, **(facts if what == "received" else {}))

    write("start")
    server.ledger.sink = record


def _read_lines() -> Iterator[list[bytes]]:
    """Give the lines completed by each read; an unfinished last line is dropped."""
    parts: list[bytes] = []
    while chunk := os.read(_STDIN, 1 << 20):
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*parts, ended[0]])
            parts = []
        parts.append(rest)
        yield [line for line in ended if line.strip()]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _die(how: Ending, exit_code: int) -> None:
    if how == "kill":
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(exit_code)


def _serve_module(target: str) -> int:
    import asyncio
    import importlib

    from trunkline.testing.memory import serve

    module, _, attribute = target.partition(":")
    server = getattr(importlib.import_module(module), attribute)

    async def run() -> None:
        lines = _read_lines()
        waiting: list[bytes] = []

        async def receive() -> bytes:
            while not waiting:
                chunk = await asyncio.to_thread(next, lines, None)
                if chunk is None:
                    return b""
                waiting.extend(reversed(chunk))
            return waiting.pop()

        ending = await serve(server, receive, lambda frame: _write_all(_STDOUT, frame + b"\n"))
        if ending is not None:  # here, because the loop would wait for the reading thread
            _die(ending, Process().exit_code)

    asyncio.run(run())
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
