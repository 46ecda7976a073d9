"""What can be said against an entry that resolves: it may not start, or is not safe. Starts nothing."""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Collection, Iterator
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from trunkline.config.entry import Entry, HttpEntry, StdioEntry
from trunkline.config.secret import conceal, header_secrets
from trunkline.config.wording import KeyPath

_RUNNERS = frozenset({"bun", "bunx", "deno", "npm", "npx", "pipx", "pnpm", "pnpx", "uv", "uvx", "yarn"})
"""Programs that download what they run."""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One remark about one entry."""

    severity: Literal["error", "warning"]
    path: KeyPath
    """The value concerned, relative to the entry."""
    message: str
    hint: str


def advise(entry: Entry, broken: Collection[str | int] = ()) -> Iterator[Advice]:
    """Give remarks on an entry; `broken` are keys whose values are stand-ins, which none is about."""
    match entry:
        case StdioEntry():
            if not {"command", "cwd"} & set(broken):
                yield from _command(entry)
            yield from _unpinned(entry)
        case HttpEntry():
            if "url" not in broken:
                yield from _open_wire(entry)


def _command(entry: StdioEntry) -> Iterator[Advice]:
    if shutil.which(entry.command, path=entry.env.get("PATH", os.defpath)) is not None:
        return
    shown = entry.shown[0] if entry.shown else "command"
    if not os.path.dirname(entry.command):
        message = f"the command {shown!r} is not on the PATH of the server"
        hint = f"Install {shown}, give its full path, or set PATH in env."
    elif not os.path.exists(entry.command):
        message, hint = f"the program {shown} does not exist", "Correct the path, or install the program."
    else:
        message = f"the program {shown} cannot be executed"
        hint = "Make the file executable, or start it through its interpreter."
    yield Advice(severity="error", path=("command",), message=message, hint=hint)


def _unpinned(entry: StdioEntry) -> Iterator[Advice]:
    if os.path.basename(entry.command).partition(".")[0].lower() not in _RUNNERS:
        return
    for at, word in enumerate(entry.shown[1:]):
        if word.endswith("@latest"):
            message = f"{word} runs whatever was published last, unseen"
            hint = f"Name a version, as in {word.removesuffix('@latest')}@1.2.3."
            yield Advice(severity="warning", path=("args", at), message=message, hint=hint)


def _open_wire(entry: HttpEntry) -> Iterator[Advice]:
    parts = urlsplit(entry.url)
    if parts.scheme not in ("http", "ws") or _is_loopback(parts.hostname or ""):
        return
    secret = [name for name, value in entry.headers.items() if header_secrets(name, value)]
    what = ", ".join(secret) if secret else "the credential in the URL" if conceal(entry.url)[1] else None
    if what is not None:
        message = f"{what} is sent without encryption, readable on the way"
        hint = f"Use {parts.scheme}s:// instead of {parts.scheme}://."
        yield Advice(severity="warning", path=("url",), message=message, hint=hint)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
