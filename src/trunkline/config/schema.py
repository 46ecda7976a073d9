"""The published JSON Schemas: of `trunkline.toml`, and of the files servers come from.

Editors use them to complete and check. The first is written from the settings and rules of this
package by `docs/reference/write.py`, and a test holds both against what the reader accepts.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "schemas"
POLICY_SCHEMA = _FOLDER / "trunkline.schema.json"
SERVERS_SCHEMA = _FOLDER / "mcp.schema.json"


def policy_schema() -> str:
    """Give the JSON Schema (draft 2020-12) of `trunkline.toml` as JSON text."""
    return POLICY_SCHEMA.read_text("utf-8")


def servers_schema() -> str:
    """Give the JSON Schema (draft 2020-12) of `mcp.json` as JSON text."""
    return SERVERS_SCHEMA.read_text("utf-8")
