"""Changing a file so that nothing is lost: locked, backed up, replaced as a whole, and undone by one line.

A link is followed: its target is changed. The mode of a file stays. A file that another program changes
between our reading and our writing is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from trunkline.config.discovery import user_file
from trunkline.config.syntax import MAX_FILE_BYTES, read_text
from trunkline.errors import ConfigError

_BOM = b"\xef\xbb\xbf"
_ROUNDS = 20
_WAITS = 200
_PAUSE = 0.05
"""Seconds between two attempts to take the lock; ten seconds in all."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file."""

    file: str
    """The file as it was named."""
    target: str
    """The file that was changed, at the end of every link."""
    backup: str | None
    """A copy of what it held, or None when it is new or nothing changed."""
    undo: str | None
    """The shell command that brings it back to what it was; None when nothing changed."""


def rewrite(
    path: Path, edit: Callable[[str], str], *, environ: Mapping[str, str], private: bool = False
) -> Written:
    """Replace the text of a file by `edit(text)`; a file that does not exist has the text "".

    `edit` may be called more than once. Nothing is written when it returns the same text or raises.

    Args:
        private: a new file, and the folders made for it, are for this user alone (0600 and 0700).

    Raises:
        ConfigError: the file cannot be read or written, or goes on changing.
    """
    target = Path(os.path.realpath(path))
    _make_folder(target.parent, private=private)
    with _locked(target.parent):
        for _ in range(_ROUNDS):
            before = _read(target)
            _check_writable(target, exists=before is not None)
            after = _edited(path, before, edit)
            if after == before:
                return Written(file=str(path), target=str(target), backup=None, undo=None)
            with _staged(target, after, private=private) as staged:
                if _read(target) == before:
                    return _commit(path, target, before, staged, environ)
    hint = "Close the program that writes it, and try again."
    raise ConfigError("the file is changed by another program all the time", source=str(path), hint=hint)


def undo_line(target: Path, backup: Path | None) -> str:
    """Give the shell command that undoes a change; without a backup the file is new."""
    words = ["rm", str(target)] if backup is None else ["cp", str(backup), str(target)]
    if os.name == "nt":
        return " ".join(["del" if backup is None else "copy", *(f'"{word}"' for word in words[1:])])
    # always quoted, so that the line looks the same whatever the path
    return " ".join([words[0], *(_quote(word) for word in words[1:])])


def _quote(word: str) -> str:
    quoted = shlex.quote(word)
    return quoted if quoted != word else f"'{word}'"


def _edited(path: Path, before: bytes | None, edit: Callable[[str], str]) -> bytes:
    old = "" if before is None else _decode(path, before)
    mark = _BOM if before is not None and before.startswith(_BOM) else b""
    try:
        return mark + edit(old).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            "the text cannot be written as UTF-8", source=str(path), hint="Use ordinary characters."
        ) from None


def _decode(path: Path, data: bytes) -> str:
    if len(data) <= MAX_FILE_BYTES:
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode("utf-8-sig")
    return read_text(path)  # which says what is wrong with it


def _commit(
    path: Path, target: Path, before: bytes | None, staged: Path, environ: Mapping[str, str]
) -> Written:
    backup = None if before is None else _back_up(target, before, environ)
    try:
        os.replace(staged, target)
    except OSError as error:
        raise _not_written(target, error) from error
    return Written(
        file=str(path),
        target=str(target),
        backup=None if backup is None else str(backup),
        undo=undo_line(target, backup),
    )


def _back_up(target: Path, data: bytes, environ: Mapping[str, str]) -> Path:
    """Keep a copy under the user's folder, where no project and no other program sees it."""
    digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:12]
    folder = user_file(environ).parent / "backups" / f"{target.name.lstrip('.')}-{digest}"
    _make_folder(folder, private=True)
    number = 1 + max((int(known.stem) for known in folder.iterdir() if known.stem.isdigit()), default=0)
    while True:
        backup = folder / f"{number}{target.suffix}"
        try:
            _create(backup, data, 0o600)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise _not_written(backup, error) from error
        else:
            return backup


@contextlib.contextmanager
def _staged(target: Path, data: bytes, *, private: bool) -> Iterator[Path]:
    """Write the new content beside the target, with the target's mode and owner."""
    staged = target.parent / f".{target.name}.trunkline-{os.getpid()}-{threading.get_ident()}"
    try:
        with contextlib.suppress(FileNotFoundError):
            staged.unlink()
        _create(staged, data, 0o600 if private or target.exists() else 0o666)
        if target.exists():
            facts = target.stat()
            with contextlib.suppress(OSError, AttributeError):
                os.chown(staged, facts.st_uid, facts.st_gid)
            os.chmod(staged, stat.S_IMODE(facts.st_mode))
        yield staged
    except OSError as error:
        raise _not_written(target, error) from error
    finally:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            staged.unlink()


def _create(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _read(target: Path) -> bytes | None:
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        read_text(target)
        raise


def _check_writable(target: Path, *, exists: bool) -> None:
    # root may write anything; a file without any write bit was still closed on purpose
    if exists and not (os.access(target, os.W_OK) and target.stat().st_mode & 0o222):
        hint = f"Make it writable, as with `chmod u+w {shlex.quote(str(target))}`, if you want it changed."
        raise ConfigError("the file is read-only, and was not changed", source=str(target), hint=hint)


def _make_folder(folder: Path, *, private: bool) -> None:
    try:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700 if private else 0o777, exist_ok=True)
    except OSError as error:
        raise _not_written(folder, error) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers of ours out of a folder; where folders cannot be locked, nothing is done."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        _wait_for_lock(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), folder)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(take: Callable[[], None], folder: Path) -> None:
    pause = threading.Event()
    for _ in range(_WAITS):
        try:
            take()
        except BlockingIOError:
            pause.wait(_PAUSE)
        except OSError:
            return  # this file system has no locks; the comparison before writing remains
        else:
            return
    message = "another program has been changing files here for ten seconds"
    raise ConfigError(message, source=str(folder), hint="Wait for it to end, and try again.")


def _not_written(path: Path, error: OSError) -> ConfigError:
    reason = error.strerror or type(error).__name__
    return ConfigError(
        f"cannot be written: {reason}", source=str(path), hint="Check the folder and its permissions."
    )
