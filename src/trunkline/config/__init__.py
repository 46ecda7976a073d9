"""Configuration: which servers there are, how each is started or reached, and how calls are treated.

Reads files and nothing else: starts no process, opens no socket, needs no event loop.
"""

from __future__ import annotations

from trunkline.config.discovery import user_file
from trunkline.config.entry import BadEntry, Entry, HttpEntry, PeerEntry, StdioEntry
from trunkline.config.explanation import Explanation, Setting
from trunkline.config.inputs import Ask, InputSpec
from trunkline.config.loading import Config, answer_inputs, load
from trunkline.config.policy import Policy
from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.core.limits import Limits

__all__ = [
    "Ask",
    "BadEntry",
    "Config",
    "Entry",
    "Explanation",
    "HttpEntry",
    "InputSpec",
    "Limits",
    "PeerEntry",
    "Policy",
    "ServerPolicy",
    "Setting",
    "StdioEntry",
    "ToolPolicy",
    "answer_inputs",
    "load",
    "user_file",
]
