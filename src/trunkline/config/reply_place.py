"""Where answers may be kept, as `cache.store` says it in `trunkline.toml`."""

from __future__ import annotations

import re

from trunkline.config.policy_value import Rule
from trunkline.config.reference import FORMS, REFERENCE

_REDIS = re.compile(r"(rediss?|unix)://(?:[^:@/\s]*:(?P<password>[^@\s]*)@)?[^@\s]+")


def is_place(value: object) -> bool:
    """Whether this may stand in `trunkline.toml`; a password in plain text may not."""
    if value in ("memory", "disk"):
        return True
    if not isinstance(value, str):
        return False
    if REFERENCE.fullmatch(value):
        return True
    match = _REDIS.fullmatch(value)
    password = None if match is None else match["password"]
    return match is not None and (not password or REFERENCE.fullmatch(password) is not None)


STORE = Rule(
    f'"memory", "disk", or a URL such as "redis://cache.example:6379/0", with passwords as {FORMS}',
    is_place,
    str,
    '"disk"',
    {"type": "string", "pattern": r"^(memory|disk|(rediss?|unix)://.+|\$\{.+\})$"},
)
