"""A stdio server that floods: asked to `flood`, it writes notifications as fast as they are taken, until it is
sent anything else. No MCP library, no event loop.
"""

from __future__ import annotations

import json
import os
import select
import sys

from bench.answers import Answers

_LINE = {
    "jsonrpc": "2.0",
    "method": "notifications/message",
    "params": {"level": "info", "logger": "flood", "data": "a line of a log that nobody asked for, again and again"},
}
_BATCH = json.dumps(_LINE).encode() + b"\n"


def main() -> None:
    """Serve standard input until it ends; `flood LINES SECONDS` on the command line paces the flood."""
    pace = (int(sys.argv[1]), float(sys.argv[2])) if len(sys.argv) > 1 else (50, 0.0)
    answers = Answers("legacy", None, 2)
    rest = b""
    while chunk := os.read(0, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        flooding = False
        for line in lines:
            asked = json.loads(line)
            flooding = asked.get("method") == "tools/call"
            response = None if flooding else answers.respond(asked)
            if response is not None:
                _write(json.dumps(response).encode() + b"\n")
        while flooding and not select.select([0], [], [], pace[1])[0]:
            _write(_BATCH * pace[0])


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
