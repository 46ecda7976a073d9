"""`${NAME}` in a secret value of `trunkline.toml`: the variable stands in the file, never its value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trunkline.errors import ConfigError

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def resolve(text: str, environ: Mapping[str, str], *, server: str, field: str) -> str:
    """Give the text with each reference replaced by its variable.

    Raises:
        ConfigError: a variable is not set; names it, the server and the field.
    """

    def value(match: re.Match[str]) -> str:
        if (found := environ.get(match[1])) is None:
            raise ConfigError(
                f"the environment variable {match[1]} is not set",
                server=server,
                field=field,
                hint=f"Set {match[1]} where Trunkline runs.",
            )
        return found

    return REFERENCE.sub(value, text)
