"""What the demo shows of a fault: a server dies in the middle of a call, and only that call fails."""

from __future__ import annotations

import asyncio
import os
import signal

from demo.scenes import LONG
from demo.show import Show, expect, now
from demo.stage import PATIENCE
from trunkline import CallError, OutcomeUnknownError, Progress, Reply

_COLUMNS = (10, 5, 10, 9, -5, -11, -8, -6, -8)


class Running:
    """A call that is known to have begun, because it has reported progress."""

    def __init__(self) -> None:
        self._seen = asyncio.Event()

    def note(self, _progress: Progress) -> None:
        """Take a report."""
        self._seen.set()

    async def wait(self, what: str) -> None:
        """Wait for the first report."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._seen.wait()
        except TimeoutError:
            expect(False, f"{what} reports progress within {PATIENCE:g} s")


async def server_is_killed(show: Show) -> None:
    """Kill `jobs` while it and others work; then call it again."""
    page = show.page
    page.section("A server is killed in the middle of a call")
    before = int((await show.call("jobs.pid")).text)
    show.jobs.append(before)
    page.say(f"`jobs` (process {before}) works for a minute; two other long calls run beside it. SIGKILL.")
    error, noticed, others = await _kill(show, before)
    expect(
        isinstance(error, OutcomeUnknownError), f"the call of the killed server fails as unknown: {error!r}"
    )
    assert isinstance(error, CallError)
    expect(error.delivery == "unknown", f"the delivery is unknown (it is {error.delivery})")
    page.say(f"Its call failed {noticed * 1000:.0f} ms later, with everything that is known:")
    page.facts(_facts(error))
    expect(all(reply.text for reply in others), "the calls of other servers are answered")
    beside = sorted({reply.server for reply in others})
    page.say(f"All {len(others)} calls to the others were answered: {', '.join(beside)}.")
    await _call_again(show, before)


def check_closed(show: Show) -> None:
    """Check, once the trunk is closed, that no process of `jobs` is left."""
    for pid in show.jobs:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        expect(False, f"process {pid} of the closed server ends")


async def _kill(show: Show, pid: int) -> tuple[Reply | CallError, float, list[Reply]]:
    doomed, beside, over_http = Running(), Running(), Running()
    long = {"duration": 2, "steps": 8}
    async with asyncio.TaskGroup() as group:
        victim = group.create_task(
            show.attempt("jobs.run", {"seconds": 60, "steps": 600}, timeout=120, on_progress=doomed.note)
        )
        others = [
            group.create_task(show.call(f"everything.{LONG}", long, on_progress=beside.note)),
            group.create_task(show.call(f"web.{LONG}", long, on_progress=over_http.note)),
        ]
        for running, what in ((doomed, "jobs"), (beside, "everything"), (over_http, "web")):
            await running.wait(what)
        killed = now()
        os.kill(pid, signal.SIGKILL)
        outcome = await victim
        noticed = now() - killed
        at_once = await show.call_many(
            [
                ("time.get_current_time", {"timezone": "UTC"}),
                ("git.git_status", {"repo_path": show.folder}),
                ("files.list_directory", {"path": show.folder}),
            ]
        )
    return outcome, noticed, [*(other.result() for other in others), *at_once]


def _facts(error: CallError) -> list[tuple[str, object]]:
    facts = [
        ("error", type(error).__name__),
        ("message", error),
        ("code", error.code),
        ("tool", f"{error.tool} of server {error.server}"),
        ("attempts", f"{error.attempts} (call {error.call_id})"),
        ("elapsed", f"{error.elapsed or 0:.2f} s"),
        ("delivery", error.delivery),
        ("retryable", error.retryable),
        ("stderr", error.stderr),
        ("hint", error.hint),
    ]
    for name in ("hint", "stderr", "tool", "server"):
        expect(getattr(error, name), f"the error says its {name}")
    return facts


async def _call_again(show: Show, before: int) -> None:
    started = now()
    after = int((await show.call("jobs.pid")).text)
    show.jobs.append(after)
    status = show.trunk.status()["jobs"]
    expect(after != before, "the next call starts the server again")
    expect(status.state == "ready" and status.restarts == 1, f"its status says so (it says {status})")
    spent = now() - started
    show.page.say(f"The next call started it again: process {after} answered after {spent:.2f} s.")


def summary(show: Show) -> None:
    """Show how every server is doing and what its calls came to."""
    page = show.page
    page.section("Summary")
    header = ("SERVER", "STATE", "ERA", "TRANSPORT", "TOOLS", "READY AFTER", "ANSWERED", "FAILED", "RESTARTS")
    page.row(header, _COLUMNS)
    for name, status in show.trunk.status().items():
        counts = (str(status.tools), f"{show.ready_after[name]:.2f} s", str(show.answered[name]))
        tail = (*counts, str(show.failed[name]), str(status.restarts))
        page.row((name, status.state, status.era or "-", status.transport, *tail), _COLUMNS)
    states = {status.state for status in show.trunk.status().values()}
    expect(states == {"ready"}, "every server is ready at the end")
    failed = {name: count for name, count in show.failed.items() if count}
    expect(failed == {"jobs": 1, "web": 1}, f"the kill and the deadline alone cost a call (failed: {failed})")
