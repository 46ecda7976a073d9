"""A fake server as a JSON document, so that it can run in another process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.testing.faults import Fault, FaultRule
from trunkline.testing.script import Process, Prompt, Resource, Tool

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.testing.fake import FakeServer

_SETTINGS = (
    "name", "page_size", "cursors", "discover", "instructions", "ttl_ms", "cache_scope", "result_type",
    "watchable",
)  # fmt: skip
_PARTS = ("tools", "resources", "prompts", "completions", "faults", "process")


def to_document(server: FakeServer, process: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the document that `read_script` reads back; raises ValueError if a tool is a Python function."""
    families = [name for name in ("legacy", "modern") if getattr(server, f"{name}_versions")]
    return {
        **{name: getattr(server, name) for name in _SETTINGS},
        "eras": families,
        "versions": list(server.versions),
        "tools": [tool.to_json() for tool in server.tools.values()],
        "resources": [one._asdict() for one in server.resources.values()],
        "prompts": [one._asdict() for one in server.prompts.values()],
        "completions": [one._asdict() for one in server.completions.values()],
        "faults": [{**rule._asdict(), "fault": rule.fault.to_json()} for rule in server.faults.rules],
        "process": dict(process or {}),
    }


def write_script(server: FakeServer, folder: Path, process: Mapping[str, Any]) -> Path:
    """Write the document into a folder, with a journal beside it, and give its path."""
    Process.from_json(process)
    document = to_document(server, {"journal": str(folder / f"{server.name}.journal"), **process})
    path = folder / f"{server.name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def read_document(script: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """Give the document of a script, read from its file where a path is given."""
    if isinstance(script, Mapping):
        return script
    with open(script, encoding="utf-8") as file:
        document = json.load(file)
    if not isinstance(document, dict):
        raise ValueError(f"{script}: a script is a JSON object")
    return document


def read_script(script: Mapping[str, Any] | str | Path) -> FakeServer:
    """Build the server of a script; raises ValueError for a name that does not exist."""
    from trunkline.testing.fake import FakeServer

    document = read_document(script)
    settings = {key: value for key, value in document.items() if key not in _PARTS}
    if unknown := sorted(settings.keys() - {*_SETTINGS, "eras", "versions", "keep"}):
        raise ValueError(f"script: unknown {', '.join(unknown)}")
    server = FakeServer(**settings)
    for tool in map(Tool.from_json, document.get("tools", ())):
        server.tools[tool.name] = tool
    for one in document.get("resources", ()):
        server.resources[one["uri"]] = Resource(**one)
    for one in document.get("prompts", ()):
        server.prompts[one["name"]] = Prompt(**{**one, "arguments": tuple(one.get("arguments", ()))})
    for one in document.get("completions", ()):
        server.completion(**one)
    for rule in document.get("faults", ()):
        server.faults.add(FaultRule(**{**rule, "fault": Fault.from_json(rule["fault"])}))
    return server
