"""Tells of limits of a server's processes that this system does not hold."""

from __future__ import annotations

import logging

from trunkline.config.entry import Entry, StdioEntry
from trunkline.config.process_support import examine_process
from trunkline.config.settings import ServerPolicy

logger = logging.getLogger("trunkline.config")


def warn_of_limits(entry: Entry, rules: ServerPolicy) -> None:
    """Log each limit that is set for a process and that nothing holds it to."""
    if isinstance(entry, StdioEntry):
        for remark in examine_process(rules.process):
            logger.warning("%s: %s", entry.name, remark.message, extra={"server": entry.name})
