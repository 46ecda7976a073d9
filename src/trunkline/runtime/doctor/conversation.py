"""The phases once a server is reached: HTTP, authorization, negotiation, tools, schemas, ping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from trunkline.config.entry import HttpEntry
from trunkline.errors import CallError
from trunkline.runtime.doctor.advice import quote, warn
from trunkline.runtime.doctor.chart import MOST_TROUBLES
from trunkline.runtime.doctor.checkup import Phase, Trouble
from trunkline.runtime.doctor.session import Listed, examine_schemas

if TYPE_CHECKING:
    from trunkline.runtime.doctor.examination import Examination


class Conversation:
    """Talks to the server of an examination.

    Args:
        deadline: moment until which pages of tools are waited for.
    """

    def __init__(self, examination: Examination, deadline: float) -> None:
        self._examination = examination
        self._chart = examination.chart
        self._session = examination.session
        self._witness = examination.witness
        self._deadline = deadline

    async def run(self) -> None:
        """Go through the phases.

        Raises:
            CallError: why one of them fails.
        """
        try:
            await self._negotiate()
        finally:
            self._warn_of_noise()
        self._chart.begin("tools")
        listed = await self._session.list_tools(self._deadline)
        self._end_tools(listed)
        self._chart.begin("schemas")
        await self._check_schemas(listed)
        self._chart.begin("ping")
        seconds = await self._session.ping()
        self._chart.end(f"{seconds * 1000:.1f} ms")

    async def _negotiate(self) -> None:
        kind = self._examination.settings.transport
        firsts: dict[str, Phase] = {"stdio": "process", "memory": "negotiation"}
        self._chart.begin(firsts.get(kind, "http"))
        try:
            connection = await self._session.negotiate()
        except (CallError, asyncio.CancelledError):
            self._split()
            raise
        self._split()
        if self._chart.current != "negotiation":
            self._chart.end()
            self._chart.begin("negotiation")
        info = connection.agreed.server_info
        named = " ".join(str(info[key]) for key in ("name", "version") if key in info)
        detail = f"{connection.revision} over {connection.link.kind}{f', {named}' if named else ''}"
        self._chart.end(self._examination.settings.clean(detail))

    def _split(self) -> None:
        """Tell apart what came before the first answer and what came after it."""
        chart, witness = self._chart, self._witness
        if witness.answered_at is None or chart.current == "negotiation":
            return
        if chart.current == "process":
            chart.split("process", "negotiation", witness.answered_at, "")
            return
        statuses = ", ".join(dict.fromkeys(map(str, witness.statuses)))
        chart.split("http", "negotiation", witness.answered_at, statuses)
        entry = self._examination.entry
        own = isinstance(entry, HttpEntry) and any(key.lower() == "authorization" for key in entry.headers)
        chart.pass_over("authorization", "the header of the entry" if own else "none asked for")

    def _end_tools(self, listed: Listed) -> None:
        self._examination.tools = len(listed.tools)
        self._chart.end(_counted(len(listed.tools), "tool") if listed.offered else "it offers none")
        for text in listed.incomplete:
            self._chart.add(warn("list_incomplete", "tools", text, self._examination.facts))

    async def _check_schemas(self, listed: Listed) -> None:
        bad = await asyncio.to_thread(examine_schemas, listed.tools)
        troubles = [self._trouble("malformed_tool", text) for text in listed.left_out]
        troubles += [self._trouble("invalid_schema", f"{tool.name}: {why}", tool.name) for tool, why in bad]
        if len(troubles) > MOST_TROUBLES:
            text = f"and {len(troubles) - MOST_TROUBLES} more of such tools"
            troubles = [*troubles[:MOST_TROUBLES], self._trouble(troubles[-1].code, text)]
        for trouble in troubles:
            self._chart.add(trouble)
        self._chart.end("" if troubles else _counted(len(listed.tools), "tool"), failed=bool(troubles))

    def _trouble(self, code: str, text: str, tool: str | None = None) -> Trouble:
        trouble = replace(warn(code, "schemas", text, self._examination.facts), severity="error")
        if tool is None or self._examination.facts.background.file is None:
            return trouble
        name = quote(f"{self._examination.entry.name}.{tool}")
        command = self._examination.settings.clean(f"trunkline info {name} --json")
        return replace(trouble, command=command)

    def _warn_of_noise(self) -> None:
        noise = self._witness.noise
        if not noise or self._examination.settings.transport != "stdio":
            return
        what = f"{_counted(len(noise), 'line')} on its standard output"
        text = f"{what} {'is' if len(noise) == 1 else 'are'} no message, such as {noise[0]!r}"
        self._chart.add(warn("stdout_noise", "process", text, self._examination.facts))


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
