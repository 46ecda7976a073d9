"""The process a client runs in: it imports the library once, and forks for every scenario.

`python -m trunkline.testing.lab.driver TARGET SOCKET` announces itself in one line of JSON on standard output
and then accepts connections, each of which gets a process of its own. On a connection, lines of JSON ask for
`connect`, `call` and `close`; each is answered in one line. It all ends with standard input. POSIX only.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import sys
from typing import Any, TextIO

from trunkline.testing.lab.client import Client, Patience, load_client
from trunkline.testing.lab.rehearsal import rehearse


def main(target: str, path: str) -> int:
    """Announce the client, then fork for every connection until standard input ends."""
    announcement, sys.stdout = sys.stdout, sys.stderr
    try:
        client = load_client(target)
        facts = {"name": client.name, "version": client.version()}
        rehearse(client)
    except (ImportError, ValueError) as error:
        _announce(announcement, {"missing": f"{type(error).__name__}: {error}"})
        return 1
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        # Nobody asks how the forks ended, so the kernel may forget them.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        _announce(announcement, facts)
        while 0 not in select.select([0, listener.fileno()], [], [])[0]:
            _fork(client, listener)
    os.killpg(0, signal.SIGKILL)
    return 0


def _announce(stream: TextIO, facts: dict[str, str]) -> None:
    stream.write(json.dumps(facts) + "\n")
    stream.flush()


def _fork(client: Client, listener: socket.socket) -> None:
    connection, _ = listener.accept()
    if os.fork() != 0:
        connection.close()
        return
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        _forget_standard_input()
        asyncio.run(_serve(client, connection))
        status = 0
    finally:
        os._exit(status)


def _forget_standard_input() -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)


async def _serve(client: Client, connection: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    answers = _Answers(writer)
    answers.put(pid=os.getpid())
    try:
        first = json.loads(await reader.readline())
        await _live(client, first, reader, answers)
    except BaseException as error:  # boundary: whatever ends the client is what the lab wants to know
        answers.put(error=type(error).__name__, message=_describe(error), ended=True)
    else:
        answers.put(value="closed")
    await writer.drain()
    # Everything is told: what the library left behind must not keep the process.
    os._exit(0)


async def _live(client: Client, first: Any, reader: asyncio.StreamReader, answers: _Answers) -> None:
    """One use of the client: all calls from the task that entered it, as in a simple program."""
    async with client.connect(first["servers"], Patience(**first["patience"])) as session:
        answers.put(value="connected")
        while (line := await reader.readline()) and (asked := json.loads(line))["do"] == "call":
            try:
                text = await session.call(asked["server"], asked["tool"], asked["arguments"])
            except Exception as error:  # boundary: the application goes on after a call that failed
                answers.put(error=type(error).__name__, message=_describe(error))
            else:
                answers.put(value=text)


class _Answers:
    """Answers, one line each."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def put(self, **facts: object) -> None:
        self._writer.write(json.dumps(facts, default=str).encode() + b"\n")


def _describe(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup) and error.exceptions:
        inner = error.exceptions[0]
        return f"{error.message}: {type(inner).__name__}: {_describe(inner)}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
