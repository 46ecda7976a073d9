"""What the demo shows while nothing is broken, in order; each scene checks what it claims."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from demo.page import bar, shorten
from demo.show import Show, expect, now
from trunkline import AmbiguousNameError, DeadlineExceededError, Progress, TrunklineError

LONG = "trigger-long-running-operation"
_COLUMNS = (10, 5, 10, 9, -5, -11)


async def servers_come_up(show: Show, entered: float) -> None:
    """Wait for each server by itself and show it the moment it is ready."""
    page, started = show.page, now() - entered
    count = len(show.trunk.status())
    page.section(f"{count} servers from one mcp.json")
    page.say(f"Opening it took {entered * 1000:.0f} ms: servers connect in the background, each by itself.")
    page.row(("SERVER", "STATE", "ERA", "TRANSPORT", "TOOLS", "READY AFTER"), _COLUMNS)

    async def watch(name: str) -> TrunklineError | None:
        problem = None
        try:
            await show.trunk.ready(name)
        except TrunklineError as error:
            problem = error
        show.ready_after[name] = now() - started
        status = show.trunk.status()[name]
        tools = "-" if status.tools is None else str(status.tools)
        cells = (name, status.state, status.era or "-", status.transport, tools)
        page.row((*cells, f"{show.ready_after[name]:.2f} s"), _COLUMNS)
        return problem

    async with asyncio.TaskGroup() as group:
        watches = [group.create_task(watch(name)) for name in show.trunk.status()]
    for problem in (watch.result() for watch in watches):
        expect(problem is None, f"every server comes up; but {problem} ({problem and problem.hint})")
    eras = {status.era for status in show.trunk.status().values()}
    expect(len(eras) > 1, "servers of several protocol revisions are spoken to")
    page.say(f"They speak {len(eras)} protocol revisions over two transports. None of it is configured.")


async def one_catalog(show: Show) -> None:
    """Show the names: public, bare, and bare but ambiguous."""
    page, tools = show.page, show.trunk.catalog.tools
    servers = {tool.server for tool in tools}
    expect(servers == set(show.trunk.status()), "the catalog holds tools of every server")
    page.section("One catalog")
    page.say(f"{len(tools)} tools of {len(servers)} servers, each under its public name `server.tool`.")
    reply = await show.call("git_status", {"repo_path": show.folder})
    expect(reply.server == "git", "a bare name that only one server has leads to it")
    page.say("A bare name is enough where only one server has it: `git_status` went to `git`.")
    try:
        await show.trunk.call("echo", {"message": "which one?"})
    except AmbiguousNameError as error:
        page.say(f"Where several have it, nothing is guessed: {error}")
    else:
        expect(False, "the name `echo`, which two servers have, is refused")


async def search_by_words(show: Show) -> None:
    """Find tools by what they are for."""
    page = show.page
    page.section("Search by words")
    wanted = {
        "current time in Tokyo": "time.get_current_time",
        "show the history of commits": "git.git_log",
        "read a text file": "files.read_text_file",
    }
    for query, tool in wanted.items():
        matches = await show.trunk.search(query, limit=2)
        names = [match.tool.public_name for match in matches]
        expect(
            tool in names, f"a search for {query!r} finds {tool} (it found {', '.join(names) or 'nothing'})"
        )
        found = ", ".join(f"{match.tool.public_name} {match.score:.2f}" for match in matches)
        page.row((query, found), (28, 60))


async def progress_and_deadline(show: Show) -> None:
    """Follow a long call, and end one that may not be that long."""
    page = show.page
    page.section("A long call: progress while it runs, and a deadline that holds")
    seen: list[Progress] = []
    started = now()

    def follow(progress: Progress) -> None:
        seen.append(progress)
        total = progress.total or 1
        page.row(
            (
                f"{progress.progress:g} of {total:g}",
                f"{now() - started:.2f} s",
                bar(progress.progress, total),
            ),
            (7, -8, 40),
        )

    reply = await show.call(f"everything.{LONG}", {"duration": 1.2, "steps": 4}, on_progress=follow)
    expect(len(seen) == 4, f"a call of four steps reports four times (it did {len(seen)} times)")
    page.say(reply.text)
    started = now()
    outcome = await show.attempt(f"web.{LONG}", {"duration": 60, "steps": 6}, timeout=0.5)
    spent = now() - started
    expect(
        isinstance(outcome, DeadlineExceededError), "a call of 60 s with 0.5 s to live ends by its deadline"
    )
    expect(spent < 2, f"a deadline of 0.5 s is kept (it took {spent:.1f} s)")
    page.say(
        f"The same over HTTP, 60 s long, with timeout=0.5: {type(outcome).__name__} after {spent:.2f} s."
    )


async def calls_at_once(show: Show) -> None:
    """Call every server at the same time and compare the time with that of the calls one by one."""
    page = show.page
    page.section("Calls to all of them at once")
    calls = everywhere(show.folder)
    started = now()
    replies = await show.call_many(calls)
    wall, total = now() - started, sum(reply.elapsed for reply in replies)
    longest = max(reply.elapsed for reply in replies)
    for (tool, _), reply in zip(calls, replies, strict=True):
        page.row(
            (tool, f"{reply.elapsed:.3f} s", bar(reply.elapsed, longest, 12), shorten(reply.text, 30)),
            (42, -8, 12, 30),
        )
    expect({reply.server for reply in replies} == set(show.trunk.status()), "every server answered")
    expect(wall < 0.7 * total, f"the calls ran at the same time ({wall:.2f} s for {total:.2f} s of calls)")
    page.say(f"{len(calls)} calls in {wall:.2f} s; one after the other they would have taken {total:.2f} s.")


def everywhere(folder: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Give calls to every server; three of them take a second each."""
    return [
        ("time.get_current_time", {"timezone": "Asia/Tokyo"}),
        ("git.git_log", {"repo_path": folder, "max_count": 1}),
        ("git.git_diff_unstaged", {"repo_path": folder}),
        ("files.read_text_file", {"path": f"{folder}/list.txt"}),
        ("everything.get-sum", {"a": 19, "b": 23}),
        (f"everything.{LONG}", {"duration": 1, "steps": 2}),
        (f"web.{LONG}", {"duration": 1, "steps": 2}),
        ("web.echo", {"message": "over HTTP"}),
        ("jobs.run", {"seconds": 1, "steps": 2}),
    ]
