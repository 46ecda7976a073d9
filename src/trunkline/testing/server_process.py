"""A process of its own that serves fake servers over HTTP and WebSocket.

    with ServerProcess() as process:
        url = process.serve(server, "sse")      # any number of servers, until `stop` or the end

What such a server does costs the process of the test neither time nor memory, so that both can be measured
there. Over stdio every fake server has a process anyway: see `FakeServer.to_stdio_entry`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from trunkline.testing.document import read_script, to_document

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

Carrier = Literal["json", "sse", "older", "websocket"]
_ENDING = 10.0
"""Seconds the process may take to end once its input has."""


class ServerProcess:
    """Starts the process; use it in `with`. Its methods wait until the process has answered.

    Raises:
        RuntimeError: from its methods, when the process has ended.
    """

    def __init__(self) -> None:
        source = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trunkline.testing.server_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def serve(self, server: FakeServer, carrier: Carrier, *, tiresome: bool = False) -> str:
        """Serve a copy of a server as it is now and give its URL.

        Args:
            carrier: `json` and `sse` are Streamable HTTP with one kind of reply, `older` is HTTP+SSE.
            tiresome: see `FakeServer.websocket`; nothing over Streamable HTTP, where faults do that.

        Raises:
            ValueError: a tool is a Python function.
        """
        question = {"serve": to_document(server), "carrier": carrier, "tiresome": tiresome}
        return str(self._ask(question)["url"])

    def stop(self, url: str) -> None:
        """Stop serving; every connection breaks."""
        self._ask({"stop": url})

    def close(self) -> None:
        """End the process and everything it serves."""
        pipes = (self._process.stdin, self._process.stdout)
        for pipe in pipes:
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError("the process that serves the fake servers has ended") from None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that serves the fake servers has ended")
        return dict(json.loads(answer))


async def _run() -> None:
    """Do what each line of the input asks for, until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 28)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with contextlib.AsyncExitStack() as everything:
        served: dict[str, contextlib.AsyncExitStack] = {}
        while line := await reader.readline():
            question = json.loads(line)
            if "stop" in question:
                await served.pop(question["stop"]).aclose()
                answer = {}
            else:
                stack = await everything.enter_async_context(contextlib.AsyncExitStack())
                url = await _serve(stack, question["serve"], question["carrier"], question["tiresome"])
                answer = {"url": url}
                served[answer["url"]] = stack
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


async def _serve(
    stack: contextlib.AsyncExitStack, document: dict[str, Any], carrier: Carrier, tiresome: bool
) -> str:
    server = read_script(document)
    match carrier:
        case "older":
            return await stack.enter_async_context(server.sse(tiresome=tiresome))
        case "websocket":
            return await stack.enter_async_context(server.websocket(tiresome=tiresome))
        case _:
            return await stack.enter_async_context(server.http(json=carrier == "json"))


if __name__ == "__main__":
    asyncio.run(_run())
