"""Where commands find a background process: files under the name of its configuration, which may change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from trunkline.runtime import control_place as place
from trunkline.runtime.control_record import claimed, path_of

_MOVED = (place.SOCKET, place.TEMPLATE)


class Seat:
    """Holds the lock of one name at a time, and moves what is found there to another.

    Args:
        again: asked, while another process holds the first lock, whether to try once more.
    """

    def __init__(self, folder: Path, name: str, again: Callable[[], bool] = lambda: False) -> None:
        self.name = name
        self._folder = folder
        self._again = again
        self._claim = ExitStack()

    def __enter__(self) -> Self:
        """Take the seat.

        Raises:
            LockedError: another process has it.
        """
        self._claim.enter_context(claimed(self._folder, self.name, self._again))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claim.close()

    def path(self, suffix: str) -> Path:
        """Give one of its files."""
        return path_of(self._folder, self.name, suffix)

    def move(self, name: str) -> None:
        """Be found under another name from now on, and no more under the one before.

        Raises:
            LockedError: another process has that name; nothing has changed.
        """
        if name == self.name:
            return
        claim = ExitStack()
        claim.enter_context(claimed(self._folder, name))
        for suffix in _MOVED:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path(suffix), path_of(self._folder, name, suffix))
        self._claim.close()
        self._claim, self.name = claim, name
