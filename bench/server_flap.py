"""A stdio server that flaps: it exits instead of answering a call. It is quick to start, so that starting it
again takes little of the processors that its neighbors run on. No MCP library, no event loop.
"""

from __future__ import annotations

import json
import os

from bench.answers import Answers


def main() -> None:
    """Serve standard input until it ends or a tool is called."""
    answers = Answers("legacy", None, 2)
    rest = b""
    while chunk := os.read(0, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            if asked.get("method") == "tools/call":
                return
            if (response := answers.respond(asked)) is not None:
                os.write(1, json.dumps(response).encode() + b"\n")


if __name__ == "__main__":
    main()
