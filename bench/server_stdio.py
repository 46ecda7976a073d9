"""The neutral stdio server: blocking reads, one write per batch of lines, no MCP library, no event loop."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from bench.answers import Answers
from bench.placement import pin
from bench.tally import Tally

_CHUNK = 1 << 16
_LARGE = 1 << 16


def main() -> None:
    """Serve standard input until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", choices=("legacy", "modern"), required=True)
    parser.add_argument("--tally", type=Path)
    parser.add_argument("--tools", type=int, default=2)
    parser.add_argument("--processor", type=int, help="run only there")
    options = parser.parse_args()
    pin(options.processor)
    tally = Tally(options.tally) if options.tally else None
    _serve(Answers(options.family, tally, options.tools))


def _serve(answers: Answers) -> None:
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    rest = b""
    while chunk := os.read(0, _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        batch = []
        for line in lines:
            response = answers.respond(json.loads(line))
            if response is not None:
                batch.append(encode(response).encode() + b"\n")
        if len(batch) == 1 and len(batch[0]) > _LARGE:
            answers.stamp_first_byte()
        _write(b"".join(batch))


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
