"""The installed reference servers start and answer the MCP handshake; written without any MCP library."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "trunkline-tests", "version": "0"},
    },
}


@pytest.mark.parametrize("name", ["time", "git", "filesystem", "everything"])
def test_reference_server_answers_initialize(peers: Any, name: str, tmp_path: Path) -> None:
    arguments = {"filesystem": [str(tmp_path)], "everything": ["stdio"]}.get(name, [])
    process = subprocess.Popen(
        [*getattr(peers, name), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(INITIALIZE) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            process.kill()
    finally:
        watchdog.cancel()
        watchdog.join()
    assert answer["id"] == 1
    assert answer["result"]["serverInfo"]["name"]


def test_sdk_of_the_peers_is_the_one_the_development_environment_has(peers: Any) -> None:
    """Differential tests may talk to either; they must mean the same SDK."""
    import importlib.metadata

    code = "import importlib.metadata as m; print(m.version('mcp'))"
    theirs = subprocess.run(
        [peers.python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert theirs == importlib.metadata.version("mcp")
