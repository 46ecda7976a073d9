"""The log of a background process: a file of bounded size in the user's state folder, without secrets."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from trunkline.errors import ConfigError
from trunkline.security.scrub import Scrubber
from trunkline.telemetry.formatter import LineFormatter

MAX_BYTES = 512 * 1024
"""Size at which a log is put aside; the one before it is dropped."""
_KEPT = 4
_PREFIX = "%(asctime)s %(process)d "


def state_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder: `$XDG_STATE_HOME/trunkline`, `~/.local/state` by default."""
    stated = environ.get("XDG_STATE_HOME", "")
    home = environ.get("HOME") or os.path.expanduser("~")
    return (Path(stated) if os.path.isabs(stated) else Path(home) / ".local" / "state") / "trunkline"


def log_path(folder: Path, sources: Sequence[str], name: str) -> Path:
    """Give the log of the process of this name that serves these files."""
    return folder / f"up-{_label(sources)}-{name[:8]}.log"


def newest_log(folder: Path, sources: Sequence[str]) -> Path | None:
    """Give the log that was written last for these files."""
    return next(iter(_logs(folder, sources)), None)


def read_log(path: Path) -> str:
    """Give a log with what was put aside before it."""
    parts = (Path(f"{path}.1"), path)
    return "".join(part.read_text(errors="replace") for part in parts if part.exists())


@contextmanager
def logging_to(
    path: Path, sources: Sequence[str], secrets: Iterable[str], *, also_stderr: bool
) -> Iterator[Scrubber]:
    """Write our log, and the warnings of others, to the file while the body runs; drop the oldest files.

    Gives what keeps secrets out of it, to learn more of them.

    Raises:
        ConfigError: the file cannot be written.
    """
    handlers = [_open(path, sources)]
    if also_stderr:
        handlers.append(logging.StreamHandler())
    scrubber = Scrubber(secrets)
    formatter = LineFormatter(prefix=_PREFIX, clean=scrubber.clean)
    root, ours = logging.getLogger(), logging.getLogger("trunkline")
    before = ours.level
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield scrubber
    finally:
        ours.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _open(path: Path, sources: Sequence[str]) -> logging.Handler:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        for old in _logs(path.parent, sources)[_KEPT:]:
            for part in (old, Path(f"{old}.1")):
                part.unlink(missing_ok=True)
        return RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=1)
    except OSError as error:
        raise ConfigError(
            f"the log {path} cannot be written: {error.strerror}",
            hint="Set XDG_STATE_HOME to a folder of your own.",
        ) from error


def _label(sources: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(sources).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _logs(folder: Path, sources: Sequence[str]) -> list[Path]:
    found = folder.glob(f"up-{_label(sources)}-*.log")
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
