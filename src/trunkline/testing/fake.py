"""The fake MCP server: what it offers, how it misbehaves, and the ways to serve it."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from trunkline.testing.asking import Ask
from trunkline.testing.eras import METHODS, VERSIONS, Family, complete, family
from trunkline.testing.faults import Fault, FaultPlan, FaultRule
from trunkline.testing.ledger import Journal, Ledger, Received
from trunkline.testing.offer import Offer
from trunkline.testing.pages import Cursors
from trunkline.testing.watching import Watchers

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from trunkline.testing.http import HttpServer
    from trunkline.testing.streams import Endpoint

Discover = Literal["answer", "error", "silent", "exit"]
_DISCOVER_FAULTS = {
    "error": Fault.rpc_error(-32601, "Method not found: server/discover"),
    "silent": Fault.hang,
    "exit": Fault.crash_before_reply,
}


class FakeServer(Offer):
    """An MCP server for tests, scripted from code, that speaks both families exactly.

    One object serves any number of connections over memory, HTTP and stdio; `ledger` holds what the ones in
    this process received.

    Args:
        name: what it says of itself.
        eras: the families it answers.
        versions: the revisions it supports; None takes every one of its families.
        page_size: items per page of a list; None gives one page.
        cursors: how lists end, see `Cursors`.
        discover: what `server/discover` meets: an answer, -32601, silence, or the server's end. None answers
            where a modern revision is supported, else it is an error. A legacy server may answer: it then
            names legacy revisions only.
        instructions: the server's text for models.
        ttl_ms, cache_scope: the cache hints of modern results.
        result_type: `resultType` of modern results; None leaves it out, as some real servers do.
        watchable: tell of changes: `listChanged` and `subscribe` are declared, `subscriptions/listen` and
            `resources/subscribe` answered; see `notify_list`, `notify_resource` and `watchers`.
        keep: how many of the latest messages the ledger holds; None keeps all.
        reads_batches: take arrays of messages where the revision is 2025-03-26, as it demands; many real
            servers of it do not. Streams answer each message alone, HTTP answers all in one response.

    Raises:
        ValueError: an unknown revision, or a family without one.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        eras: Sequence[Family] = ("legacy", "modern"),
        versions: Sequence[str] | None = None,
        page_size: int | None = None,
        cursors: Cursors = "plain",
        discover: Discover | None = None,
        instructions: str | None = None,
        ttl_ms: int = 0,
        cache_scope: Literal["public", "private"] = "private",
        result_type: str | None = "complete",
        watchable: bool = False,
        keep: int | None = None,
        reads_batches: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.info: Mapping[str, str] = {"name": name, "version": "1.0"}
        self.versions = _choose_versions(eras, versions)
        """The supported revisions, oldest first."""
        self.legacy_versions = tuple(one for one in self.versions if family(one) == "legacy")
        self.modern_versions = tuple(one for one in self.versions if family(one) == "modern")
        self.page_size = page_size
        self.cursors = cursors
        self.discover: Discover = discover or ("answer" if self.modern_versions else "error")
        self.instructions = instructions
        self.ttl_ms = ttl_ms
        self.cache_scope = cache_scope
        self.result_type = result_type
        self.watchable = watchable
        self.watchers = Watchers(self)
        """Who is told of changes: open streams, and legacy connections; HTTP sessions by their GET."""
        self.ledger = Ledger(keep)
        self.broadcasts: set[Callable[[str, Mapping[str, Any]], None]] = set()
        """One function per open memory connection that sends it a notification."""
        self.askers: set[Callable[[Ask], None]] = set()
        """One function per open memory connection that sends it a request nobody waits for."""
        self.endpoints: list[HttpServer] = []
        self.faults = FaultPlan()
        self.reads_batches = reads_batches
        self.batches: list[int] = []
        """How many messages each batch held that was received in this process, in order."""

    @property
    def calls(self) -> list[Received]:
        """Every `tools/call` received, in order."""
        return self.ledger.calls

    async def wait_for(
        self,
        condition: Callable[[Ledger], bool],
        timeout: float = 5.0,  # noqa: ASYNC109 - as `Ledger.wait_for`
    ) -> None:
        """Wait until something is true of the ledger; see `Ledger.wait_for`."""
        await self.ledger.wait_for(condition, timeout)

    def fault(self, target: str, fault: Fault, *, nth: int | None = None, times: int | None = None) -> None:
        """Misbehave on some requests.

        Args:
            target: a method, a tool, a prompt or a resource URI of this server, or `*` for every request.
            nth: the first request struck, counted from 1 over all connections; alone it strikes only that
                one. Each process counts for itself.
            times: how many requests in a row are struck; None without `nth` strikes all.

        Raises:
            ValueError: nothing of that name exists here.
        """
        known = {"*", *METHODS, *self.tools, *self.resources, *self.prompts}
        if target not in known:
            raise ValueError(f"{self.name} has no method, tool, prompt or resource {target!r}")
        self.faults.add(FaultRule(target, fault, nth, times))

    def heal(self) -> None:
        """Drop all faults and their counts; what `discover` stands for stays."""
        self.faults.clear()

    def strike(self, method: str, name: str | None) -> Fault | None:
        """Count a request and give the fault that strikes it, or None."""
        fault = self.faults.pick(method, name)
        return _DISCOVER_FAULTS.get(self.discover) if fault is None and method == "server/discover" else fault

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification nobody asked for to every open memory connection."""
        for send in tuple(self.broadcasts):
            send(method, params or {})

    def notify_list(self, kind: Literal["tools", "resources", "prompts"] = "tools") -> None:
        """Tell everybody who wants to know that a list has changed; change it before."""
        self.watchers.tell_list(kind)

    def notify_resource(self, uri: str, *, part: str | None = None) -> None:
        """Tell everybody subscribed to a resource that it was updated, or that a part of it was."""
        self.watchers.tell_update(part or uri, uri)

    def notify_log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Send a log message to every legacy connection that wants this level."""
        self.watchers.tell_log(level, data, logger)

    def end_streams(self, *, cut: bool = False) -> None:
        """End every `subscriptions/listen` in good order; `cut` ends the connection it is on instead."""
        self.watchers.end_streams(cut=cut)

    def ask(self, question: Ask) -> None:
        """Ask every open memory connection out of nowhere; the ledger holds the response."""
        for put in tuple(self.askers):
            put(question)

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]) -> None:
        """Serve one connection in memory; returning means that the server exited.

        Args:
            receive: gives one frame without newline, and `b""` at the end of input.
            send: takes one frame without newline.
        """
        from trunkline.testing.memory import serve

        await serve(self, receive, send)

    def http(
        self, *, json: bool = True, path: str = "/mcp", sessions: bool = True
    ) -> AbstractAsyncContextManager[str]:
        """Serve Streamable HTTP on a free port of 127.0.0.1 within an `async with`, which gives the URL.

        Args:
            json: reply with one JSON body and no notifications; False replies with event streams.
            sessions: legacy clients get a session and have to name it.
        """
        from trunkline.testing.http import serve_url

        return serve_url(self, json=json, path=path, sessions=sessions)

    def websocket(
        self, *, cut_after: int | None = None, delay: float = 0.0, tiresome: bool = False
    ) -> AbstractAsyncContextManager[str]:
        """Serve over WebSocket on a free port of 127.0.0.1 within an `async with`, which gives the URL.

        Args:
            cut_after: break the connection, once, when so many messages were sent and another one is due.
            delay: seconds before each message.
            tiresome: send some messages by the piece, slowly, and comments or pings all the time.
        """
        from trunkline.testing.streams import Quirks, serve_url

        return serve_url(self, "websocket", Quirks(cut_after=cut_after, delay=delay, tiresome=tiresome))

    def sse(
        self,
        *,
        endpoint: Endpoint = "relative",
        ids: bool = False,
        retry_ms: int | None = None,
        cut_after: int | None = None,
        delay: float = 0.0,
        lines: int = 1,
        status: int = 202,
        tiresome: bool = False,
    ) -> AbstractAsyncContextManager[str]:
        """Serve over the HTTP+SSE transport of 2024-11-05, as `websocket` does.

        Args:
            endpoint: what the stream names: an endpoint that is `relative` or `absolute`, one of a `foreign`
                origin, one that comes `late`, or `none`.
            ids: number the events, so that a broken stream can be taken up where it ended.
            retry_ms: the reconnection time to ask for.
            lines: spread each message over so many lines of data.
            status: what posts are answered with; any but 202 drops them.
        """
        from trunkline.testing.streams import Quirks, serve_url

        quirks = Quirks(endpoint, ids, retry_ms, cut_after, delay, lines, status, tiresome)
        return serve_url(self, "sse", quirks)

    async def listen(
        self, *, port: int = 0, json: bool = True, path: str = "/mcp", sessions: bool = True
    ) -> HttpServer:
        """Start a server that can be stopped and started again on the same port; the caller stops it."""
        from trunkline.testing.http import HttpServer

        server = HttpServer(self, port=port, json=json, path=path, sessions=sessions)
        await server.start()
        return server

    def expire_sessions(self) -> None:
        """End every legacy HTTP session: the next request that names one gets a 404."""
        for server in self.endpoints:
            server.endpoint.sessions.clear()

    def to_stdio_entry(
        self, folder: Path, *, env: Mapping[str, str] | None = None, **process: Any
    ) -> dict[str, Any]:
        """Write this server as a script and give the `mcp.json` entry that runs it as a process.

        Args:
            folder: where the script and the journal go, named after the server.
            env: variables of the entry.
            process: fields of `Process`, such as `stderr=["starting"]` or `start_delay=0.5`.

        Raises:
            ValueError: a tool is a Python function.
        """
        from trunkline.testing.document import write_script

        script = write_script(self, folder, process)
        return stdio_entry(str(script), env=env)

    def journal(self, folder: Path) -> Journal:
        """Give the ledger of the processes started from an entry in this folder."""
        return Journal(str(folder / f"{self.name}.journal"))

    @classmethod
    def from_script(cls, script: Mapping[str, Any] | str | Path) -> FakeServer:
        """Build a server from a script: a mapping or the path of a JSON file.

        Raises:
            ValueError: the script holds a name that does not exist.
        """
        from trunkline.testing.document import read_script

        return read_script(script)

    def complete(self, result: Mapping[str, Any], method: str) -> dict[str, Any]:
        """Add what a modern result carries, as this server is set up."""
        return complete(
            result,
            method,
            server=self.info,
            ttl_ms=self.ttl_ms,
            cache_scope=self.cache_scope,
            result_type=self.result_type,
        )


def stdio_entry(target: str, *, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give the `mcp.json` entry that runs a script file, or the FakeServer at `MODULE:ATTR`, as a process."""
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
    return {
        "command": sys.executable,
        "args": ["-m", "trunkline.testing.stdio", target],
        "env": {"PYTHONPATH": source, **(env or {})},
    }


def _choose_versions(families: Sequence[Family], versions: Sequence[str] | None) -> tuple[str, ...]:
    chosen = [one for one in VERSIONS if family(one) in families] if versions is None else versions
    if unknown := [one for one in chosen if one not in VERSIONS]:
        raise ValueError(f"unknown protocol revision {unknown[0]!r}; known are {', '.join(VERSIONS)}")
    kept = tuple(one for one in VERSIONS if one in chosen and family(one) in families)
    if bare := [one for one in families if not any(family(version) == one for version in kept)]:
        raise ValueError(f"no protocol revision left for the {bare[0]} family")
    if not kept:
        raise ValueError("a server needs at least one family")
    return kept
