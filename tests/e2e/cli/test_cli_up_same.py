"""One table of commands, run with servers of their own and on warm ones: whoever reads cannot tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trunkline.testing import FakeServer, Fault

HERE = ("-c", "from trunkline.cli.main import run; run()")
TABLE: dict[str, list[str]] = {
    "no command": [],
    "list": ["list"],
    "list as JSON": ["list", "--json"],
    "tools": ["tools"],
    "tools of one": ["tools", "echo"],
    "tools by pattern": ["tools", "*o*"],
    "no such tools": ["tools", "nothing"],
    "tools as JSON": ["tools", "--json"],
    "info on a tool": ["info", "echo.echo"],
    "info on a server": ["info", "echo"],
    "info on a broken server": ["info", "gone"],
    "info on no tool": ["info", "echo.ecko"],
    "info as JSON": ["--json", "info", "echo", "echo"],
    "search": ["search", "gives", "text"],
    "search as JSON": ["search", "text", "--json"],
    "search in vain": ["search", "zebra"],
    "status": ["status"],
    "status as JSON": ["status", "--json"],
    "call": ["call", "echo.echo", "text=hällo", "times=3"],
    "call by bare name": ["call", "echo", "text=x"],
    "call in two words": ["call", "echo", "echo", '{"text": "x"}'],
    "call as JSON": ["call", "echo.echo", "text=x", "--json"],
    "raw reply": ["call", "echo.draw", "{}", "--raw"],
    "reply of several blocks": ["call", "echo.draw", "{}"],
    "bytes": ["call", "echo.draw", "{}", "-o", "-"],
    "text that acts on terminals": ["call", "echo.loud", "{}"],
    "tool's own error": ["call", "echo.sad", "{}"],
    "JSON-RPC error": ["call", "echo.rude", "{}"],
    "JSON-RPC error as JSON": ["call", "echo.rude", "{}", "--json"],
    "unknown tool": ["call", "echo.ecko", "{}"],
    "unknown tool with arguments": ["call", "echo.ecko", "a=b"],
    "unknown bare tool": ["call", "ecko", "{}"],
    "unknown server": ["call", "b.t", "{}"],
    "missing argument": ["call", "echo.echo", "times=1"],
    "wrong type": ["call", "echo.echo", "text=a", "times=many"],
    "wrong type as JSON": ["call", "echo.echo", "text=a", "times=many", "--json"],
    "bad JSON": ["call", "echo.echo", '{"text": }'],
    "file that is not there": ["call", "echo.echo", "text=@nowhere"],
    "argument from a file": ["call", "echo.echo", "text=@words.txt"],
    "object from a file": ["call", "echo.echo", "@object.json"],
    "deadline": ["call", "echo.slow", "{}", "--timeout", "0.5"],
    "deadline as JSON": ["call", "echo.slow", "{}", "--timeout", "0.5", "--json"],
    "missing program": ["call", "gone.t", "{}"],
    "bad entry": ["call", "bad.t", "{}"],
    "bad entry with arguments": ["call", "bad.t", "a=b"],
    "ended at its start": ["call", "crash.t", "{}"],
    "lost in the call": ["call", "dies.t", "{}"],
    "resources": ["read"],
    "read": ["read", "shelf://sign"],
    "read as JSON": ["read", "shelf://sign", "--server", "shelf", "--json"],
    "read bytes": ["read", "shelf://dot", "-o", "-"],
    "unknown resource": ["read", "shelf://nothing"],
    "prompts": ["prompt"],
    "prompt": ["prompt", "shelf.order", "thing=tea"],
    "prompt as JSON": ["prompt", "order", "thing=tea", "--json"],
    "prompt without its argument": ["prompt", "shelf.order"],
    "unknown prompt": ["prompt", "shelf.odrer", "thing=tea"],
    "mistyped option": ["call", "echo.echo", "--nope"],
    "mistyped command": ["lst"],
    "help": ["call", "--help"],
    "missing file": ["list", "--config", "nowhere.json"],
}
SAMPLE = (
    "list",
    "tools as JSON",
    "call",
    "read as JSON",
    "prompt",
    "unknown tool",
    "wrong type as JSON",
    "bad entry",
    "lost in the call",
)
"""Run in a process of their own too, which attaches without a template."""
NORMAL = (
    (r"\b\d+(\.\d+)? (ms|s|min)\b", "TIME"),
    (r'"(duration_ms|latency_ms|since|last_check|restarts|retry_in)":(null|[\d.e-]+)', r'"\1":NUMBER'),
    (r"within [\d.]+ s", "within TIME"),
    (r" +", " "),
    (r"(?m)^ tried again in TIME, or by a call\n", ""),
    (r"(?m)^trunkline: no runtime runs for this configuration: .*\n", ""),
)


def normalize(text: str) -> str:
    """Leave out what differs from one run to the next, and what `status` says of servers that stay."""
    for pattern, replacement in NORMAL:
        text = re.sub(pattern, replacement, text)
    return re.sub(r"(stdio \S+ \S+ \S+ )\d+ \S+", r"\1RESTARTS LATENCY", text)


def furnish(place: Any) -> None:
    """Put a sick server of each kind beside `echo`."""
    dying = FakeServer("dies")
    dying.tool("t")
    dying.fault("t", Fault.kill)
    place.serve("dies", dying)
    shelf = FakeServer("shelf")
    shelf.resource("shelf://sign", "open", mime_type="text/plain")
    shelf.resource("shelf://dot", data=b"dot", mime_type="image/png")
    shelf.prompt("order", "Order {thing}.", arguments=["thing"])
    place.serve("shelf", shelf)
    place.serve("crash", failing_starts=999, stderr=["license missing"])
    # On warm servers it would be given up after a while, which no command of its own lives to see.
    (place.folder / "trunkline.toml").write_text("[servers.crash]\nauto_reconnect = false\n")
    place.entries["gone"] = {"command": "trunkline-test-no-such-command"}
    place.entries["bad"] = {"command": "x", "env": {"TOKEN": "${TRUNKLINE_TEST_UNSET}"}}
    # However slow this machine is, it is started as often as a command wants it, and never given up.
    (place.folder / "trunkline.toml").write_text("[servers.crash]\nmax_restarts = 0\nrestart_delay = 600\n")
    (place.folder / "words.txt").write_text("several words")
    (place.folder / "object.json").write_text('{"text": "from a file", "times": 2}')


def run(place: Any, argv: list[str], **options: Any) -> Any:
    """Run one row; a call whose time was over before it could be sent has twice as much the next time."""
    done = place.run(*argv, **options)
    if done.code != 7 or "unknown" in done.out + done.err:
        return done
    at = argv.index("--timeout") + 1
    return run(place, [*argv[:at], str(2 * float(argv[at])), *argv[at + 1 :]], **options)


def test_every_command_ends_the_same_on_warm_servers(warm: Any) -> None:
    furnish(warm)
    alone = {name: run(warm, argv) for name, argv in TABLE.items()}
    assert warm.run("up", "--wait").code == 0
    starts = len(warm.journal().pids)
    for name, argv in TABLE.items():
        for program in (("-m", "trunkline"), HERE) if name in SAMPLE else (("-m", "trunkline"),):
            done = run(warm, argv, program=program)
            expected = alone[name]
            assert done.code == expected.code, (name, done, expected)
            assert normalize(done.out) == normalize(expected.out), (name, program)
            assert normalize(done.err) == normalize(expected.err), (name, program)
    assert len(warm.journal().pids) == starts, "no command started a server of its own"


def test_the_table_has_every_exit_code_it_can(warm: Any) -> None:
    """The comparison is worth something only if it covers failures as well as success."""
    furnish(warm)
    assert warm.run("up", "--wait").code == 0
    wanted = {"call": 0, "bad JSON": 2, "missing program": 4, "unknown tool": 5, "deadline": 7}
    assert {name: warm.run(*TABLE[name]).code for name in wanted} == wanted
    assert Path(warm.folder, "mcp.json").exists()
