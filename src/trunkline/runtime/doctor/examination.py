"""The examination of one server: its phases, one after the other, within its time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

import msgspec

from trunkline.config.entry import BadEntry, Entry, HttpEntry, PeerEntry, StdioEntry
from trunkline.config.policy import Policy
from trunkline.config.url import origin
from trunkline.core.handlers import Handlers
from trunkline.errors import CallError, ConfigError, TrunklineError, UnavailableError
from trunkline.runtime.assembly import assemble, client_identity
from trunkline.runtime.doctor.advice import Facts, explain_error, quote, warn
from trunkline.runtime.doctor.background import Background
from trunkline.runtime.doctor.chart import Chart
from trunkline.runtime.doctor.checkup import Checkup, Phase
from trunkline.runtime.doctor.conversation import Conversation
from trunkline.runtime.doctor.late import too_late
from trunkline.runtime.doctor.session import Session
from trunkline.runtime.doctor.way import find_way
from trunkline.runtime.doctor.witness import Witness
from trunkline.runtime.egress import Contexts, context_for
from trunkline.security.scrub import Scrubber
from trunkline.supervision.failure import internal, over_limit
from trunkline.telemetry.wire import WireRecord
from trunkline.telemetry.wire_log import WireLog
from trunkline.transport.process import describe_exit
from trunkline.transport.program import find_program, require_interpreter

_MUCH = 0.5
"""The part of its time after which a start counts as slow."""


class Examination:
    """Examines one server.

    Args:
        timeout: seconds it may take; None takes the server's connect timeout.
        today: seconds since 1970, for the days that certificates have left; None leaves that out.
        contexts: the application's own TLS contexts.
        wire: takes what passes on the links, or None.
    """

    def __init__(
        self,
        entry: Entry,
        policy: Policy,
        background: Background,
        *,
        timeout: float | None = None,
        today: float | None = None,
        contexts: Contexts = None,
        wire: Callable[[WireRecord], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        handlers = Handlers()
        self.entry = entry
        self._policy = policy
        self._background = background
        self._today = today
        self._context = context_for(entry.name, contexts)
        self.witness = Witness(clock, wire)
        log = WireLog(self.witness.take, Scrubber(getattr(entry, "secrets", ())), clock)
        identity = client_identity(None, handlers)
        self.settings = assemble(entry, policy, identity, handlers, log, contexts)
        self.chart = Chart(self.settings.transport, clock)
        self.session = Session(self.settings)
        self.bound = timeout if timeout is not None else self.settings.connect_timeout
        self.facts = Facts(
            entry=entry,
            background=background,
            environ=os.environ if environ is None else environ,
            clean=self.settings.clean,
            place=self.settings.address,
        )
        self.tools: int | None = None
        self._deadline = clock() + self.bound

    async def run(self) -> Checkup:
        """Examine the server; whatever is wrong with it, this gives a result and leaves nothing open."""
        seconds = 0.0
        try:
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._examine()
            except TimeoutError:
                self._fail(too_late(self))
            except TrunklineError as error:
                self._fail(error)
            except Exception as cause:  # boundary: one server that breaks the doctor must not end the others
                self._fail(internal(cause))
            seconds = self.chart.elapsed
        finally:
            await self._close()
        return self._report(seconds)

    async def _close(self) -> None:
        try:
            await self.session.close()
        except Exception as cause:  # boundary: what cannot be closed must not end the other examinations
            self._fail(internal(cause))

    async def _examine(self) -> None:
        self._check_configuration()
        match self.entry:
            case StdioEntry():
                self._check_command(self.entry)
            case HttpEntry():
                await find_way(self, self.entry, self._policy, self._context, self._today)
        conversation = Conversation(self, self._deadline)
        await conversation.run()
        if self.chart.elapsed > _MUCH * self.bound:
            took = f"it took {self.chart.elapsed:.1f} s of the {self.bound:g} s it has to become ready"
            self.chart.add(warn("slow_start", "negotiation", took, self.facts))

    def know(self, **more: object) -> None:
        """Add to what is known of the server."""
        self.facts = msgspec.structs.replace(self.facts, **more)

    def _check_configuration(self) -> None:
        if isinstance(self.entry, BadEntry):
            raise self.entry.error
        own = [
            one for one in self._background.problems if one.key is None or not one.key.endswith(".command")
        ]
        for problem in own:
            text = f"{problem.key}: {problem.message}" if problem.key else problem.message
            if problem.severity == "error":
                raise ConfigError(
                    problem.message,
                    server=problem.server,
                    field=problem.key,
                    source=problem.source,
                    line=problem.line,
                    column=problem.column,
                    hint=problem.hint,
                )
            self.chart.add(warn("config_warning", "configuration", text, self.facts, fix=problem.hint))
        self.chart.end(self.settings.clean(self._background.place))

    def _check_command(self, entry: StdioEntry) -> None:
        self.chart.begin("command")
        self.know(program=entry.command)
        program = find_program(entry.name, entry.command, entry.env, entry.cwd)
        self.know(program=program)
        interpreter = require_interpreter(entry.name, program, entry.env)
        detail = program if interpreter is None else f"{program}, a script for {interpreter}"
        self.chart.end(self.settings.clean(detail))

    def _fail(self, error: TrunklineError) -> None:
        self.know(
            stderr=self.session.stderr(), exit_code=self.session.exit_code(), headers=self.witness.headers
        )
        error = self._explain_loss(error)
        phase = self._phase_of(error)
        place = self.settings.clean(self._background.place) if phase == "configuration" else ""
        self.chart.fail(explain_error(error, phase, self.facts), place)

    def _explain_loss(self, error: TrunklineError) -> TrunklineError:
        """Tell a process that ended as that, and not as what was waited for."""
        if self.settings.transport != "stdio" or not self.session.is_lost():
            return error
        if not isinstance(error, CallError):
            return error
        if (exceeded := self.session.exceeded()) is not None:
            return over_limit(self.entry.name, exceeded)
        code = self.session.exit_code()
        if code is None:
            return UnavailableError("it closed its standard streams", code="streams_closed")
        kind = "process_killed" if code < 0 else "process_exited"
        return UnavailableError(describe_exit(code), code=kind)

    def _phase_of(self, error: TrunklineError) -> Phase:
        current, names = self.chart.current, self.chart.names
        code, status = error.code, error.status if isinstance(error, CallError) else None
        if code.startswith("tls_") and "tls" in names:
            return "tls"
        if code.startswith("proxy_") and "proxy" in names:
            return "proxy"
        if current in ("configuration", "command", "tools", "schemas", "ping"):
            return "authorization" if code == "authorization_required" and current == "tools" else current
        if code in ("process_exited", "process_killed", "streams_closed", "start_failed", "limit_exceeded"):
            return "process"
        if code == "authorization_required":
            return "authorization"
        return "http" if status is not None and "http" in names else current

    def _report(self, seconds: float) -> Checkup:
        connection = self.session.connection
        return Checkup(
            server=self.entry.name,
            transport=self.settings.transport if connection is None else connection.link.kind,
            address=self.settings.clean(_address(self.entry)),
            phases=self.chart.phases(),
            troubles=self.chart.troubles(),
            seconds=seconds,
            era=None if connection is None else connection.revision,
            tools=self.tools,
        )


def _address(entry: Entry) -> str:
    match entry:
        case StdioEntry():
            return " ".join(map(quote, entry.shown))
        case HttpEntry():
            return entry.shown or origin(entry.url)
        case PeerEntry():
            return type(entry.peer).__qualname__
        case BadEntry():
            return ""
