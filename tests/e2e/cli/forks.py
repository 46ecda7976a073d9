"""Runs command lines of the program, each in a fork of this process, which has the program imported.

A fork is a process like any other: it has streams, arguments, environment and folder of its own and ends by
itself; what it does not have is an interpreter to start and a hundred modules to import. It is told, over the
socket that is standard input here, in one message each; see `Forks` in `conftest.py`. How the program starts
is tested where it is started as people start it.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
from importlib import import_module
from typing import Any

MESSAGE = 1 << 20
HEAVY = ("aiohttp", "jsonschema_rs", "trunkline.runtime.assembly", "trunkline.runtime.trunk")


def serve() -> dict[str, Any]:
    """Fork for every message; returns only in a fork, with what it has to run."""
    from trunkline.cli.warm.template import preload

    for name in HEAVY:
        import_module(name)
    preload()
    link = socket.socket(fileno=os.dup(0))
    while True:
        message, streams, _, _ = socket.recv_fds(link, MESSAGE, 3)
        if not message:
            os._exit(0)
        if (process := os.fork()) == 0:
            link.close()
            take(streams)
            return dict(json.loads(message))
        for descriptor in streams:
            os.close(descriptor)
        link.send(b"%d" % process)
        link.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def take(streams: list[int]) -> None:
    """Make these the standard streams, opened as the interpreter does at its start."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, 256)
    names = ("stdin", "stdout", "stderr")
    for number, (name, mode) in enumerate(zip(names, "rww", strict=True)):
        like = getattr(sys, name)
        stream = open(number, mode, encoding=like.encoding, errors=like.errors, closefd=False)  # noqa: SIM115
        if number:
            stream.reconfigure(line_buffering=number == 2 or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(argv: list[str], environ: dict[str, str], folder: str, mask: int) -> None:
    """Be `python -m trunkline` with these arguments."""
    coerced = {name: value for name, value in os.environ.items() if name == "LC_CTYPE"}  # PEP 538
    os.environ.clear()
    os.environ.update(coerced | environ)
    os.chdir(folder)
    os.umask(mask)
    sys.path[0] = folder
    sys.argv = ["trunkline", *argv]
    runpy.run_module("trunkline", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(**serve())
