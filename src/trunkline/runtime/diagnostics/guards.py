"""Codes of calls that are turned away on our side, to protect a server or its callers."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

DIAGNOSTICS = (
    Diagnostic(
        code="breaker_open",
        title="Calls of this server or tool keep failing, so they are not made for a while; nothing was sent",
        causes=(
            "The server is down, or refuses requests.",
            "The tool hangs, or breaks its server, each time it is called.",
            "Somebody holds the breaker open with `trunk.breaker(...).force_open()`.",
        ),
        fix="See what failed before, and call again after `retry_after` seconds; `[servers.NAME.breaker]` in "
        "trunkline.toml says when a breaker opens.",
        command="trunkline why SERVER.TOOL",
        example="the breaker of the tool is open: 50 of 50 calls within 10 s failed",
    ),
    Diagnostic(
        code="rate_limited",
        title="More calls than the rate that your policy allows; nothing was sent",
        causes=(
            "The call would have had to wait for longer than its deadline, or than `limit.queue_timeout`.",
            "`limit.queue` is 0, so that nothing waits.",
        ),
        fix="Call again after `retry_after` seconds, or raise `limit.rate`.",
        command="trunkline config explain SERVER.TOOL",
        example="more calls of the server than its rate allows",
    ),
    Diagnostic(
        code="queue_full",
        title="As many calls run and wait as your policy allows; nothing was sent",
        causes=(
            "More is called at a time than the server can do.",
            "Half of the line is in use, and this principal has its share of it.",
            "The call waited and made room for one of greater priority, or of somebody who waits for less.",
        ),
        fix="Call less at a time, or raise `limit.concurrency` if the server can do more; as many as "
        "`limit.queue` may wait.",
        command="trunkline config explain SERVER.TOOL",
        example="10 calls of the server run and 100 wait, as many as may",
    ),
    Diagnostic(
        code="queue_timeout",
        title="A call waited for its turn for as long as your policy allows; nothing was sent",
        causes=("More is called at a time than the server can do.",),
        fix="Call less at a time, or raise `limit.queue_timeout`.",
        command="trunkline config explain SERVER.TOOL",
        example="its turn at the server did not come within 5 s",
    ),
)
