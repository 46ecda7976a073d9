"""Runs the demo: exit code 0 when everything was shown, 1 when something was not, 130 when interrupted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import trunkline
from demo import faults, scenes
from demo.page import Page
from demo.show import NotShownError, Show, now
from demo.stage import HERE, StageError, http_server, working_folder

LONGEST = 180.0
"""Seconds after which the demo gives up, whatever it waits for."""


def main() -> int:
    """Run the demo and give its exit code."""
    page = Page(sys.stdout)
    page.heading(f"Trunkline {trunkline.__version__}: one mcp.json in, one tool catalog out")
    try:
        with working_folder() as folder:
            asyncio.run(perform(page, folder))
    except KeyboardInterrupt:
        print("interrupted; everything that was started has ended", file=sys.stderr)
        return 130
    except (NotShownError, StageError, trunkline.TrunklineError, TimeoutError, ExceptionGroup) as error:
        for reason in reasons(error):
            print(f"the demo failed: {reason}", file=sys.stderr)
        return 1
    page.gap()
    page.say("All of it was checked as it happened, and the servers are closed.")
    return 0


async def perform(page: Page, folder: Path) -> None:
    """Open the trunk, show every scene, and close it."""
    async with asyncio.timeout(LONGEST), http_server() as url:
        os.environ |= {"DEMO_URL": url, "DEMO_FOLDER": str(folder)}
        page.say(f"Servers: demo/mcp.json. `web` is server-everything at {url}; `jobs` is demo/jobs.py.")
        started = now()
        async with trunkline.connect(HERE / "mcp.json") as trunk:
            show = Show(trunk, page, str(folder))
            await scenes.servers_come_up(show, now() - started)
            await scenes.one_catalog(show)
            await scenes.search_by_words(show)
            await scenes.progress_and_deadline(show)
            await scenes.calls_at_once(show)
            await faults.server_is_killed(show)
            faults.summary(show)
        faults.check_closed(show)


def reasons(error: BaseException) -> Iterator[str]:
    """Give each failure in a sentence."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from reasons(inner)
    elif isinstance(error, NotShownError):
        yield f"it did not happen that {error}"
    elif isinstance(error, StageError):
        yield str(error)
    elif isinstance(error, TimeoutError):
        yield f"it was not over within {LONGEST:g} s"
    else:
        hint = getattr(error, "hint", None)
        yield f"{type(error).__name__}: {error}" + (f" ({hint})" if hint else "")


if __name__ == "__main__":
    sys.exit(main())
