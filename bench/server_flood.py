"""A stdio server that floods: called, it writes notifications as fast as they are taken, until it is sent
anything else. No MCP library, no event loop.
"""

from __future__ import annotations

import json
import os
import select

from bench.answers import Answers

NOTIFICATION = {
    "jsonrpc": "2.0",
    "method": "notifications/message",
    "params": {
        "level": "info",
        "logger": "flood",
        "data": "a line of a log that nobody asked for, again and again",
    },
}
_BATCH = 50 * (json.dumps(NOTIFICATION).encode() + b"\n")


def main() -> None:
    """Serve standard input until it ends."""
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
        while flooding and not select.select([0], [], [], 0)[0]:
            _write(_BATCH)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
