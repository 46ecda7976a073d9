"""The half of the front door for all that is no tool: resources, prompts, completion, any other method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from trunkline.catalog.prompts import text_problems
from trunkline.core.call import Call, Flight
from trunkline.core.principal import Principal
from trunkline.core.prompt import Prompt
from trunkline.core.reply import Reply
from trunkline.core.resource import Chunk, ReadReply, Resource, Template
from trunkline.errors import InvalidArgumentsError
from trunkline.runtime.interpret import COMPLETE, GET_PROMPT, READ
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.progress import ProgressHandler, call_with_progress
from trunkline.runtime.routes import Routes
from trunkline.security.uris import without_secrets

if TYPE_CHECKING:
    from trunkline.core.completion import CompletionReply
    from trunkline.core.prompt import PromptReply

CHUNK_BYTES = 256 * 1024
_TYPED = frozenset({READ, GET_PROMPT, COMPLETE})


class Requests:
    """What `Trunk` does beside calling tools; it sets the attributes below when it is entered."""

    _loop: asyncio.AbstractEventLoop
    _inventory: Inventory
    _routes: Routes
    _call_ids: Iterator[str]
    _principal: Principal
    _acting: ContextVar[Principal]
    call: Callable[..., Awaitable[Any]]

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The resources all servers list, as of now; those of a lost server stay listed."""
        return self._inventory.shown().resources

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates of resources all servers list, as of now."""
        return self._inventory.shown().templates

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts all servers list, as of now."""
        return self._inventory.shown().prompts

    async def read(
        self,
        uri: str,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - spent by the Deadline layer, from one clock
        *,
        on_progress: ProgressHandler | None = None,
        cache: bool = True,
        max_age: float | None = None,
    ) -> ReadReply:
        """Read a resource: `reply.contents`, `reply.text`, and `reply.data` for its bytes.

        Args:
            uri: need not be listed.
            server: where to read it. Without it, that is the server that lists the URI, else the one with a
                template that gives it, else the only one that has resources; which is known when every
                server is ready or failed and has listed what it has.
            timeout: seconds for the whole call; without it the policy's (600).
            on_progress: called with each `Progress` the server reports; sync or async.
            cache, max_age: as in `call`.

        Raises:
            NotFoundError: there is no such server or resource; `candidates` holds near URIs.
            AmbiguousNameError: several servers have a resource of this URI; `candidates` holds them.
            CallError: the call failed; `delivery` says what is known of it.
        """
        asked = self._loop.time()
        if server is None:
            server = await self._routes.finding.server_of(uri, timeout)
        call = self._make_request(server, READ, uri, {"uri": uri}, timeout, asked)
        call = replace(call, max_age=max_age if cache else 0.0)
        return cast(ReadReply, await self._send(call, on_progress))

    def read_chunks(
        self,
        uri: str,
        server: str | None = None,
        timeout: float | None = None,
        *,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> AsyncGenerator[Chunk, None]:
        """Read a resource as a stream of `Chunk`, decoded step by step, for `async for`.

        MCP sends a resource whole, in one message, and knows no ranges. That message is therefore held in
        memory, as it came, and is at most `limits.frame_bytes` long (64 MiB; base64 takes four bytes for
        three); for a moment, while it is taken off the wire, up to three times that. What it holds is never
        decoded as a whole: beyond the message there is one chunk at a time, however slow the reader, and a
        content is let go of when the next one begins.

        Args:
            chunk_bytes: most bytes of one chunk; at least 4.

        Raises:
            CallError: from the first step, as `read`.
            ProtocolError: from a later step, where the server's base64 is broken.
        """
        if chunk_bytes < 4:
            raise ValueError("chunk_bytes must be at least 4")
        from trunkline.runtime.chunks import cut_contents

        async def stream() -> AsyncGenerator[Chunk, None]:
            contents = cut_contents(await self.read(uri, server, timeout), chunk_bytes)
            for chunk in contents:
                yield chunk
                # Decoding waits for nothing; others get their turn between two chunks.
                await asyncio.sleep(0)

        return stream()

    async def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `read`
        cache: bool = True,
        max_age: float | None = None,
    ) -> PromptReply:
        """Get a prompt's `messages` and `description` by its public name, or its bare one where unique.

        Args:
            arguments: text for each argument; those the prompt requires are checked before it is sent.
            timeout: seconds for the whole call; without it the policy's (600).
            cache, max_age: as in `call`.

        Raises:
            InvalidArgumentsError: a required argument is missing, or one is not text.
            CallError: the call failed; `delivery` says what is known of it.
        """
        asked = self._loop.time()
        server, own_name = await self._routes.finding.prompt(name, timeout)
        params: dict[str, Any] = {"name": own_name}
        if arguments:
            params["arguments"] = dict(arguments)
        call = self._make_request(server, GET_PROMPT, own_name, params, timeout, asked)
        call = replace(call, max_age=max_age if cache else 0.0)
        return cast("PromptReply", await self._send(call))

    async def complete(
        self,
        ref: str | Prompt | Template,
        argument: str,
        value: str,
        *,
        context: Mapping[str, str] | None = None,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `read`
    ) -> CompletionReply:
        """Ask which values complete what was typed for an argument of a prompt or template.

        Args:
            ref: a prompt or template of the catalog; or a prompt's name, or a URI template (which holds
                `{` or `://`) as its server lists it.
            argument: the name of the argument, or of the template's variable.
            value: what was typed of it so far, maybe nothing.
            context: the other arguments that are known already.
            server: whose prompt or template it is, where `ref` is text and that is not clear.
            timeout: seconds for the whole call; without it the policy's (600).

        Raises:
            NotFoundError: nothing is called so, or its server completes nothing (code `not_offered`).
            InvalidArgumentsError: a value is not text.
            CallError: the call failed; `delivery` says what is known of it.
        """
        asked = self._loop.time()
        if problems := text_problems({argument: value, **(context or {})}):
            raise InvalidArgumentsError(
                f"the arguments do not fit: {'; '.join(problems)}", problems=tuple(problems)
            )
        server, reference = await self._refer(ref, server, timeout)
        params: dict[str, Any] = {"ref": reference, "argument": {"name": argument, "value": value}}
        if context:
            params["context"] = {"arguments": dict(context)}
        name = reference.get("name") or reference["uri"]
        call = self._make_request(server, COMPLETE, name, params, timeout, asked)
        return cast("CompletionReply", await self._send(call))

    async def request(
        self,
        server: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `read`
        on_progress: ProgressHandler | None = None,
    ) -> Reply:
        """Send a request of any method, for extensions; the result is `reply.raw`, whatever its type.

        What the era wants in `_meta` is added, and a progress token; the rest of `_meta` is yours. A tool
        is called as by `call`, with its checks.

        Raises:
            NotFoundError: there is no such server.
            ServerError: the server answered with an error.
            CallError: the call failed; `delivery` says what is known of it.
        """
        if method == "tools/call":
            return await self._call_tool(server, params or {}, timeout, on_progress)
        given = params or {}
        name = given.get("name", given.get("uri", given.get("taskId")))
        named = name if isinstance(name, str) else method
        call = self._make_request(server, method, named, params, timeout, self._loop.time())
        return await self._send(replace(call, any_result=method not in _TYPED), on_progress)

    async def notify(
        self,
        server: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `read`
    ) -> None:
        """Send a notification of any method; that it reached the server cannot be known.

        Raises:
            NotFoundError: there is no such server.
            CallError: the server is not available, or `timeout` passed before it was.
        """
        call = self._make_request(server, method, method, params, timeout, self._loop.time())
        await self._send(replace(call, one_way=True))

    async def _refer(
        self,
        ref: str | Prompt | Template,
        server: str | None,
        timeout: float | None,  # noqa: ASYNC109
    ) -> tuple[str, dict[str, str]]:
        """Give the server and the protocol's reference to a prompt or template."""
        if isinstance(ref, Prompt):
            return ref.server, {"type": "ref/prompt", "name": ref.name}
        if isinstance(ref, Template):
            return ref.server, {"type": "ref/resource", "uri": ref.uri_template}
        finding = self._routes.finding
        if "{" in ref or "://" in ref:
            return server or await finding.template_server(ref, timeout), {"type": "ref/resource", "uri": ref}
        owner, name = (server, ref) if server is not None else await finding.prompt(ref, timeout)
        return owner, {"type": "ref/prompt", "name": name}

    async def _call_tool(
        self,
        server: str,
        params: Mapping[str, Any],
        timeout: float | None,  # noqa: ASYNC109
        on_progress: ProgressHandler | None,
    ) -> Reply:
        """Call a tool on the way all tools are called, so that no check is passed by."""
        if foreign := params.keys() - {"name", "arguments"}:
            raise InvalidArgumentsError(
                f"`tools/call` takes a name and arguments, not {', '.join(sorted(foreign))}", server=server
            )
        name = params.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidArgumentsError("`tools/call` needs the tool's name", server=server)
        tool = self._routes.own_tool(server, name)
        reply = await self.call(tool, params.get("arguments"), timeout=timeout, on_progress=on_progress)
        return cast(Reply, reply)

    async def _send(self, call: Call, on_progress: ProgressHandler | None = None) -> Reply:
        service = self._routes.server(call.server).service
        if on_progress is None:
            return await service(call)
        return await call_with_progress(service, call, on_progress)

    def _make_request(
        self,
        server: str,
        method: str,
        name: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        asked: float,
    ) -> Call:
        route = self._routes.server(server)
        is_uri = method == READ or "://" in name
        shown = f"{server} {without_secrets(name)}" if is_uri else f"{server}.{name}"
        return Call(
            id=next(self._call_ids),
            server=server,
            name=name,
            public_name=shown,
            arguments={},
            principal=self._acting.get(self._principal),
            deadline=asked + (route.timeout if timeout is None else timeout),
            idle=route.idle if timeout is None else max(route.idle, timeout),
            flight=Flight(asked),
            method=method,
            params=params,
        )
