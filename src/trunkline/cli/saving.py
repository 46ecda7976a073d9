"""`call -o PATH`: which files a reply becomes, and writing them whole or not at all."""

from __future__ import annotations

import binascii
import mimetypes
import os
from collections.abc import Iterable
from pathlib import Path, PurePath

import msgspec

from trunkline.cli.exits import UsageError
from trunkline.core.content import Blob, Content, render_content
from trunkline.core.reply import Reply
from trunkline.errors import ProtocolError

_SUFFIXES = {"text/plain": ".txt", "image/jpeg": ".jpg", "audio/mpeg": ".mp3", "audio/wav": ".wav"}
"""Where the standard table is silent, or differs from one system to the next."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """One file to write."""

    path: Path
    data: bytes
    mime_type: str


def plan_files(reply: Reply, target: str, *, is_folder: bool) -> list[Saved]:
    """Decide what `-o target` writes.

    Without a block of bytes (image, audio, embedded resource): the text, as it is. One such block: its
    bytes. Several: numbered files beside each other, `target-1.png`. In a folder, files are called
    after the tool.

    Raises:
        ProtocolError: a block is not valid base64; then nothing is written.
    """
    blobs = [block for block in reply.content if isinstance(block, Blob)]
    name = safe_name(reply.tool)
    base = Path(target) / name if is_folder else Path(target)
    if not blobs:
        path = Path(f"{base}.txt") if is_folder else base
        return [Saved(path=path, data=reply.text.encode(), mime_type="text/plain")]
    decoded = [(blob, _decode(blob, reply)) for blob in blobs]
    if len(blobs) == 1:
        blob, data = decoded[0]
        path = Path(f"{base}{_suffix(blob)}") if is_folder else base
        return [Saved(path=path, data=data, mime_type=blob.mime_type)]
    stem = base if is_folder else base.with_suffix("")
    return [
        Saved(path=Path(f"{stem}-{number}{_suffix(blob, base.suffix)}"), data=data, mime_type=blob.mime_type)
        for number, (blob, data) in enumerate(decoded, 1)
    ]


def suffix_of(mime_type: str, default: str = "") -> str:
    """Give the ending of files of a type, such as `.png`."""
    mime = mime_type.partition(";")[0].strip().lower()
    return _SUFFIXES.get(mime) or mimetypes.guess_extension(mime) or default or ".bin"


def safe_name(text: str) -> str:
    """Give the name of a file called after untrusted text: never a path, never hidden."""
    kept = "".join(character if character.isalnum() or character in "._-" else "_" for character in text)
    return PurePath(kept.lstrip(".")[:100] or "reply").name


def leftover_text(content: Iterable[Content]) -> str:
    """Give the blocks that `-o` does not save when it saves bytes, as text."""
    return "\n".join(render_content(block) for block in content if not isinstance(block, Blob))


def check_target(target: str) -> bool:
    """Give whether `target` is a folder.

    Raises:
        UsageError: nothing can be written there. Checked before the call, which may have effects.
    """
    path = Path(target)
    if path.is_dir():
        folder = path
    elif target.endswith(("/", os.sep)):
        raise UsageError(f"cannot save to {target!r}: there is no such folder", hint="Create it first.")
    else:
        folder = path.parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot save to {target!r}: there is no folder {str(folder)!r}", hint="Create it first."
        )
    writable = os.access(path if path.exists() and not path.is_dir() else folder, os.W_OK)
    if not writable:
        raise UsageError(f"cannot save to {target!r}: no permission to write there")
    return path.is_dir()


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; what stood there is replaced. Devices and pipes are written to."""
    real = Path(os.path.realpath(path))
    if real.exists() and not real.is_file():
        real.write_bytes(data)
        return
    draft = real.with_name(f".{real.name[:100]}.{os.getpid()}.part")
    try:
        draft.write_bytes(data)
        if real.exists():
            draft.chmod(real.stat().st_mode & 0o777)
        draft.replace(real)
    finally:
        draft.unlink(missing_ok=True)


def _decode(blob: Blob, reply: Reply) -> bytes:
    try:
        return blob.data
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(
            f"the {blob.kind} in the reply is not valid base64, nothing was saved",
            server=reply.server,
            tool=reply.tool,
            delivery="answered",
            hint="Use --json to see the reply as it was received.",
        ) from error


def _suffix(blob: Blob, default: str = "") -> str:
    return suffix_of(blob.mime_type, default)
