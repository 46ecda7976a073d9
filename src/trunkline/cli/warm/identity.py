"""What makes two command lines mean the same servers: a digest of everything that would be started.

It covers resolved values, and so the environment they came from: servers that were started with an old
token are never used by a command that has a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline._version import __version__
from trunkline.config.endpoints import endpoints_of
from trunkline.errors import ConfigError

if TYPE_CHECKING:
    from trunkline.config.entry import Entry
    from trunkline.config.loading import Config
    from trunkline.config.policy import Policy

_FORMAT = 1
_TERMINAL = "TERM"
"""Passed on to every child, and of no meaning to one whose output is a pipe."""
_NAME_LENGTH = 24
_NAMING = (b"envFile", b"env_file", b"${file:")
"""What a server file holds that names other files."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers a configuration means, started from this folder and environment."""

    digest: str
    """SHA-256, in hex, of the resolved entries, the policy, the folder where it matters, and our version."""
    sources: tuple[str, ...]
    """Absolute paths of the server files."""
    files: dict[str, str]
    """SHA-256 of the content of every file read; empty for one that is gone."""
    folder: str

    @property
    def name(self) -> str:
        """What the files of its background process are called."""
        return self.digest[:_NAME_LENGTH]


def identify(config: Config) -> Identity:
    """Give the identity of a configuration as of now, in this folder.

    Raises:
        OSError: the working directory is gone.
    """
    folder = os.getcwd()
    policy = config.policy
    described = [
        _describe(one, policy, folder) for entry in config.entries for one in endpoints_of(entry, policy)
    ]
    files = digest_files([*config.sources, *([policy.source] if policy.source else [])])
    files |= digest_files(_named(config.sources))
    parts = [_FORMAT, __version__, config.sources, config.disabled, described, _rules(policy)]
    text = repr(parts).encode("utf-8", "surrogatepass")
    return Identity(
        digest=hashlib.sha256(text).hexdigest(), sources=config.sources, files=files, folder=folder
    )


def _named(sources: Iterable[str]) -> Iterator[str]:
    """Give the files that entries name; most name none, and are not read a second time to find that out."""
    naming = [source for source in sources if any(word in (_content(source) or b"") for word in _NAMING)]
    if naming:
        from trunkline.config.footprint import named_files

        with contextlib.suppress(ConfigError):  # it was read a moment ago, and has changed: told elsewhere
            yield from map(str, named_files(naming))


def digest_files(paths: Iterable[str]) -> dict[str, str]:
    """Give the SHA-256 of each file's content; "" for what is no file or cannot be read."""
    return {path: _digest_file(path) for path in paths}


def _digest_file(path: str) -> str:
    content = _content(path)
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _content(path: str) -> bytes | None:
    try:
        # What is no plain file may never end, and is read once only.
        return Path(path).read_bytes() if os.path.isfile(path) else None
    except (OSError, ValueError):
        return None


def _describe(entry: Entry, policy: Policy, folder: str) -> list[Any]:
    from trunkline.config.egress import outside_values
    from trunkline.config.entry import HttpEntry

    facts: dict[str, Any] = msgspec.structs.asdict(entry)
    if "error" in facts:
        return [entry.name, str(facts["error"])]
    if "env" in facts:
        env = dict(facts["env"])
        if _TERMINAL not in facts["env_names"]:
            env.pop(_TERMINAL, None)
        facts |= {"env": sorted(env.items()), "cwd": facts["cwd"] or folder}
    if "headers" in facts:
        facts["headers"] = list(facts["headers"].items())
    if isinstance(entry, HttpEntry):
        facts["way"] = outside_values(entry, policy, os.environ)
    return [type(entry).__name__, sorted(facts.items())]


def _rules(policy: Policy) -> list[Any]:
    """Give what is in force: where it stands in its file does not matter, nor do profiles out of use."""
    return [policy.source, policy.profile, msgspec.json.encode(policy.tables, order="deterministic")]
